"""Sessions: work that ends with its connections and is restarted when one of them breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from stockward_server.domain.errors import StockwardError
from stockward_server.runtime.back_off import BackOff

log = logging.getLogger(__name__)

FIRST_PAUSE, MAX_PAUSE = 0.2, 3.0
"""Seconds before a session is restarted; doubled each time, and up to a quarter longer at random."""

STEADY = 10.0
"""Seconds after which a session counts as healthy, so that the next pause is the first one again."""


CANCEL_AGAIN_SECONDS, MAX_CANCEL_SECONDS = 0.2, 3.0
"""Seconds after which a task that did not end is cancelled again, and after which it is abandoned."""

STOP_SECONDS = 2.0
"""Seconds that a session may take to end by itself after a stop was requested; then it is cancelled."""


class Unavailable(StockwardError):
    """A service outside the process, such as NATS, cannot be used now; a later attempt can succeed."""


@asynccontextmanager
async def cancel_on_loss() -> AsyncIterator[Callable[[str], None]]:
    """Yields a function that cancels the block at once; the block then raises Unavailable with the reason passed to it.

    Connections call it when they are lost, so that no work that relies on them continues.
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
    """Closes a connection in a separate task, which continues when this task is cancelled meanwhile, as it is when a
    second connection is lost. Cancels the closing after `seconds`, since a server may no longer read. Ignores what
    `ending` raises."""
    task = asyncio.create_task(ending)
    breaking = asyncio.get_running_loop().call_later(seconds, task.cancel)

    def ended(task: asyncio.Task[object]) -> None:
        breaking.cancel()
        _ = task.cancelled() or task.exception()  # retrieved, so that asyncio does not log it

    task.add_done_callback(ended)
    await asyncio.wait((task,), timeout=seconds)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks and returns once they have ended, with a result or an error.

    A task that continues is cancelled again: a cancellation can get lost (see raise_if_cancelled) in any loop that
    survives its errors, and the clean-up of a task may wait for the same connection. After MAX_CANCEL_SECONDS it is
    logged and abandoned, so that the process can end. All this continues when the caller is cancelled.
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
            _ = task.cancelled() or task.exception()  # retrieved, so that asyncio does not log it
    for task in running:
        log.warning("%s does not end", task.get_name())


def raise_if_cancelled() -> None:
    """Raises CancelledError in a task that was cancelled and continues.

    Loops around NATS and PostgreSQL call it in every iteration. Their clients wait with `asyncio.wait_for`, which up to
    Python 3.11 loses a cancellation that arrives together with the result; and a cancellation that arrives together
    with the end of the connection is reported as the end of the connection.
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
    """Runs sessions one after another until `stop` is set. A session should end by itself then; one that continues is
    cancelled after `stop_seconds`, so that a service that does not respond cannot keep the process from ending.

    Expected errors (Unavailable, and those for which `is_expected` returns True) are logged in one line, others with
    their traceback; a pause follows both.
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
    """Runs one session in a separate task and raises its error."""

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
