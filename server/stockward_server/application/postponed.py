"""Due work that failed: it is left alone for a while, so that what is behind it has its turn."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection

from stockward_server.domain.errors import DatabaseUnavailable, DeadlinePassed, Overloaded
from stockward_server.runtime.back_off import BackOff

log = logging.getLogger(__name__)

FIRST_PAUSE, MAX_PAUSE = 10.0, 3600.0
"""Seconds before work that failed is tried again; doubled each time."""

MAX_POSTPONED = 10_000
"""Ids that are kept in mind; those that failed longest ago go first."""

NOT_ITS_FAULT = (DatabaseUnavailable, DeadlinePassed, Overloaded)
"""Errors that say nothing of the work itself."""


class Postponed:
    """What failed in this process, by id. Other processes find out for themselves."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, BackOff]] = OrderedDict()  # when to try again

    def ids(self) -> Collection[str]:
        """Those that are not to be tried now."""
        now = self._clock()
        return [each for each, (retry_time, _) in self._failed.items() if retry_time > now]

    def note(self, work_id: str, outcome: object) -> None:
        """What came of the work: an exception has it postponed, and logged, where the work is at fault."""
        if not isinstance(outcome, Exception):
            self._failed.pop(work_id, None)
        elif not isinstance(outcome, NOT_ITS_FAULT):
            _, back_off = self._failed.pop(work_id, (0.0, BackOff(FIRST_PAUSE, MAX_PAUSE)))
            pause = back_off.next()
            self._failed[work_id] = self._clock() + pause, back_off
            if len(self._failed) > MAX_POSTPONED:
                self._failed.popitem(last=False)
            log.error("%s is due and fails; again in %g s", work_id, pause, exc_info=outcome)
