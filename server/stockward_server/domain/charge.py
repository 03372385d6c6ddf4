"""Charges of an order, and how discounts and taxes are spread over its lines.

All amounts are minor units of the order's currency and never negative: the kind says whether one is added or taken off.
docs/concepts/money.md explains the rules with examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum


class ChargeKind(IntEnum):
    """The numbers are those of order.v1.Charge.Kind."""

    SHIPPING = 1
    TAX = 2
    DISCOUNT = 3
    FEE = 4
    CREDIT = 5

    @property
    def is_taken_off(self) -> bool:
        """Whether it lowers what the order comes to."""
        return self in (ChargeKind.DISCOUNT, ChargeKind.CREDIT)

    @property
    def is_spread(self) -> bool:
        """Whether it belongs to the lines; all others stay with the order."""
        return self in (ChargeKind.TAX, ChargeKind.DISCOUNT)


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount beside the lines, made with the order or added to it later."""

    kind: ChargeKind
    amount: int
    description: str = ""
    line_numbers: tuple[int, ...] = ()
    """The lines that it belongs to; empty for all of them. Of taxes and discounts only."""
    reason: str = ""
    """Why staff added it later."""
    actor: str = ""
    """Who added it later."""
    added: datetime | None = None
    """When it was added; None for a charge that was made with the order."""
    after_cancellation: bool = False
    """Whether the order was cancelled already: such a charge is still owed."""

    @property
    def signed(self) -> int:
        """What it adds to the total."""
        return -self.amount if self.kind.is_taken_off else self.amount


@dataclass(frozen=True, slots=True)
class LineShares:
    """The shares of one line in the order's discounts and taxes.

    They go with the line's units as these are cancelled or returned: cumulative rounding makes the steps add up.
    """

    discount: int = 0
    """Share of the whole line, as charged."""
    tax: int = 0
    """Share of the whole line, as charged."""
    since: int = 0
    """Units that were gone when the newest share came."""
    discount_before: int = 0
    """Share of those units in the discount."""
    tax_before: int = 0
    """Share of those units in the tax."""
    cancelled: int = 0
    """Tax less discount that the cancelled units took."""
    returned: int = 0
    """Tax less discount that the returned units took."""

    def taken(self, gone: int, quantity: int) -> tuple[int, int]:
        """The discount and the tax that the first `gone` units of `quantity` take, rounded half up."""
        units, of = gone - self.since, quantity - self.since
        if not of:
            return self.discount, self.tax
        return (
            self.discount_before + (2 * (self.discount - self.discount_before) * units + of) // (2 * of),
            self.tax_before + (2 * (self.tax - self.tax_before) * units + of) // (2 * of),
        )

    def step(self, gone: int, units: int, quantity: int) -> int:
        """Tax less discount that the next `units` take after `gone` ones."""
        discount_before, tax_before = self.taken(gone, quantity)
        discount, tax = self.taken(gone + units, quantity)
        return (tax - tax_before) - (discount - discount_before)

    def plus(self, kind: ChargeKind, share: int, gone: int, quantity: int) -> LineShares:
        """With one more share, for the units that are not gone. What earlier steps took stays as it was."""
        discount, tax = self.taken(gone, quantity)
        more = replace(self, since=gone, discount_before=discount, tax_before=tax)
        if kind is ChargeKind.TAX:
            return replace(more, tax=self.tax + share)
        return replace(more, discount=self.discount + share)


NO_SHARES = LineShares()


def split(amount: int, weights: Mapping[int, int]) -> dict[int, int]:
    """The amount in proportion to the weights, by largest remainder; of equal remainders the lower number's first.

    The parts add up to the amount. At least one weight is above zero.
    """
    whole = sum(weights.values())
    parts = {number: amount * weight // whole for number, weight in weights.items()}
    first = sorted(weights, key=lambda number: (-(amount * weights[number] % whole), number))
    for number in first[: amount - sum(parts.values())]:
        parts[number] += 1
    return parts
