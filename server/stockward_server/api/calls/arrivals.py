"""Calls that have begun and brought nothing yet: only so many, and only for so long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stockward_server.domain.errors import DeadlinePassed, Overloaded

T = TypeVar("T")

MESSAGE_SECONDS = 10.0
"""How long a call may take to send its first message, from when it was admitted."""

MAX_STRANGERS = 512
"""Calls without a key that may wait for their first message at the same time."""


class Arrivals:
    """Waits for first messages. The call that has waited longest makes room for a new one.

    A well-behaved caller sends its message with the headers, so it waits for milliseconds: however many calls are
    opened and left silent, they put out each other and not those that are served.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: calls that may wait at the same time."""
        self._limit = limit
        self._waiting: dict[asyncio.Timeout, None] = {}

    async def message(self, read: Callable[[], Awaitable[T]]) -> T:
        """Returns what `read` brings. DeadlinePassed when it takes MESSAGE_SECONDS, Overloaded when room was made."""
        if len(self._waiting) >= self._limit:
            self.make_room()
        scope = asyncio.timeout(MESSAGE_SECONDS)
        self._waiting[scope] = None
        try:
            async with scope:
                return await read()
        except TimeoutError:
            if scope in self._waiting:
                raise DeadlinePassed.without_message(MESSAGE_SECONDS) from None
            raise Overloaded.by_silent_calls(self._limit) from None
        finally:
            self._waiting.pop(scope, None)

    def make_room(self) -> bool:
        """Ends the call that has waited longest; returns whether there was one."""
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        del self._waiting[longest]
        longest.reschedule(asyncio.get_running_loop().time())
        return True


class Slots:
    """Calls of those who are known, under way at the same time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self.arrivals = Arrivals(limit)

    def take(self) -> None:
        """Takes one, until `leave`. Overloaded when all are taken by calls that are being worked on."""
        if self._taken >= self._limit and not self.arrivals.make_room():
            raise Overloaded.by_calls(self._limit)
        self._taken += 1

    def leave(self, _: object = None) -> None:
        """Gives it back. It may stand as a call's callback."""
        self._taken -= 1
