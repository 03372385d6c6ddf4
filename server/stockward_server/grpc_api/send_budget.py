"""How much memory responses may take that were made and not yet read by their callers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import count

log = logging.getLogger(__name__)

SMALL = 16 * 1024
"""Bytes of a response that is not worth counting."""


class SendBudget:
    """Ends the calls whose large responses have waited longest for their readers, once all of them take too much.

    A caller that reads is done in milliseconds. One that does not keeps its response in memory for as long as it likes.
    """

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` of encoded responses; a single one may be larger."""
        self.bytes = 0
        self._max_bytes = max_bytes
        self._numbers = count()
        self._under_way: dict[int, tuple[asyncio.Task[object], int]] = {}

    def begin(self, size: int) -> Callable[[], None]:
        """Counts a response of so many bytes that the current task is about to send; returns what is to be called when
        it is sent, or given up. May cancel the tasks that send older ones."""
        task = asyncio.current_task()
        if size < SMALL or task is None:
            return _nothing
        number = next(self._numbers)
        self._under_way[number] = task, size
        self.bytes += size
        while self.bytes > self._max_bytes and (oldest := next(iter(self._under_way))) != number:
            slow = self._under_way[oldest][0]
            self._end(oldest)
            if slow is not task:
                log.warning("a call was ended: its response was not read while %d bytes of others waited", self.bytes)
                slow.cancel()
        return lambda: self._end(number)

    def _end(self, number: int) -> None:
        if (sent := self._under_way.pop(number, None)) is not None:
            self.bytes -= sent[1]


def _nothing() -> None:
    pass
