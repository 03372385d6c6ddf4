"""The API keys that callers present, remembered for a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from stockward_server.application.context import Caller, Role
from stockward_server.application.reads import CachedLoader
from stockward_server.storage.database import Pool
from stockward_server.storage.keys import WORKS

REFRESH_SECONDS = 3.0
"""A key that was revoked, or whose time is over, stops working within this time. One that was asked for before it was
there works within this time, too; any other new one at once."""

REMEMBERED_BYTES = 10 * 2**20
"""What the keys that are remembered may take, unknown ones included: some 10,000. The oldest go first."""

USES_SECONDS = 60.0
"""How often it is written down which keys were used."""


class _Known(NamedTuple):
    """A key that works."""

    key_id: str
    caller: Caller


class ApiKeyCache:
    """Who a key belongs to. They are looked up by digest, so a lookup says nothing of a key.

    Keys that are not known yet are looked up together by their index, and an unknown one is remembered as well. So
    guessing costs the database a query for some hundred guesses, and no caller waits longer than for one such query.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._keys = CachedLoader(self._load, REFRESH_SECONDS, REMEMBERED_BYTES)
        self._used: set[str] = set()

    async def authenticate(self, key: str) -> Caller | None:
        """The caller, or None for a key that is unknown, revoked or expired."""
        known = await self._keys.get(sha256(key.encode(errors="replace")).digest())
        if known is None:
            return None
        self._used.add(known.key_id)
        return known.caller

    async def record_uses(self) -> None:
        """Writes down which keys were used since the last time; calls do not wait for it."""
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

    async def _load(self, digests: Sequence[bytes]) -> Mapping[bytes, _Known]:
        rows = await self._pool.fetch(
            f"SELECT key_id::text AS key_id, hash, name, role FROM api_keys WHERE hash = ANY($1::bytea[]) AND {WORKS}",
            digests,
        )
        return {row["hash"]: _Known(row["key_id"], Caller(row["name"], Role(row["role"]))) for row in rows}
