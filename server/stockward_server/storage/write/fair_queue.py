"""A queue that serves several callers in turn, by the weight of their items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sized
from heapq import heappop, heappush, heapreplace
from typing import Generic, TypeVar

T = TypeVar("T")
Line = TypeVar("Line", bound=Sized)

Share = tuple[str, str]
"""The owner of an item: the name of a group, such as a role, and of a caller in it."""

GROUP_LIMIT, CALLER_LIMIT = 9, 4
"""Limits of a group and of a caller, as multiples of the free places. So a caller with nothing queued always finds a
place; one group alone can have 90 % of all places, one caller alone 80 %."""


class _Rounds(Generic[Line]):
    """Named queues that are served in turn.

    Each name has a turn in every round. A name that was served the weight n skips n - 1 rounds, so that all names that
    wait are served the same weight, within one item. New names come first in the next round, in order of arrival. A
    name is removed when its turn comes and nothing waits.
    """

    def __init__(self, make_line: Callable[[], Line]) -> None:
        self.lines: dict[str, Line] = {}
        self.waiting = 0
        """Number of items in all queues."""
        self._make_line = make_line
        self._round = 0
        self._number = 0
        self._turns: list[tuple[int, bool, int, str]] = []
        """A heap of (next round of a name, whether it was served before, sequence number, name)."""

    def __len__(self) -> int:
        return self.waiting

    def line(self, name: str) -> Line:
        """Returns the queue of a name, creating it if needed."""
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = self._make_line()
            self._number += 1
            heappush(self._turns, (self._round + 1, False, self._number, name))
        return line

    def next(self) -> Line:
        """Returns the queue whose turn it is. Raises IndexError when nothing waits."""
        while not (line := self.lines[self._turns[0][3]]):
            del self.lines[heappop(self._turns)[3]]
        return line

    def charge(self, weight: int) -> None:
        """Charges the weight of an item to the queue whose turn it was."""
        self._round, _, _, name = self._turns[0]
        self._number += 1
        self.waiting -= 1
        heapreplace(self._turns, (self._round + weight, True, self._number, name))


class FairQueue(Generic[T]):
    """A queue of items of several callers, first in first out for each caller.

    Groups take turns, and so do the callers within each group, by the weight served. No caller starves. An operation
    takes time logarithmic in the number of callers.
    """

    def __init__(self, limit: int) -> None:
        """`limit` is in items; an item beyond it, or beyond the limits of its group or caller, is refused."""
        self._limit = limit
        self._groups = self._no_groups()

    def __len__(self) -> int:
        return self._groups.waiting

    def put(self, item: T, weight: int, share: Share) -> bool:
        """Appends an item to its caller's queue; returns whether there was a place. `weight` is at least 1."""
        groups = self._groups
        free = self._limit - groups.waiting
        if free <= 0:
            return False
        group = groups.line(share[0])
        line = group.line(share[1])
        if group.waiting >= GROUP_LIMIT * free or len(line) >= CALLER_LIMIT * free:
            return False
        line.append((item, weight))
        group.waiting += 1
        groups.waiting += 1
        return True

    def take(self, most: int) -> tuple[T, int] | None:
        """Removes and returns the next item and its weight; None when nothing waits, or when the item weighs more than
        `most`."""
        groups = self._groups
        if not groups.waiting:
            return None
        group = groups.next()
        line = group.next()
        item, weight = line[0]
        if weight > most:
            return None
        line.popleft()
        group.charge(weight)
        groups.charge(weight)
        return item, weight

    def forgive(self) -> None:
        """Resets what callers were charged when nothing waits, so that they start equal."""
        if not self._groups.waiting:
            self._groups = self._no_groups()

    @staticmethod
    def _no_groups() -> _Rounds[_Rounds[deque[tuple[T, int]]]]:
        return _Rounds(lambda: _Rounds(deque))
