"""Errors about callers; the reasons of auth.v1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from stockward_server.domain.errors.base import Code, Refusal
from stockward_server.domain.errors.calls import RETRY_SECONDS

STAFF = ("pms", "admin")
"""Roles of staff."""


class CredentialsInvalid(Refusal):
    """The caller is unknown: its key or token is missing, malformed, unknown, expired or revoked."""

    code, reason = Code.UNAUTHENTICATED, "CREDENTIALS_INVALID"

    def __init__(self, message: str, *, cause: str | None = None, claim: str | None = None) -> None:
        super().__init__(message, scheme="Bearer", cause=cause, claim=claim)

    @classmethod
    def missing(cls) -> Self:
        return cls("no key: send `authorization: Bearer <key>`")

    @classmethod
    def unknown_key(cls) -> Self:
        return cls("the key is malformed, unknown, expired or revoked")

    @classmethod
    def link(cls) -> Self:
        """The secret of a link is presented to another method than CreateSession."""
        return cls("the secret of a link is good for CreateSession only")

    @classmethod
    def changed(cls) -> Self:
        """The credential that opened the stream no longer identifies the same caller."""
        return cls("the credential changed: open the stream again")

    @classmethod
    def of_token(cls, cause: str, description: str, claim: str | None = None) -> Self:
        """`cause`: the contract's word for the fault of the token; `claim`: the claim at fault, if any."""
        return cls(description, cause=cause, claim=claim)


class RoleNotAllowed(Refusal):
    """The caller's role may not do this."""

    code, reason = Code.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"

    def __init__(self, role: str, action: str, *, allowed: Iterable[str] = STAFF, field: str | None = None) -> None:
        """`action` continues "may not"; `allowed`: the roles that may; `field`: the field that requests it."""
        allowed = list(allowed)
        super().__init__(
            f"the role {role} may not {action}: this is for {' and '.join(allowed)}",
            field=field,
            role=role,
            allowed=",".join(allowed),
        )


class RateLimited(Refusal):
    """The caller exceeds its rate of calls of one kind; `wait`: seconds until the next one is allowed."""

    code, reason = Code.RESOURCE_EXHAUSTED, "RATE_LIMITED"

    def __init__(self, kind: str, calls_per_second: float, wait: float) -> None:
        super().__init__(
            f"more than {calls_per_second:g} {kind} calls a second by one caller",
            retry_after=wait,
            kind=kind,
            limit_per_second=f"{calls_per_second:g}",
        )


class CustomerNotAllowed(Refusal):
    """The token of one customer requests data of another."""

    code, reason = Code.PERMISSION_DENIED, "CUSTOMER_NOT_ALLOWED"

    @classmethod
    def for_another(cls, field: str) -> Self:
        """`field` names another customer."""
        return cls("the token speaks for another customer", field=field)

    @classmethod
    def for_events(cls) -> Self:
        return cls("events are for the shop, not for one of its customers")


class TokenKeysUnavailable(Refusal):
    """Tokens cannot be verified, because the keys of their issuer are not known."""

    code, reason = Code.UNAVAILABLE, "TOKEN_KEYS_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("the keys of the token issuer cannot be read at the moment", retry_after=RETRY_SECONDS)


class SessionNeedsKey(Refusal):
    """A session cannot be created with another session, or with a token; `kind` is what the caller presents."""

    code, reason = Code.FAILED_PRECONDITION, "SESSION_NEEDS_KEY"

    def __init__(self, kind: str) -> None:
        super().__init__(f"a session is created with an API key or a link, not with a {kind}", kind=kind)


class KeyNotFound(Refusal):
    """No key has this id."""

    code, reason = Code.NOT_FOUND, "KEY_NOT_FOUND"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key {key_id}", key_id=key_id)


class KeyNameTaken(Refusal):
    """An active key has this name; `key_id` is its id."""

    code, reason = Code.ALREADY_EXISTS, "KEY_NAME_TAKEN"

    def __init__(self, name: str, key_id: str) -> None:
        super().__init__(f"there is a key named {name!r} already", field="name", name=name, key_id=key_id)


class KeyNotActive(Refusal):
    """A retiring, expired or revoked key cannot be rotated."""

    code, reason = Code.FAILED_PRECONDITION, "KEY_NOT_ACTIVE"

    def __init__(self, key_id: str, prefix: str, state: str) -> None:
        """`prefix`: the part of the key that may be shown."""
        super().__init__(f"the key {prefix}… is {state.lower()} and cannot be rotated", key_id=key_id, state=state)
