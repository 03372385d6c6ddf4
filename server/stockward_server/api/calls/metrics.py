"""What calls there were: how many of which method, how they ended, and how long they took."""

from __future__ import annotations

from collections import defaultdict
from time import perf_counter

from stockward_server.runtime.distribution import Distribution


class CallMetrics:
    """`begin` and `end` around every call."""

    def __init__(self) -> None:
        self.active: defaultdict[str, int] = defaultdict(int)
        """Calls under way, by method."""
        self.durations: defaultdict[tuple[str, str], Distribution] = defaultdict(Distribution)
        """Seconds, by method and the name of the status code."""
        self.refusals: defaultdict[str, int] = defaultdict(int)
        """By reason, as ErrorInfo reports it."""

    def begin(self, method: str) -> float:
        """Answers what `end` wants as `since`."""
        self.active[method] += 1
        return perf_counter()

    def end(self, method: str, code: str, since: float, reason: str = "") -> float:
        """Answers how long it took, in seconds."""
        seconds = perf_counter() - since
        self.active[method] -= 1
        self.durations[method, code].add(seconds)
        if reason:
            self.refusals[reason] += 1
        return seconds
