"""The committer: batches, request_ids, refusals, and commands that cannot be written."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest

from stockward_server.application.command import Command
from stockward_server.application.response_codec import ResponseCodec
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import FieldInvalid, InsufficientStock, Refusal, RequestIdReused
from stockward_server.domain.order import Order
from stockward_server.domain.stock import MovementKind, StockChange, StockLevel
from stockward_server.storage import database as storage
from stockward_server.storage.database import Pool
from tests.commands import (
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


@pytest.fixture
async def committer(database: Pool) -> AsyncIterator[ResultCommitter]:
    async with committing(database) as committer:
        yield committer


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[ResultCommitter]:
    """The committer of another server process on the same database."""
    pool = await storage.open_pool(database_url, 4)
    async with committing(pool) as committer:
        yield committer
    await pool.close()


async def transactions(pool: Pool, event_type: str = "order.created") -> int:
    """How many brought about events of this type: all events of one have the same time."""
    return int(await pool.fetchval("SELECT count(DISTINCT create_time) FROM events WHERE type = $1", event_type))


# Batches


async def test_commands_gather_while_a_transaction_is_in_flight(database: Pool, committer: ResultCommitter) -> None:
    await sell(database, MUG=1000)
    async with locked(database, "MUG"):
        first = asyncio.create_task(committer.submit(buy(("MUG", 1))))
        await until(lambda: waiting_for_locks(database, 1))
        rest = [asyncio.create_task(committer.submit(buy(("MUG", 1)))) for _ in range(400)]
        await asyncio.sleep(0)
    answers = await asyncio.gather(first, *rest)
    assert sorted(each.order_id for each in answers) == await orders(database)
    assert await transactions(database) == 2
    assert await counters(database, "MUG") == (1000, 0, 401)
    await verify(database)


async def test_a_lone_command_does_not_wait_for_company(database: Pool, committer: ResultCommitter) -> None:
    await sell(database, MUG=10)
    await committer.submit(buy(("MUG", 1)))
    await committer.submit(buy(("MUG", 1)))
    assert await transactions(database) == 2


async def test_a_batch_ends_at_its_limit_of_rows(database: Pool) -> None:
    await sell(database, MUG=1000, CAP=1000)
    async with committing(database, batch_limit=20) as committer:
        await asyncio.gather(*(committer.submit(buy(("MUG", 1), ("CAP", 1))) for _ in range(100)))
        assert await transactions(database) == 10
        await committer.submit(buy(*[("MUG", 1)] * 30))  # what is larger than the limit goes alone
    await verify(database)


async def test_a_command_sees_what_those_before_it_in_the_batch_did(database: Pool, committer: ResultCommitter) -> None:
    await sell(database, MUG=0)
    outcomes = await asyncio.gather(
        *map(committer.submit, [buy(("MUG", 1)), adjust("MUG", 2), buy(("MUG", 2)), reserve(("MUG", 1))]),
        return_exceptions=True,
    )
    assert [type(each) for each in outcomes] == [InsufficientStock, StockLevel, Order, InsufficientStock]
    assert await counters(database, "MUG") == (2, 0, 2)
    await verify(database)


async def test_a_location_counts_by_its_priority_from_its_first_stock_on(
    database: Pool, committer: ResultCommitter
) -> None:
    await database.execute("INSERT INTO locations VALUES ('front', 'Front', -1, true)")
    await sell(database, MUG=10)
    await asyncio.gather(*map(committer.submit, [adjust("MUG", 10, location_id="front"), buy(("MUG", 1))]))
    assert await transactions(database) == await transactions(database, "stock.changed") - 1, "in one batch"
    assert [await counters(database, "MUG", each) for each in ("front", "main")] == [(10, 0, 1), (10, 0, 0)]


# request_ids


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Returns what Stockward logged."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("stockward_server")]


async def test_a_repetition_gets_the_same_answer_and_does_nothing(
    database: Pool, committer: ResultCommitter, caplog: pytest.LogCaptureFixture
) -> None:
    await sell(database, MUG=10)
    cause = request()
    in_one_batch = await asyncio.gather(*(committer.submit(buy(("MUG", 1), cause=cause)) for _ in range(5)))
    later = await committer.submit(buy(("MUG", 1), cause=cause))
    assert [each.order_id for each in (later, *in_one_batch)] == await orders(database) * 6
    assert not logged(caplog)  # nor does it disturb its batch
    assert await counters(database, "MUG") == (10, 0, 1)
    await verify(database)


async def test_only_what_was_stored_is_parsed(database: Pool, committer: ResultCommitter) -> None:
    """The first caller gets the message itself; what is added to it later is not in the bytes."""
    await sell(database, MUG=10)
    codec = ResponseCodec[Order, dict[str, str]](
        lambda order: {"made of": order.order_id},
        lambda made: str(made).encode(),
        lambda stored: {"stored": stored.decode()},
    )
    wanted = buy(("MUG", 1))
    first = await committer.submit(wanted, codec)
    first["secret"] = "for the first caller"
    assert await committer.submit(wanted, codec) == {"stored": str({"made of": first["made of"]})}
    assert [first["made of"]] == await orders(database)


async def test_two_processes_do_a_request_once(
    database: Pool, committer: ResultCommitter, other: ResultCommitter
) -> None:
    await sell(database, MUG=1000)
    causes = [request() for _ in range(40)]
    submitted = [each.submit(buy(("MUG", 1), cause=cause)) for cause in causes for each in (committer, other)]
    answers = await asyncio.gather(*submitted)
    ids = [each.order_id for each in answers]
    assert ids[::2] == ids[1::2]
    assert sorted(ids[::2]) == await orders(database)
    assert await counters(database, "MUG") == (1000, 0, 40)
    await verify(database)


async def test_a_request_is_not_refused_for_what_it_did_itself(
    database: Pool, committer: ResultCommitter, other: ResultCommitter
) -> None:
    await sell(database, MUG=1)
    the_last = buy(("MUG", 1))
    async with locked(database, "MUG"):
        twins = [asyncio.create_task(each.submit(the_last)) for each in (committer, other)]
        await until(lambda: waiting_for_locks(database, 2))
    assert {each.order_id for each in await asyncio.gather(*twins)} == set(await orders(database))


@pytest.mark.parametrize("changed", [{"fingerprint": b"other"}, {"method": "other"}])
async def test_a_request_id_with_another_payload_is_refused(
    database: Pool, committer: ResultCommitter, other: ResultCommitter, changed: dict[str, object]
) -> None:
    await sell(database, MUG=10)
    cause = request(actor="shop", method="buy")
    reused = replace(cause, **changed)  # type: ignore[arg-type]
    outcomes: Sequence[Any] = await asyncio.gather(
        committer.submit(buy(("MUG", 1), cause=cause)),
        committer.submit(buy(("MUG", 2), cause=reused)),
        return_exceptions=True,
    )
    first, second = outcomes
    assert isinstance(first, Order)
    assert isinstance(second, RequestIdReused)
    assert second.metadata == {"request_id": cause.request_id, "method": "buy", "field": "request_id"}
    for each in (committer, other):
        with pytest.raises(RequestIdReused):
            await each.submit(buy(("MUG", 2), cause=reused))
    assert await counters(database, "MUG") == (10, 0, 1)


async def test_the_request_ids_of_two_callers_are_apart(database: Pool, committer: ResultCommitter) -> None:
    await sell(database, MUG=10)
    request_id = str(uuid.uuid4())
    causes = [request(request_id, actor=name) for name in ("web", "app")]
    web, app = await asyncio.gather(*(committer.submit(buy(("MUG", 1), cause=cause)) for cause in causes))
    assert web != app
    assert await counters(database, "MUG") == (10, 0, 2)


# Refusals

TRACES = ("orders", "order_lines", "allocations", "reservations", "movements", "events", "outbox", "idempotency")


async def rows(pool: Pool) -> dict[str, int]:
    return {table: await pool.fetchval(f"SELECT count(*) FROM {table}") for table in TRACES}


@pytest.mark.parametrize(
    "refused",
    [buy(("MUG", 1), ("CAP", 4)), reserve(("MUG", 1), ("CAP", 4)), buy(("MUG", 1), ("HAT", 1)), adjust("MUG", -11)],
    ids=["order", "hold", "unknown SKU", "adjustment"],
)
async def test_a_refusal_leaves_no_trace(database: Pool, committer: ResultCommitter, refused: Command[Any]) -> None:
    await sell(database, MUG=10, CAP=3)
    before = await rows(database)
    with pytest.raises(Refusal):
        await committer.submit(refused)
    assert await rows(database) == before
    assert await counters(database, "MUG") == (10, 0, 0)


async def test_what_was_refused_may_succeed_later_under_the_same_request_id(
    database: Pool, committer: ResultCommitter
) -> None:
    await sell(database, MUG=1)
    wanted = buy(("MUG", 2))
    with pytest.raises(InsufficientStock):
        await committer.submit(wanted)
    await committer.submit(adjust("MUG", 1))
    assert [(await committer.submit(wanted)).order_id] == await orders(database)


# What cannot be written


@dataclass(slots=True, kw_only=True)
class Overdraw(Command[None]):
    """A command that decides wrongly: the database does not take a negative counter."""

    @property
    def skus(self) -> Collection[str]:
        return ("MUG",)

    def execute(self, uow: UnitOfWork) -> None:
        uow.move([StockChange("MUG", "main", MovementKind.ADJUSTED, on_hand=-10_000)], self.cause)


@dataclass(slots=True, kw_only=True)
class BreakDown(Overdraw):
    """A command with a defect, which shows only after it has saved something."""

    def execute(self, uow: UnitOfWork) -> None:
        Overdraw.execute(self, uow)
        raise ZeroDivisionError


@dataclass(slots=True, kw_only=True)
class NameNonsense(Command[None]):
    """A command whose rows cannot even be looked for."""

    @property
    def order_ids(self) -> Collection[str]:
        return ("not a UUID",)

    def execute(self, uow: UnitOfWork) -> None:
        raise AssertionError("it cannot get here")


@pytest.mark.parametrize(
    ("poison", "error"),
    [
        (Overdraw(cause=request()), asyncpg.CheckViolationError),
        (BreakDown(cause=request()), ZeroDivisionError),
        (NameNonsense(cause=request()), asyncpg.DataError),
        (adjust("MUG", 1, note="\0"), FieldInvalid),
    ],
    ids=["constraint", "defect", "lock", "NUL"],
)
async def test_a_poisoned_command_fails_alone(
    database: Pool, committer: ResultCommitter, poison: Command[Any], error: type[Exception]
) -> None:
    await sell(database, MUG=10)
    neighbours = [buy(("MUG", 1)) for _ in range(4)]
    outcomes = await asyncio.gather(
        *map(committer.submit, [*neighbours[:2], poison, *neighbours[2:]]), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [Order, Order, error, Order, Order]
    assert await counters(database, "MUG") == (10, 0, 4)
    assert (await committer.submit(adjust("MUG", 1))).on_hand == 11
    await verify(database)


# Several processes


@pytest.mark.long
async def test_overlapping_orders_in_opposite_line_order_do_not_deadlock(
    database: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    skus = [f"SKU-{number}" for number in range(8)]
    await sell(database, **dict.fromkeys(skus, 1_000))
    there, back = [(sku, 1) for sku in skus], [(sku, 1) for sku in reversed(skus)]
    async with committing(database, batch_limit=16) as one, committing(database, batch_limit=16) as two:
        await asyncio.gather(
            *(one.submit(buy(*there)) for _ in range(100)),
            *(two.submit(buy(*back)) for _ in range(100)),
        )
    assert await transactions(database) == 100
    assert not logged(caplog)  # a deadlock ends one of the two batches, which is said and repaired
    assert [await counters(database, sku) for sku in skus] == [(1_000, 0, 200)] * 8
    await verify(database)


async def test_two_processes_sell_what_there_is_and_no_more(
    database: Pool, committer: ResultCommitter, other: ResultCommitter
) -> None:
    await sell(database, MUG=100)
    outcomes = await asyncio.gather(
        *(each.submit(buy(("MUG", 1))) for _ in range(100) for each in (committer, other)), return_exceptions=True
    )
    assert sum(isinstance(each, Order) for each in outcomes) == 100
    assert sum(isinstance(each, InsufficientStock) for each in outcomes) == 100
    assert await counters(database, "MUG") == (100, 0, 100)
    await verify(database)
