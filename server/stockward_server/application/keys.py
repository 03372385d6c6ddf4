"""API keys: what one is, and how it is made, rotated and revoked."""

from __future__ import annotations

import secrets
from base64 import b32encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from stockward_server.application.context import Role
from stockward_server.domain.errors import FieldInvalid, KeyNotActive
from stockward_server.domain.etag import etag_of, require_etag
from stockward_server.domain.identifiers import new_id

RANDOM_BYTES = 20
"""160 bits, which are 32 characters of base32 without padding."""

SHOWN = 6
"""Random characters of a key that are kept in the clear behind its role, to tell keys apart in a list."""

DEFAULT_OVERLAP = timedelta(hours=24)
"""How long a rotated key goes on working where nobody says otherwise."""

LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


class KeyState(IntEnum):
    """Where a key is in its life; the numbers are those of auth.v1.Key.State."""

    ACTIVE = 1
    RETIRING = 2
    EXPIRED = 3
    REVOKED = 4


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, without the key itself."""

    key_id: str
    name: str
    role: Role
    prefix: str
    create_time: datetime
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    last_used_time: datetime | None = None
    replaced_by: str | None = None
    """key_id of the key that took its place."""
    created_by: str = ""
    """Actor who made it; empty for what was done before it was recorded, as of the next two."""
    rotated_by: str = ""
    revoked_by: str = ""

    @property
    def etag(self) -> str:
        """Changes with every change; use and the passing of time are none."""
        return etag_of(self.expire_time, self.revoke_time, self.replaced_by)

    def state(self, now: datetime) -> KeyState:
        """What it is at that moment."""
        if self.revoke_time is not None:
            return KeyState.REVOKED
        if self.expire_time is not None and self.expire_time <= now:
            return KeyState.EXPIRED
        return KeyState.RETIRING if self.replaced_by else KeyState.ACTIVE


def prefix_of(secret: str) -> str:
    """What of a key may be shown and stored."""
    return secret[: secret.rfind("_") + 1 + SHOWN]


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What a call makes a key of: drawn once a call, so that a transaction that is done again makes the same key."""

    key_id: str = field(default_factory=new_id)
    random: str = field(default_factory=lambda: b32encode(secrets.token_bytes(RANDOM_BYTES)).decode().lower())

    def of(self, role: Role) -> str:
        """The key for that role, as its caller presents it."""
        return f"swk_{role.name.lower()}_{self.random}"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is to be made."""

    name: str
    role: Role
    expire_time: datetime | None

    def made(self, secret: NewSecret, now: datetime) -> ApiKey:
        """The key; FieldInvalid when it would have ended already."""
        if self.expire_time is not None and self.expire_time <= now:
            raise FieldInvalid("expire_time", "must be in the future")
        prefix = prefix_of(secret.of(self.role))
        return ApiKey(secret.key_id, self.name, self.role, prefix, now, self.expire_time)


@dataclass(frozen=True, slots=True)
class Rotation:
    """A key that is to be replaced; without an `expire_time` the new one lives as long as the old one was made for."""

    key_id: str
    overlap: timedelta
    expire_time: datetime | None
    etag: str = ""
    """Of the old key as the caller read it; empty for no check."""

    def decide(self, old: ApiKey, now: datetime) -> tuple[NewKey, ApiKey]:
        """What the new key is to be, and the old one as it is then; KeyNotActive unless it is ACTIVE."""
        require_etag(f"key {old.key_id}", old.etag, self.etag, key_id=old.key_id)
        state = old.state(now)
        if state is not KeyState.ACTIVE:
            raise KeyNotActive(old.key_id, old.prefix, state.name)
        ends = now + self.overlap
        expire_time = self.expire_time
        if old.expire_time is not None:
            ends = min(ends, old.expire_time)
            expire_time = expire_time or now + min(old.expire_time - old.create_time, LAST_MOMENT - now)
        return NewKey(old.name, old.role, expire_time), replace(old, expire_time=ends)


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """A key as it is at a moment; after a rotation with the one that it replaced."""

    key: ApiKey
    now: datetime
    replaced: ApiKey | None = None
