"""Parcels after they were shipped: corrected, delivered, or not sent after all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from stockward_server.domain.errors import FulfillmentNotFound, FulfillmentStateInvalid, QuantityExceeded
from stockward_server.domain.order import Allocation, FulfillmentState, Order, OrderState
from stockward_server.domain.order_parcels import ParcelChange, decide_parcel_cancellation, decide_parcel_update
from stockward_server.domain.order_steps import decide_cancellation, decide_fulfillment, decide_return
from stockward_server.domain.stock import MovementKind
from tests.examples import LATER, NOW, PARCEL, SECOND, deltas, level, order

LEVELS = {
    "MUG": [level(10, allocated=2), level(10, allocated=1, location_id="north", priority=1)],
    "CAP": [level(5, allocated=1, sku="CAP")],
}
SHIPPED, DELIVERED, FAILED, CANCELLED = FulfillmentState


def shipped(units: Mapping[int, int], before: Order | None = None, parcel_id: str = "parcel-1") -> Order:
    parcel = replace(PARCEL, fulfillment_id=parcel_id)
    return decide_fulfillment(before or order(OrderState.PROCESSING), parcel, units, LEVELS, LATER)[0]


def test_a_parcel_is_corrected_in_what_is_named() -> None:
    updated, parcel = decide_parcel_update(shipped({}), "parcel-1", ParcelChange(tracking_number="T2"), LATER + SECOND)
    assert (parcel.tracking_number, parcel.carrier, parcel.state) == ("T2", "DHL", SHIPPED)
    assert (parcel.update_time, updated.update_time) == (LATER + SECOND, LATER + SECOND)
    assert updated.fulfillments == (parcel,)


def test_a_parcel_fails_is_sent_again_and_is_delivered() -> None:
    placed = shipped({})
    for state in (FAILED, SHIPPED, DELIVERED):
        placed, parcel = decide_parcel_update(placed, "parcel-1", ParcelChange(state=state), NOW)
        assert parcel.state is state
    assert placed.state is OrderState.FULFILLED


def test_goods_and_claims_of_a_cancelled_parcel_come_back_where_they_were() -> None:
    whole = shipped({})
    reopened, parcel, changes = decide_parcel_cancellation(whole, "parcel-1", "wrong address", LATER)
    assert (reopened.state, parcel.state) == (OrderState.PROCESSING, CANCELLED)
    assert set(reopened.allocations) == set(order(OrderState.PROCESSING).allocations)
    assert [line.fulfilled for line in reopened.lines] == [0, 0]
    assert deltas(changes) == {("MUG", "main"): (2, 0, 2), ("MUG", "north"): (1, 0, 1), ("CAP", "main"): (1, 0, 1)}
    assert {(change.kind, change.note) for change in changes} == {
        (MovementKind.FULFILLED, "parcel cancelled: wrong address")
    }
    again = shipped({}, reopened, "parcel-2")
    assert (again.state, [each.state for each in again.fulfillments]) == (OrderState.FULFILLED, [CANCELLED, SHIPPED])


def test_one_parcel_of_two_is_cancelled() -> None:
    both = shipped({}, shipped({1: 1}), "parcel-2")
    reopened, _, _ = decide_parcel_cancellation(both, "parcel-2", "", LATER)
    assert (reopened.state, reopened.lines[0].fulfilled) == (OrderState.PARTIALLY_FULFILLED, 1)
    assert {(a.line_number, a.quantity) for a in reopened.allocations} == {(1, 1), (2, 1)}


def test_claims_join_those_that_the_order_has_there() -> None:
    reopened, _, _ = decide_parcel_cancellation(shipped({1: 1}), "parcel-1", "", LATER)
    assert set(reopened.allocations) == {Allocation(1, "main", 2), Allocation(1, "north", 1), Allocation(2, "main", 1)}


def test_what_is_not_tracked_comes_back_without_stock() -> None:
    before = order(OrderState.PROCESSING, allocations=())
    before = replace(before, lines=tuple(replace(line, untracked=True) for line in before.lines))
    reopened, _, changes = decide_parcel_cancellation(shipped({}, before), "parcel-1", "", LATER)
    assert (reopened.state, reopened.allocations, changes) == (OrderState.PROCESSING, (), [])


@pytest.mark.parametrize("state", [DELIVERED, CANCELLED])
def test_a_parcel_that_arrived_or_is_cancelled_is_not_cancelled(state: FulfillmentState) -> None:
    whole = shipped({})
    placed = replace(whole, fulfillments=(replace(whole.fulfillments[0], state=state),))
    with pytest.raises(FulfillmentStateInvalid, match=f"it is {state.name}"):
        decide_parcel_cancellation(placed, "parcel-1", "", LATER)


def test_a_cancelled_parcel_is_not_corrected_and_another_is_not_found() -> None:
    cancelled, _, _ = decide_parcel_cancellation(shipped({}), "parcel-1", "", LATER)
    with pytest.raises(FulfillmentStateInvalid, match="cannot update"):
        decide_parcel_update(cancelled, "parcel-1", ParcelChange(state=SHIPPED), LATER)
    with pytest.raises(FulfillmentNotFound):
        decide_parcel_update(cancelled, "parcel-2", ParcelChange(state=SHIPPED), LATER)


def test_a_parcel_whose_units_came_back_is_not_cancelled() -> None:
    returned, _ = decide_return(shipped({}), {1: 1}, {}, "main", "", LATER)
    with pytest.raises(QuantityExceeded) as refusal:
        decide_parcel_cancellation(returned, "parcel-1", "", LATER)
    assert (refusal.value.metadata["requested"], refusal.value.metadata["remaining"]) == ("3", "2")


def test_what_was_cancelled_of_an_order_stays_cancelled() -> None:
    rest, _ = decide_cancellation(shipped({1: 1}), {1: 2, 2: 1}, "", LATER)
    assert rest.state is OrderState.FULFILLED
    reopened, _, _ = decide_parcel_cancellation(rest, "parcel-1", "", LATER)
    assert (reopened.state, [line.open for line in reopened.lines]) == (OrderState.PROCESSING, [1, 0])
