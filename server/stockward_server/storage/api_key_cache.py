"""A cache of the API keys that callers present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from stockward_server.application.context import Caller, Credential, CredentialKind, Role
from stockward_server.application.reads import CachedLoader
from stockward_server.storage.database import Pool

REFRESH_SECONDS = 3.0
"""The longest time until a revoked or expired key stops working, and until a key that was looked up before it existed
starts to work. Any other new key works at once."""

CACHE_BYTES = 10 * 2**20
"""Memory for cached keys, unknown keys included: about 10,000 keys. The oldest are evicted first."""

USES_SECONDS = 60.0
"""Interval between two writes of the keys that were used."""


ACTIVE = """
    SELECT k.key_id::text AS key_id, k.hash, k.name, k.role, k.expire_time, k.session_of IS NOT NULL AS session, k.link
    FROM api_keys k LEFT JOIN api_keys origin ON origin.key_id = k.session_of
    WHERE k.hash = ANY($1::bytea[])
        AND k.revoke_time IS NULL AND (k.expire_time > clock_timestamp()) IS NOT FALSE
        AND origin.revoke_time IS NULL AND (origin.expire_time > clock_timestamp()) IS NOT FALSE
"""
"""Selects the keys with these digests that work; a session works while the key that created it does."""


class _ActiveKey(NamedTuple):
    """An active key."""

    key_id: str
    caller: Caller


class ApiKeyCache:
    """Maps keys to callers. Keys are looked up by digest, so the time of a lookup reveals nothing about a key.

    Keys that are not cached are looked up together, by index, and unknown keys are cached as well. So some hundred
    guesses cost the database one query, and no caller waits longer than for one such query.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._keys = CachedLoader(self._load, REFRESH_SECONDS, CACHE_BYTES)
        self._used: set[str] = set()

    async def authenticate(self, key: str) -> Caller | None:
        """Returns the caller, or None for a key that is unknown, revoked or expired."""
        known = await self._keys.get(sha256(key.encode(errors="replace")).digest())
        if known is None:
            return None
        self._used.add(known.key_id)
        return known.caller

    async def record_uses(self) -> None:
        """Writes which keys were used since the last call of this method; requests do not wait for it."""
        used, self._used = sorted(self._used), set()
        if used:
            await self._pool.execute(
                """
                INSERT INTO api_key_uses (key_id, last_used_time)
                SELECT key_id, now() FROM api_keys WHERE key_id = ANY($1::uuid[]) ORDER BY key_id
                ON CONFLICT (key_id) DO UPDATE
                SET last_used_time = greatest(api_key_uses.last_used_time, excluded.last_used_time)
                """,
                used,
            )

    async def _load(self, digests: Sequence[bytes]) -> Mapping[bytes, _ActiveKey]:
        rows = await self._pool.fetch(ACTIVE, digests)
        return {row["hash"]: _ActiveKey(row["key_id"], _caller(row)) for row in rows}


def _caller(row: Any) -> Caller:
    kind = CredentialKind.SESSION if row["session"] else CredentialKind.KEY
    kind = CredentialKind.LINK if row["link"] else kind
    return Caller(row["name"], Role(row["role"]), credential=Credential(kind, row["key_id"], row["expire_time"]))
