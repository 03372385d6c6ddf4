"""Orders: every step from every state, with what it does to the counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from stockward_server.domain.errors import (
    InsufficientStock,
    LineUnknown,
    OrderStateInvalid,
    PaymentRequired,
    QuantityExceeded,
    Refusal,
    StockNegative,
)
from stockward_server.domain.order import (
    Allocation,
    Order,
    OrderState,
    PaymentTerms,
)
from stockward_server.domain.order_steps import (
    decide_cancellation,
    decide_fulfillment,
    decide_order,
    decide_order_expiry,
    decide_order_from_hold,
    decide_payment,
    decide_processing,
    decide_return,
    payment_due,
)
from stockward_server.domain.payment import Payment, PaymentKind, PaymentState
from stockward_server.domain.stock import (
    NOWHERE,
    MovementKind,
    Portion,
    StockChange,
    StockLevel,
    untracked_level,
)
from tests.examples import LATER, NOW, PARCEL, SECOND, deltas, level, order, payment, report

PENDING, PROCESSING, PARTIALLY_FULFILLED, FULFILLED, CANCELLED, EXPIRED = OrderState
TOTAL = 3500
PAID = payment(captured=TOTAL)


def shelves(**mugs: int) -> dict[str, list[StockLevel]]:
    """Stock rows that owe `order()` what it claims: `mugs` on hand by location, enough by default, and one CAP."""
    counts = {"main": 9, "north": 9, **mugs}
    owed = {"main": 2, "north": 1}
    return {
        "MUG": [level(count, allocated=owed.get(place, 0), location_id=place) for place, count in counts.items()],
        "CAP": [level(1, allocated=1, sku="CAP")],
    }


def offered(mugs: int = 9, caps: int = 9) -> dict[str, list[StockLevel]]:
    return {"MUG": [level(mugs)], "CAP": [level(caps, sku="CAP")]}


# What may follow what

STEPS: dict[str, tuple[Callable[[Order], object], set[OrderState]]] = {
    "process": (lambda o: decide_processing(o, LATER), {PENDING}),
    "fulfill": (lambda o: decide_fulfillment(o, PARCEL, {}, shelves(), LATER), {PROCESSING, PARTIALLY_FULFILLED}),
    "cancel": (lambda o: decide_cancellation(o, {}, "", LATER), {PENDING, PROCESSING}),
    "cancel units": (
        lambda o: decide_cancellation(o, {1: 1}, "", LATER),
        {PENDING, PROCESSING, PARTIALLY_FULFILLED},
    ),
    "return": (lambda o: decide_return(o, {1: 1}, {}, "main", "", LATER), {PARTIALLY_FULFILLED, FULFILLED}),
}


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("step", STEPS)
def test_each_step_is_for_certain_states_only(step: str, state: OrderState) -> None:
    take_step, allowed = STEPS[step]
    before = order(state, payment=PAID)
    if state in allowed:
        take_step(before)
        return
    with pytest.raises(OrderStateInvalid) as refusal:
        take_step(before)
    assert refusal.value.metadata == {"order_id": "order-1", "state": state.name, "action": step.split()[0]}
    assert vars(before) == vars(order(state, payment=PAID))


# Creating


def test_an_order_takes_its_units_from_the_stock() -> None:
    levels = {"MUG": [level(2), level(9, location_id="north")], "CAP": [level(1, sku="CAP")]}
    placed, changes = decide_order(order(allocations=()), {"MUG": 3, "CAP": 1}, levels)
    assert vars(placed) == vars(order())
    assert deltas(changes) == {("MUG", "main"): (0, 0, 2), ("MUG", "north"): (0, 0, 1), ("CAP", "main"): (0, 0, 1)}
    assert {(c.kind, c.reference) for c in changes} == {(MovementKind.ALLOCATED, "order-1")}


def test_an_order_is_whole_or_not_at_all() -> None:
    with pytest.raises(InsufficientStock) as refusal:
        decide_order(order(allocations=()), {"MUG": 3, "CAP": 1}, offered(mugs=9, caps=0))
    assert refusal.value.metadata["sku"] == "CAP"


def test_an_order_from_a_hold_owns_exactly_what_was_held() -> None:
    held = [Portion("CAP", "main", 1), Portion("MUG", "main", 2), Portion("MUG", "north", 1)]
    placed = decide_order_from_hold(order(allocations=()), held)
    assert set(placed.allocations) == set(order().allocations)
    assert placed.state is PENDING


def test_only_a_prepaid_order_has_a_time_to_be_paid_by() -> None:
    hour = timedelta(hours=1)
    assert payment_due(PaymentTerms.PREPAID, NOW, hour) == NOW + hour
    assert payment_due(PaymentTerms.ON_ACCOUNT, NOW, hour) is None


# Processing


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        (Payment(), PaymentState.PENDING),
        (payment(captured=TOTAL - 1), PaymentState.PARTIALLY_PAID),
        (payment(authorized=TOTAL - 1), PaymentState.PARTIALLY_AUTHORIZED),
        (payment(voided=TOTAL, authorized=TOTAL), PaymentState.VOIDED),
        (payment(failed=0), PaymentState.FAILED),
        (payment(captured=TOTAL - 1, refunded=1), PaymentState.PARTIALLY_REFUNDED),
    ],
)
def test_a_prepaid_order_waits_for_its_money(reported: Payment, state: PaymentState) -> None:
    with pytest.raises(PaymentRequired) as refusal:
        decide_processing(order(payment=reported), LATER)
    assert refusal.value.metadata == {"order_id": "order-1", "payment_state": state.name}
    on_account = order(payment=reported, payment_terms=PaymentTerms.ON_ACCOUNT)
    assert decide_processing(on_account, LATER).state is PROCESSING


@pytest.mark.parametrize(
    "reported",
    [
        payment(captured=TOTAL),
        payment(captured=TOTAL + 1),
        payment(captured=TOTAL + 500, refunded=500),
        payment(captured=TOTAL, refunded=1),
        payment(captured=TOTAL, refunded=TOTAL - 1),
        payment(authorized=TOTAL),
        payment(authorized=TOTAL, captured=1),
        payment(authorized=TOTAL, failed=0),
    ],
)
def test_what_was_captured_or_is_authorized_must_cover_the_price(reported: Payment) -> None:
    processing = decide_processing(order(payment=reported), LATER)
    assert (processing.state, processing.update_time) == (PROCESSING, LATER)
    assert processing.allocations == order().allocations


# Fulfilling


def test_fulfilling_everything_takes_it_off_the_shelves() -> None:
    done, changes = decide_fulfillment(order(PROCESSING), PARCEL, {}, shelves(), LATER)
    assert (done.state, done.allocations, done.update_time) == (FULFILLED, (), LATER)
    assert deltas(changes) == {
        ("MUG", "main"): (-2, 0, -2),
        ("MUG", "north"): (-1, 0, -1),
        ("CAP", "main"): (-1, 0, -1),
    }
    assert {(c.kind, c.reference) for c in changes} == {(MovementKind.FULFILLED, "order-1")}
    (parcel,) = done.fulfillments
    assert (parcel.fulfillment_id, parcel.tracking_number, parcel.carrier) == ("parcel-1", "TRACK-1", "DHL")
    assert parcel.lines == order().allocations


def test_part_after_part_across_locations() -> None:
    first, changes = decide_fulfillment(order(PROCESSING), PARCEL, {1: 1}, shelves(), LATER)
    assert (first.state, deltas(changes)) == (PARTIALLY_FULFILLED, {("MUG", "main"): (-1, 0, -1)})
    second, changes = decide_fulfillment(first, PARCEL, {1: 2}, shelves(), LATER)
    assert second.state is PARTIALLY_FULFILLED
    assert deltas(changes) == {("MUG", "main"): (-1, 0, -1), ("MUG", "north"): (-1, 0, -1)}
    third, changes = decide_fulfillment(second, PARCEL, {}, shelves(), LATER)
    assert (third.state, deltas(changes)) == (FULFILLED, {("CAP", "main"): (-1, 0, -1)})
    assert [sum(line.quantity for line in parcel.lines) for parcel in third.fulfillments] == [1, 2, 1]


def test_a_location_that_is_empty_is_passed_over() -> None:
    part, changes = decide_fulfillment(order(PROCESSING), PARCEL, {1: 2}, shelves(main=1), LATER)
    assert deltas(changes) == {("MUG", "main"): (-1, 0, -1), ("MUG", "north"): (-1, 0, -1)}
    assert part.allocations == (Allocation(1, "main", 1), Allocation(2, "main", 1))


def test_what_is_not_on_hand_cannot_leave() -> None:
    with pytest.raises(StockNegative, match="1 of 3 MUG are not on hand yet: this order can have 1 at main") as refusal:
        decide_fulfillment(order(PROCESSING), PARCEL, {1: 3}, shelves(main=1, north=1), LATER)
    assert refusal.value.metadata == {"sku": "MUG", "order_id": "order-1", "line_number": "1", "missing": "1"}


def moves(changes: list[StockChange]) -> list[tuple[MovementKind, str, int, int]]:
    """Kind, location, and what was added to on_hand and allocated."""
    return [(each.kind, each.location_id, each.on_hand, each.allocated) for each in changes]


def test_claims_move_to_where_the_goods_are() -> None:
    done, changes = decide_fulfillment(order(PROCESSING), PARCEL, {1: 3}, shelves(main=0, north=9), LATER)
    assert moves(changes) == [
        (MovementKind.DEALLOCATED, "main", 0, -2),
        (MovementKind.ALLOCATED, "north", 0, 2),
        (MovementKind.FULFILLED, "north", -3, -3),
    ]
    assert {each.reference for each in changes} == {"order-1"}
    assert done.fulfillments[0].lines == (Allocation(1, "north", 3),)
    assert done.allocations == (Allocation(2, "main", 1),)


def test_a_parcel_may_leave_a_location_that_owed_nothing() -> None:
    levels = shelves(south=2)
    part, changes = decide_fulfillment(order(PROCESSING), PARCEL, {1: 2}, levels, LATER, "south")
    assert moves(changes) == [  # the nearest location keeps its claim longest
        (MovementKind.DEALLOCATED, "north", 0, -1),
        (MovementKind.DEALLOCATED, "main", 0, -1),
        (MovementKind.ALLOCATED, "south", 0, 2),
        (MovementKind.FULFILLED, "south", -2, -2),
    ]
    assert part.fulfillments[0].lines == (Allocation(1, "south", 2),)
    assert part.allocations == (Allocation(1, "main", 1), Allocation(2, "main", 1))


def test_a_claim_moves_from_a_location_that_is_short_first() -> None:
    part, _ = decide_fulfillment(order(PROCESSING), PARCEL, {1: 2}, shelves(main=0, south=9), LATER, "south")
    assert part.allocations == (Allocation(1, "north", 1), Allocation(2, "main", 1))


@pytest.mark.parametrize("place", ["south", "north", "main"])
def test_what_others_own_is_not_shipped(place: str) -> None:
    levels = shelves(main=0, north=0, south=3)
    levels["MUG"][2] = levels["MUG"][2].but(reserved=1, allocated=1)
    with pytest.raises(StockNegative, match=r"this order can have 1 at south$"):
        decide_fulfillment(order(PROCESSING), PARCEL, {1: 2}, levels, LATER)
    with pytest.raises(StockNegative, match=f"MUG are not on hand at {place} yet") as refusal:
        decide_fulfillment(order(PROCESSING), PARCEL, {1: 2}, levels, LATER, place)
    missing = "1" if place == "south" else "2"
    assert refusal.value.metadata.items() >= {"location_id": place, "field": "location_id", "missing": missing}.items()


def test_safety_stock_may_leave_and_inactive_locations_come_last() -> None:
    levels = shelves(main=0, north=0, south=9, east=9)
    levels["MUG"][2] = levels["MUG"][2].but(active=False)
    levels["MUG"][3] = levels["MUG"][3].but(safety_stock=9)
    part, _ = decide_fulfillment(order(PROCESSING), PARCEL, {1: 3}, levels, LATER)
    assert part.fulfillments[0].lines == (Allocation(1, "east", 3),)
    levels["MUG"][3] = levels["MUG"][3].but(on_hand=1)
    part, _ = decide_fulfillment(order(PROCESSING), PARCEL, {1: 3}, levels, LATER)
    assert set(part.fulfillments[0].lines) == {Allocation(1, "east", 1), Allocation(1, "south", 2)}


# What is not tracked


def untracked_order(state: OrderState = PENDING, **fields: object) -> Order:
    """3 PDF, of which no stock is claimed, and 1 CAP at `main`."""
    claims = () if state in (FULFILLED, EXPIRED) else (Allocation(2, "main", 1),)
    pdf, cap = order(state).lines
    return order(state, lines=(replace(pdf, sku="PDF", untracked=True), cap), allocations=claims, **fields)


def test_what_is_not_tracked_is_ordered_without_a_claim() -> None:
    pdf, cap = order().lines
    draft = order(allocations=(), lines=(replace(pdf, sku="PDF"), cap))
    levels = {"PDF": [untracked_level("PDF")], "CAP": [level(1, sku="CAP")]}
    placed, changes = decide_order(draft, {"PDF": 3, "CAP": 1}, levels)
    assert vars(placed) == vars(untracked_order())
    assert deltas(changes) == {("CAP", "main"): (0, 0, 1)}
    from_hold = decide_order_from_hold(draft, [Portion("CAP", "main", 1), Portion("PDF", NOWHERE, 3)])
    assert vars(from_hold) == vars(placed)


def test_what_is_not_tracked_is_shipped_cancelled_and_returned_without_a_change_of_stock() -> None:
    shipped, changes = decide_fulfillment(untracked_order(PROCESSING), PARCEL, {1: 2}, {}, LATER, "north")
    assert (shipped.state, changes) == (PARTIALLY_FULFILLED, [])
    assert shipped.fulfillments[0].lines == (Allocation(1, NOWHERE, 2),)
    cancelled, changes = decide_cancellation(shipped, {1: 1}, "", LATER)
    assert (cancelled.lines[0].cancelled, changes) == (1, [])
    back, changes = decide_return(cancelled, {1: 1}, {1: 1}, "north", "", LATER)
    assert (back.lines[0].returned, changes) == (2, [])
    expired = decide_order_expiry(untracked_order(payment_due_time=LATER), LATER)
    assert expired is not None
    assert deltas(expired[1]) == {("CAP", "main"): (0, 0, -1)}


def test_a_late_payment_takes_only_what_is_tracked() -> None:
    paid = report(PaymentKind.CAPTURED, TOTAL)
    revived, changes = decide_payment(untracked_order(EXPIRED), paid, {"CAP": [level(1, sku="CAP")]}, LATER)
    assert (revived.state, revived.allocations) == (PROCESSING, (Allocation(2, "main", 1),))
    assert deltas(changes) == {("CAP", "main"): (0, 0, 1)}


def test_a_late_payment_remembers_what_is_no_longer_tracked() -> None:
    levels = {"MUG": [untracked_level("MUG")], "CAP": [level(1, sku="CAP")]}
    revived, changes = decide_payment(order(EXPIRED), report(PaymentKind.CAPTURED, TOTAL), levels, LATER)
    assert [line.untracked for line in revived.lines] == [True, False]
    assert deltas(changes) == {("CAP", "main"): (0, 0, 1)}


# Cancelling


@pytest.mark.parametrize("state", [PENDING, PROCESSING])
def test_cancelling_the_whole_frees_everything(state: OrderState) -> None:
    cancelled, changes = decide_cancellation(order(state), {}, "changed my mind", LATER)
    assert (cancelled.state, cancelled.allocations, cancelled.update_time) == (CANCELLED, (), LATER)
    assert [line.cancelled for line in cancelled.lines] == [3, 1]
    assert deltas(changes) == {("MUG", "main"): (0, 0, -2), ("MUG", "north"): (0, 0, -1), ("CAP", "main"): (0, 0, -1)}
    assert {(c.kind, c.note) for c in changes} == {(MovementKind.DEALLOCATED, "changed my mind")}


def test_units_are_cancelled_from_the_last_location_first() -> None:
    fewer, changes = decide_cancellation(order(PROCESSING), {1: 2}, "", LATER)
    assert fewer.state is PROCESSING
    assert deltas(changes) == {("MUG", "north"): (0, 0, -1), ("MUG", "main"): (0, 0, -1)}
    assert fewer.allocations == (Allocation(1, "main", 1), Allocation(2, "main", 1))
    assert fewer.lines[0].open == 1


@pytest.mark.parametrize("state", [PENDING, PROCESSING])
def test_cancelling_the_last_open_unit_ends_an_unfulfilled_order(state: OrderState) -> None:
    assert decide_cancellation(order(state), {1: 3, 2: 1}, "", LATER)[0].state is CANCELLED


def test_cancelling_the_rest_completes_a_partly_fulfilled_order() -> None:
    done, changes = decide_cancellation(order(PARTIALLY_FULFILLED), {1: 2, 2: 1}, "", LATER)
    assert (done.state, done.allocations) == (FULFILLED, ())
    assert deltas(changes) == {("MUG", "main"): (0, 0, -1), ("MUG", "north"): (0, 0, -1), ("CAP", "main"): (0, 0, -1)}


# Expiring


def due(state: OrderState = PENDING, **fields: object) -> Order:
    return order(state, **{"payment_due_time": LATER, **fields})


@pytest.mark.parametrize(
    "reported",
    [
        Payment(),
        payment(captured=TOTAL - 1),
        payment(failed=0),
        payment(authorized=TOTAL - 1, voided=TOTAL - 1),
        payment(voided=TOTAL, authorized=TOTAL),
    ],
)
def test_an_unpaid_order_expires_at_its_time(reported: Payment) -> None:
    decided = decide_order_expiry(due(payment=reported), LATER)
    assert decided is not None
    expired, changes = decided
    assert (expired.state, expired.allocations, expired.update_time) == (EXPIRED, (), LATER)
    assert deltas(changes) == {("MUG", "main"): (0, 0, -2), ("MUG", "north"): (0, 0, -1), ("CAP", "main"): (0, 0, -1)}
    assert {c.kind for c in changes} == {MovementKind.DEALLOCATED}


@pytest.mark.parametrize(
    "spared",
    [
        due(payment_due_time=LATER + SECOND),
        due(payment=PAID),
        due(payment=payment(authorized=TOTAL)),
        due(payment=payment(captured=TOTAL, refunded=TOTAL)),
        due(payment=payment(authorized=TOTAL, voided=TOTAL)),
        due(payment_due_time=None),
        *(due(state) for state in OrderState if state is not PENDING),
    ],
    ids=[
        *("not due", "paid", "authorized", "paid once", "authorized once", "never due"),
        *(state.name for state in OrderState if state is not PENDING),
    ],
)
def test_no_other_order_expires(spared: Order) -> None:
    assert decide_order_expiry(spared, LATER) is None


# Returning


def test_returned_units_go_back_on_the_shelf_that_takes_them() -> None:
    back, changes = decide_return(order(FULFILLED), {1: 2, 2: 1}, {}, "north", "too small", LATER)
    assert (back.state, [line.returned for line in back.lines]) == (FULFILLED, [2, 1])
    assert deltas(changes) == {("MUG", "north"): (2, 0, 0), ("CAP", "north"): (1, 0, 0)}
    assert {(c.kind, c.note) for c in changes} == {(MovementKind.RETURNED, "too small")}


def test_damaged_units_are_recorded_but_not_restocked() -> None:
    back, changes = decide_return(order(FULFILLED), {1: 1}, {1: 2}, "main", "wet", LATER)
    assert back.lines[0].returned == 3
    assert [(c.on_hand, c.note) for c in changes] == [(1, "wet"), (0, "2 damaged: wet")]


def test_units_come_back_only_once() -> None:
    back, _ = decide_return(order(FULFILLED), {1: 1}, {1: 1}, "main", "", LATER)
    with pytest.raises(QuantityExceeded) as refusal:
        decide_return(back, {1: 1}, {1: 1}, "main", "", LATER)
    assert refusal.value.metadata == {"order_id": "order-1", "line_number": "1", "requested": "2", "remaining": "1"}


# Quantities of lines

ON_LINES: dict[str, Callable[[Order, dict[int, int]], object]] = {
    "fulfill": lambda o, units: decide_fulfillment(o, PARCEL, units, shelves(), LATER),
    "cancel": lambda o, units: decide_cancellation(o, units, "", LATER),
    "return": lambda o, units: decide_return(o, units, {}, "main", "", LATER),
}


@pytest.mark.parametrize(("step", "remaining"), [("fulfill", 2), ("cancel", 2), ("return", 1)])
def test_no_more_units_than_remain(step: str, remaining: int) -> None:
    ON_LINES[step](order(PARTIALLY_FULFILLED), {1: remaining})
    with pytest.raises(QuantityExceeded) as refusal:
        ON_LINES[step](order(PARTIALLY_FULFILLED), {1: remaining + 1})
    assert refusal.value.metadata["remaining"] == str(remaining)


@pytest.mark.parametrize("step", ON_LINES)
def test_no_units_of_a_line_that_is_not_there(step: str) -> None:
    with pytest.raises(LineUnknown) as caught:
        ON_LINES[step](order(PARTIALLY_FULFILLED), {3: 1})
    refusal: Refusal = caught.value
    assert refusal.metadata == {"order_id": "order-1", "line_number": "3", "field": "lines.line_number"}
