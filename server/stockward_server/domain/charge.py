"""Charges of an order, and how discounts and taxes are spread over its lines.

All amounts are minor units of the order's currency and never negative: the kind says whether one is added or deducted.
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
        """Whether it lowers the total of the order."""
        return self in (ChargeKind.DISCOUNT, ChargeKind.CREDIT)

    @property
    def is_spread(self) -> bool:
        """Whether it is spread over lines; all other charges belong to the order as a whole."""
        return self in (ChargeKind.TAX, ChargeKind.DISCOUNT)


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount in addition to the lines, from the creation of the order or added later."""

    kind: ChargeKind
    amount: int
    description: str = ""
    line_numbers: tuple[int, ...] = ()
    """Lines over which it is spread; empty for all lines. Only for taxes and discounts."""
    reason: str = ""
    """Reason that staff gave for adding it later."""
    actor: str = ""
    """Actor that added it later."""
    added: datetime | None = None
    """When it was added later; None for a charge from the creation of the order."""
    after_cancellation: bool = False
    """Whether the order was already cancelled: such a charge is still owed."""

    @property
    def signed(self) -> int:
        """Amount that it adds to the total; negative for a deduction."""
        return -self.amount if self.kind.is_taken_off else self.amount


@dataclass(frozen=True, slots=True)
class LineShares:
    """The shares of one line in the order's discounts and taxes.

    When units are cancelled or returned, their part of the shares goes with them: cumulative rounding makes the parts
    add up.
    """

    discount: int = 0
    """Share of the whole line, as charged."""
    tax: int = 0
    """Share of the whole line, as charged."""
    since: int = 0
    """Units that were cancelled or returned when the newest share was added."""
    discount_before: int = 0
    """Those units' share of the discount."""
    tax_before: int = 0
    """Those units' share of the tax."""
    cancelled: int = 0
    """Tax minus discount of the cancelled units."""
    returned: int = 0
    """Tax minus discount of the returned units."""

    def taken(self, gone: int, quantity: int) -> tuple[int, int]:
        """Returns discount and tax of the first `gone` units of `quantity`, rounded half up."""
        units, of = gone - self.since, quantity - self.since
        if not of:
            return self.discount, self.tax
        return (
            self.discount_before + (2 * (self.discount - self.discount_before) * units + of) // (2 * of),
            self.tax_before + (2 * (self.tax - self.tax_before) * units + of) // (2 * of),
        )

    def step(self, gone: int, units: int, quantity: int) -> int:
        """Returns tax minus discount of the next `units` after `gone` ones."""
        discount_before, tax_before = self.taken(gone, quantity)
        discount, tax = self.taken(gone + units, quantity)
        return (tax - tax_before) - (discount - discount_before)

    def plus(self, kind: ChargeKind, share: int, gone: int, quantity: int) -> LineShares:
        """Adds a share for the units that are not gone. Amounts of earlier cancellations and returns do not change."""
        discount, tax = self.taken(gone, quantity)
        more = replace(self, since=gone, discount_before=discount, tax_before=tax)
        if kind is ChargeKind.TAX:
            return replace(more, tax=self.tax + share)
        return replace(more, discount=self.discount + share)


NO_SHARES = LineShares()


def split(amount: int, weights: Mapping[int, int]) -> dict[int, int]:
    """Splits the amount in proportion to the weights, by largest remainder; of equal remainders the lower number wins.

    The parts add up to the amount. At least one weight must be above zero.
    """
    whole = sum(weights.values())
    parts = {number: amount * weight // whole for number, weight in weights.items()}
    first = sorted(weights, key=lambda number: (-(amount * weights[number] % whole), number))
    for number in first[: amount - sum(parts.values())]:
        parts[number] += 1
    return parts
