"""What an order should come to, said once more: units move one by one, sums are taken again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

ADDED, TAKEN_OFF = ("SHIPPING", "FEE", "TAX"), ("CREDIT", "DISCOUNT")

WITH_THE_ORDER = -1

Place = tuple[str, str]
"""SKU and location."""

Charge = tuple[str, int, int]
"""Kind, amount, and how many payments had been reported when it was added; before the first of those made with it."""


class RefusedError(Exception):
    """The shop says no, with a reason."""


@dataclass
class Expected:
    """Units of an order that were announced as coming back."""

    announced: Counter[str]
    came: Counter[str] = field(default_factory=Counter)
    state: str = "ANNOUNCED"

    @property
    def missing(self) -> Counter[str]:
        return self.announced - self.came

    @property
    def awaited(self) -> Counter[str]:
        """What may still come."""
        return self.missing if self.state in ("ANNOUNCED", "PARTIALLY_RECEIVED") else Counter()


@dataclass
class Purchase:
    wanted: dict[str, int]
    prices: Mapping[str, int]
    prepaid: bool
    owed: Counter[Place] = field(default_factory=Counter)
    endless: set[str] = field(default_factory=set)
    """SKUs that were not tracked when they were ordered."""
    state: str = "PENDING"
    overdue: bool = False
    fulfilled: Counter[str] = field(default_factory=Counter)
    cancelled: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    payments: list[tuple[str, int, str]] = field(default_factory=list)
    """Kind, amount and tender, in the order of their time."""
    charges: list[Charge] = field(default_factory=list)
    owed_since: int = 0
    """What was charged after it was cancelled, less what was given back of it."""
    units: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Discount and tax of every unit that is not gone, in the order in which they go."""
    gone: int = 0
    """Value of the cancelled and returned units."""
    parcels: dict[str, Counter[Place]] = field(default_factory=dict)
    """What is in each that was not cancelled."""
    returns: dict[str, Expected] = field(default_factory=dict)
    """Those that were announced."""
    numbers: dict[str, int] = field(default_factory=dict)
    """Of the lines."""
    later: list[tuple[int, int]] = field(default_factory=list)
    """What charges and edits have added since, and how many payments had been reported by then."""

    def __post_init__(self) -> None:
        self.units = {sku: [(0, 0)] * count for sku, count in self.wanted.items()}
        self.numbers = {sku: number for number, sku in enumerate(self.wanted, 1)}

    def by_line(self, units: Mapping[str, int]) -> dict[int, int]:
        return {self.numbers[sku]: count for sku, count in units.items()}

    @property
    def open(self) -> dict[str, int]:
        units = {sku: n - self.fulfilled[sku] - self.cancelled[sku] for sku, n in self.wanted.items()}
        return {sku: n for sku, n in units.items() if n}

    def with_customer(self, sku: str) -> int:
        """Units that came without having been announced."""
        return self.fulfilled[sku] - self.returned[sku] - sum(each.awaited[sku] for each in self.returns.values())

    # What it comes to

    def charge(self, kind: str, amount: int, since: int) -> None:
        """Adds a charge; each unit that is not gone bears its part of a tax or discount."""
        require(kind not in TAKEN_OFF or since == WITH_THE_ORDER or amount <= self.net, "CHARGE_EXCEEDED")
        self.charges.append((kind, amount, since))
        signed = amount if kind in ADDED else -amount
        if since != WITH_THE_ORDER:
            self.later.append((signed, since))
        if self.state == "CANCELLED":
            self.owed_since += signed
        self.spread(kind, amount)

    def spread(self, kind: str, amount: int) -> None:
        left = {sku: len(units) * self.prices[sku] for sku, units in self.units.items() if units}
        if kind not in ("TAX", "DISCOUNT") or not sum(left.values()):
            return
        if kind == "DISCOUNT":
            room = {sku: left[sku] - sum(discount for discount, _ in self.units[sku]) for sku in left}
            amount = min(amount, sum(room.values()))
            if amount and any(part > room[sku] for sku, part in shared_out(amount, left).items()):
                left = room
        if not amount:
            return
        for sku, part in shared_out(amount, left).items():
            units = self.units[sku]
            discount, tax = sum(d for d, _ in units), sum(t for _, t in units)
            if part:
                discount, tax = (discount + part, tax) if kind == "DISCOUNT" else (discount, tax + part)
                self.units[sku] = list(zip(one_by_one(discount, len(units)), one_by_one(tax, len(units)), strict=True))

    def lose(self, sku: str) -> None:
        """One unit goes, with what it bears."""
        discount, tax = self.units[sku].pop(0)
        self.gone += self.prices[sku] - discount + tax

    @property
    def total(self) -> int:
        goods = sum(n * self.prices[sku] for sku, n in self.wanted.items())
        return goods + sum(amount if kind in ADDED else -amount for kind, amount, _ in self.charges)

    @property
    def left(self) -> int:
        return max(0, self.total - self.gone)

    @property
    def net(self) -> int:
        return {"CANCELLED": self.owed_since, "EXPIRED": 0}.get(self.state, self.left)

    # What was paid

    def sums(self, payments: int) -> Counter[str]:
        """By kind, after the first so many payments; HELD is what can still be captured."""
        counted: Counter[str] = Counter()
        for name in {tender for _, _, tender in self.payments}:
            tender: Counter[str] = Counter()
            for kind, amount, of in self.payments[:payments]:
                if of == name:
                    tender[kind] += amount
            ended = tender["VOIDED"] + tender["AUTHORIZATION_EXPIRED"]
            tender["HELD"] = max(0, tender["AUTHORIZED"] - ended - tender["CAPTURED"])
            counted += tender
        return counted

    def kept(self, payments: int) -> int:
        sums = self.sums(payments)
        return sums["CAPTURED"] - sums["REFUNDED"] + sums["REFUND_FAILED"] - sums["DISPUTE_LOST"]

    def covered(self, payments: int, amount: int) -> bool:
        """Whether the first so many payments stood for the amount."""
        sums = self.sums(payments)
        secured = sums["CAPTURED"] + sums["HELD"]
        return amount == 0 or (secured >= amount and self.kept(payments) + sums["HELD"] > 0)

    def due(self, payments: int) -> int:
        """The least that it came to after the first so many payments, with what is gone by now left out."""
        amounts = [self.left]
        for added, since in reversed(self.later):
            if since >= max(0, payments):
                amounts.append(amounts[-1] - added)
        return max(0, min(amounts))

    @property
    def ready(self) -> bool:
        """Whether the money allows to process it."""
        return not self.prepaid or self.covered(len(self.payments), self.left)

    @property
    def paid_for(self) -> list[int]:
        """What was paid for at any moment, of what it comes to."""
        moments = [n for n in range(len(self.payments) + 1) if self.covered(n, self.due(n))]
        return [self.due(n) for n in moments]

    @property
    def held(self) -> bool:
        """Whether it waits as its money went away."""
        if not self.prepaid or self.ready or self.state not in ("PENDING", "PROCESSING", "PARTIALLY_FULFILLED"):
            return False
        paid_for = self.paid_for or ([] if self.state == "PENDING" else [self.due(WITH_THE_ORDER)])
        return bool(paid_for) and not self.covered(len(self.payments), max(paid_for))

    @property
    def refund_due(self) -> int:
        return max(0, self.kept(len(self.payments)) - self.net)

    @property
    def still_to_pay(self) -> int:
        kept = self.kept(len(self.payments))
        return max(0, self.net - self.sums(len(self.payments))["CAPTURED"]) if kept > 0 else self.net


def shared_out(amount: int, weights: Mapping[str, int]) -> dict[str, int]:
    """The whole parts first, then one each to those who lack most; to the first of equals."""
    exact = {name: Fraction(amount * weight, sum(weights.values())) for name, weight in weights.items()}
    parts = {name: int(part) for name, part in exact.items()}
    for name in sorted(exact, key=lambda name: parts[name] - exact[name])[: amount - sum(parts.values())]:
        parts[name] += 1
    return parts


def one_by_one(amount: int, units: int) -> list[int]:
    """What each unit takes of the amount when they go one after another."""
    so_far = [int(Fraction(amount * n, units) + Fraction(1, 2)) for n in range(units + 1)]
    return [after - before for before, after in pairwise(so_far)]


def require(condition: object, reason: str) -> None:
    """Refuses for this reason unless the condition holds."""
    if not condition:
        raise RefusedError(reason)
