"""Optimistic batches: what was decided on remembered rows is written only where they are still the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from asyncpg.connection import LoggedQuery

from stockward_server.application.context import Role
from stockward_server.application.order_commands import CreateOrder
from stockward_server.application.stock_commands import HoldPolicy, ReserveStock
from stockward_server.domain.errors import HoldLimitReached, InsufficientStock, ReferenceTaken, UnpaidOrderLimitReached
from stockward_server.domain.hold_limits import HoldLimits
from stockward_server.domain.order import Customer
from stockward_server.domain.unpaid_limits import UnpaidLimits
from stockward_server.storage import database as storage
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.log_epoch import FIRST_VERSION, begin_epoch
from stockward_server.storage.write import optimistic, remembered
from stockward_server.storage.write.remembered import DatabaseClock
from tests.commands import (
    HOLDS,
    ResultCommitter,
    adjust,
    buy,
    committing,
    counters,
    locked,
    orders,
    request,
    reserve,
    sell,
    verify,
    waiting_for_locks,
)
from tests.events import until
from torture.broken import WITHOUT_GUARD


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on how fast the machine is."""
    monkeypatch.setattr(optimistic, "TOLERANCE", timedelta(minutes=1))
    monkeypatch.setattr(remembered, "DISTRUST_SECONDS", 60.0)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A pool of one connection, whose statements can be noted."""
    async with storage.opened_pool(database_url, 1) as pool:
        yield pool


@pytest.fixture
async def committer(database: Pool, pool: Pool) -> AsyncIterator[ResultCommitter]:
    """A committer that knows a mug and has sold one of ten, and an untracked voucher."""
    await sell(database, MUG=10, VOUCHER=0)
    await database.execute("UPDATE variants SET untracked = true WHERE sku = 'VOUCHER'")
    async with committing(pool) as committer:
        await committer.submit(buy(("MUG", 1), ("VOUCHER", 1)))
        yield committer


@pytest.fixture
async def other(database: Pool) -> AsyncIterator[ResultCommitter]:
    """The committer of another server process."""
    async with committing(database) as committer:
        yield committer


def of_ann(command: CreateOrder | ReserveStock) -> Any:
    """The same for a customer of a storefront, who may have two at a time."""
    cause = request(role=Role.STOREFRONT)
    if isinstance(command, CreateOrder):
        return replace(command, cause=cause, customer=Customer("ann"), unpaid_limits=UnpaidLimits(orders=2))
    policy = HoldPolicy(HOLDS.ttl, HOLDS.max_lifetime, HoldLimits(holds=2))
    return replace(command, cause=cause, customer_id="ann", policy=policy)


@contextmanager
def overtaken(committer: ResultCommitter, times: int) -> Iterator[None]:
    """So many optimistic batches of the block are not written."""
    before = committer.metrics.overtaken
    yield
    assert committer.metrics.overtaken - before == times


async def statements(pool: Pool, command: Any, committer: ResultCommitter) -> list[str]:
    """What the committer sends for a command, BEGIN and COMMIT included."""
    sent: list[str] = []

    def note(query: LoggedQuery) -> None:
        sent.append(query.query)

    async with pool.acquire() as connection:
        connection.add_query_logger(note)
    await committer.submit(command)
    async with pool.acquire() as connection:
        connection.remove_query_logger(note)
    return sent


@pytest.mark.parametrize(
    "command",
    [
        buy(("MUG", 1)),
        buy(("VOUCHER", 1)),
        of_ann(buy(("MUG", 1))),
        replace(buy(("MUG", 1)), reference="WEB-1", unique_reference=True),
        reserve(("MUG", 1)),
        of_ann(reserve(("MUG", 1))),
        adjust("MUG", 1),
    ],
)
async def test_a_command_on_remembered_goods_is_one_statement(
    database: Pool, pool: Pool, committer: ResultCommitter, command: Any
) -> None:
    with overtaken(committer, 0):
        assert len(await statements(pool, command, committer)) == 1
    await verify(database)


async def test_what_is_remembered_includes_what_was_written(database: Pool, committer: ResultCommitter) -> None:
    with overtaken(committer, 0):
        for _ in range(4):
            await committer.submit(buy(("MUG", 1)))
            await committer.submit(reserve(("MUG", 1)))
        assert (await committer.submit(adjust("MUG", 5))).on_hand == 15
    assert await counters(database, "MUG") == (15, 4, 5)
    await verify(database)


# What may have changed meanwhile


async def check_sold_elsewhere(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """Another process sold the last mug."""
    await other.submit(buy(("MUG", 9)))
    with pytest.raises(InsufficientStock):
        await committer.submit(buy(("MUG", 1)))
    await verify(database)


async def check_sold_meanwhile(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """Another process sells the last mug while the statement waits for its row."""
    async with transaction(database) as connection:
        await connection.execute("UPDATE stock SET on_hand = 1, version = version + 1 WHERE sku = 'MUG'")
        order = asyncio.create_task(committer.submit(buy(("MUG", 1))))
        await until(lambda: waiting_for_locks(database, 1))
    with pytest.raises(InsufficientStock):
        await order


async def check_seq(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """A seq is drawn under the lock: readers take those of a row to be in the order of its changes."""
    drawn = "SELECT pg_sequence_last_value('event_seq')"
    before = await database.fetchval(drawn)
    async with locked(database, "MUG"):
        order = asyncio.create_task(committer.submit(buy(("MUG", 1))))
        await until(lambda: waiting_for_locks(database, 1))
        assert await database.fetchval(drawn) == before
    await order


async def check_version(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """Another primary took over that lacked a change, and had another one, with the same version, since."""
    await database.execute("UPDATE stock SET on_hand = 1 WHERE sku = 'MUG'")
    with pytest.raises(InsufficientStock):
        await committer.submit(buy(("MUG", 1)))


async def check_new_row(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """Another location has some, which counts first."""
    await database.execute("INSERT INTO locations VALUES ('front', 'Front', -1, true)")
    await other.submit(adjust("MUG", 1, location_id="front"))
    await committer.submit(buy(("MUG", 1)))
    assert await counters(database, "MUG", "front") == (1, 0, 1)


async def check_location(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """The only location was closed."""
    await database.execute("UPDATE locations SET active = false")
    with pytest.raises(InsufficientStock):
        await committer.submit(buy(("MUG", 1)))


async def check_price(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """The product was edited."""
    await database.execute("UPDATE variants SET price = 700")
    order = await committer.submit(buy(("MUG", 1)))
    assert [line.unit_price for line in order.lines] == [700]


async def check_clock(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """What the process takes for the database's time is not."""
    assert committer._optimistic
    committer._optimistic.note(datetime.now().astimezone() + timedelta(hours=1), 0)
    order = await committer.submit(buy(("MUG", 1)))
    now = await database.fetchval("SELECT clock_timestamp()")
    assert now - timedelta(minutes=1) < order.create_time <= now


async def check_epoch(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """A standby that was behind took over: what was remembered may be lost, and the version of a row given again."""
    async with database.acquire() as connection:
        await begin_epoch(connection)
    await committer.submit(buy(("MUG", 1)))
    first = await database.fetchval(f"SELECT {FIRST_VERSION}")
    assert await database.fetchval("SELECT version FROM stock WHERE sku = 'MUG'") == first


async def check_repeated(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """Another process did the same request, which changed no stock."""
    once = buy(("VOUCHER", 1))
    assert (await other.submit(once)).order_id == (await committer.submit(once)).order_id
    assert len(await orders(database)) == 2


async def check_unpaid(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """The buyer has as many unpaid orders from other processes as the limit allows."""
    await committer.submit(of_ann(buy(("VOUCHER", 1))))
    await other.submit(of_ann(buy(("VOUCHER", 1))))
    with pytest.raises(UnpaidOrderLimitReached):
        await committer.submit(of_ann(buy(("VOUCHER", 1))))


async def check_reference(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """Another process made an order with the reference, which must be unique."""
    await other.submit(replace(buy(("VOUCHER", 1)), reference="WEB-1", unique_reference=True))
    with pytest.raises(ReferenceTaken):
        await committer.submit(replace(buy(("VOUCHER", 1)), reference="WEB-1", unique_reference=True))


async def check_held(database: Pool, committer: ResultCommitter, other: ResultCommitter) -> None:
    """The customer holds as much as the limit allows."""
    await committer.submit(of_ann(reserve(("VOUCHER", 1))))
    await other.submit(of_ann(reserve(("VOUCHER", 1))))
    with pytest.raises(HoldLimitReached):
        await committer.submit(of_ann(reserve(("VOUCHER", 1))))


SITUATIONS = [
    check_sold_elsewhere,
    check_sold_meanwhile,
    check_version,
    check_new_row,
    check_location,
    check_price,
    check_clock,
    check_epoch,
    check_repeated,
    check_unpaid,
    check_held,
    check_reference,
]


@pytest.mark.parametrize("check", SITUATIONS)
async def test_an_optimistic_batch_that_was_overtaken_is_decided_again(
    database: Pool, committer: ResultCommitter, other: ResultCommitter, check: Any
) -> None:
    with overtaken(committer, 1):
        await check(database, committer, other)


async def test_a_seq_is_drawn_under_the_locks(
    database: Pool, committer: ResultCommitter, other: ResultCommitter
) -> None:
    with overtaken(committer, 0):
        await check_seq(database, committer, other)


@pytest.mark.parametrize(
    ("build", "check"),
    [
        ("compares-nothing", check_sold_elsewhere),
        ("compares-nothing", check_new_row),
        ("compares-versions", check_version),
        ("compares-unlocked", check_sold_meanwhile),
        ("forgets-closed-locations", check_location),
        ("keeps-old-offers", check_price),
        ("keeps-its-own-time", check_clock),
        ("forgets-limits", check_unpaid),
        ("forgets-limits", check_held),
        ("forgets-limits", check_reference),
        ("keeps-its-epoch", check_epoch),
        ("forgets-requests", check_repeated),
        ("locks-late", check_seq),
    ],
)
async def test_each_guard_is_needed(
    database: Pool,
    committer: ResultCommitter,
    other: ResultCommitter,
    monkeypatch: pytest.MonkeyPatch,
    build: str,
    check: Any,
) -> None:
    """Without it, what `check` looks for is broken."""
    WITHOUT_GUARD[build](monkeypatch.setattr)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await check(database, committer, other)


async def test_a_sku_that_differed_is_not_recalled_for_a_while(
    pool: Pool, committer: ResultCommitter, other: ResultCommitter
) -> None:
    await other.submit(buy(("MUG", 1)))
    with overtaken(committer, 1):
        await committer.submit(buy(("MUG", 1), ("VOUCHER", 1)))
        assert len(await statements(pool, buy(("MUG", 1)), committer)) > 1
        assert len(await statements(pool, buy(("VOUCHER", 1)), committer)) == 1, "it has not differed"


async def test_a_refusal_is_decided_on_fresh_rows(
    database: Pool, committer: ResultCommitter, other: ResultCommitter
) -> None:
    await other.submit(adjust("MUG", 90))
    await committer.submit(buy(("MUG", 50)))
    assert await counters(database, "MUG") == (100, 0, 51)


async def test_the_transaction_has_its_id_before_anything_draws_a_seq(database: Pool) -> None:
    """Readers of the event log rely on it; an order of what is not tracked locks no row, which would give it one."""
    async with transaction(database) as connection:
        nothing: Any = [[]] * 5
        now = await connection.fetchval("SELECT clock_timestamp()")
        await connection.fetchval("SELECT lock_remembered($1, '1 s', $2, $3, $4, $5, $6)", now, *nothing)
        assert await connection.fetchval("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")


def test_the_clock_goes_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, then = DatabaseClock(), datetime.now().astimezone()
    assert clock.now() is None
    monkeypatch.setattr("time.monotonic", lambda: 10.0)
    clock.note(then)
    monkeypatch.setattr("time.monotonic", lambda: 12.5)
    now = clock.now()
    assert now is not None
    assert abs(now - then - timedelta(seconds=2.5)) < timedelta(milliseconds=1)
