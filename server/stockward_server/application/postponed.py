"""Postpones due work that failed, so that later work has its turn."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection

from stockward_server.domain.errors import DatabaseUnavailable, DeadlinePassed, Overloaded
from stockward_server.runtime.back_off import BackOff

log = logging.getLogger(__name__)

FIRST_PAUSE, MAX_PAUSE = 10.0, 3600.0
"""Seconds before failed work is retried, first and at most; doubled each time."""

MAX_POSTPONED = 10_000
"""Maximum number of postponed ids; the oldest failures are dropped first."""

NOT_ITS_FAULT = (DatabaseUnavailable, DeadlinePassed, Overloaded)
"""Errors that are not caused by the work itself."""


class Postponed:
    """Work that failed in this process, by id. Each process keeps its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, BackOff]] = OrderedDict()  # when to try again

    def ids(self) -> Collection[str]:
        """Returns the ids that must not be retried yet."""
        now = self._clock()
        return [each for each, (retry_time, _) in self._failed.items() if retry_time > now]

    def note(self, work_id: str, outcome: object) -> None:
        """Records the outcome of the work: an exception caused by the work postpones it and is logged."""
        if not isinstance(outcome, Exception):
            self._failed.pop(work_id, None)
        elif not isinstance(outcome, NOT_ITS_FAULT):
            _, back_off = self._failed.pop(work_id, (0.0, BackOff(FIRST_PAUSE, MAX_PAUSE)))
            pause = back_off.next()
            self._failed[work_id] = self._clock() + pause, back_off
            if len(self._failed) > MAX_POSTPONED:
                self._failed.popitem(last=False)
            log.error("%s is due and fails; again in %g s", work_id, pause, exc_info=outcome)
