"""Long work in slices: all calls of a process share one thread, and each of them is to have its turn soon.

A call that answers quickly never waits here. Work that takes longer stands in line after each slice: one slice of it
is done in every few rounds of the event loop, and callers take turns. A short call takes some fifteen rounds from its
first byte to its last, and rounds in which nothing happens cost next to nothing.

What is long and has no places to stop at, such as the rules of one large message, is done `beside`: in a thread, which
leaves the interpreter to the event loop whenever that asks for it.
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
"""Seconds that work may take before others have their turn."""

ROUNDS = 4
"""Rounds of the event loop from one slice of long work to the next."""

MUCH = 100
"""Rows or elements from which on a call is known to be long before it begins."""

LONG_READS = 1
"""Long reads of one caller at the same time: each keeps a core of the database busy, and there may be two."""

SWITCH = 0.0002
"""Seconds after which what is done beside leaves the interpreter to the event loop."""

T = TypeVar("T")

whose: ContextVar[str] = ContextVar("whose", default="")
"""The caller that work is done for; what nobody in particular has asked for shares one place in line."""


class Waiting:
    """Those that wait for their turn, by caller. A caller with much waiting gets no more turns than one with little."""

    def __init__(self) -> None:
        self._callers: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._callers)

    def join(self) -> asyncio.Future[None]:
        """Returns what is done when the turn of the present caller's work has come."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._callers.setdefault(whose.get(), deque()).append(turn)
        return turn

    def call_next(self) -> bool:
        """Gives the next one its turn; returns whether there was one that had not gone away."""
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
    """Work that waits for its next slice."""

    def __init__(self) -> None:
        self._waiting = Waiting()

    def join(self) -> asyncio.Future[None]:
        """Returns what is done when the turn of the present caller's work has come."""
        if not self._waiting:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._pass, loop, 1)
        return self._waiting.join()

    def _pass(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        """Lets rounds pass before the next wait ends."""
        if rounds > 1:
            loop.call_soon(self._pass, loop, rounds - 1)
            return
        self._waiting.call_next()
        if self._waiting:
            loop.call_soon(self._pass, loop, ROUNDS)


class Beside:
    """A thread for long work, one piece after the other; callers take turns. It changes nothing that others see."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "beside", initializer=partial(sys.setswitchinterval, SWITCH))
        self._waiting = Waiting()
        self._busy = False

    async def do(self, work: Callable[[], T]) -> T:
        """Returns what the work does. The work is finished even when its caller has gone away."""
        if self._busy:
            turn = self._waiting.join()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # its turn came just now
                    self._call_next()
                raise
        self._busy = True
        done = asyncio.get_running_loop().run_in_executor(self._thread, copy_context().run, work)
        done.add_done_callback(self._ended)
        try:
            return await asyncio.shield(done)
        finally:
            del done  # an error that it holds would hold this frame, and both the message until the collector comes by

    def _ended(self, done: asyncio.Future[Any]) -> None:
        done.exception()  # seen, even when the caller has gone
        self._call_next()

    def _call_next(self) -> None:
        self._busy = self._waiting.call_next()


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Line] = WeakKeyDictionary()
_beside: WeakKeyDictionary[asyncio.AbstractEventLoop, Beside] = WeakKeyDictionary()
_reads: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, asyncio.Semaphore]] = WeakKeyDictionary()


async def at_once(work: Callable[[], T]) -> T:
    """Returns what short work does, which is done here and now."""
    return work()


async def beside(work: Callable[[], T]) -> T:
    """Returns what long work does that cannot be done in slices: in a thread, in turn with that of other callers."""
    return await _beside.setdefault(asyncio.get_running_loop(), Beside()).do(work)


@asynccontextmanager
async def long_read(rows: int) -> AsyncIterator[None]:
    """Waits while the present caller has LONG_READS under way, where so many rows or elements are a long read."""
    if rows <= MUCH:
        yield
        return
    callers = _reads.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    async with callers.setdefault(whose.get(), asyncio.Semaphore(LONG_READS)):
        await Turns().begin()
        yield


class Turns:
    """The turns that some work gives to others. It begins when this is made, or at `begin`."""

    def __init__(self, *, ahead: bool = False) -> None:
        """`ahead`: does not stand in line, as everybody waits for it, but lets the short calls pass."""
        self._ahead = ahead
        self._since = time.perf_counter()

    async def begin(self) -> None:
        """Waits for the first turn, where it is known that the work is long."""
        if self._ahead:
            await asyncio.sleep(0)
        else:
            await _lines.setdefault(asyncio.get_running_loop(), Line()).join()
        self._since = time.perf_counter()

    async def give(self) -> None:
        """Lets others have their turn when this one has taken its slice; to be called between two steps of the work."""
        if time.perf_counter() - self._since >= SLICE:
            await self.begin()
