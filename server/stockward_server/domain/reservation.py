"""Reservations: stock held for a limited time.

ACTIVE -> CONVERTED | RELEASED | EXPIRED        one outcome; ACTIVE past its expire_time counts as expired
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from stockward_server.domain.errors import (
    ReservationExpired,
    ReservationLifetimeExceeded,
    ReservationNotActive,
)
from stockward_server.domain.stock import MovementKind, Portion, StockChange, StockLevel, take_all


class ReservationState(IntEnum):
    """The numbers are those of inventory.v1.Reservation.State and of the table."""

    ACTIVE = 1
    CONVERTED = 2
    RELEASED = 3
    EXPIRED = 4


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units held until `expire_time`."""

    reservation_id: str
    state: ReservationState
    lines: tuple[Portion, ...]
    customer_id: str
    expire_time: datetime
    create_time: datetime
    update_time: datetime
    order_id: str | None = None
    version: int = 0
    actor: str = ""
    """The API key that created it, where it has no customer."""


def decide_reservation(
    reservation_id: str,
    wanted: Mapping[str, int],
    levels: Mapping[str, Sequence[StockLevel]],
    customer_id: str,
    ttl: timedelta,
    max_lifetime: timedelta,
    now: datetime,
) -> tuple[Reservation, list[StockChange]]:
    """Returns a hold on all of `wanted` (SKU -> units). Raises InsufficientStock."""
    if ttl > max_lifetime:
        raise ReservationLifetimeExceeded(reservation_id, max_lifetime)
    lines = tuple(take_all(wanted, levels))
    reservation = Reservation(reservation_id, ReservationState.ACTIVE, lines, customer_id, now + ttl, now, now)
    return reservation, _changes(reservation, MovementKind.RESERVED, +1)


def decide_extension(reservation: Reservation, ttl: timedelta, max_lifetime: timedelta, now: datetime) -> Reservation:
    """Extends the hold; never shortens it."""
    require_active(reservation, now)
    expire_time = now + ttl
    if expire_time > reservation.create_time + max_lifetime:
        raise ReservationLifetimeExceeded(reservation.reservation_id, max_lifetime)
    return replace(reservation, expire_time=max(expire_time, reservation.expire_time), update_time=now)


def decide_release(reservation: Reservation, now: datetime) -> tuple[Reservation, list[StockChange]]:
    """Releases the hold, also when it has expired but was not swept yet."""
    if reservation.state is not ReservationState.ACTIVE:
        raise _not_active(reservation)
    released = replace(reservation, state=ReservationState.RELEASED, update_time=now)
    return released, _changes(reservation, MovementKind.RELEASED, -1)


def decide_expiry(reservation: Reservation, now: datetime) -> tuple[Reservation, list[StockChange]] | None:
    """Expires the hold; returns None when it was extended, converted or released meanwhile."""
    if reservation.state is not ReservationState.ACTIVE or reservation.expire_time > now:
        return None
    expired = replace(reservation, state=ReservationState.EXPIRED, update_time=now)
    return expired, _changes(reservation, MovementKind.EXPIRED, -1)


def decide_conversion(reservation: Reservation, order_id: str, now: datetime) -> tuple[Reservation, list[StockChange]]:
    """Converts the hold to an order's allocation of the same units."""
    require_active(reservation, now)
    converted = replace(reservation, state=ReservationState.CONVERTED, order_id=order_id, update_time=now)
    changes = [
        StockChange(
            line.sku,
            line.location_id,
            MovementKind.CONVERTED,
            reserved=-line.quantity,
            allocated=line.quantity,
            reference=order_id,
        )
        for line in reservation.lines
        if line.location_id
    ]
    return converted, changes


def require_active(reservation: Reservation, now: datetime) -> None:
    """Raises ReservationNotActive or ReservationExpired when the hold has ended, swept or not."""
    if reservation.state is ReservationState.EXPIRED or (
        reservation.state is ReservationState.ACTIVE and reservation.expire_time <= now
    ):
        raise ReservationExpired(reservation.reservation_id, reservation.expire_time)
    if reservation.state is not ReservationState.ACTIVE:
        raise _not_active(reservation)


def _changes(reservation: Reservation, kind: MovementKind, sign: int) -> list[StockChange]:
    return [
        StockChange(
            line.sku,
            line.location_id,
            kind,
            reserved=sign * line.quantity,
            reference=reservation.reservation_id,
        )
        for line in reservation.lines
        if line.location_id
    ]


def _not_active(reservation: Reservation) -> ReservationNotActive:
    return ReservationNotActive(reservation.reservation_id, reservation.state.name)
