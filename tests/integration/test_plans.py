"""Nothing that runs with every batch is planned again: a plan takes PostgreSQL longer than most of these statements."""

from __future__ import annotations

from stockward.inventory.v1.inventory_pb2 import ReserveStockRequest, StockLine

from stockward_server.domain.identifiers import new_id
from stockward_server.storage.database import Pool, opened_pool
from stockward_server.storage.events.lost_events import PublishedEvent
from stockward_server.storage.order_rows import load_orders, load_reservations
from stockward_server.storage.read.order_views import SqlOrderViews
from stockward_server.storage.read.stock_views import SqlStockViews
from stockward_server.storage.webhooks.feed import Position, WebhookFeed
from tests.shop import Shop

BATCHES = 12
"""After five executions PostgreSQL decides whether one plan serves for all."""


async def test_a_function_that_takes_arrays_has_one_plan(database: Pool) -> None:
    planned_again = await database.fetch(
        """
        SELECT proname FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
          AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
          AND EXISTS (SELECT FROM unnest(proargtypes) AS argument JOIN pg_type ON pg_type.oid = argument
                      WHERE typcategory = 'A')
          AND proconfig IS DISTINCT FROM ARRAY['plan_cache_mode=force_generic_plan']
        """
    )
    assert planned_again == []


async def test_a_fan_out_has_one_plan(database: Pool, database_url: str) -> None:
    async with WebhookFeed.open(database_url, "STREAM", lambda _: None) as feed:
        for number in range(1, BATCHES + 1):
            now = await database.fetchval("SELECT now()")
            events = [
                PublishedEvent(new_id(), "stock.changed", f"SKU-{place}@main", number, number, now)
                for place in range(number)
            ]
            await feed.fan_out(events, Position(number, events[-1].event_id))
        plans = await feed._connection.fetch(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE 'WITH published%'"
        )
    assert [tuple(row.values()) for row in plans] == [(BATCHES, 0)]


async def test_what_is_read_by_its_key_has_one_plan(shop: Shop, database_url: str) -> None:
    """One connection, which reads each kind of thing again and again, one or several at a time."""
    sku = "TEE"
    await shop.sell(sku, 2)
    order = await shop.order(sku)
    hold = await shop.storefront.inventory.ReserveStock(ReserveStockRequest(lines=[StockLine(sku=sku, quantity=1)]))
    async with opened_pool(database_url, 1) as pool:
        views, stock = SqlOrderViews(pool), SqlStockViews(pool)
        for number in range(BATCHES):
            others = [new_id() for _ in range(number)]
            await views.order(order.order_id)
            await stock.availability([sku, *others])
            async with pool.acquire() as connection:
                assert await load_orders(connection, [order.order_id, *others])
                assert await load_reservations(connection, [hold.reservation_id, *others])
        planned_again = await pool.fetch(
            "SELECT statement, custom_plans FROM pg_prepared_statements WHERE custom_plans > 5"
        )
    assert planned_again == []
