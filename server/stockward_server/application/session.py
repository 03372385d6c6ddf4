"""Sessions: work that lives as long as its connections do, and is begun anew when one of them breaks."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from stockward_server.domain.errors import StockwardError

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 15.0
"""Seconds before a session is begun anew; doubled each time, and up to a quarter longer by chance."""

STEADY = 10.0
"""Seconds after which a session counts as well, so that the next pause is the first one again."""


class Unavailable(StockwardError):
    """Something outside, such as NATS, cannot be used right now; trying again later can help."""


@asynccontextmanager
async def lifeline() -> AsyncIterator[Callable[[str], None]]:
    """Gives a function that ends everything inside at once, with Unavailable and the reason that it is told.

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


async def undisturbed(ending: Coroutine[Any, Any, object], seconds: float) -> None:
    """Waits for the end of a connection, which goes on to its own end when this task is cancelled meanwhile, as it is
    when a second connection is lost. What has not ended after `seconds` is broken off: a server that no longer reads.
    What it raises is lost, as the connection is."""
    task = asyncio.create_task(ending)
    task.add_done_callback(lambda task: task.cancelled() or task.exception())
    _, late = await asyncio.wait((task,), timeout=seconds)
    for each in late:
        each.cancel()


def heed_cancellation() -> None:
    """Raises CancelledError in a task that was cancelled and goes on.

    Loops around NATS ask every turn. Its client waits with `asyncio.wait_for`, which up to Python 3.11 loses a
    cancellation that comes together with the answer; and one that comes together with the end of the connection is told
    as that end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def keep_running(
    name: str,
    session: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    is_expected: Callable[[Exception], bool] = lambda error: False,
) -> None:
    """Runs sessions one after another until `stop` is set; a session must end by itself when that happens.

    What was to be expected (Unavailable, and what `is_expected` knows) takes one line in the log, anything else its
    traceback too; both are followed by a pause.
    """
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE
    while not stop.is_set():
        heed_cancellation()
        since = loop.time()
        try:
            await session()
        except Exception as error:
            if loop.time() - since > STEADY:
                pause = FIRST_PAUSE
            wait = pause * random.uniform(1, 1.25)
            expected = isinstance(error, Unavailable) or is_expected(error)
            log.warning("%s: %r; again in %.1f s", name, error, wait, exc_info=None if expected else error)
            pause = min(2 * pause, LONGEST_PAUSE)
            await wait_for_any(wait, stop)


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
