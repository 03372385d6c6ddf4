"""What a database holds, to show that a call has written nothing; when keys were last used is no call's doing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stockward_server.storage.database import Pool

ADDED_UP = """(
    SELECT state, payment_state, held, refund_required, sum(orders) FROM order_counts
    GROUP BY 1, 2, 3, 4 HAVING sum(orders) <> 0
)"""
"""Counts of orders as they are read: servers add up their rows once a minute, whatever is called."""


async def snapshot(pool: Pool) -> dict[str, tuple[int, str]]:
    """Rows and their digest for every table, `idempotency`, `events` and `outbox` among them."""
    tables = await pool.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
        "AND relnamespace = 'public'::regnamespace AND relname <> 'api_key_uses' ORDER BY relname"
    )
    union = " UNION ALL ".join(
        f"SELECT '{name}', count(*), md5(coalesce(string_agg(t::text, ';' ORDER BY t::text), '')) "
        f"FROM {ADDED_UP if name == 'order_counts' else name} t"
        for (name,) in tables
    )
    return {name: (count, digest) for name, count, digest in await pool.fetch(union)}


@asynccontextmanager
async def nothing_written(pool: Pool) -> AsyncIterator[None]:
    """The database is the same to the letter when the block is left."""
    before = await snapshot(pool)
    assert before["api_keys"][0], "the walk over the tables went wrong"
    yield
    after = await snapshot(pool)
    assert [name for name in after if after[name] != before.get(name)] == []
