"""The key with which all servers of a database seal page tokens and cursors."""

from __future__ import annotations

from stockward_server.storage.database import Pool


async def read_seal_key(pool: Pool) -> bytes:
    """Returns the 32 bytes that `stockward migrate` created."""
    key: bytes = await pool.fetchval("SELECT key FROM seal_key")
    return key
