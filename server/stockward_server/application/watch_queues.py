"""What waits for one open watch: changes in order up to a limit, or the newest availability of each SKU."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from stockward_server.domain.errors import StockwardError, WatchLagged


@dataclass(frozen=True, slots=True)
class Change:
    """One event as every watch is sent it: `message` is encoded once for all of them."""

    seq: int
    aggregate_id: str
    version: int
    message: Any
    size: int
    """Bytes of the whole event, encoded: the message has no more."""


@dataclass(frozen=True, slots=True)
class Interest:
    """Which events a watch wants: of one aggregate type, about these keys (none: all), that match."""

    topic: str
    """`stock` or `order`."""
    keys: Collection[str]
    """SKUs or order ids."""
    matches: Callable[[Any], bool] = lambda message: True


class WatchQueue:
    """A stream's end of the follower. It never blocks anyone who fills it."""

    def __init__(self) -> None:
        self.start = 0
        """The position after which it is filled."""
        self._filled = asyncio.Event()
        self._error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Ends the watch with the error, once what it is doing is done."""
        self._error = error
        self._filled.set()

    async def wait(self, seconds: float) -> bool:
        """Whether anything came within the time; raises what the watch was ended with."""
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
    """Every change that a watch wants, in order, up to `limit` of them: a watch that leaves more waiting has lagged."""

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
        """The seq of the first change that is waiting; None when nothing is."""
        return self._changes[0].seq if self._changes else None

    def take(self, max_bytes: int) -> Sequence[Change]:
        """Removes and returns what waits first: up to so many bytes, but one change at least."""
        changes: list[Change] = []
        size = 0
        while self._changes and (not changes or size + self._changes[0].size <= max_bytes):
            changes.append(self._changes.popleft())
            size += changes[-1].size
        return changes

    def cut_off(self) -> None:
        """Ends the watch: it has left too much waiting."""
        self.lagged = True
        self._changes.clear()
        self.fail(self._refusal())

    def _refusal(self) -> StockwardError:
        return WatchLagged(self._limit)


class AvailabilityQueue(WatchQueue):
    """The newest availability of each SKU that changed: bounded by the SKUs, however slowly it is read."""

    def __init__(self, skus: Collection[str]) -> None:
        super().__init__()
        self.skus = skus
        self.begun = False
        """Whether what is to be reported first is there."""
        self.joined = False
        """Whether the follower fills it."""
        self._newest: dict[str, Any | None] = {}

    def begin(self) -> None:
        self.begun = True
        self._filled.set()

    def put(self, sku: str, message: Any | None) -> None:
        """None says that the SKU is not for sale."""
        self._newest[sku] = message
        if self.begun:
            self._filled.set()

    @property
    def waiting(self) -> int:
        """SKUs that changed."""
        return len(self._newest)

    def take(self) -> Sequence[tuple[str, Any | None]]:
        """Each SKU with its message."""
        newest, self._newest = self._newest, {}
        return list(newest.items())
