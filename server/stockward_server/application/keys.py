"""API keys: their states, creation, rotation and revocation."""

from __future__ import annotations

import secrets
from base64 import b32encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from stockward_server.application.context import Role
from stockward_server.domain.errors import FieldInvalid, KeyNotActive, KeyNotFound
from stockward_server.domain.etag import etag_of, require_etag
from stockward_server.domain.identifiers import new_id

RANDOM_BYTES = 20
"""160 bits, which are 32 characters of base32 without padding."""

SHOWN = 6
"""Random characters of a key that are stored in the clear after its role, to distinguish keys in a list."""

DEFAULT_OVERLAP = timedelta(hours=24)
"""Default time for which a rotated key continues to work."""

LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


class KeyState(IntEnum):
    """The state of a key; the numbers are those of auth.v1.Key.State."""

    ACTIVE = 1
    RETIRING = 2
    EXPIRED = 3
    REVOKED = 4


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    key_id: str
    name: str
    role: Role
    prefix: str
    create_time: datetime
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    last_used_time: datetime | None = None
    replaced_by: str | None = None
    """key_id of its successor."""
    created_by: str = ""
    """Actor that created it; empty for keys from before actors were recorded, as are the next two."""
    rotated_by: str = ""
    revoked_by: str = ""
    session_of: str | None = None
    """key_id of the key that this session was created with; None for a key."""

    @property
    def etag(self) -> str:
        """Etag that changes with every change, but not with use or the passing of time."""
        return etag_of(self.expire_time, self.revoke_time, self.replaced_by)

    def state(self, now: datetime) -> KeyState:
        """Returns the state at that moment."""
        if self.revoke_time is not None:
            return KeyState.REVOKED
        if self.expire_time is not None and self.expire_time <= now:
            return KeyState.EXPIRED
        return KeyState.RETIRING if self.replaced_by else KeyState.ACTIVE


def prefix_of(secret: str) -> str:
    """Returns the part of a key that may be shown and stored."""
    return secret[: secret.rfind("_") + 1 + SHOWN]


@dataclass(frozen=True, slots=True)
class NewSecret:
    """Random bytes for a key: drawn once a call, so that a repeated transaction creates the same key."""

    key_id: str = field(default_factory=new_id)
    random: str = field(default_factory=lambda: b32encode(secrets.token_bytes(RANDOM_BYTES)).decode().lower())

    def of(self, role: Role) -> str:
        """Returns the key for that role, as its caller presents it."""
        return f"swk_{role.name.lower()}_{self.random}"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A requested key."""

    name: str
    role: Role
    expire_time: datetime | None

    def made(self, secret: NewSecret, now: datetime) -> ApiKey:
        """Returns the key. Raises FieldInvalid when it would already have expired."""
        if self.expire_time is not None and self.expire_time <= now:
            raise FieldInvalid("expire_time", "must be in the future")
        prefix = prefix_of(secret.of(self.role))
        return ApiKey(secret.key_id, self.name, self.role, prefix, now, self.expire_time)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A requested session, or a link."""

    ttl: timedelta
    role: Role
    link: bool

    def made(self, secret: NewSecret, origin: ApiKey, now: datetime) -> ApiKey:
        """Returns the session of the key `origin`, which it does not outlive."""
        expire_time = now + self.ttl
        if origin.expire_time is not None:
            expire_time = min(expire_time, origin.expire_time)
        prefix = prefix_of(secret.of(self.role))
        return ApiKey(
            secret.key_id,
            origin.name,
            self.role,
            prefix,
            now,
            expire_time,
            session_of=origin.key_id,
            created_by=origin.name,
        )


@dataclass(frozen=True, slots=True)
class Rotation:
    """A requested rotation; without an `expire_time` the new key has the lifetime of the old one."""

    key_id: str
    overlap: timedelta
    expire_time: datetime | None
    etag: str = ""
    """Etag of the old key as the caller read it; empty skips the check."""

    def decide(self, old: ApiKey, now: datetime) -> tuple[NewKey, ApiKey]:
        """Returns the new key to create and the changed old key. Raises KeyNotActive unless the old key is ACTIVE."""
        if old.session_of:
            raise KeyNotFound(old.key_id)
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
    """A key at one moment; after a rotation with the key that it replaced."""

    key: ApiKey
    now: datetime
    replaced: ApiKey | None = None
