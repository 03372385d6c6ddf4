"""What touches many rows is written beside the short commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from threading import current_thread, main_thread
from typing import Any

import pytest

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.command import Command
from stockward_server.application.order_commands import CancelOrder
from stockward_server.application.reads import BatchLoader
from stockward_server.application.response_codec import ResponseCodec
from stockward_server.domain.errors import DatabaseUnavailable, Overloaded
from stockward_server.runtime import turns
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.write import lanes
from stockward_server.storage.write.committer import Committer
from stockward_server.storage.write.committer_metrics import CommitterMetrics
from stockward_server.storage.write.lanes import Lanes
from stockward_server.storage.write.lock import load_offers, lock_stock
from tests.commands import (
    RESULT,
    ResultCommitter,
    buy,
    counters,
    locked,
    on,
    request,
    reserve,
    sell,
    verify,
    waiting_for_locks,
)
from tests.events import until
from tests.turns import turns_during

LONG = [("MUG", 1), ("CUP", 1), ("TEE", 1)]


class ResultLanes(Lanes):
    """Responds with the results of commands, unless stated otherwise."""

    async def submit(self, command: Command[Any], codec: ResponseCodec[Any, Any] = RESULT) -> Any:
        return await super().submit(command, codec)


@pytest.fixture
async def running(database: Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ResultLanes]:
    """Commands of a shop where three rows are many."""
    monkeypatch.setattr(lanes, "MUCH", 2)
    await sell(database, MUG=100, CUP=100, TEE=100, HAT=100)

    def lane(metrics: CommitterMetrics, limit: int, long: bool) -> Committer:
        return ResultCommitter(database, encode_event, queue_limit=limit, batch_limit=500, metrics=metrics, long=long)

    running = ResultLanes(database, lane, 20)
    yield running
    await running.close()


async def test_a_short_command_does_not_wait_for_a_long_one(database: Pool, running: ResultLanes) -> None:
    async with locked(database, "TEE"):
        long = asyncio.create_task(running.submit(buy(*LONG)))
        await until(lambda: waiting_for_locks(database, 1))
        await running.submit(buy(("HAT", 1)))
        assert not long.done()
    await long
    assert await counters(database, "HAT") == (100, 0, 1)
    await verify(database)


async def test_a_command_on_an_order_weighs_what_the_order_has(database: Pool, running: ResultLanes) -> None:
    """And on a reservation, whatever the command itself says."""
    bought = (await running.submit(buy(*LONG))).order_id
    held = (await running.submit(reserve(*LONG))).reservation_id
    for command in (CancelOrder(**on(bought), quantities={}, reason=""), buy(reservation_id=held)):
        assert command.weight == 1
        async with locked(database, "TEE"):
            long = asyncio.create_task(running.submit(command))
            await until(lambda: waiting_for_locks(database, 1))
            await running.submit(buy(("HAT", 1)))
            assert not long.done()
        await long
    await verify(database)


async def test_both_do_a_request_once(database: Pool, running: ResultLanes) -> None:
    cause = request("0190aaaa-0000-7000-8000-000000000001")
    long, again = buy(*LONG, cause=cause), replace(buy(*LONG, cause=cause), lines=buy(*LONG, cause=cause).lines)
    first, second = await asyncio.gather(running.submit(long), running.submit(again))
    assert first.order_id == second.order_id
    assert await counters(database, "MUG") == (100, 0, 1)


async def test_long_commands_have_a_part_of_the_queue(database: Pool, running: ResultLanes) -> None:
    async with locked(database, "TEE"):
        first = asyncio.create_task(running.submit(buy(*LONG)))
        await until(lambda: waiting_for_locks(database, 1))
        others = [asyncio.create_task(running.submit(buy(*LONG))) for _ in range(6)]
        await asyncio.sleep(0)
        assert running.queued == 4
        await running.submit(buy(("HAT", 1)))
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(Overloaded) == 2


async def test_long_commands_are_decided_beside_the_event_loop(running: ResultLanes) -> None:
    on_main_thread = replace(RESULT, make=lambda _: current_thread() is main_thread())
    assert not await running.submit(buy(*LONG), on_main_thread)
    assert await running.submit(buy(("HAT", 1)), on_main_thread)


async def test_both_end(database: Pool, running: ResultLanes) -> None:
    async with locked(database, "TEE"):
        long = asyncio.create_task(running.submit(buy(*LONG)))
        await until(lambda: waiting_for_locks(database, 1))
        closing = asyncio.create_task(running.close())
        for _ in range(3):
            await asyncio.sleep(0)
        for lines in (LONG, [("HAT", 1)]):
            with pytest.raises(DatabaseUnavailable, match="stopping"):
                await running.submit(buy(*lines))
    await closing
    assert await long
    assert running.metrics.commands == 1


async def test_a_database_that_cannot_count_leaves_the_answer_to_the_command(
    running: ResultLanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = (await running.submit(buy(("HAT", 1)))).order_id

    async def away(*_: Any) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(running._lines, "_reads", BatchLoader(away))
    await running.submit(CancelOrder(**on(bought), quantities={}, reason=""))


async def test_rows_are_locked_and_read_in_turns(database: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLICE", 0.0)
    skus = {f"S{number}": 1 for number in range(50)}
    await sell(database, **skus)
    for read in (lock_stock, load_offers):
        async with transaction(database) as connection:
            assert await turns_during(read(connection, skus)) >= 50
