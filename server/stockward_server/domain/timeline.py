"""The timeline of an order: what happened to it, kept as long as the order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from stockward_server.domain.charge import Charge
from stockward_server.domain.order import Fulfillment, Hold, Order, OrderLine
from stockward_server.domain.payment import PaymentEvent

CREATED = "order.created"
"""Type of the first entry, which is not stored: the order itself says when it was created, and by whom."""

SEEN_BY_STOREFRONTS = (
    CREATED,
    *("order.processing", "order.partially_fulfilled", "order.fulfilled", "order.cancelled", "order.expired"),
    *("order.returned", "order.return_announced", "order.return_closed", "order.return_withdrawn", "order.edited"),
)
"""Types of entries that a storefront sees, beside notes for the customer."""


class LineEdit(NamedTuple):
    """Units of one SKU before and after an edit."""

    sku: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class About:
    """What a change of an order was about, for its timeline and its event."""

    note: str = ""
    """The note, or the reason that was given."""
    customer_visible: bool = False
    """Whether the note is for the customer."""
    lines: tuple[tuple[int, int], ...] = ()
    """Line numbers and units."""
    edits: tuple[LineEdit, ...] = ()
    fields: tuple[str, ...] = ()
    payment: PaymentEvent | None = None
    fulfillment: Fulfillment | None = None
    charge: Charge | None = None
    hold: Hold | None = None
    return_id: str = ""
    """The return of the order that it was about."""


NOTHING = About()


class TimelineEntry(NamedTuple):
    """One thing that happened to an order."""

    order_id: str
    version: int
    """Version of the order after it."""
    type: str
    """Type of the event."""
    time: datetime
    actor: str
    about: About = NOTHING


def line_edits(before: Order, after: Order) -> tuple[LineEdit, ...]:
    """Returns the lines whose open units differ, by line number."""
    was, now = _by_number(before), _by_number(after)
    numbers = sorted(was.keys() | now.keys())
    edits = (
        LineEdit((now.get(n) or was[n]).sku, was[n].open if n in was else 0, now[n].open if n in now else 0)
        for n in numbers
    )
    return tuple(edit for edit in edits if edit.before != edit.after)


def _by_number(order: Order) -> dict[int, OrderLine]:
    return {line.line_number: line for line in order.lines}
