"""A queue that serves several callers in turn, by the weight of what they ask for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sized
from heapq import heappop, heappush, heapreplace
from typing import Generic, TypeVar

T = TypeVar("T")
Line = TypeVar("Line", bound=Sized)

Share = tuple[str, str]
"""Whose item it is: the name of a group, such as a role, and that of a caller in it."""

GROUP_GREED, CALLER_GREED = 9, 4
"""How many times the free places a group may have, and a caller of it. So anyone who has nothing waiting finds a place,
however many another one asks for; a group alone can have 90 % of all places, a caller alone 80 %."""


class _Rounds(Generic[Line]):
    """Names with a line each, and whose turn it is.

    Each name has a turn in every round. One that took the weight n sits out n - 1 rounds, so that names that all have
    something waiting are served the same weight, give or take one item. New ones are the first of the next round, in
    order of arrival. A name goes when its turn comes and nothing waits.
    """

    def __init__(self, make_line: Callable[[], Line]) -> None:
        self.lines: dict[str, Line] = {}
        self.waiting = 0
        """Items in all lines together."""
        self._make_line = make_line
        self._round = 0
        self._number = 0
        self._turns: list[tuple[int, bool, int, str]] = []
        """A heap: the round in which each name is next, whether it was served before, a running number, the name."""

    def __len__(self) -> int:
        return self.waiting

    def line(self, name: str) -> Line:
        """Returns the name's line, a new one where it has none."""
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = self._make_line()
            self._number += 1
            heappush(self._turns, (self._round + 1, False, self._number, name))
        return line

    def next(self) -> Line:
        """Returns the line whose turn it is; IndexError where nothing waits."""
        while not (line := self.lines[self._turns[0][3]]):
            del self.lines[heappop(self._turns)[3]]
        return line

    def charge(self, weight: int) -> None:
        """Counts an item that was taken from the line whose turn it was."""
        self._round, _, _, name = self._turns[0]
        self._number += 1
        self.waiting -= 1
        heapreplace(self._turns, (self._round + weight, True, self._number, name))


class FairQueue(Generic[T]):
    """Items of several callers, each caller's in order of arrival.

    Groups take turns, and within each group its callers do, by the weight that they are served. Nobody starves. An item
    costs the logarithm of the number of callers.
    """

    def __init__(self, limit: int) -> None:
        """`limit` in items; beyond it, and beyond its share of the places, a caller is turned away."""
        self._limit = limit
        self._groups = self._no_groups()

    def __len__(self) -> int:
        return self._groups.waiting

    def put(self, item: T, weight: int, share: Share) -> bool:
        """Returns whether there was a place for the item; then it is the last one of its caller. The weight is at least
        1."""
        groups = self._groups
        free = self._limit - groups.waiting
        if free <= 0:
            return False
        group = groups.line(share[0])
        line = group.line(share[1])
        if group.waiting >= GROUP_GREED * free or len(line) >= CALLER_GREED * free:
            return False
        line.append((item, weight))
        group.waiting += 1
        groups.waiting += 1
        return True

    def take(self, most: int) -> tuple[T, int] | None:
        """Removes and returns the next item and its weight; None where there is none, or when it weighs more than
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
        """Forgets who was served, when nothing waits: callers start equal."""
        if not self._groups.waiting:
            self._groups = self._no_groups()

    @staticmethod
    def _no_groups() -> _Rounds[_Rounds[deque[tuple[T, int]]]]:
        return _Rounds(lambda: _Rounds(deque))
