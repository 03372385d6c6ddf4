"""Reading the event log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stockward_server.domain.errors import StockwardError


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the record: behind the event `seq`."""

    seq: int
    epoch: str = ""
    """In which it was given: the record may lose events when an epoch ends. Empty in cursors of the release before."""


class EventsLost(StockwardError):
    """The record no longer has events that a cursor stands behind: its database was restored, or a standby that was
    behind took over."""

    def __init__(self, common: Cursor, *, known: bool) -> None:
        super().__init__(f"the record is common up to {common}")
        self.common = common
        """Where to go on, once what is kept elsewhere was read again."""
        self.known = known
        """Whether the record up to there is what it was when the cursor was given; else it is merely all that there
        is now."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, and where to go on."""

    payloads: Sequence[bytes]
    """Serialized stockward.event.v1.Event messages, oldest first."""
    next: Cursor
    """The position after which the next page begins."""
    caught_up: bool
    """Whether there was nothing more to read."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event in the record. Of one aggregate, `seq` and `version` rise together."""

    seq: int
    aggregate_type: str
    aggregate_id: str
    version: int
    payload: bytes
    """Serialized stockward.event.v1.Event."""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """A piece of the record, oldest first."""

    events: Sequence[LoggedEvent]
    proven: int
    """No event up to this seq will ever come after those in here and before them."""
    epoch: str
    """In which it was read."""
    more: bool = False
    """Whether there are events after these that could be read already."""


class EventLog(Protocol):
    """The record of events, in an order that never changes."""

    async def list_events(
        self,
        after: Cursor | None,
        limit: int,
        types: Sequence[str] = (),
        aggregate_id: str = "",
        for_storefront: bool = False,
    ) -> EventPage:
        """Events after a position (None: from the oldest that is kept), of these types (`order.created`, `order.*`;
        none: all) and of this aggregate (empty: all), up to `limit` and up to PAGE_BYTES, but at least one;
        `for_storefront`: only what a storefront may see. CursorExpired when events after the position are gone,
        EventsLost when those before it are."""
        ...

    async def check(self, cursor: Cursor) -> Cursor:
        """Returns the same place in the present epoch; CursorExpired and EventsLost as above."""
        ...

    async def follow(self, after_seq: int, limit: int) -> EventBatch:
        """The events after a position of the epoch that the answer names, up to `limit` and up to PAGE_BYTES, but at
        least one; CursorExpired when some of them are gone."""
        ...

    async def end(self) -> tuple[Cursor, int]:
        """The position after everything that `follow` answers now, and the seq up to which that is proven."""
        ...

    async def last_drawn(self) -> int:
        """A position that no event committed by now lies after."""
        ...
