"""Sessions: work that lives as long as its connections do, and is begun again when one of them breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from stockward_server.domain.errors import StockwardError
from stockward_server.runtime.back_off import BackOff

log = logging.getLogger(__name__)

FIRST_PAUSE, MAX_PAUSE = 0.2, 15.0
"""Seconds before a session is begun again; doubled each time, and up to a quarter longer by chance."""

STEADY = 10.0
"""Seconds after which a session counts as well, so that the next pause is the first one again."""


CANCEL_AGAIN_SECONDS, MAX_CANCEL_SECONDS = 0.2, 3.0
"""How long a cancelled task may take before it is cancelled once more, and before it is left alone."""

STOP_SECONDS = 2.0
"""How long a session may take to end by itself once a stop is asked for; then it is cancelled."""


class Unavailable(StockwardError):
    """Something outside, such as NATS, cannot be used right now; trying again later can help."""


@asynccontextmanager
async def cancel_on_loss() -> AsyncIterator[Callable[[str], None]]:
    """Gives a function that ends everything inside at once, with Unavailable and the reason that it is given.

    Connections call it when they are lost, so that nothing goes on which relied on them.
    """
    reasons: list[str] = []
    ended = False

    def cut(reason: str) -> None:
        reasons.append(reason)
        if not ended and len(reasons) == 1:
            scope.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as scope:
            try:
                yield cut
            finally:
                ended = True
    except Exception as error:
        if reasons and isinstance(error, TimeoutError | OSError | Unavailable):
            raise Unavailable(reasons[0]) from error
        raise


async def close_shielded(ending: Coroutine[Any, Any, object], seconds: float) -> None:
    """Waits for the end of a connection, which goes on to its own end when this task is cancelled meanwhile, as it is
    when a second connection is lost. What has not ended after `seconds` is broken off: a server that no longer reads.
    What it raises is lost, as the connection is."""
    task = asyncio.create_task(ending)
    breaking = asyncio.get_running_loop().call_later(seconds, task.cancel)

    def ended(task: asyncio.Task[object]) -> None:
        breaking.cancel()
        _ = task.cancelled() or task.exception()  # seen

    task.add_done_callback(ended)
    await asyncio.wait((task,), timeout=seconds)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks and returns once they have ended, whatever came of them.

    A task that goes on is cancelled again: a cancellation can get lost (see raise_if_cancelled) in any loop that
    survives its errors, and what a task does at its end may wait for the same connection. One that goes on all the
    same is logged and left alone: the process that stops must end. All this goes on when the caller is cancelled.
    """
    await asyncio.shield(asyncio.create_task(_end(tasks)))


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    loop = asyncio.get_running_loop()
    give_up_time = loop.time() + MAX_CANCEL_SECONDS
    running = set(tasks)
    while running and loop.time() < give_up_time:
        for task in running:
            task.cancel()
        ended, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)
        for task in ended:
            _ = task.cancelled() or task.exception()  # seen
    for task in running:
        log.warning("%s does not end", task.get_name())


def raise_if_cancelled() -> None:
    """Raises CancelledError in a task that was cancelled and goes on.

    Loops around NATS and PostgreSQL ask every turn. Their clients wait with `asyncio.wait_for`, which up to Python 3.11
    loses a cancellation that comes together with the answer; and one that comes together with the end of the connection
    is reported as that end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def run_with_restarts(
    name: str,
    session: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    is_expected: Callable[[Exception], bool] = lambda error: False,
    stop_seconds: float = STOP_SECONDS,
) -> None:
    """Runs sessions one after another until `stop` is set. A session should end by itself when that happens; one that
    goes on is cancelled `stop_seconds` later, so that nothing that does not answer keeps the process from its end.

    What was to be expected (Unavailable, and what `is_expected` knows) takes one line in the log, anything else its
    traceback too; both are followed by a pause.
    """
    loop = asyncio.get_running_loop()
    back_off = BackOff(FIRST_PAUSE, MAX_PAUSE, jitter=0.25, steady=STEADY)
    while not stop.is_set():
        raise_if_cancelled()
        since = loop.time()
        try:
            await _until_stopped(name, session, stop, stop_seconds)
        except Exception as error:
            wait = back_off.next(loop.time() - since)
            expected = isinstance(error, Unavailable) or is_expected(error)
            log.warning("%s: %r; again in %.1f s", name, error, wait, exc_info=None if expected else error)
            await wait_for_any(wait, stop)


async def _until_stopped(
    name: str, session: Callable[[], Awaitable[None]], stop: asyncio.Event, stop_seconds: float
) -> None:
    """Runs one session in a task of its own; raises what it raises."""

    async def run() -> None:
        await session()

    running, stopping = asyncio.create_task(run(), name=name), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((running,), timeout=stop_seconds)
    finally:
        stopping.cancel()
        await end(running)
    if not running.cancelled():
        running.result()
    elif not stop.is_set():  # a client cancels what waits for it when its connection is closed
        raise Unavailable("the connection was closed")


async def wait_for_any(timeout: float, *events: asyncio.Event) -> None:
    """Returns when one of the events is set, or after `timeout` seconds."""
    if any(event.is_set() for event in events):
        return
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
