"""Large messages, of which one of each caller is objects in memory at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

LARGE = 64 * 1024
"""Bytes of a message that becomes megabytes: an empty element is two bytes on the wire, and a hundred in memory."""

AT_ONCE = 1
"""Of one caller; its others wait as the bytes that came."""


class LargeMessages:
    """Those that are being worked on, by caller."""

    def __init__(self) -> None:
        self._callers: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def enter(self, caller: str) -> Callable[[object], None]:
        """Waits until one of the caller may be parsed; returns what is to be called once when its call is over."""
        room = self._callers.setdefault(caller, asyncio.Semaphore(AT_ONCE))
        await room.acquire()
        return lambda _: room.release()
