"""Large messages, of which one of each caller is objects in memory at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

LARGE = 64 * 1024
"""Bytes of a message that becomes megabytes: an empty element is two bytes on the wire, and a hundred in memory."""


class LargeMessages:
    """Those that are being worked on, by caller. Its others wait as the bytes that came."""

    def __init__(self) -> None:
        self._callers: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def enter(self, caller: str) -> Callable[[object], None]:
        """Waits until one more of the caller may be parsed; returns what is to be called once when its call is over."""
        room = self._callers.setdefault(caller, asyncio.Semaphore(1))
        await room.acquire()
        return lambda _: room.release()
