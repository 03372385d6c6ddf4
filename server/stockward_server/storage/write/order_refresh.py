"""Brings up to date what lists of orders are read by, and adds up the counts of orders."""

from __future__ import annotations

import asyncio

from stockward_server.runtime.turns import Turns
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.order_index import index_words, list_columns
from stockward_server.storage.order_rows import load_orders
from stockward_server.storage.statement import Statement

BATCH = 500
"""Orders indexed in one transaction."""


async def refresh_orders(pool: Pool) -> int:
    """Indexes orders that a server of an earlier release wrote, or whose contact was erased; returns their number.

    BATCH orders are locked at a time; orders that are already locked are skipped. Then adds up the changes of counts.
    """
    refreshed = 0
    while count := await _refresh_some(pool):
        refreshed += count
        await asyncio.sleep(0)
    await add_up_counts(pool)
    return refreshed


async def _refresh_some(pool: Pool) -> int:
    async with transaction(pool) as connection:
        locked = await connection.fetch(
            """
            SELECT order_id::text FROM orders WHERE indexed_version <> version
            ORDER BY order_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
            """,
            BATCH,
        )
        orders = await load_orders(connection, [row["order_id"] for row in locked])
        rows, turns = [], Turns()
        for order in orders.values():
            rows.append((order.order_id, *list_columns(order)))
            await turns.give()
        await connection.execute("DELETE FROM order_search WHERE order_id = ANY($1::uuid[])", list(orders))
        write = Statement()
        write.add(
            """
            UPDATE orders o SET indexed_version = version, payment_state = n.payment_state,
                refund_required = n.refund_required, held = n.held, net = n.net
            FROM unnest($1::uuid[], $2::smallint[], $3::boolean[], $4::boolean[], $5::bigint[])
                AS n (order_id, payment_state, refund_required, held, net)
            WHERE o.order_id = n.order_id
            """,
            *columns(rows),
        )
        index_words(write, orders.values(), {})
        if rows:
            await write.execute(connection)
        return len(rows)


async def add_up_counts(pool: Pool) -> None:
    """Replaces the rows of `order_counts` that no other process is adding up by their sums."""
    await pool.execute(
        """
        WITH gone AS (
            DELETE FROM order_counts WHERE ctid = ANY(ARRAY(SELECT ctid FROM order_counts FOR UPDATE SKIP LOCKED))
            RETURNING *
        )
        INSERT INTO order_counts
        SELECT state, payment_state, held, refund_required, sum(orders) FROM gone
        GROUP BY 1, 2, 3, 4 HAVING sum(orders) <> 0
        """
    )
