"""What a database holds, to show that a call has written nothing; when keys were last used is no call's doing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stockward_server.storage.database import Pool


async def snapshot(pool: Pool) -> dict[str, tuple[int, str]]:
    """Rows and their digest for every table, `idempotency`, `events` and `outbox` among them."""
    tables = await pool.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
        "AND relnamespace = 'public'::regnamespace AND relname <> 'api_key_uses' ORDER BY relname"
    )
    union = " UNION ALL ".join(
        f"SELECT '{name}', count(*), md5(coalesce(string_agg(t::text, ';' ORDER BY t::text), '')) FROM \"{name}\" t"
        for (name,) in tables
    )
    return {name: (count, digest) for name, count, digest in await pool.fetch(union)}


@asynccontextmanager
async def nothing_written(pool: Pool) -> AsyncIterator[None]:
    """The database is the same to the letter when the block is left."""
    before = await snapshot(pool)
    assert before["api_keys"][0], "the walk over the tables went wrong"
    yield
    assert await snapshot(pool) == before
