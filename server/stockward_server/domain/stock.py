"""Stock of one SKU at its locations, and its changes.

At one location, with the backorder limit of an active location and 0 at an inactive one:

    available = on_hand - reserved - allocated - safety_stock
    overhang  = max(0, reserved + allocated - on_hand - backorder_limit)

Over all locations, the units that can be promised are those of the active ones minus the overhang of all:

    obtainable = max(0, sum(max(0, available + backorder_limit)) - sum(overhang))

on_hand, reserved and allocated are never negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from stockward_server.domain.errors import (
    InsufficientStock,
    QuantityOverflow,
    Shortage,
    StockChanged,
    StockNegative,
)
from stockward_server.domain.etag import etag_of
from stockward_server.domain.money import Money

MAX_COUNT = 10**12
"""Maximum of any counter, in units."""

MAX_ORDERED = 10**9
"""Maximum units of one SKU in one order where stock is not tracked."""

NOWHERE = ""
"""The location of untracked units, which no counter includes."""


class MovementKind(IntEnum):
    """What a movement records; the numbers are those of inventory.v1.StockMovement.Kind and of the ledger."""

    RESERVED = 1
    RELEASED = 2
    EXPIRED = 3
    CONVERTED = 4
    ALLOCATED = 5
    DEALLOCATED = 6
    FULFILLED = 7
    RETURNED = 8
    ADJUSTED = 9


class AdjustmentReason(IntEnum):
    """Why staff changed on_hand; the numbers are those of inventory.v1.AdjustmentReason."""

    UNSPECIFIED = 0
    RECEIVED = 1
    COUNTED = 2
    DAMAGED = 3
    LOST = 4
    FOUND = 5
    RETURNED = 6
    TRANSFERRED = 7
    CORRECTED = 8


class AlertLevel(IntEnum):
    """The severity of a shortage; the numbers are those of inventory.v1.StockAlert.Level."""

    NONE = 0
    LOW = 1
    DEPLETED = 2
    SHORTFALL = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """The catalogue's data on one SKU at the time of an order."""

    sku: str
    title: str
    price: Money
    published: bool
    untracked: bool = False
    """Whether its stock is not tracked: it never runs out."""
    sku_since: int = 0
    """Position in the ledger from which on these goods have the SKU: distinguishes them from other goods that had
    it."""
    name_reused: bool = False
    """Whether other goods had this SKU before."""
    fingerprint: int = 0
    """A number that changes with any of these, as the database computes it."""


@dataclass(frozen=True)
class StockLevel:
    """Counters (units) and policy of one SKU at one location."""

    sku: str
    location_id: str
    on_hand: int = 0
    reserved: int = 0
    allocated: int = 0
    safety_stock: int = 0
    reorder_point: int | None = None
    backorder_limit: int = 0
    alert_level: AlertLevel = AlertLevel.NONE
    version: int = 0
    update_time: datetime | None = None
    priority: int = 0
    active: bool = True

    def but(self, **changes: Any) -> StockLevel:
        """Works as `dataclasses.replace` at a tenth of its cost, as each movement needs several."""
        level = object.__new__(StockLevel)
        vars(level).update(vars(self), **changes)
        return level

    @property
    def policy_etag(self) -> str:
        """Etag that changes with the policy, not with the counters."""
        return policy_etag(self.safety_stock, self.reorder_point, self.backorder_limit)

    @property
    def available(self) -> int:
        """Units that can be promised; negative when more was promised than there is."""
        return self.on_hand - self.reserved - self.allocated - self.safety_stock

    @property
    def free(self) -> int:
        """Unclaimed units on hand, safety stock included; never negative."""
        return max(0, self.on_hand - self.reserved - self.allocated)

    @property
    def overhang(self) -> int:
        """Units promised beyond on_hand and the backorder limit: other locations must ship them."""
        backorders = self.backorder_limit if self.active else 0
        return max(0, self.reserved + self.allocated - self.on_hand - backorders)


def policy_etag(safety_stock: int, reorder_point: int | None, backorder_limit: int) -> str:
    """Returns the etag of a stock policy (AIP-154)."""
    return etag_of(safety_stock, reorder_point, backorder_limit)


def untracked_level(sku: str) -> StockLevel:
    """Returns a level for an untracked SKU: at no location, with as many units as one order may name."""
    return StockLevel(sku, NOWHERE, on_hand=MAX_ORDERED)


class StockChange(NamedTuple):
    """A decided change of the counters: deltas in units, and the data of its row in the ledger."""

    sku: str
    location_id: str
    kind: MovementKind
    on_hand: int = 0
    reserved: int = 0
    allocated: int = 0
    reference: str = ""
    reason: AdjustmentReason = AdjustmentReason.UNSPECIFIED
    note: str = ""


class Portion(NamedTuple):
    """Units of one SKU at one location; NOWHERE when they are not tracked."""

    sku: str
    location_id: str
    quantity: int


def obtainable(levels: Iterable[StockLevel]) -> int:
    """Returns the units of one SKU that can be promised now, given its levels at all locations; never negative."""
    units = 0
    for level in levels:
        units -= level.overhang
        if level.active:
            units += max(0, level.available + level.backorder_limit)
    return max(0, units)


def take(levels: Sequence[StockLevel], quantity: int) -> list[Portion] | None:
    """Returns the locations of `quantity` units of one SKU, or None when they are not `obtainable`.

    `levels` are those of all locations, by priority. Available units are used first, at every active location, then
    backorders.
    """
    if quantity > obtainable(levels):
        return None
    portions: dict[str, Portion] = {}
    missing = quantity
    for backorder in (False, True):
        for level in levels:
            if not level.active:
                continue
            taken = portions[level.location_id].quantity if level.location_id in portions else 0
            room = level.available + (level.backorder_limit if backorder else 0) - taken
            if room <= 0:
                continue
            units = min(room, missing)
            portions[level.location_id] = Portion(level.sku, level.location_id, taken + units)
            missing -= units
            if not missing:
                return list(portions.values())
    return None


def take_all(wanted: Mapping[str, int], levels: Mapping[str, Sequence[StockLevel]]) -> list[Portion]:
    """Returns the locations of all of `wanted` (SKU -> units). Raises InsufficientStock naming every SKU that is
    short."""
    portions: list[Portion] = []
    short: list[Shortage] = []
    for sku, quantity in wanted.items():
        found = take(levels.get(sku, ()), quantity)
        if found is None:
            short.append(Shortage(sku, quantity, obtainable(levels.get(sku, ()))))
        else:
            portions += found
    if short:
        raise InsufficientStock(short)
    return portions


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A requested change of on_hand: exactly one of `delta` and `on_hand`, in units."""

    sku: str
    location_id: str
    delta: int | None
    on_hand: int | None
    expected_on_hand: int | None
    reason: AdjustmentReason
    note: str = ""
    reference: str = ""


def decide_adjustment(wanted: Adjustment, level: StockLevel) -> StockChange:
    """Returns the change. Raises StockChanged or StockNegative when it is not allowed. A count that agrees changes by
    zero."""
    if wanted.expected_on_hand is not None and wanted.expected_on_hand != level.on_hand:
        raise StockChanged(level.sku, level.location_id, level.on_hand, wanted.expected_on_hand)
    delta = wanted.delta if wanted.delta is not None else (wanted.on_hand or 0) - level.on_hand
    after = level.on_hand + delta
    if after < 0:
        raise StockNegative.by_adjustment(level.sku, level.location_id, level.on_hand, delta)
    if after > MAX_COUNT:
        raise QuantityOverflow.of_stock(level.sku, MAX_COUNT)
    return StockChange(
        level.sku,
        level.location_id,
        MovementKind.ADJUSTED,
        on_hand=delta,
        reason=wanted.reason,
        note=wanted.note,
        reference=wanted.reference,
    )


def alert_level(level: StockLevel) -> AlertLevel:
    """Returns the alert level after a change, given the current one.

    It follows the stock at once, up and down, between LOW and SHORTFALL. It clears only when available exceeds the
    reorder point by more than a tenth of it (at least one unit), so that stock that fluctuates there alerts once.
    """
    available = level.available
    if level.on_hand - level.reserved - level.allocated < -level.backorder_limit:
        reached = AlertLevel.SHORTFALL
    elif available <= 0:
        reached = AlertLevel.DEPLETED
    elif level.reorder_point is not None and available <= level.reorder_point:
        reached = AlertLevel.LOW
    else:
        reached = AlertLevel.NONE
    if reached is not AlertLevel.NONE or level.alert_level is AlertLevel.NONE:
        return reached
    if level.reorder_point is None:
        cleared = available > 0
    else:
        cleared = available > level.reorder_point + max(1, level.reorder_point // 10)
    return AlertLevel.NONE if cleared else AlertLevel.LOW
