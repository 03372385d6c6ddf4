"""Callers who go away at any moment: at whichever await a call is broken off, it is done once or not at all."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from functools import partial
from types import coroutine
from typing import Any

import pytest
from google.rpc import status_pb2

from stockward_server.api.calls.interceptor import CallInterceptor, Method
from stockward_server.storage.database import Pool
from tests.mutations import MUTATIONS, as_repeated
from tests.shop import Shop
from tests.snapshot import nothing_written, snapshot

NEVER = -1
DELIVERED = ("deliveries", "lanes")


@coroutine
def broken_off(step: int, work: Awaitable[Any]) -> Generator[Any, Any, Any]:
    """What `work` answers, in a task that is cancelled at the `step`th time that it waits."""
    waiting: Any = work.__await__()
    go_on: Callable[[], Any] = partial(next, waiting)
    for number in itertools.count():
        try:
            future = go_on()
        except StopIteration as end:
            return end.value
        if number == step and (task := asyncio.current_task()):
            task.cancel()
        try:
            yield future
        except BaseException as error:
            go_on = partial(waiting.throw, error)
        else:
            go_on = partial(next, waiting)


class Leaving:
    """Breaks off the calls of one method at `step`, and says when it did."""

    def __init__(self, method: str) -> None:
        self.step = NEVER
        self.left = asyncio.Event()
        self._method = f"/{method}"
        self._intercept = CallInterceptor.intercept

    async def intercept(self, interceptor: CallInterceptor, method: Method, _: object, context: Any, __: str) -> Any:
        method = method._replace(behaviour=self._leaving(method.behaviour, method.name))
        return await self._intercept(interceptor, method, _, context, __)

    def _leaving(self, method: Any, name: str) -> Any:
        if not name.endswith(self._method):
            return method

        async def answer(request: Any, context: Any) -> Any:
            try:
                return await broken_off(self.step, method(request, context))
            except asyncio.CancelledError:
                self.left.set()
                raise

        async def answers(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                yield await broken_off(self.step, anext(aiter(method(request, context))))
            except asyncio.CancelledError:
                self.left.set()
                raise

        return answers if name.endswith("/SyncStock") else answer

    async def call(self, step: int, call: Awaitable[Any]) -> Any:
        """The answer, or None where the caller left before there was one."""
        self.step = step
        self.left.clear()
        answer, left = asyncio.ensure_future(call), asyncio.create_task(self.left.wait())
        await asyncio.wait((answer, left), return_when=asyncio.FIRST_COMPLETED)
        self.step = NEVER
        for each in (answer, left):
            if not each.done():
                each.cancel()
        return None if self.left.is_set() else await answer


@pytest.mark.parametrize("name", MUTATIONS)
async def test_a_call_that_is_broken_off_anywhere_is_done_once_or_not(
    shop: Shop, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At one await after the other, each time under the same request_id, until an answer comes. It is compared with a
    call that nobody breaks off."""
    mutation, leaving = MUTATIONS[name], Leaving(name)
    request, other = await mutation.arrange(shop)
    request.request_id, other.request_id = str(uuid.uuid4()), str(uuid.uuid4())  # type: ignore[attr-defined]
    monkeypatch.setattr(CallInterceptor, "intercept", lambda *arguments: leaving.intercept(*arguments))

    before = await rows(shop.pool)
    for step in itertools.count():
        answer = await leaving.call(step, mutation.send(shop.pms, request))
        if answer is not None:
            break
    assert step, "it was never broken off"
    assert not isinstance(answer, status_pb2.Status), answer
    async with nothing_written(shop.pool):
        assert await mutation.send(shop.pms, request) == as_repeated(answer)
    after = await rows(shop.pool)
    await mutation.send(shop.pms, other)
    close_shielded = await rows(shop.pool)
    assert after - before == close_shielded - after
    await shop.verify()


async def rows(pool: Pool) -> Counter[str]:
    """How many each table has; but for those that depend on how many deliveries a request is about, and on whether
    another order is in its state."""
    found = await snapshot(pool)
    return Counter({name: rows for name, (rows, _) in found.items() if name not in (*DELIVERED, "order_counts")})
