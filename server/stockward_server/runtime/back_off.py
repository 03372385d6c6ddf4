"""Pauses between attempts, the same way everywhere."""

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
    """A pause is up to this part longer, at random, so that what failed together does not come back together."""
    steady: float = inf
    """Seconds of work after which a failure counts as the first one again."""
    _pause: float = 0.0

    @property
    def begun(self) -> bool:
        """Whether there was a pause since the start or the last reset."""
        return self._pause > 0

    def next(self, worked: float = 0.0) -> float:
        """Returns the pause before the next attempt, after one that worked for so many seconds."""
        if worked > self.steady:
            self._pause = 0.0
        self._pause = min(max(self.first, 2 * self._pause), self.longest)
        return self._pause * random.uniform(1, 1 + self.jitter) if self.jitter else self._pause

    def reset(self) -> None:
        """Begins with the first pause again."""
        self._pause = 0.0
