"""Reads orders from the tables."""

from __future__ import annotations

from collections.abc import Sequence

from stockward_server.application.ports.orders import OrderFilter
from stockward_server.application.ports.pages import Page
from stockward_server.domain.order import Order
from stockward_server.storage.database import Executor, Pool, read_snapshot
from stockward_server.storage.former_skus import names_of, renamed, sku_now
from stockward_server.storage.order_rows import load_orders
from stockward_server.storage.statement import Parameters


class SqlOrderViews:
    """Implements the application's OrderViews on PostgreSQL. An order is read in one snapshot, as it spans several
    tables."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def order(self, order_id: str) -> Order | None:
        found = await read_snapshot(self._pool, lambda connection: load_orders(connection, [order_id]))
        return found.get(order_id.lower())

    async def orders(self, page: Page, wanted: OrderFilter) -> Sequence[Order]:
        """Returns a page of orders by id, which sorts by time. Only conditions in use are in the query, so that each
        finds its index."""
        parameters = Parameters()
        bind = parameters.bind
        conditions = ["true"]
        if page.after:
            comparison = ">" if wanted.oldest_first else "<"
            conditions.append(f"order_id {comparison} {bind(page.after[0])}::uuid")
        if len(wanted.states) == 1:
            conditions.append(f"state = {int(wanted.states[0])}")  # a literal: partial indexes need it in the text
        elif wanted.states:
            conditions.append(f"state = ANY({bind([int(state) for state in wanted.states])}::smallint[])")
        if wanted.customer_id:
            conditions.append(f"customer_id = {bind(wanted.customer_id)} AND customer_id <> ''")
        if wanted.reference:
            conditions.append(f"reference = {bind(wanted.reference)} AND reference <> ''")
        if wanted.order_ids:
            conditions.append(f"order_id = ANY({bind(list(wanted.order_ids))}::uuid[])")
        if wanted.sku:
            sku = bind(wanted.sku)
            conditions.append(
                f"order_id IN (SELECT order_id FROM order_lines l {renamed('l', 'sku_since')} "
                f"WHERE l.sku = ANY({names_of(sku)}) AND {sku_now('l')} = {sku})"
            )
        query = (
            f"SELECT order_id::text AS id FROM orders WHERE {' AND '.join(conditions)} "
            f"ORDER BY order_id {'ASC' if wanted.oldest_first else 'DESC'} LIMIT {bind(page.size)}"
        )

        async def read(connection: Executor) -> Sequence[Order]:
            ids = await connection.fetch(query, *parameters.values)
            found = await load_orders(connection, [row["id"] for row in ids])
            return [found[row["id"]] for row in ids]

        return await read_snapshot(self._pool, read)

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
