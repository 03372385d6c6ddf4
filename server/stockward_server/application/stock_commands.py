"""Commands on stock and reservations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar, NamedTuple

from stockward_server.application.command import Command
from stockward_server.application.context import MutationContext
from stockward_server.application.unit_of_work import Holder, UnitOfWork
from stockward_server.domain.errors import Refusal
from stockward_server.domain.etag import require_etag
from stockward_server.domain.hold_limits import NO_LIMITS, HoldLimits
from stockward_server.domain.identifiers import new_id
from stockward_server.domain.reservation import (
    Reservation,
    decide_expiry,
    decide_extension,
    decide_release,
    decide_reservation,
)
from stockward_server.domain.stock import Adjustment, StockLevel, decide_adjustment


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """Default and maximum time for which a reservation holds stock."""

    ttl: timedelta
    max_lifetime: timedelta
    limits: HoldLimits = NO_LIMITS


@dataclass(slots=True, kw_only=True)
class ReserveStock(Command[Reservation]):
    """Holds units of several SKUs: all or none. `paths` names each SKU's field in the request."""

    cause: MutationContext
    wanted: Mapping[str, int]
    paths: Mapping[str, str]
    customer_id: str
    ttl: timedelta | None
    policy: HoldPolicy

    @property
    def optimistic(self) -> bool:
        return True

    @property
    def skus(self) -> Collection[str]:
        return self.wanted.keys()

    @property
    def weight(self) -> int:
        return len(self.wanted)

    @property
    def holders(self) -> Mapping[Holder, HoldLimits]:
        limits = self.policy.limits
        if self.cause.role.is_staff:
            return {}
        if self.customer_id:
            return {(self.customer_id, ""): limits} if limits.holds or limits.units else {}
        return {("", self.cause.actor): limits} if limits.holds_of_key else {}

    def execute(self, uow: UnitOfWork) -> Reservation:
        for sku in self.wanted:
            uow.offer(sku, self.paths[sku], self.cause)
        units = sum(units for sku, units in self.wanted.items() if not uow.offers[sku].untracked)
        for holder in self.holders:
            if self.customer_id:
                self.policy.limits.of_customer(uow.held[holder], units)
            else:
                self.policy.limits.of_key(uow.held[holder])
        reservation, changes = decide_reservation(
            new_id(),
            self.wanted,
            uow.levels_of(self.wanted),
            self.customer_id,
            self.ttl or self.policy.ttl,
            self.policy.max_lifetime,
            uow.now,
        )
        for holder in self.holders:
            uow.held[holder] = uow.held[holder].and_one_of(units)
        if not self.customer_id:
            reservation = replace(reservation, actor=self.cause.actor)
        reservation = uow.save_reservation(reservation, self.cause, "reservation.created")
        uow.move(changes, self.cause)
        return reservation


@dataclass(slots=True, kw_only=True)
class OnReservation(Command[Reservation]):
    """A command on one existing reservation."""

    reservation_id: str

    @property
    def reservation_ids(self) -> Collection[str]:
        return (self.reservation_id,)


@dataclass(slots=True, kw_only=True)
class ExtendReservation(OnReservation):
    """Extends a hold."""

    ttl: timedelta | None
    policy: HoldPolicy

    def execute(self, uow: UnitOfWork) -> Reservation:
        extended = decide_extension(
            uow.reservation(self.reservation_id, self.cause),
            self.ttl or self.policy.ttl,
            self.policy.max_lifetime,
            uow.now,
        )
        return uow.save_reservation(extended, self.cause, "reservation.extended")


@dataclass(slots=True, kw_only=True)
class ReleaseReservation(OnReservation):
    """Releases a hold."""

    def execute(self, uow: UnitOfWork) -> Reservation:
        released, changes = decide_release(uow.reservation(self.reservation_id, self.cause), uow.now)
        released = uow.save_reservation(released, self.cause, "reservation.released")
        uow.move(changes, self.cause)
        return released


@dataclass(slots=True, kw_only=True)
class ExpireReservation(Command[None]):
    """Expires a hold; does nothing when it has already ended."""

    reservation_id: str

    @property
    def reservation_ids(self) -> Collection[str]:
        return (self.reservation_id,)

    def execute(self, uow: UnitOfWork) -> None:
        decision = decide_expiry(uow.reservation(self.reservation_id, self.cause), uow.now)
        if decision is not None:
            expired, changes = decision
            uow.save_reservation(expired, self.cause, "reservation.expired")
            uow.move(changes, self.cause)


@dataclass(slots=True, kw_only=True)
class AdjustStock(Command[StockLevel]):
    """Changes or sets on_hand of one SKU at one location."""

    needs_locations: ClassVar[bool] = True

    adjustment: Adjustment

    @property
    def optimistic(self) -> bool:
        return True

    @property
    def skus(self) -> Collection[str]:
        return (self.adjustment.sku,)

    def execute(self, uow: UnitOfWork) -> StockLevel:
        level = uow.countable_level(self.adjustment.sku, self.adjustment.location_id)
        uow.move([decide_adjustment(self.adjustment, level)], self.cause)
        return uow.level(level.sku, level.location_id)


class SyncedRow(NamedTuple):
    """The stock row after an adjustment, and the change of on_hand, in units."""

    level: StockLevel
    on_hand_delta: int


@dataclass(slots=True, kw_only=True)
class SyncStock(Command[Sequence[SyncedRow | Refusal]]):
    """Applies many adjustments independently; one that does not change an existing stock row has no effect."""

    needs_locations: ClassVar[bool] = True

    adjustments: Sequence[Adjustment | Refusal]
    """The adjustment of each row, or the error that prevents it."""

    @property
    def skus(self) -> Collection[str]:
        return [adjustment.sku for adjustment in self.adjustments if isinstance(adjustment, Adjustment)]

    @property
    def weight(self) -> int:
        return len(self.adjustments)

    def execute(self, uow: UnitOfWork) -> Sequence[SyncedRow | Refusal]:
        results: list[SyncedRow | Refusal] = []
        for adjustment in self.adjustments:
            if isinstance(adjustment, Refusal):
                results.append(adjustment)
                continue
            row = uow.scratch()
            try:
                results.append(self._sync(adjustment, row))
            except Refusal as refusal:
                results.append(refusal)
            else:
                uow.merge(row)
        return results

    def _sync(self, adjustment: Adjustment, uow: UnitOfWork) -> SyncedRow:
        level = uow.countable_level(adjustment.sku, adjustment.location_id)
        change = decide_adjustment(adjustment, level)
        if change.on_hand or (level.sku, level.location_id) not in uow.levels:
            uow.move([change], self.cause)
        return SyncedRow(uow.level(adjustment.sku, adjustment.location_id), change.on_hand)


@dataclass(slots=True, kw_only=True)
class SetStockPolicy(Command[StockLevel]):
    """Sets some of safety_stock, reorder_point and backorder_limit of one SKU at one location."""

    needs_locations: ClassVar[bool] = True

    sku: str
    location_id: str
    policy: Mapping[str, int | None]
    """The new value of each field to change, in units; None for no reorder point."""
    etag: str = ""
    """Etag of the policy as the caller read it; empty skips the check."""

    @property
    def skus(self) -> Collection[str]:
        return (self.sku,)

    def execute(self, uow: UnitOfWork) -> StockLevel:
        level = uow.countable_level(self.sku, self.location_id)
        require_etag(
            f"the policy of {level.sku} at {level.location_id}",
            level.policy_etag,
            self.etag,
            sku=level.sku,
            location_id=level.location_id,
        )
        return uow.set_policy(level.but(**self.policy), self.cause)
