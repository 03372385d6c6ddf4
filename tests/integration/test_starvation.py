"""Due work that fails each time keeps nothing from its turn that is due after it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

import pytest
from google.protobuf.duration_pb2 import Duration
from stockward.inventory.v1 import inventory_pb2

from stockward_server.application import catalog, sweeper
from stockward_server.application.postponed import FIRST_PAUSE, Postponed
from stockward_server.bootstrap.server import _keep_house
from stockward_server.config import Settings
from stockward_server.domain.delivery import DeliveryState
from stockward_server.domain.errors import DatabaseUnavailable
from stockward_server.gateway.recorder import Recorder
from stockward_server.storage.database import Pool
from stockward_server.storage.webhooks.claims import Attempt, SqlWebhooks
from stockward_server.storage.write import retention
from tests.endpoints import endpoint_of_settings
from tests.events import until
from tests.shop import Shop

POISON = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'this row fails'; END $$;
    CREATE TRIGGER poison BEFORE {change} ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION fail()
"""


async def poison(pool: Pool, table: str, condition: str, change: str = "UPDATE") -> None:
    """Has every change of these rows fail."""
    await pool.execute(POISON.format(table=table, condition=condition, change=change))


async def test_a_hold_that_cannot_be_ended_does_not_keep_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "SWEEP_LIMIT", 1)
    await shop.sell("MUG", 5)
    holds = [
        await shop.pms.inventory.ReserveStock(
            inventory_pb2.ReserveStockRequest(
                lines=[inventory_pb2.StockLine(sku="MUG", quantity=1)], ttl=Duration(seconds=60)
            )
        )
        for _ in range(2)
    ]
    first, second = (hold.reservation_id for hold in holds)
    await poison(shop.pool, "reservations", f"NEW.state <> 1 AND NEW.reservation_id = '{first}'")
    await shop.pool.execute(
        "UPDATE reservations SET expire_time = now() - CASE reservation_id WHEN $1::uuid THEN interval '2 min' "
        "ELSE interval '1 min' END",
        first,
    )

    async def states() -> dict[str, int]:
        rows = await shop.pool.fetch("SELECT reservation_id::text, state FROM reservations")
        return {row["reservation_id"]: row["state"] for row in rows}

    async def second_ended() -> bool:
        return (await states())[second] != 1

    await until(second_ended)
    assert (await states())[first] == 1


async def test_a_product_that_cannot_be_published_does_not_keep_others(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "DUE_AT_ONCE", 1)
    products = [await shop.sell(sku) for sku in ("MUG", "CUP")]
    await poison(shop.pool, "products", f"NEW.state = 2 AND OLD.state <> 2 AND NEW.product_id = '{products[0]}'")
    await shop.pool.execute(
        "UPDATE products SET state = 1, scheduled_publish_time = now() - CASE product_id WHEN $1::uuid "
        "THEN interval '2 min' ELSE interval '1 min' END",
        products[0],
    )

    async def published() -> list[str]:
        rows = await shop.pool.fetch("SELECT product_id::text FROM products WHERE scheduled_publish_time IS NULL")
        return [row["product_id"] for row in rows]

    async def second_is_published() -> bool:
        return await published() == [products[1]]

    await until(second_is_published)


async def test_housekeeping_that_fails_does_not_keep_other_housekeeping(database: Pool, settings: Settings) -> None:
    await poison(database, "idempotency", "true", "DELETE")
    await database.execute(
        "INSERT INTO idempotency SELECT 'tests', gen_random_uuid(), 'm', '', '', now() - interval '1 year'"
    )
    await endpoint_of_settings(database)
    await database.execute("UPDATE endpoint_secrets SET expire_time = now() - interval '1 second'")
    assert await database.fetchval("SELECT count(*) FROM endpoint_secrets")
    await _keep_house(database, settings)
    assert not await database.fetchval("SELECT count(*) FROM endpoint_secrets")


async def test_stored_answers_are_deleted_in_steps_and_all_of_them(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_BLOCKS", 2)
    await database.execute(
        "INSERT INTO idempotency SELECT 'tests', gen_random_uuid(), 'm', '', '', "
        "now() - make_interval(days => n % 10) FROM generate_series(1, 5000) n"
    )
    assert await database.fetchval("SELECT pg_relation_size('idempotency') / 8192") > 10
    assert await retention.delete_expired_idempotency(database, 4) == 2500 + 500
    assert await database.fetchval("SELECT max(now() - create_time) < interval '5 days' FROM idempotency")
    plan = await database.fetch(
        "EXPLAIN DELETE FROM idempotency WHERE ctid >= '(0,0)' AND ctid < '(512,0)' AND create_time < now()"
    )
    assert any("Tid Range Scan" in row[0] for row in plan)


async def test_an_attempt_that_cannot_be_stored_does_not_keep_others(database: Pool) -> None:
    await endpoint_of_settings(database)
    ids = [str(uuid.uuid4()) for _ in range(2)]
    await database.execute(
        "INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time, state) "
        "SELECT 'pms', id, 'a', 'order.created', 1, now(), 1 FROM unnest($1::uuid[]) id",
        ids,
    )
    recorder = Recorder(SqlWebhooks(database))
    for event_id, error in zip(ids, ("a \0 in what it answered", "HTTP 500"), strict=True):
        recorder.add(Attempt("pms", event_id, 1, DeliveryState.DEAD, datetime.now(UTC), 1, 500, error, ""))

    task = asyncio.create_task(recorder.run(lambda: None))
    async with asyncio.timeout(60):
        await recorder.drained()
    task.cancel()
    rows = await database.fetch("SELECT error FROM delivery_attempts ORDER BY error")
    assert [row["error"] for row in rows] == ["HTTP 500", "an error that cannot be stored"]


def test_what_failed_is_left_alone_for_a_while_that_doubles() -> None:
    now = 0.0
    postponed = Postponed(lambda: now)
    postponed.note("a", DatabaseUnavailable.unreachable())
    assert not postponed.ids()
    postponed.note("a", ValueError())
    assert postponed.ids() == ["a"]
    now = FIRST_PAUSE + 1
    assert not postponed.ids()
    postponed.note("a", ValueError())
    now += FIRST_PAUSE + 1
    assert postponed.ids() == ["a"]
    postponed.note("a", b"done")
    assert not postponed.ids()
