"""Splits long work into slices, since all calls of a process share one thread.

A short call never waits here. Longer work queues after each slice: one slice runs in every few iterations of the event
loop, and callers take turns. A short call needs some fifteen iterations from its first byte to its last, and iterations
without work cost next to nothing.

Long work that cannot be split, such as the rules of one large message, runs `beside` the event loop: in a thread, which
yields the interpreter to the event loop on request.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

SLICE = 0.002
"""Seconds of one slice of work."""

ROUNDS = 4
"""Iterations of the event loop from one slice of long work to the next."""

MUCH = 100
"""Rows or elements above which a call is long before it begins."""

LONG_READS = 1
"""Concurrent long reads of one caller: each uses a core of the database, which may have only two."""

SWITCH = 0.0002
"""Seconds after which the thread for long work yields the interpreter to the event loop."""

T = TypeVar("T")

whose: ContextVar[str] = ContextVar("whose", default="")
"""The caller of the present work; work without a caller shares one queue."""


class Waiting:
    """A fair queue: callers take turns, whatever the number of their entries."""

    def __init__(self) -> None:
        self._callers: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._callers)

    def join(self) -> asyncio.Future[None]:
        """Queues the present caller; returns a future that completes at its turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._callers.setdefault(whose.get(), deque()).append(turn)
        return turn

    def call_next(self) -> bool:
        """Completes the next future that is not cancelled; returns False when there is none."""
        while self._callers:
            caller, turns = self._callers.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._callers[caller] = turns  # behind the others
            if not turn.done():
                turn.set_result(None)
                return True
        return False


class Line:
    """The queue for the next slice of long work."""

    def __init__(self) -> None:
        self._waiting = Waiting()

    def join(self) -> asyncio.Future[None]:
        """Queues the present caller; returns a future that completes at its turn."""
        if not self._waiting:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._pass, loop, 1)
        return self._waiting.join()

    def _pass(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        """Completes the next future after so many iterations of the event loop."""
        if rounds > 1:
            loop.call_soon(self._pass, loop, rounds - 1)
            return
        self._waiting.call_next()
        if self._waiting:
            loop.call_soon(self._pass, loop, ROUNDS)


class Beside:
    """A thread that runs pieces of long work one after another; callers take turns. The work must not change shared
    state."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "beside", initializer=partial(sys.setswitchinterval, SWITCH))
        self._waiting = Waiting()
        self._busy = False

    async def do(self, work: Callable[[], T]) -> T:
        """Runs the work and returns its result. The work is finished even when its caller is cancelled."""
        if self._busy:
            turn = self._waiting.join()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # its turn came at the same time: pass it on
                    self._call_next()
                raise
        self._busy = True
        done = asyncio.get_running_loop().run_in_executor(self._thread, copy_context().run, work)
        done.add_done_callback(self._ended)
        try:
            return await asyncio.shield(done)
        finally:
            del (
                done
            )  # an error in it refers to this frame: a cycle that would keep the message until garbage collection

    def _ended(self, done: asyncio.Future[Any]) -> None:
        done.exception()  # retrieved, even when the caller was cancelled
        self._call_next()

    def _call_next(self) -> None:
        self._busy = self._waiting.call_next()


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Line] = WeakKeyDictionary()
_beside: WeakKeyDictionary[asyncio.AbstractEventLoop, Beside] = WeakKeyDictionary()
_reads: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, asyncio.Semaphore]] = WeakKeyDictionary()


async def at_once(work: Callable[[], T]) -> T:
    """Runs short work in the event loop and returns its result."""
    return work()


async def beside(work: Callable[[], T]) -> T:
    """Runs long work that cannot be split in a thread, in turn with other callers, and returns its result."""
    return await _beside.setdefault(asyncio.get_running_loop(), Beside()).do(work)


@asynccontextmanager
async def long_read(rows: int) -> AsyncIterator[None]:
    """Waits while the present caller has LONG_READS under way, if a read of `rows` rows or elements is long."""
    if rows <= MUCH:
        yield
        return
    callers = _reads.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    async with callers.setdefault(whose.get(), asyncio.Semaphore(LONG_READS)):
        await Turns().begin()
        yield


class Turns:
    """Splits one piece of work into slices. The first slice starts on creation, or at `begin`."""

    def __init__(self, *, ahead: bool = False) -> None:
        """`ahead`: does not queue, since all callers wait for this work, but lets short calls run in between."""
        self._ahead = ahead
        self._since = time.perf_counter()

    async def begin(self) -> None:
        """Waits for the next turn; to be called first where the work is known to be long."""
        if self._ahead:
            await asyncio.sleep(0)
        else:
            await _lines.setdefault(asyncio.get_running_loop(), Line()).join()
        self._since = time.perf_counter()

    async def give(self) -> None:
        """Waits for the next turn if the slice is used up; to be called between two steps of the work."""
        if time.perf_counter() - self._since >= SLICE:
            await self.begin()
