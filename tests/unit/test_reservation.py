"""Reservations: every step from every state, with what it does to the counters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from stockward_server.domain.errors import (
    InsufficientStock,
    Refusal,
    ReservationExpired,
    ReservationLifetimeExceeded,
    ReservationNotActive,
)
from stockward_server.domain.reservation import (
    Reservation,
    ReservationState,
    decide_conversion,
    decide_expiry,
    decide_extension,
    decide_release,
    decide_reservation,
)
from stockward_server.domain.stock import MovementKind, Portion
from tests.examples import LATER, NOW, SECOND, deltas, hold, level

ACTIVE, CONVERTED, RELEASED, EXPIRED = ReservationState
TTL, LIFETIME = timedelta(minutes=15), timedelta(hours=1)


def test_reserving_holds_units_where_they_are() -> None:
    levels = {"MUG": [level(1), level(5, location_id="north")], "CAP": [level(1, sku="CAP")]}
    held, changes = decide_reservation("hold-1", {"MUG": 3, "CAP": 1}, levels, "ada", TTL, LIFETIME, NOW)
    assert held.state is ACTIVE
    assert held.lines == (Portion("MUG", "main", 1), Portion("MUG", "north", 2), Portion("CAP", "main", 1))
    assert (held.customer_id, held.expire_time, held.create_time) == ("ada", NOW + TTL, NOW)
    assert deltas(changes) == {("MUG", "main"): (0, 1, 0), ("MUG", "north"): (0, 2, 0), ("CAP", "main"): (0, 1, 0)}
    assert {(c.kind, c.reference) for c in changes} == {(MovementKind.RESERVED, "hold-1")}


def test_all_lines_are_held_or_none() -> None:
    with pytest.raises(InsufficientStock):
        decide_reservation("hold-1", {"MUG": 1, "CAP": 1}, {"MUG": [level(9)]}, "", TTL, LIFETIME, NOW)


def test_a_hold_may_not_be_longer_than_its_lifetime() -> None:
    decide_reservation("hold-1", {"MUG": 1}, {"MUG": [level(1)]}, "", LIFETIME, LIFETIME, NOW)
    with pytest.raises(ReservationLifetimeExceeded) as refusal:
        decide_reservation("hold-1", {"MUG": 1}, {"MUG": [level(1)]}, "", LIFETIME + SECOND, LIFETIME, NOW)
    assert refusal.value.metadata == {"reservation_id": "hold-1", "limit_seconds": "3600", "field": "ttl"}


def test_extending_moves_the_end_and_no_unit() -> None:
    extended = decide_extension(hold(), TTL, LIFETIME, LATER)
    assert (extended.state, extended.expire_time, extended.update_time) == (ACTIVE, LATER + TTL, LATER)
    assert extended.lines == hold().lines


def test_extending_never_shortens() -> None:
    assert decide_extension(hold(), SECOND, LIFETIME, LATER).expire_time == hold().expire_time


def test_extending_counts_the_lifetime_from_the_beginning() -> None:
    left = LIFETIME - (LATER - NOW)
    assert decide_extension(hold(), left, LIFETIME, LATER).expire_time == NOW + LIFETIME
    with pytest.raises(ReservationLifetimeExceeded):
        decide_extension(hold(), left + SECOND, LIFETIME, LATER)


def test_releasing_gives_the_units_back() -> None:
    released, changes = decide_release(hold(), LATER)
    assert (released.state, released.update_time) == (RELEASED, LATER)
    assert deltas(changes) == {("MUG", "main"): (0, -2, 0), ("CAP", "main"): (0, -1, 0)}
    assert {c.kind for c in changes} == {MovementKind.RELEASED}


def test_a_hold_that_ran_out_unseen_may_still_be_released() -> None:
    assert decide_release(hold(expire_time=NOW), LATER)[0].state is RELEASED


def test_expiring_gives_the_units_back() -> None:
    decided = decide_expiry(hold(expire_time=LATER), LATER)
    assert decided is not None
    expired, changes = decided
    assert (expired.state, expired.update_time) == (EXPIRED, LATER)
    assert deltas(changes) == {("MUG", "main"): (0, -2, 0), ("CAP", "main"): (0, -1, 0)}
    assert {c.kind for c in changes} == {MovementKind.EXPIRED}


def test_converting_turns_held_units_into_owed_ones() -> None:
    converted, changes = decide_conversion(hold(), "order-1", LATER)
    assert (converted.state, converted.order_id, converted.update_time) == (CONVERTED, "order-1", LATER)
    assert deltas(changes) == {("MUG", "main"): (0, -2, 2), ("CAP", "main"): (0, -1, 1)}
    assert {(c.kind, c.reference) for c in changes} == {(MovementKind.CONVERTED, "order-1")}


STEPS: dict[str, Callable[[Reservation], object]] = {
    "extend": lambda held: decide_extension(held, TTL, LIFETIME, LATER),
    "release": lambda held: decide_release(held, LATER),
    "convert": lambda held: decide_conversion(held, "order-1", LATER),
}


@pytest.mark.parametrize("state", [CONVERTED, RELEASED, EXPIRED])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_follows_on_the_end(step: str, state: ReservationState) -> None:
    with pytest.raises((ReservationNotActive, ReservationExpired)) as caught:
        STEPS[step](hold(state))
    refusal: Refusal = caught.value
    if state is EXPIRED and step != "release":
        assert refusal.reason == "RESERVATION_EXPIRED"
        assert refusal.metadata == {"reservation_id": "hold-1", "expire_time": "2026-11-22T12:10:00Z"}
    else:
        assert refusal.reason == "RESERVATION_NOT_ACTIVE"
        assert refusal.metadata == {"reservation_id": "hold-1", "state": state.name}


@pytest.mark.parametrize("step", ["extend", "convert"])
def test_a_hold_past_its_time_is_over_before_the_sweeper_has_seen_it(step: str) -> None:
    STEPS[step](hold(expire_time=LATER + SECOND))
    with pytest.raises(ReservationExpired):
        STEPS[step](hold(expire_time=LATER))


@pytest.mark.parametrize(
    "held",
    [hold(expire_time=LATER + SECOND), *(hold(state, expire_time=NOW) for state in (CONVERTED, RELEASED, EXPIRED))],
    ids=["not due", "CONVERTED", "RELEASED", "EXPIRED"],
)
def test_the_sweeper_comes_too_early_or_too_late_without_harm(held: Reservation) -> None:
    assert decide_expiry(held, LATER) is None
