"""Exponential back-off between attempts, one implementation for all processes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import inf


@dataclass(slots=True)
class BackOff:
    """Pauses in seconds that double from `first` up to `longest`."""

    first: float
    longest: float = inf
    jitter: float = 0.0
    """Maximum by which a pause is lengthened at random, as a fraction, so that what failed together is not retried
    together."""
    steady: float = inf
    """Seconds of work after which a failure counts as the first one again."""
    _pause: float = 0.0

    @property
    def begun(self) -> bool:
        """Whether there was a pause since the start or the last reset."""
        return self._pause > 0

    def next(self, worked: float = 0.0) -> float:
        """Returns the pause before the next attempt, in seconds; `worked` is how long the last attempt lasted."""
        if worked > self.steady:
            self._pause = 0.0
        self._pause = min(max(self.first, 2 * self._pause), self.longest)
        return self._pause * random.uniform(1, 1 + self.jitter) if self.jitter else self._pause

    def reset(self) -> None:
        """Makes the next pause the first one again."""
        self._pause = 0.0
