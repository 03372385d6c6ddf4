"""A backup that was taken while orders came in: restored elsewhere, it is a shop as it was, and its events are
reported."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from stockward.event.v1.event_pb2 import Event
from stockward.order.v1.order_pb2 import CreateOrderRequest, Order

from stockward_dev import Nats, Postgres
from stockward_server import relay
from stockward_server.config import Settings
from stockward_server.storage.database import Pool, open_pool
from stockward_server.storage.events.event_log import Selection, republish
from tests.commands import gaps
from tests.databases import PROGRAMS
from tests.events import STREAM, pending, running, stored, until, versions
from tests.shop import Shop, running_shop


def wanted() -> CreateOrderRequest:
    return CreateOrderRequest(lines=[CreateOrderRequest.Line(sku="MUG", quantity=1)], request_id=str(uuid.uuid4()))


async def call(program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(str(PROGRAMS / program), *arguments)
    assert await process.wait() == 0


async def place(shop: Shop, requests: Sequence[CreateOrderRequest]) -> list[Order]:
    return [await shop.storefront.orders.CreateOrder(request) for request in requests]


async def test_a_backup_under_load_is_a_whole_shop(
    shop: Shop, settings: Settings, postgres: Postgres, tmp_path: Path
) -> None:
    await shop.sell("MUG", 1000)
    before = [wanted() for _ in range(20)]
    known = await place(shop, before)
    stop = asyncio.Event()

    async def customer() -> None:
        while not stop.is_set():
            await place(shop, [wanted()])

    customers = [asyncio.create_task(customer()) for _ in range(4)]
    backup = tmp_path / "shop.dump"
    await call("pg_dump", "--format=custom", f"--file={backup}", settings.database_url.get_secret_value())
    stop.set()
    await asyncio.gather(*customers)

    restored = await postgres.create_database("restored")
    await call("pg_restore", "--exit-on-error", f"--dbname={restored}", str(backup))
    async with Nats(tmp_path / "nats", durable=False) as nats:
        changes = {"database_url": restored, "event_queue_url": nats.url}
        pool = await open_pool(restored, 2)
        count = await republish(pool, Selection())
        async with running(
            lambda stop: relay.run(restored, nats.url, STREAM, max_age=timedelta(days=1), poll_seconds=0.05, stop=stop)
        ):
            await until(lambda: outbox_is_empty(pool))
            told = [Event.FromString(message.data) for message in await stored(nats.url)]
        assert len(told) == count == await pool.fetchval("SELECT count(*) FROM events")
        assert all(each == list(range(1, len(each) + 1)) for each in versions(told).values())
        assert not await gaps(pool)
        async with running_shop(Settings.model_validate({**settings.model_dump(), **changes})) as again:
            await again.verify()
            assert await place(again, before) == known, "what was acknowledged before is known"
            orders = await pool.fetchval("SELECT count(*) FROM orders")
            assert 20 <= orders == (await again.counters("MUG"))[2]
            await place(again, [wanted()])
        await pool.close()
    await postgres.drop_database("restored")


async def outbox_is_empty(pool: Pool) -> bool:
    return await pending(pool) == 0
