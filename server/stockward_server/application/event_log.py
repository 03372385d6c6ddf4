"""Reading the record of events: the page of a list, and the port that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, and where to go on."""

    payloads: Sequence[bytes]
    """Serialized stockward.event.v1.Event messages, oldest first."""
    next_seq: int
    """The position after which the next page begins."""
    caught_up: bool
    """Whether there was nothing more to read."""


class EventLog(Protocol):
    """The record of events, in an order that never changes."""

    async def list_events(
        self, after_seq: int | None, limit: int, types: Sequence[str] = (), aggregate_id: str = ""
    ) -> EventPage:
        """Events after a position (None: from the oldest that is kept), of these types (`order.created`, `order.*`;
        none: all) and of this aggregate (empty: all). CursorExpired when events after the position are gone."""
        ...
