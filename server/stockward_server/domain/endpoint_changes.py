"""How an endpoint changes, and what may be set.

Every `decide_…` takes the endpoint as it stands under lock and answers it as it will be, or raises a Refusal. Where
there is nothing to do it answers the endpoint as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from stockward_server.domain import etag as etags
from stockward_server.domain.endpoint import HIDDEN, Endpoint, EndpointEdit, NewSecret, Secret, SecretKind
from stockward_server.domain.errors import (
    EndpointDisabled,
    EndpointHeaderInvalid,
    EndpointManagedBySettings,
    EndpointTypeUnknown,
    EndpointUrlInvalid,
    SecretLimitReached,
)
from stockward_server.domain.event import EVENT_TYPES

MAX_SECRETS = 5
"""Secrets that sign at the same time."""

MAX_HEADER_CHARACTERS = 4096
"""Names and values altogether: receivers take some 8 KiB, and need room for those that we send."""

REMOVED = "not in the settings"
"""Why an endpoint of the settings is disabled that was taken out of them."""

ANSWERED, NOTHING_TAKEN = "it answered ", "no delivery was taken since "
"""How the reason begins when the gateway disabled an endpoint itself: nobody at our side wanted that."""

RESERVED_HEADERS = frozenset(
    {
        *("host", "expect", "connection", "keep-alive", "proxy-connection", "proxy-authenticate"),
        *("proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers that HTTP needs for the connection (RFC 9110, 7.6.1), or that the client sets."""

RESERVED_PREFIXES = ("webhook-", "content-")
"""Headers that say what is sent, and that it is ours."""


def require_etag(endpoint: Endpoint, etag: str) -> None:
    """Refuses a change that was made on an older reading; an empty etag asks for no such check."""
    etags.require_etag(f"endpoint {endpoint.endpoint_id}", endpoint.etag, etag, endpoint_id=endpoint.endpoint_id)


def require_managed(endpoint: Endpoint, what: str) -> None:
    """Refuses to change `what` the settings say of one of their endpoints."""
    if not endpoint.managed:
        setting = f"{endpoint.endpoint_id.upper()}_WEBHOOK_{'SECRET' if what == 'secret' else 'URL'}"
        raise EndpointManagedBySettings(endpoint.endpoint_id, what, setting)


def require_enabled(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise EndpointDisabled(endpoint.endpoint_id, endpoint.disable_reason)


def checked(edit: EndpointEdit, *, require_https: bool) -> EndpointEdit:
    """The edit with header names in lower case; raises what `check_url`, `check_types` and `check_headers` raise."""
    if "url" in edit:
        check_url(edit["url"], require_https=require_https)
    if "types" in edit:
        check_types(edit["types"])
    if "headers" in edit:
        return {**edit, "headers": check_headers(edit["headers"])}
    return edit


def check_url(url: str, *, require_https: bool) -> None:
    """EndpointUrlInvalid unless webhooks may go to it. Whether its address may be reached is seen when they do."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (the property checks the number)
    except ValueError as error:
        raise EndpointUrlInvalid(f"not a URL: {error}") from error
    if not all("!" <= character <= "~" for character in url):
        raise EndpointUrlInvalid("write it in ASCII without blanks: other characters in percent-encoding or punycode")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EndpointUrlInvalid("expected https://HOST/PATH or http://HOST/PATH")
    if require_https and parts.scheme != "https":
        raise EndpointUrlInvalid("https is required in production")
    if "@" in parts.netloc:
        raise EndpointUrlInvalid("it must not have a user or password: set the header `authorization` instead")
    if "#" in url:
        raise EndpointUrlInvalid("it must not have a fragment, which is never sent")


def check_types(types: Sequence[str], path: str = "endpoint.types") -> None:
    """EndpointTypeUnknown for the first that no event has; the message lists those of its area, or the areas."""
    for index, wanted in enumerate(types):
        area, _, name = wanted.partition(".")
        names = EVENT_TYPES.get(area, ())
        if wanted == "*" or (names and (name == "*" or name in names)):
            continue
        known = ", ".join([f"{area}.*", *(f"{area}.{each}" for each in names)] if names else _areas())
        raise EndpointTypeUnknown(wanted, known, f"{path}[{index}]")


def check_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """By name in lower case; EndpointHeaderInvalid for one that cannot be set, or for too much of them."""
    lower: dict[str, str] = {}
    for name, value in sorted(headers.items()):
        key = name.lower()
        if key in RESERVED_HEADERS or key.startswith(RESERVED_PREFIXES):
            raise EndpointHeaderInvalid("this header cannot be set: it is part of the request itself", name)
        if key in lower:
            raise EndpointHeaderInvalid("this header is there twice; upper and lower case are the same", name)
        lower[key] = value
    size = sum(len(name) + len(value) for name, value in lower.items())
    if size > MAX_HEADER_CHARACTERS:
        raise EndpointHeaderInvalid(
            f"the headers have {size} characters altogether, {MAX_HEADER_CHARACTERS} are allowed"
        )
    return lower


def decide_creation(
    endpoint_id: str, edit: EndpointEdit, kind: SecretKind, secret: NewSecret, now: datetime
) -> Endpoint:
    """A new endpoint with its first secret, from a checked edit."""
    blank = Endpoint(endpoint_id, "", (), now, now, secrets=(Secret(secret.of(kind), now),))
    return replace(blank, **_with_kept_headers(blank, edit))


def decide_update(endpoint: Endpoint, edit: EndpointEdit, now: datetime) -> Endpoint:
    """With the new values of a checked edit. Another address has not failed yet."""
    if "url" in edit:
        require_managed(endpoint, "URL")
    edited = replace(endpoint, **_with_kept_headers(endpoint, edit))
    if edited == endpoint:
        return endpoint
    failing_since = endpoint.failing_since if edited.url == endpoint.url else None
    return replace(edited, failing_since=failing_since, update_time=now)


def _with_kept_headers(endpoint: Endpoint, edit: EndpointEdit) -> EndpointEdit:
    """The edit with the values that the endpoint has in place of HIDDEN; EndpointHeaderInvalid where it has none."""
    if "headers" not in edit:
        return edit
    headers = dict(edit["headers"])
    for name, value in headers.items():
        if value == HIDDEN:
            if name not in endpoint.headers:
                raise EndpointHeaderInvalid(
                    f"{HIDDEN} stands for the value that is kept, and none is: give the value", name
                )
            headers[name] = endpoint.headers[name]
    return {**edit, "headers": check_headers(headers)}


def decide_enabling(endpoint: Endpoint, now: datetime) -> Endpoint:
    """Enabled, with a clean record: it is not disabled again for what is past. One that is enabled is a new version,
    too: somebody says that it was fixed."""
    if endpoint.disable_reason == REMOVED:
        require_managed(endpoint, "URL")
    return replace(endpoint, enabled=True, disable_reason="", failing_since=None, update_time=now)


def decide_disabling(endpoint: Endpoint, reason: str, now: datetime) -> Endpoint:
    if not endpoint.enabled:
        return endpoint
    return replace(endpoint, enabled=False, disable_reason=reason, update_time=now)


def decide_rotation(
    endpoint: Endpoint, kind: SecretKind | None, secret: NewSecret, overlap: timedelta, now: datetime
) -> Endpoint:
    """A new secret first; those before it sign until the overlap is over, or their own end if that is earlier."""
    require_managed(endpoint, "secret")
    older = _limited(endpoint.secrets, now + overlap) if overlap else ()
    if len(older) >= MAX_SECRETS:
        raise SecretLimitReached(endpoint.endpoint_id, MAX_SECRETS)
    fresh = Secret(secret.of(kind or endpoint.secrets[0].kind), now)
    return replace(endpoint, secrets=(fresh, *older), update_time=now)


def decide_expiry(endpoint: Endpoint, now: datetime) -> Endpoint:
    """With the newest secret alone."""
    require_managed(endpoint, "secret")
    if len(endpoint.secrets) < 2:
        return endpoint
    return replace(endpoint, secrets=endpoint.secrets[:1], update_time=now)


def _limited(secrets: Sequence[Secret], end: datetime) -> Sequence[Secret]:
    return [replace(each, expire_time=min(each.expire_time or end, end)) for each in secrets]


def _areas() -> list[str]:
    return ["*", *(f"{area}.*" for area in EVENT_TYPES)]
