"""Queues of one open watch: changes in order up to a limit, or the newest availability of each SKU."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from stockward_server.domain.errors import StockwardError, WatchLagged

EVERY_TOPIC = "*"
"""The topic of watches that select events of any aggregate type; their keys are aggregate ids."""


@dataclass(frozen=True, slots=True)
class Change:
    """One event for all watches: `message` is encoded once."""

    seq: int
    aggregate_id: str
    version: int
    message: Any
    size: int
    """Bytes of the encoded event, an upper bound of those of the message."""


@dataclass(frozen=True, slots=True)
class Interest:
    """The events that a watch selects: of one aggregate type or of all, with these keys (none: all)."""

    topic: str
    """`stock`, `order` or EVERY_TOPIC."""
    keys: Collection[str]
    """SKUs, order ids or aggregate ids."""
    matches: Callable[[Any], bool] = lambda message: True


class WatchQueue:
    """The queue between the follower and one stream. Filling it never blocks."""

    def __init__(self) -> None:
        self.start = 0
        """Position after which it is filled."""
        self._filled = asyncio.Event()
        self._error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Ends the watch with the error at its next wait."""
        self._error = error
        self._filled.set()

    async def wait(self, seconds: float) -> bool:
        """Returns whether anything arrived within the time; raises the error that ended the watch."""
        try:
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        except TimeoutError:
            return False
        self._filled.clear()
        if self._error is not None:
            self._filled.set()
            raise self._error.with_traceback(None)  # shared by all watches that it ends
        return True


class ChangeQueue(WatchQueue):
    """All changes that a watch selects, in order, at most `limit`: a watch with more waiting has lagged."""

    def __init__(self, interest: Interest, limit: int) -> None:
        super().__init__()
        self.interest = interest
        self.lagged = False
        self._limit = limit
        self._changes: deque[Change] = deque()

    def put(self, change: Change) -> None:
        if len(self._changes) < self._limit:
            self._changes.append(change)
        else:
            self.cut_off()
        self._filled.set()

    @property
    def oldest(self) -> int | None:
        """The seq of the first waiting change; None when nothing waits."""
        return self._changes[0].seq if self._changes else None

    def take(self, max_bytes: int) -> Sequence[Change]:
        """Removes and returns the first changes: up to `max_bytes`, but at least one change."""
        changes: list[Change] = []
        size = 0
        while self._changes and (not changes or size + self._changes[0].size <= max_bytes):
            changes.append(self._changes.popleft())
            size += changes[-1].size
        return changes

    def cut_off(self) -> None:
        """Ends the watch because too much waits."""
        self.lagged = True
        self._changes.clear()
        self.fail(self._refusal())

    def _refusal(self) -> StockwardError:
        return WatchLagged(self._limit)


class AvailabilityQueue(WatchQueue):
    """The newest availability of each changed SKU: bounded by the number of SKUs, however slowly it is read."""

    def __init__(self, skus: Collection[str]) -> None:
        super().__init__()
        self.skus = skus
        self.begun = False
        """Whether the initial availability is in the queue."""
        self.joined = False
        """Whether the follower fills it."""
        self._newest: dict[str, Any | None] = {}

    def begin(self) -> None:
        self.begun = True
        self._filled.set()

    def put(self, sku: str, message: Any | None) -> None:
        """Sets the message of a SKU; None means that it is not published."""
        self._newest[sku] = message
        if self.begun:
            self._filled.set()

    @property
    def waiting(self) -> int:
        """Number of changed SKUs."""
        return len(self._newest)

    def take(self) -> Sequence[tuple[str, Any | None]]:
        """Removes and returns each changed SKU with its message."""
        newest, self._newest = self._newest, {}
        return list(newest.items())
