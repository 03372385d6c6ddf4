"""Decides whether a replica is fresh enough to be read.

How old a replica is, no replica can say: `pg_last_xact_replay_timestamp()` grows on an idle primary, and that all it
has received is replayed says nothing once it receives no more. So the primary is asked every now and then how far its
write-ahead log goes, and these marks are kept with their times: a replica that has replayed up to a mark shows all that
was committed before that time, whatever the clocks say. Where the primary cannot be asked, no replica is fresh for
long.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from stockward_server.application.consistency import CommitPoint

MAX_MARKS = 2_000
"""Marks that are kept; older ones could only say by how much more a replica is behind."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the log of the primary went at some time."""

    time: float
    """In seconds, by the event loop's clock, before the primary was asked."""
    epoch: str
    """Name of the newest epoch of the record of events: another database has another one."""
    position: int
    """Bytes of log that were written; all that was acknowledged is among them."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server shows to a read that begins now."""

    is_standby: bool
    epoch: str
    position: int
    """Bytes of log that it has replayed."""
    first_seq: int
    """Of its newest epoch."""
    oldest_running: int
    """The lowest id of a transaction that has not ended, as far as it knows: all lower ones are visible, or undone."""

    def has(self, point: CommitPoint) -> bool:
        """Returns whether the transactions up to this point are visible, as far as they still exist: of an earlier
        epoch there is what its successor has kept."""
        return (self.first_seq, self.oldest_running) > point


class Verdict(StrEnum):
    """Whether a server may be read; if not, why."""

    FRESH = "fresh"
    ELSEWHERE = "elsewhere"
    """It is no standby, or of another database."""
    LATE = "late"
    """It is older than the bound."""
    OWN_WRITE = "own_write"
    """It does not show the caller's last write yet."""


class Marks:
    """The last marks of the primary."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque(maxlen=MAX_MARKS)

    def add(self, mark: Mark) -> None:
        """Adds the newest mark."""
        self._marks.append(mark)

    def age(self, shown: Shown, now: float) -> float:
        """Returns for how many seconds the server may have missed changes; infinite where that is not known."""
        for mark in reversed(self._marks):
            if mark.epoch == shown.epoch and mark.position <= shown.position:
                return now - mark.time
        return inf

    def judge(self, shown: Shown, now: float, max_age: float, required: CommitPoint | None) -> Verdict:
        """Returns whether a read may be served: by a standby of this database that is at most `max_age` seconds old
        and shows what the read requires."""
        if not shown.is_standby or not any(mark.epoch == shown.epoch for mark in self._marks):
            return Verdict.ELSEWHERE
        if self.age(shown, now) > max_age:
            return Verdict.LATE
        if required is not None and not shown.has(required):
            return Verdict.OWN_WRITE
        return Verdict.FRESH
