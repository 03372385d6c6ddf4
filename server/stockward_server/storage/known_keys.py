"""The API keys that work, held in memory for the calls that present them."""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256

from stockward_server.application.request import Caller, Role
from stockward_server.storage.database import Pool
from stockward_server.storage.keys import WORKS

REFRESH_SECONDS = 5.0
"""A key that was revoked, or whose time is over, stops working within this time; a new one works at once."""

MISS_SECONDS = 0.01
"""Unknown keys have the database asked at most this often, and wait for it: so guessing costs it nothing."""

USES_SECONDS = 60.0
"""How often it is written down which keys were used."""


class _Known:
    """A key that works."""

    __slots__ = ("caller", "key_id", "used")

    def __init__(self, key_id: str, caller: Caller) -> None:
        self.key_id = key_id
        self.caller = caller
        self.used = False


class KnownKeys:
    """Who a key belongs to. They are held by digest: looking one up tells nothing of a key."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[bytes, _Known] = {}
        self._as_of = float("-inf")
        self._asked_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def authenticate(self, key: str) -> Caller | None:
        """The caller, or None for a key that is unknown, revoked or expired."""
        digest, now = sha256(key.encode()).digest(), time.monotonic()
        known = self._known.get(digest)
        if known is None or now - self._as_of > REFRESH_SECONDS:
            if known is None:
                await asyncio.sleep(max(0.0, self._asked_at + MISS_SECONDS - now))
            await self._read(now - REFRESH_SECONDS if known else now)
            known = self._known.get(digest)
            if known is None:
                return None
        known.used = True
        return known.caller

    async def record_uses(self) -> None:
        """Writes down which keys were used since the last time; calls do not wait for it."""
        used = [known for known in self._known.values() if known.used]
        for known in used:
            known.used = False
        if used:
            await self._pool.execute(
                """
                INSERT INTO api_key_uses (key_id, last_used_time)
                SELECT key_id, now() FROM api_keys WHERE key_id = ANY($1::uuid[]) ORDER BY key_id
                ON CONFLICT (key_id) DO UPDATE
                SET last_used_time = greatest(api_key_uses.last_used_time, excluded.last_used_time)
                """,
                [known.key_id for known in used],
            )

    async def _read(self, since: float) -> None:
        """Waits until the keys are known as they were then or later; calls that come together share one reading."""
        if self._reading is not None and self._asked_at < since:
            await asyncio.shield(self._reading)
        if self._as_of < since:
            if self._reading is None:
                self._asked_at = time.monotonic()
                self._reading = asyncio.create_task(self._read_all(), name="api keys")
            await asyncio.shield(self._reading)

    async def _read_all(self) -> None:
        asked = self._asked_at
        try:
            rows = await self._pool.fetch(
                f"SELECT key_id::text AS key_id, hash, name, role FROM api_keys WHERE {WORKS}"
            )
        finally:
            self._reading = None
        used = {digest for digest, known in self._known.items() if known.used}
        self._known = {row["hash"]: _Known(row["key_id"], Caller(row["name"], Role(row["role"]))) for row in rows}
        for digest in used & self._known.keys():
            self._known[digest].used = True
        self._as_of = asked
