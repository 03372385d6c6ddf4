"""API keys: only their SHA-256 is stored, so a copy of the database opens nothing."""

from __future__ import annotations

import time
from hashlib import sha256

from stockward_server.application.request import Caller, Role
from stockward_server.domain.identifiers import new_id
from stockward_server.storage.database import Executor, Pool

REFRESH_SECONDS = 5.0
"""A revoked key stops working within this time; a new one works at once."""

SHOWN = 6
"""Random characters of a key that are kept in the clear behind its role, to tell keys apart in a list."""


class ApiKeys:
    """Who a key belongs to. Known keys are held in memory, by digest: looking one up tells nothing of a key."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._callers: dict[bytes, Caller] = {}
        self._read_at = float("-inf")
        self._missed_at = float("-inf")

    async def authenticate(self, key: str) -> Caller | None:
        """The caller, or None for a key that is unknown or revoked."""
        digest, now = sha256(key.encode()).digest(), time.monotonic()
        known = self._callers.get(digest)
        if now - self._read_at > REFRESH_SECONDS or (known is None and now - self._missed_at > 0.1):
            self._missed_at = now
            await self._read()
            known = self._callers.get(digest)
        return known

    async def _read(self) -> None:
        rows = await self._pool.fetch("SELECT hash, name, role FROM api_keys WHERE revoke_time IS NULL")
        self._callers = {row["hash"]: Caller(row["name"], Role(row["role"])) for row in rows}
        self._read_at = time.monotonic()


async def ensure_key(connection: Executor, name: str, role: Role, key: str) -> None:
    """Stores the digest of a key that is known already; does nothing when it is there."""
    await connection.execute(
        """
        INSERT INTO api_keys (key_id, name, role, prefix, hash) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (hash) DO NOTHING
        """,
        new_id(),
        name,
        int(role),
        key[: key.rfind("_") + 1 + SHOWN],
        sha256(key.encode()).digest(),
    )
