"""Holds of orders: what staff may hold, what a hold stops, and how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stockward_server.domain.errors import FieldInvalid, OrderNotOnHold, OrderOnHold, OrderStateInvalid
from stockward_server.domain.order import OPEN_STATES, UNPAID_HOLD, Hold, HoldReason, Order, OrderState, PaymentTerms
from stockward_server.domain.order_holds import decide_hold, decide_release, without_ended_hold
from stockward_server.domain.order_steps import (
    decide_cancellation,
    decide_fulfillment,
    decide_order_expiry,
    decide_payment,
    decide_processing,
)
from stockward_server.domain.payment import PaymentKind
from tests.examples import LATER, NOW, PARCEL, SECOND, level, order, report

FRAUD = Hold(HoldReason.FRAUD, "two cards", None, "pms", NOW)
LEVELS = {
    "MUG": [level(10, allocated=2), level(10, allocated=1, location_id="north", priority=1)],
    "CAP": [level(5, allocated=1, sku="CAP")],
}


def on_account(state: OrderState) -> Order:
    return order(state, payment_terms=PaymentTerms.ON_ACCOUNT)


@pytest.mark.parametrize("state", OrderState)
def test_only_an_open_order_can_be_held(state: OrderState) -> None:
    if state in OPEN_STATES:
        held = decide_hold(on_account(state), FRAUD, LATER)
        assert (held.hold, held.update_time) == (FRAUD, LATER)
    else:
        with pytest.raises(OrderStateInvalid, match="cannot hold"):
            decide_hold(order(state), FRAUD, LATER)


def test_a_second_hold_is_refused_and_leaves_the_first() -> None:
    held = decide_hold(order(), FRAUD, NOW)
    with pytest.raises(OrderOnHold, match=r"cannot hold order .* on hold \(fraud\)") as refusal:
        decide_hold(held, Hold(HoldReason.ADDRESS), LATER)
    assert refusal.value.metadata["hold"] == "FRAUD"
    assert held.hold is FRAUD


def test_a_hold_stops_processing_and_shipping_until_it_is_released() -> None:
    held = decide_hold(on_account(OrderState.PENDING), FRAUD, NOW)
    with pytest.raises(OrderOnHold, match="cannot process"):
        decide_processing(held, LATER)
    processing = decide_processing(decide_release(held, NOW), LATER)
    held = decide_hold(processing, replace(FRAUD, expire_time=LATER), NOW)
    with pytest.raises(OrderOnHold, match="until 2026-11-22T12:05:00Z") as refusal:
        decide_fulfillment(held, PARCEL, {}, LEVELS, LATER - SECOND)
    assert refusal.value.metadata["expire_time"] == "2026-11-22T12:05:00Z"


def test_a_hold_is_over_at_its_time() -> None:
    held = decide_hold(on_account(OrderState.PENDING), replace(FRAUD, expire_time=LATER), NOW)
    assert without_ended_hold(held, LATER - SECOND) is held
    assert without_ended_hold(held, LATER).hold is None
    assert decide_processing(held, LATER).staff_hold is None
    again = decide_hold(held, FRAUD, LATER)
    assert again.hold is FRAUD


def test_a_hold_cannot_end_in_the_past() -> None:
    with pytest.raises(FieldInvalid, match="in the future"):
        decide_hold(order(), replace(FRAUD, expire_time=NOW), NOW)


def test_release_ends_the_hold_of_staff_only() -> None:
    with pytest.raises(OrderNotOnHold):
        decide_release(order(), NOW)
    refund = report(PaymentKind.REFUNDED, 3500, event_time=LATER)
    unpaid, _ = decide_payment(order(OrderState.PROCESSING), refund, {}, LATER)
    assert unpaid.hold is UNPAID_HOLD
    with pytest.raises(OrderOnHold, match="a payment that covers it again releases it"):
        decide_release(unpaid, NOW)
    both = decide_hold(unpaid, FRAUD, NOW)
    assert both.hold is FRAUD
    assert decide_release(both, LATER).hold is UNPAID_HOLD


def test_a_hold_keeps_no_unpaid_order_alive() -> None:
    unpaid = decide_hold(order(), FRAUD, NOW)
    assert unpaid.payment_due_time is not None
    decision = decide_order_expiry(unpaid, unpaid.payment_due_time)
    assert decision is not None
    assert (decision[0].state, decision[0].hold) == (OrderState.EXPIRED, None)


def test_a_cancelled_order_is_not_on_hold() -> None:
    cancelled, _ = decide_cancellation(decide_hold(order(), FRAUD, NOW), {}, "", LATER)
    assert cancelled.hold is None
