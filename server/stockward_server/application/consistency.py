"""Which commits a call has to see, and which it made: a caller reads its own writes, wherever it is served from.

An answer to a change carries a token of the transaction that made it. A caller sends the token with its later calls,
and a read replica serves those only once it shows that transaction.

**Why not a position in the write-ahead log.** It is known only after COMMIT, so it would cost every change another
round trip; one that is read within the transaction lies before its commit record. The id of the transaction is known in
the batch already, and is exact: a standby knows which of the ids that it has met are still running, and
`pg_snapshot_xmin(pg_current_snapshot())` is the oldest of them. Once that is beyond the id, the transaction is visible
there, and so is every one that committed before it, as a standby replays in the order of the commits. It is exact on
the safe side only: an older transaction that is still running – such as an index that is being built – holds the oldest
one back, and the read goes to the primary meanwhile.

**Why the largest token is enough.** Two changes may commit in another order than that of their ids. But the oldest
running id is beyond the larger one only when both have ended, so a caller keeps one token: the largest.

**Failovers.** A standby that takes over may give ids again that were lost with the former primary. The epoch of the
record of events, which begins before anything is written there, decides first: a replica that knows a later epoch has
all that survived of the earlier one, and a replica of the former primary does not know the later one.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple


class CommitPoint(NamedTuple):
    """A point in the order of transactions; later ones compare larger."""

    epoch: int
    """First seq of the epoch in which the transaction was made."""
    transaction: int
    """Its id (xid8)."""


UNKNOWN = CommitPoint(2**63 - 1, 2**63 - 1)
"""What a token stands for that this release cannot read: only the primary is certain to have it."""


class CallPoints:
    """The commits of one call, shared by all tasks that work on it."""

    __slots__ = ("required", "written")

    def __init__(self, required: CommitPoint | None) -> None:
        self.required = required
        """What its reads have to show; None: nothing in particular."""
        self.written: CommitPoint | None = None
        """The last of its own changes; None while there is none."""

    @property
    def reached(self) -> CommitPoint | None:
        """What the caller's next call has to see because of this one, with all that this one had to see; None if this
        one changed nothing."""
        if self.written is None or self.required in (None, UNKNOWN):
            return self.written
        return max(self.written, self.required)


_points: ContextVar[CallPoints | None] = ContextVar("commit_points", default=None)


def begin_call(required: CommitPoint | None) -> CallPoints:
    """Begins to note the commits of the current task's call."""
    points = CallPoints(required)
    _points.set(points)
    return points


def required_point() -> CommitPoint | None:
    """Returns what a read has to show; None outside calls, too."""
    points = _points.get()
    return None if points is None else points.required


def note_write(point: CommitPoint | None) -> None:
    """Notes that the call has made a change, or found the effect of its request."""
    points = _points.get()
    if points is not None and point is not None:
        points.written = point if points.written is None else max(points.written, point)
