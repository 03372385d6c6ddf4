"""Finds the reservations, orders and holds of orders that are due, for the sweeper."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from stockward_server.storage.database import Pool


class SqlDueWork:
    """The application's DueWork on PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due_reservations(self, limit: int, without: Collection[str]) -> Sequence[str]:
        rows = await self._pool.fetch(
            "SELECT reservation_id::text AS id FROM reservations WHERE state = 1 AND expire_time <= now() "
            "AND reservation_id <> ALL($2::uuid[]) ORDER BY expire_time LIMIT $1",
            limit,
            without,
        )
        return [row["id"] for row in rows]

    async def due_orders(self, limit: int, without: Collection[str]) -> Sequence[str]:
        """Returns due orders without a known payment: paid orders would be looked at in every round."""
        rows = await self._pool.fetch(
            """
            SELECT order_id::text AS id FROM orders
            WHERE state = 1 AND payment_due_time <= now() AND NOT terms_met AND order_id <> ALL($2::uuid[])
            ORDER BY payment_due_time LIMIT $1
            """,
            limit,
            without,
        )
        return [row["id"] for row in rows]

    async def due_order_holds(self, limit: int, without: Collection[str]) -> Sequence[str]:
        rows = await self._pool.fetch(
            "SELECT order_id::text AS id FROM orders WHERE hold_expire_time <= now() AND order_id <> ALL($2::uuid[]) "
            "ORDER BY hold_expire_time LIMIT $1",
            limit,
            without,
        )
        return [row["id"] for row in rows]


async def sweeper_lag(pool: Pool) -> float:
    """Returns the seconds since the oldest due reservation, order or hold should have ended; 0 when there is none."""
    lag = await pool.fetchval(
        """
        SELECT extract(epoch FROM now() - least(
            (SELECT min(expire_time) FROM reservations WHERE state = 1 AND expire_time <= now()),
            (SELECT min(hold_expire_time) FROM orders WHERE hold_expire_time <= now()),
            (SELECT payment_due_time FROM orders WHERE state = 1 AND payment_due_time <= now() AND NOT terms_met
             ORDER BY payment_due_time LIMIT 1)))
        """
    )
    return float(lag or 0)
