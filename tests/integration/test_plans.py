"""Nothing that runs with every batch is planned again: a plan takes PostgreSQL longer than most of these statements."""

from __future__ import annotations

from stockward_server.domain.identifiers import new_id
from stockward_server.storage.database import Pool
from stockward_server.storage.events.lost_events import PublishedEvent
from stockward_server.storage.webhooks.feed import Position, WebhookFeed

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
