"""The connection breaks around COMMIT: what was done is done once, and what is acknowledged was done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from stockward_server.application.context import SystemCause
from stockward_server.application.stock_commands import ExpireReservation
from stockward_server.domain.errors import InsufficientStock
from stockward_server.domain.order import Order
from stockward_server.storage import database as storage
from stockward_server.storage.database import Pool
from tests.commands import ResultCommitter, acknowledged, buy, committing, counters, orders, reserve, sell, verify
from tests.events import until
from tests.faults.proxy import Loss, PostgresProxy


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[PostgresProxy]:
    async with PostgresProxy(database_url) as proxy:
        yield proxy


@pytest.fixture
async def committer(proxy: PostgresProxy) -> AsyncIterator[ResultCommitter]:
    """A committer behind the proxy."""
    pool = await storage.open_pool(proxy.url, 4)
    async with committing(pool) as committer:
        yield committer
    await pool.close()


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER])
async def test_each_caller_of_the_batch_gets_what_became_of_its_command(
    database: Pool, proxy: PostgresProxy, committer: ResultCommitter, loss: Loss
) -> None:
    await sell(database, MUG=10)
    wanted = [buy(("MUG", 3)) for _ in range(4)]
    proxy.loss = loss

    outcomes = await asyncio.gather(*map(committer.submit, wanted), return_exceptions=True)

    assert proxy.lost.is_set()
    assert sorted(each.order_id for each in outcomes if isinstance(each, Order)) == await orders(database)
    assert [type(each) for each in outcomes] == [Order, Order, Order, InsufficientStock]
    assert await counters(database, "MUG") == (10, 0, 9)
    await verify(database)


async def test_a_commit_that_is_still_on_its_way_is_waited_for(
    database: Pool, proxy: PostgresProxy, committer: ResultCommitter
) -> None:
    await sell(database, MUG=10)
    proxy.loss = Loss.DELAY
    order = asyncio.create_task(acknowledged(committer, buy(("MUG", 3))))
    await proxy.lost.wait()
    await asyncio.wait([order], timeout=0.5)
    assert not order.done()

    proxy.deliver()

    assert [(await order).order_id] == await orders(database)
    assert await counters(database, "MUG") == (10, 0, 3)
    await verify(database)


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER])
async def test_an_optimistic_batch_is_done_once(
    database: Pool, proxy: PostgresProxy, committer: ResultCommitter, loss: Loss
) -> None:
    """Its statement commits by itself."""
    await remember(committer, database, proxy)
    proxy.loss = loss

    made = await asyncio.gather(*(committer.submit(buy(("MUG", 1))) for _ in range(4)))

    assert proxy.lost.is_set()
    assert sorted(each.order_id for each in made) == (await orders(database))[1:]
    assert await counters(database, "MUG") == (10, 0, 5)
    await verify(database)


async def test_an_optimistic_batch_that_is_still_on_its_way_is_done_once(
    database: Pool, proxy: PostgresProxy, committer: ResultCommitter
) -> None:
    """The same batch may overtake it; then what comes late finds its request_ids, or other versions."""
    await remember(committer, database, proxy)
    proxy.loss = Loss.DELAY
    order = await acknowledged(committer, buy(("MUG", 3)))
    assert proxy.lost.is_set()

    proxy.deliver()

    await until(lambda: nobody_waits(database))
    assert (await orders(database))[1:] == [order.order_id]
    assert await counters(database, "MUG") == (10, 0, 4)
    await verify(database)


async def remember(committer: ResultCommitter, database: Pool, proxy: PostgresProxy) -> None:
    """Sells a mug, so that the next batch of this committer is optimistic, and has the proxy look out for it."""
    await sell(database, MUG=10)
    await committer.submit(buy(("MUG", 1)))
    proxy.commits = b'"staff"'


async def nobody_waits(pool: Pool) -> bool:
    """Returns whether no other session of this database is at work."""
    return not await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' "
        "AND pid <> pg_backend_pid()"
    )


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER])
async def test_what_time_brings_about_happens_once_without_a_request_id(
    database: Pool, proxy: PostgresProxy, committer: ResultCommitter, loss: Loss
) -> None:
    await sell(database, MUG=10)
    hold = (await committer.submit(reserve(("MUG", 3)))).reservation_id
    await database.execute("UPDATE reservations SET expire_time = now()")
    proxy.loss = loss

    await committer.submit(ExpireReservation(cause=SystemCause(), reservation_id=hold))

    assert proxy.lost.is_set()
    assert await counters(database, "MUG") == (10, 0, 0)
    assert await database.fetchval("SELECT count(*) FROM events WHERE type = 'reservation.expired'") == 1
    await verify(database)
