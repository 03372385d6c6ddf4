"""The committer's queue: its limit, deadlines, callers who go away, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from stockward_server.application.command import Command
from stockward_server.domain.errors import DatabaseUnavailable, DeadlinePassed, InsufficientStock, Overloaded
from stockward_server.domain.order import Order
from stockward_server.runtime import turns
from stockward_server.storage.database import Pool
from tests.commands import (
    RESULT,
    ResultCommitter,
    buy,
    committing,
    counters,
    locked,
    orders,
    request,
    sell,
    verify,
    waiting_for_locks,
)
from tests.events import until


@pytest.fixture
async def committer(database: Pool) -> AsyncIterator[ResultCommitter]:
    """A committer of a shop with ten mugs."""
    await sell(database, MUG=10)
    async with committing(database, queue_limit=3) as committer:
        yield committer


@asynccontextmanager
async def flushing(pool: Pool, committer: ResultCommitter, **cause: Any) -> AsyncIterator[asyncio.Task[Order]]:
    """An order whose batch has begun and waits for a lock, which is abandoned at the end."""
    async with locked(pool, "MUG"):
        order = asyncio.create_task(committer.submit(buy(("MUG", 1), cause=request(**cause))))
        await until(lambda: waiting_for_locks(pool, 1))
        yield order


async def submitted(committer: ResultCommitter, *, count: int = 1, **cause: Any) -> list[asyncio.Task[Order]]:
    """Orders that stand in the queue now."""
    tasks = [asyncio.create_task(committer.submit(buy(("MUG", 1), cause=request(**cause)))) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_beyond_its_limit_the_queue_turns_callers_away(database: Pool, committer: ResultCommitter) -> None:
    async with flushing(database, committer) as first:
        queued = await submitted(committer, count=3)
        with pytest.raises(Overloaded) as refusal:
            await committer.submit(buy(("MUG", 1)))
        assert refusal.value.retry_after == 1.0
        assert refusal.value.metadata == {"limit": "3"}
    await asyncio.gather(first, *queued)
    await committer.submit(buy(("MUG", 1)))
    assert await counters(database, "MUG") == (10, 0, 5)


async def test_a_deadline_that_passes_in_the_queue_drops_the_command(
    database: Pool, committer: ResultCommitter
) -> None:
    now = asyncio.get_running_loop().time()
    async with flushing(database, committer) as first:
        (late,) = await submitted(committer, deadline=now)
        (timely,) = await submitted(committer, deadline=now + 60)
    with pytest.raises(DeadlinePassed):
        await late
    answers = await asyncio.gather(first, timely)
    assert sorted(each.order_id for each in answers) == await orders(database)


async def test_a_deadline_that_passes_after_the_batch_began_drops_nothing(
    database: Pool, committer: ResultCommitter
) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + 3.0
    async with flushing(database, committer, deadline=deadline) as order:
        await until(lambda: clock() > deadline)
    assert [(await order).order_id] == await orders(database)


async def test_a_caller_who_leaves_the_queue_takes_the_command_along(
    database: Pool, committer: ResultCommitter
) -> None:
    async with flushing(database, committer) as first:
        gone, stays = await submitted(committer, count=2)
        gone.cancel()
    answers = await asyncio.gather(first, stays)
    assert sorted(each.order_id for each in answers) == await orders(database)
    assert gone.cancelled()


async def test_a_caller_who_leaves_during_the_flush_changes_nothing(database: Pool, committer: ResultCommitter) -> None:
    cause = request()
    async with locked(database, "MUG"):
        gone = asyncio.create_task(committer.submit(buy(("MUG", 1), cause=cause)))
        await until(lambda: waiting_for_locks(database, 1))
        gone.cancel()
    assert [(await committer.submit(buy(("MUG", 1), cause=cause))).order_id] == await orders(database)
    assert await counters(database, "MUG") == (10, 0, 1)
    await verify(database)


async def test_closing_finishes_what_is_queued_and_takes_nothing_more(
    database: Pool, committer: ResultCommitter
) -> None:
    async with flushing(database, committer) as first:
        queued = await submitted(committer, count=3)
        closing = asyncio.create_task(committer.close())
        await asyncio.sleep(0)
        with pytest.raises(DatabaseUnavailable, match="the server is stopping"):
            await committer.submit(buy(("MUG", 1)))
        assert not closing.done()
    await closing
    assert sorted(task.result().order_id for task in (first, *queued)) == await orders(database)
    assert len(await orders(database)) == 4


async def test_a_database_that_does_not_answer_holds_up_neither_the_end_nor_those_who_wait(
    database: Pool, committer: ResultCommitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stockward_server.storage.write.committer.CLOSE_SECONDS", 0.1)
    async with flushing(database, committer) as first:
        (queued,) = await submitted(committer)
        await committer.close()
        with pytest.raises(DatabaseUnavailable, match="not known whether the change was made"):
            await first
        async with asyncio.timeout(10):
            with pytest.raises(DatabaseUnavailable, match="the server is stopping"):
                await queued
    assert not await orders(database)


HEAVY = [("MUG", 1), ("CUP", 1), ("TEE", 1)]
"""Lines that are more than one batch of the next tests takes."""


async def test_twenty_heavy_commands_of_one_caller_delay_another_ones_by_less_than_one_batch(database: Pool) -> None:
    await sell(database, MUG=30, CUP=30, TEE=30)
    finished: list[str] = []

    async def finish(queue: ResultCommitter, order: Command[Any]) -> None:
        await queue.submit(order)
        finished.append(order.cause.actor)

    async with committing(database, batch_limit=2) as committer:
        async with flushing(database, committer, actor="bulk") as first:
            orders = [buy(*HEAVY, cause=request(actor="bulk")) for _ in range(20)]
            orders.append(buy(("MUG", 1), cause=request(actor="shop")))
            tasks = [asyncio.create_task(finish(committer, order)) for order in orders]
            await asyncio.sleep(0)
        await asyncio.gather(first, *tasks)
    assert finished == ["shop", *["bulk"] * 20]
    await verify(database)


async def test_what_a_caller_did_while_nobody_waited_costs_it_no_turn(database: Pool) -> None:
    """Of two callers who come for the last mug it is the first one's, though that one did much before."""
    await sell(database, MUG=3)
    async with committing(database) as committer:
        await committer.submit(buy(("MUG", 1), cause=request(actor="busy")), RESULT, 100)
        async with flushing(database, committer, actor="other") as flushed:
            (first,) = await submitted(committer, actor="busy")
            (second,) = await submitted(committer, actor="newcomer")
        await asyncio.gather(flushed, first)
        with pytest.raises(InsufficientStock):
            await second


async def test_repeated_request_ids_do_not_cut_the_batches_of_others(
    database: Pool, committer: ResultCommitter
) -> None:
    sizes: list[int] = []
    async with committing(database, trace=lambda traces, *_: sizes.append(len(traces))) as committer:
        async with flushing(database, committer) as first:
            again = await submitted(committer, count=5, request_id="0190aaaa-0000-7000-8000-000000000001")
            others = await submitted(committer, count=5, actor="shop")
        answers = [each.order_id for each in await asyncio.gather(first, *again, *others)]
    assert sizes[:2] == [1, 6]  # the first of the repeated ones, and everybody else's
    assert len({answers[number] for number in range(1, 6)}) == 1
    assert sorted(set(answers)) == await orders(database)


async def test_one_caller_alone_does_not_fill_the_queue(database: Pool) -> None:
    await sell(database, MUG=100)
    async with committing(database, queue_limit=20) as committer:
        async with flushing(database, committer) as first:
            greedy = await submitted(committer, count=20, actor="bulk")
            (shop,) = await submitted(committer, actor="shop")
        outcomes = await asyncio.gather(first, *greedy, return_exceptions=True)
        await shop
    refused = [outcome for outcome in outcomes if isinstance(outcome, Overloaded)]
    assert len(refused) == 4


async def test_the_commands_of_a_batch_are_decided_in_turns(database: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLICE", 0.0)
    await sell(database, MUG=100)
    given = 0
    seen: list[int] = []

    async def count() -> None:
        nonlocal given
        while True:
            given += 1
            await asyncio.sleep(0)

    def make(_: object) -> None:
        seen.append(given)

    async with committing(database) as committer:
        other = asyncio.create_task(count())
        await asyncio.gather(*(committer.submit(buy(("MUG", 1)), replace(RESULT, make=make)) for _ in range(20)))
        other.cancel()
    assert len(set(seen)) == 20
