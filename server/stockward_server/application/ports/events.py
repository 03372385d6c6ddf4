"""Reading the event log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from stockward_server.domain.errors import StockwardError


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the event log: after the event `seq`."""

    seq: int
    epoch: str = ""
    """Epoch in which it was issued: the log may lose events when an epoch ends. Empty in cursors of the previous
    release."""


class EventsLost(StockwardError):
    """The log no longer has events before a cursor: its database was restored, or a standby that lacked them was
    promoted."""

    def __init__(self, common: Cursor, time: datetime | None, *, known: bool) -> None:
        super().__init__(f"the record is common up to {common}")
        self.common = common
        """Cursor to continue from, after the data kept elsewhere was read again."""
        self.time = time
        """Time of the event before that cursor; None where it is not kept."""
        self.known = known
        """Whether the log is unchanged up to that cursor since it was issued; otherwise the cursor is only the end of
        the log."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of events and the cursor after it."""

    payloads: Sequence[bytes]
    """Serialized stockward.event.v1.Event messages, oldest first."""
    next: Cursor
    """Cursor after which the next page begins."""
    caught_up: bool
    """Whether the end of the log was reached."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event in the log. For one aggregate, `seq` and `version` increase together."""

    seq: int
    aggregate_type: str
    aggregate_id: str
    version: int
    payload: bytes
    """Serialized stockward.event.v1.Event."""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """A part of the log, oldest event first."""

    events: Sequence[LoggedEvent]
    proven: int
    """The seq up to which no further event can appear after this batch."""
    epoch: str
    """Epoch in which it was read."""
    more: bool = False
    """Whether later events can already be read."""


class EventLog(Protocol):
    """The event log, in an order that never changes."""

    async def list_events(
        self,
        after: Cursor | None,
        limit: int,
        types: Sequence[str] = (),
        aggregate_id: str = "",
        for_storefront: bool = False,
    ) -> EventPage:
        """Returns events after a position (None: from the oldest that is kept), of these types (`order.created`,
        `order.*`; none: all) and of this aggregate (empty: all), up to `limit` and PAGE_BYTES, but at least one;
        `for_storefront`: only those that a storefront may see. Raises CursorExpired when events after the position are
        gone, EventsLost when earlier ones are."""
        ...

    async def check(self, cursor: Cursor) -> Cursor:
        """Returns the same position in the current epoch. Raises CursorExpired and EventsLost as above."""
        ...

    async def follow(self, after_seq: int, limit: int) -> EventBatch:
        """Returns events after a position of the epoch that the result names, up to `limit` and PAGE_BYTES, but at
        least one. Raises CursorExpired when some of them are gone."""
        ...

    async def end(self) -> tuple[Cursor, int]:
        """Returns the position after everything that `follow` returns now, and the seq up to which it is complete."""
        ...

    async def last_drawn(self) -> int:
        """Returns a position that no committed event is after."""
        ...
