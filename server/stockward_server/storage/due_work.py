"""What the sweeper has to end."""

from __future__ import annotations

from collections.abc import Sequence

from stockward_server.domain.order import ChargeKind
from stockward_server.storage.database import Pool

UNPAID = f"""
    greatest(captured - refunded, CASE WHEN refunded = 0 THEN authorized - voided END) < greatest(0,
        (SELECT sum((quantity - cancelled) * unit_price) FROM order_lines l WHERE l.order_id = orders.order_id)
        + (SELECT coalesce(sum((c ->> 1)::bigint
                               * CASE (c ->> 0)::int WHEN {int(ChargeKind.DISCOUNT)} THEN -1 ELSE 1 END), 0)
           FROM jsonb_array_elements(charges) c))
"""
"""Condition on an order: its payment terms are not met, as `Order.terms_met` says."""


class SqlDueWork:
    """The application's DueWork on PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due_reservations(self, limit: int) -> Sequence[str]:
        rows = await self._pool.fetch(
            "SELECT reservation_id::text AS id FROM reservations WHERE state = 1 AND expire_time <= now() "
            "ORDER BY expire_time LIMIT $1",
            limit,
        )
        return [row["id"] for row in rows]

    async def due_orders(self, limit: int) -> Sequence[str]:
        """Those that are not paid: one that is, and waits for staff, would otherwise be looked at in every round."""
        rows = await self._pool.fetch(
            f"""
            SELECT order_id::text AS id FROM orders
            WHERE state = 1 AND payment_due_time <= now() AND {UNPAID}
            ORDER BY payment_due_time LIMIT $1
            """,
            limit,
        )
        return [row["id"] for row in rows]


async def sweeper_lag(pool: Pool) -> float:
    """For how many seconds the oldest hold or order has been due that nobody has ended yet; 0 when there is none."""
    lag = await pool.fetchval(
        f"""
        SELECT extract(epoch FROM now() - least(
            (SELECT min(expire_time) FROM reservations WHERE state = 1 AND expire_time <= now()),
            (SELECT payment_due_time FROM orders WHERE state = 1 AND payment_due_time <= now() AND {UNPAID}
             ORDER BY payment_due_time LIMIT 1)))
        """
    )
    return float(lag or 0)
