"""Responses that nobody reads: which calls are ended once they take too much, and which are left alone."""

from __future__ import annotations

import asyncio

import pytest

from stockward_server.grpc_api.send_budget import SMALL, SendBudget

LARGE = 2 * SMALL


class Call:
    """Sends one response after another, each until it is told that it was read."""

    def __init__(self, budget: SendBudget, size: int = LARGE, responses: int = 1) -> None:
        self.read = asyncio.Event()
        self._budget, self._size, self._responses = budget, size, responses
        self.task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        for _ in range(self._responses):
            sent = self._budget.begin(self._size)
            try:
                await self.read.wait()
            finally:
                sent()


async def calls(budget: SendBudget, count: int, size: int = LARGE) -> list[Call]:
    made = [Call(budget, size) for _ in range(count)]
    for _ in range(3):
        await asyncio.sleep(0)
    return made


async def test_the_calls_that_have_waited_longest_are_ended() -> None:
    budget = SendBudget(10 * LARGE)
    made = await calls(budget, 25)
    assert [call.task.cancelled() for call in made] == [True] * 15 + [False] * 10
    assert budget.bytes == 10 * LARGE
    for call in made[15:]:
        call.read.set()
        await call.task
    assert budget.bytes == 0


async def test_whoever_reads_is_left_alone() -> None:
    budget = SendBudget(2 * LARGE)
    for _ in range(20):
        (call,) = await calls(budget, 1)
        call.read.set()
        await call.task
    assert budget.bytes == 0


async def test_small_responses_are_not_counted() -> None:
    budget = SendBudget(LARGE)
    made = await calls(budget, 50, SMALL - 1)
    assert budget.bytes == 0
    for call in made:
        call.read.set()
        await call.task


async def test_a_single_response_may_be_larger_than_all() -> None:
    budget = SendBudget(LARGE)
    (call,) = await calls(budget, 1, 10 * LARGE)
    (other,) = await calls(budget, 1)
    with pytest.raises(asyncio.CancelledError):
        await call.task
    assert (budget.bytes, other.task.done()) == (LARGE, False)
    other.read.set()
    await other.task
