"""PostgreSQL crashes: what was acknowledged is there exactly once, and what was not can be asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from stockward_dev import Postgres
from stockward_server.domain.order import Order
from stockward_server.storage import database as storage
from tests.commands import RESULT, ResultCommitter, acknowledged, buy, committing, counters, orders, sell, verify
from tests.events import until
from tests.faults.proxy import Loss, PostgresProxy


@pytest.fixture
async def durable() -> AsyncIterator[Postgres]:
    """A server of our own that keeps its promises, with a migrated database.

    Nothing but a COMMIT makes it flush: what is not committed is forgotten in a crash.
    """
    async with Postgres.temporary({"wal_writer_delay": "10s"}) as postgres:
        await storage.migrate(postgres.url())
        yield postgres


async def test_every_order_that_was_acknowledged_survives_exactly_once(
    durable: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    pools = [await storage.open_pool(durable.url(), 4) for _ in range(2)]
    await sell(pools[0], MUG=1_000_000)
    sold: dict[str, str] = {}
    closing = asyncio.Event()

    async def customer(committer: ResultCommitter) -> None:
        while not closing.is_set():
            wanted = buy(("MUG", 1))
            sold[wanted.cause.request_id] = (await acknowledged(committer, wanted)).order_id

    async def more_sold() -> None:
        goal = len(sold) + 100
        await until(lambda: len(sold) >= goal)

    async with committing(pools[0]) as one, committing(pools[1]) as two:
        customers = [asyncio.create_task(customer(committer)) for committer in (one, two) for _ in range(10)]
        for crash in (durable.kill, durable.kill, durable.stop):
            await more_sold()
            await crash()
            await durable.start()
        await more_sold()
        closing.set()
        await asyncio.gather(*customers)

    assert any("the database is not there" in message for message in caplog.messages)
    assert sorted(sold.values()) == await orders(pools[0])
    stored = await pools[0].fetch("SELECT request_id::text, response FROM idempotency WHERE method = 'test'")
    results = {request_id: RESULT.decode(response) for request_id, response in stored}
    assert sold == {each: order.order_id for each, order in results.items() if isinstance(order, Order)}
    assert await counters(pools[0], "MUG") == (1_000_000, 0, len(sold))
    await verify(pools[0])
    await asyncio.gather(*(pool.close() for pool in pools))


async def test_a_transaction_id_that_is_given_out_again_is_not_mistaken_for_ours(durable: Postgres) -> None:
    """A crash forgets a transaction that was not flushed, its id too: the next one gets that id, and commits."""
    async with PostgresProxy(durable.url()) as proxy:
        direct, behind = await storage.open_pool(durable.url(), 2), await storage.open_pool(proxy.url, 2)
        await sell(direct, MUG=10)
        async with committing(behind) as committer:
            proxy.loss = Loss.DELAY
            order = asyncio.create_task(acknowledged(committer, buy(("MUG", 3))))
            await proxy.lost.wait()
            proxy.open.clear()
            await durable.kill()
            await durable.start()
            for _ in range(20):
                await direct.execute("SELECT pg_current_xact_id()")
            proxy.open.set()

            assert [(await order).order_id] == await orders(direct)
        await verify(direct)
        await asyncio.gather(direct.close(), behind.close())
