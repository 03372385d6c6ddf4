"""Returns of an order: what is expected back, and what came. The decisions are in `order_returns`.

ANNOUNCED -> PARTIALLY_RECEIVED -> RECEIVED;  PARTIALLY_RECEIVED -> CLOSED;  ANNOUNCED -> WITHDRAWN
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class ReturnState(IntEnum):
    """What became of a return; the numbers are those of order.v1.OrderReturn.State and of the table."""

    ANNOUNCED = 1
    PARTIALLY_RECEIVED = 2
    RECEIVED = 3
    CLOSED = 4
    WITHDRAWN = 5


OPEN_RETURNS = (ReturnState.ANNOUNCED, ReturnState.PARTIALLY_RECEIVED)
"""States of a return of which more is expected."""


@dataclass(frozen=True, slots=True)
class ReturnLine:
    """Units of one order line that come back."""

    line_number: int
    quantity: int
    """Units that were announced."""
    received: int = 0
    """Units that came, the damaged ones included."""
    damaged: int = 0
    """Units that came and were written off."""

    @property
    def missing(self) -> int:
        """Units that did not come."""
        return self.quantity - self.received


@dataclass(frozen=True, slots=True)
class OrderReturn:
    """Units of an order that come back together."""

    return_id: str
    state: ReturnState
    lines: tuple[ReturnLine, ...]
    create_time: datetime
    update_time: datetime
    reason: str = ""
    note: str = ""
    """What staff noted about it."""
    tracking_number: str = ""
    carrier: str = ""
    label_url: str = ""
    """Where the customer gets the label for the parcel."""
    actor: str = ""
    """Who announced it."""

    @property
    def missing(self) -> dict[int, int]:
        """Units that did not come, by line number; only lines with some."""
        return {line.line_number: line.missing for line in self.lines if line.missing}


@dataclass(frozen=True, slots=True)
class ExchangeOf:
    """The return for which an order is the exchange."""

    order_id: str
    return_id: str


def announced_lines(quantities: Mapping[int, int]) -> tuple[ReturnLine, ...]:
    """Returns the lines of a return of which nothing came, by line number."""
    return tuple(ReturnLine(number, units) for number, units in sorted(quantities.items()))


def expected_units(returns: Iterable[OrderReturn]) -> Counter[int]:
    """Returns the units that the open ones of these returns still expect, by line number."""
    expected = Counter[int]()
    for each in returns:
        if each.state in OPEN_RETURNS:
            expected.update(each.missing)
    return expected
