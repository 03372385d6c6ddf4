"""Reads orders from the tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from stockward_server.application.ports.orders import OrderCount, OrderFilter, PackingFilter
from stockward_server.application.ports.pages import Beginning, Page
from stockward_server.domain.identifiers import first_id
from stockward_server.domain.order import Order, OrderState
from stockward_server.domain.payment import PaymentEvent
from stockward_server.domain.timeline import CREATED, SEEN_BY_STOREFRONTS, TimelineEntry
from stockward_server.storage.any_of import ANY_ID
from stockward_server.storage.database import Executor, Pool, read_snapshot
from stockward_server.storage.order_rows import PAYMENT, load_orders, payment_event
from stockward_server.storage.order_timeline import timeline_entry, with_records
from stockward_server.storage.read.order_lists import order_query
from stockward_server.storage.read.replicas import PrimaryReads, Reads
from stockward_server.storage.statement import Parameters

LINES_AT_ONCE = 4000
"""Lines of the orders that are read at once, in any number of orders; an order has up to a thousand."""

ALWAYS = 4
"""Orders whose lines need not be counted before they are read."""


class SqlOrderViews:
    """Implements the application's OrderViews on PostgreSQL. An order is read in one snapshot, as it spans several
    tables."""

    def __init__(self, pool: Pool, lists: Reads | None = None) -> None:
        """`lists` reads what may come from a replica; None: the pool."""
        self._pool = pool
        self._primary = PrimaryReads(pool)
        self._lists = lists or self._primary

    async def order(self, order_id: str) -> Order | None:
        found = await read_snapshot(self._pool, lambda connection: load_orders(connection, [order_id]))
        return found.get(order_id.lower())

    async def orders(self, page: Page, wanted: OrderFilter) -> Sequence[Order]:
        return await self._found(self._lists, *order_query(page, wanted))

    async def _found(self, reads: Reads, query: str, values: Sequence[Any]) -> Sequence[Order]:
        """Returns the orders whose ids the query returns, in its order; a Beginning if they have many lines."""

        async def read(connection: Executor) -> Sequence[Order]:
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            ids = [row["id"] for row in await connection.fetch(query, *values)]
            if not ids:
                return []
            await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            first = await _readable(connection, ids)
            found = await load_orders(connection, ids[:first])
            orders = (found[id] for id in ids[:first])
            return list(orders) if first == len(ids) else Beginning(orders)

        return await reads.snapshot(read)

    async def counts(self) -> Sequence[OrderCount]:
        rows = await self._pool.fetch(
            """
            SELECT state, payment_state, sum(orders)::bigint AS orders,
                   coalesce(sum(orders) FILTER (WHERE held), 0)::bigint AS held,
                   coalesce(sum(orders) FILTER (WHERE refund_required), 0)::bigint AS refund_required
            FROM order_counts GROUP BY 1, 2 HAVING sum(orders) > 0 ORDER BY 1, 2
            """
        )
        return [OrderCount(OrderState(row["state"]), *list(row.values())[1:]) for row in rows]

    async def to_pack(self, page: Page, wanted: PackingFilter) -> Sequence[Order]:
        parameters = Parameters()
        bind = parameters.bind
        conditions = ["state IN (2, 3)"]
        if page.after:
            conditions.append(f"order_id > {bind(page.after[0])}::uuid")
        if wanted.order_ids:
            conditions.append(f"order_id = ANY({bind(list(wanted.order_ids))}::uuid[])")
        if wanted.start:
            conditions.append(f"order_id >= {bind(first_id(wanted.start))} AND create_time >= {bind(wanted.start)}")
        if wanted.end:
            conditions.append(f"order_id < {bind(first_id(wanted.end))} AND create_time < {bind(wanted.end)}")
        if wanted.location_id:
            place = bind(wanted.location_id)
            conditions.append(f"order_id IN (SELECT order_id FROM allocations WHERE location_id = {place})")
        query = (
            f"SELECT order_id::text AS id FROM orders WHERE {' AND '.join(conditions)} "
            f"ORDER BY order_id LIMIT {bind(page.size)}"
        )
        return await self._found(self._primary, query, parameters.values)

    async def timeline(self, page: Page, order_id: str, *, by_storefront: bool) -> Sequence[TimelineEntry]:
        """The creation of an order is not stored as an entry: the order itself says it."""
        seen = "AND (type = ANY($4::text[]) OR customer_visible)" if by_storefront else ""
        rows = await self._pool.fetch(
            f"""
            SELECT order_id::text, version, create_time, type, actor, note, customer_visible, details FROM (
                SELECT order_id, 1 AS version, create_time, '{CREATED}' AS type, created_by AS actor, '' AS note,
                       false AS customer_visible, NULL::jsonb AS details
                FROM orders WHERE order_id = $1
                UNION ALL
                SELECT order_id, version, create_time, type, actor, note, customer_visible, details
                FROM order_timeline WHERE order_id = $1 {seen}
            ) AS entries
            WHERE version > $2 ORDER BY version LIMIT $3
            """,
            order_id,
            page.after[0] if page.after else 0,
            page.size,
            *([SEEN_BY_STOREFRONTS] if by_storefront else []),
        )
        return await with_records(self._pool, order_id, [timeline_entry(row) for row in rows])

    async def payments(self, page: Page, order_id: str) -> Sequence[PaymentEvent]:
        after = "AND (create_time, provider, provider_event_id) > ($3, $4, $5)" if page.after else ""
        rows = await self._pool.fetch(
            f"""
            SELECT {PAYMENT} FROM payments WHERE order_id = $1 {after}
            ORDER BY create_time, provider, provider_event_id LIMIT $2
            """,
            order_id,
            page.size,
            *([datetime.fromisoformat(page.after[0]), *page.after[1:]] if page.after else []),
        )
        return [payment_event(row) for row in rows]

    async def find_paid(self, order_id: str | None, provider: str, payment_reference: str) -> tuple[str, str] | None:
        async with self._pool.acquire() as connection:
            found = await connection.fetchrow(
                """
                SELECT order_id::text, currency, 1 AS place FROM orders WHERE order_id = $1
                UNION ALL
                SELECT order_id::text, currency, 2 FROM payments JOIN orders USING (order_id)
                WHERE provider = $2 AND payment_reference = $3 AND payment_reference <> ''
                ORDER BY place LIMIT 1
                """,
                order_id,
                provider,
                payment_reference,
            )
        return (found["order_id"], found["currency"]) if found else None


async def _readable(connection: Executor, ids: Sequence[str]) -> int:
    """Returns how many of these orders, from the first on, have LINES_AT_ONCE lines together."""
    if len(ids) <= ALWAYS:
        return len(ids)
    rows = await connection.fetch(
        f"SELECT order_id::text AS id, count(*) AS lines FROM order_lines WHERE order_id = {ANY_ID} GROUP BY order_id",
        ids,
    )
    lines = {row["id"]: row["lines"] for row in rows}
    sums = accumulate(lines.get(id, 0) for id in ids)
    return max(ALWAYS, sum(1 for lines in sums if lines <= LINES_AT_ONCE))
