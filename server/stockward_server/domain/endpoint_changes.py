"""Changes of endpoints, and the limits of what may be set.

Every `decide_…` receives the endpoint as it is under lock and returns the changed endpoint, or raises a Refusal. When
there is nothing to change it returns the endpoint itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from stockward_server.domain.endpoint import HIDDEN, Endpoint, EndpointEdit, NewSecret, Secret, SecretKind
from stockward_server.domain.errors import (
    EndpointDisabled,
    EndpointHeaderInvalid,
    EndpointManagedBySettings,
    EndpointTypeUnknown,
    EndpointUrlInvalid,
    SecretLimitReached,
)
from stockward_server.domain.etag import require_etag
from stockward_server.domain.event import EVENT_TYPES

MAX_SECRETS = 5
"""Maximum number of secrets that sign at the same time."""

MAX_HEADER_CHARACTERS = 4096
"""Limit of all names and values together: receivers accept some 8 KiB, which must include the server's own headers."""

REMOVED = "not in the settings"
"""Reason of a disabled endpoint that was removed from the settings."""

ANSWERED, NOTHING_TAKEN = "it answered ", "no delivery was taken since "
"""Beginnings of the reasons when the gateway, not staff, disabled an endpoint."""

RESERVED_HEADERS = frozenset(
    {
        *("host", "expect", "connection", "keep-alive", "proxy-connection", "proxy-authenticate"),
        *("proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers that HTTP needs for the connection (RFC 9110, 7.6.1), or that the client sets."""

RESERVED_PREFIXES = ("webhook-", "content-")
"""Prefixes of headers that describe or sign the request."""


def require_endpoint_etag(endpoint: Endpoint, etag: str) -> None:
    """Raises EtagMismatch when the endpoint has changed since the caller read it; an empty etag skips the check."""
    require_etag(f"endpoint {endpoint.endpoint_id}", endpoint.etag, etag, endpoint_id=endpoint.endpoint_id)


def require_managed(endpoint: Endpoint, what: str) -> None:
    """Raises EndpointManagedBySettings when the settings define `what` of the endpoint."""
    if not endpoint.managed:
        setting = f"{endpoint.endpoint_id.upper()}_WEBHOOK_{'SECRET' if what == 'secret' else 'URL'}"
        raise EndpointManagedBySettings(endpoint.endpoint_id, what, setting)


def require_enabled(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise EndpointDisabled(endpoint.endpoint_id, endpoint.disable_reason)


def checked(edit: EndpointEdit, *, require_https: bool) -> EndpointEdit:
    """Returns the edit with header names in lower case; raises the errors of `check_url`, `check_types` and
    `check_headers`."""
    if "url" in edit:
        check_url(edit["url"], require_https=require_https)
    if "types" in edit:
        check_types(edit["types"])
    if "headers" in edit:
        return {**edit, "headers": check_headers(edit["headers"])}
    return edit


def check_url(url: str, *, require_https: bool) -> None:
    """Raises EndpointUrlInvalid unless webhooks may be sent to the URL. The egress policy checks its address when it
    connects."""
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
    """Raises EndpointTypeUnknown for the first type that no event has; the message lists the types of its area, or the
    areas."""
    for index, wanted in enumerate(types):
        area, _, name = wanted.partition(".")
        names = EVENT_TYPES.get(area, ())
        if wanted == "*" or (names and (name == "*" or name in names)):
            continue
        known = ", ".join([f"{area}.*", *(f"{area}.{each}" for each in names)] if names else _areas())
        raise EndpointTypeUnknown(wanted, known, f"{path}[{index}]")


def check_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Returns the headers by name in lower case. Raises EndpointHeaderInvalid for a reserved or malformed header, or
    too many."""
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
    """Returns a new endpoint with its first secret, from a checked edit."""
    blank = Endpoint(endpoint_id, "", (), now, now, secrets=(Secret(secret.of(kind), now),))
    return replace(blank, **_with_kept_headers(blank, edit))


def decide_update(endpoint: Endpoint, edit: EndpointEdit, now: datetime) -> Endpoint:
    """Returns the endpoint with the values of a checked edit. A changed URL resets the record of failures."""
    if "url" in edit:
        require_managed(endpoint, "URL")
    edited = replace(endpoint, **_with_kept_headers(endpoint, edit))
    if edited == endpoint:
        return endpoint
    failing_since = endpoint.failing_since if edited.url == endpoint.url else None
    return replace(edited, failing_since=failing_since, update_time=now)


def _with_kept_headers(endpoint: Endpoint, edit: EndpointEdit) -> EndpointEdit:
    """Returns the edit with current values in place of HIDDEN. Raises EndpointHeaderInvalid where there is none."""
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
    """Returns the endpoint enabled, with its record of failures reset. An endpoint that is already enabled gets a new
    version, too, as the caller reports that it is fixed."""
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
    """Adds a secret in first place; older ones sign until the end of the overlap, or until their own end if that is
    earlier."""
    require_managed(endpoint, "secret")
    older = _limited(endpoint.secrets, now + overlap) if overlap else ()
    if len(older) >= MAX_SECRETS:
        raise SecretLimitReached(endpoint.endpoint_id, MAX_SECRETS)
    fresh = Secret(secret.of(kind or endpoint.secrets[0].kind), now)
    return replace(endpoint, secrets=(fresh, *older), update_time=now)


def decide_expiry(endpoint: Endpoint, now: datetime) -> Endpoint:
    """Returns the endpoint with only its newest secret."""
    require_managed(endpoint, "secret")
    if len(endpoint.secrets) < 2:
        return endpoint
    return replace(endpoint, secrets=endpoint.secrets[:1], update_time=now)


def _limited(secrets: Sequence[Secret], end: datetime) -> Sequence[Secret]:
    return [replace(each, expire_time=min(each.expire_time or end, end)) for each in secrets]


def _areas() -> list[str]:
    return ["*", *(f"{area}.*" for area in EVENT_TYPES)]
