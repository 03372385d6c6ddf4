"""Returns: announced, received in parts, closed or withdrawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from stockward_server.domain.errors import (
    LineUnknown,
    OrderStateInvalid,
    QuantityExceeded,
    ReturnLimitReached,
    ReturnNotFound,
    ReturnStateInvalid,
)
from stockward_server.domain.order import Order, OrderState
from stockward_server.domain.order_parcels import ParcelChange, decide_parcel_cancellation, decide_parcel_update
from stockward_server.domain.order_returns import (
    MAX_RETURNS,
    ReturnChange,
    decide_announcement,
    decide_receipt,
    decide_return_at_once,
    decide_return_closing,
    decide_return_update,
    decide_return_withdrawal,
)
from stockward_server.domain.order_steps import decide_cancellation, decide_fulfillment, decide_return
from stockward_server.domain.returns import OrderReturn, ReturnLine, ReturnState, announced_lines, expected_units
from tests.examples import LATER, NOW, PARCEL, SECOND, deltas, level, order

LEVELS = {"MUG": [level(10, allocated=2), level(10, allocated=1, location_id="north")], "CAP": [level(5, sku="CAP")]}
ANNOUNCED, PARTIALLY_RECEIVED, RECEIVED, CLOSED, WITHDRAWN = ReturnState
MUGS = {1: 2}
"""Two of the three MUG of an order."""


def announced(before: Order, units: Mapping[int, int] = MUGS, return_id: str = "return-1") -> Order:
    expected = OrderReturn(return_id, ANNOUNCED, announced_lines(units), NOW, NOW, reason="too small")
    return decide_announcement(before, expected, NOW)


def received(
    before: Order, restocked: Mapping[int, int] | None = None, damaged: Mapping[int, int] | None = None
) -> Order:
    return decide_receipt(before, "return-1", restocked or {}, damaged or {}, "main", "", LATER)[0]


def shipped() -> Order:
    return order(OrderState.FULFILLED)


def test_an_announcement_changes_neither_amounts_nor_stock() -> None:
    before = shipped()
    after = announced(before)
    (expected,) = after.returns
    assert (expected.state, expected.lines) == (ANNOUNCED, (ReturnLine(1, 2),))
    assert (after.lines, after.amounts, after.state) == (before.lines, before.amounts, before.state)
    assert (expected_units(after.returns), after.update_time) == ({1: 2}, NOW)


def test_what_comes_goes_where_it_is_received_and_lowers_the_amount() -> None:
    after, came, changes = decide_receipt(announced(shipped()), "return-1", {1: 1}, {}, "north", "as new", LATER)
    assert deltas(changes) == {("MUG", "north"): (1, 0, 0)}
    assert [change.note for change in changes] == ["as new"]
    assert (after.amounts.returned, after.lines[0].returned, came) == (1000, 1, {1: 1})
    (partly,) = after.returns
    assert (partly.state, partly.lines, partly.update_time) == (PARTIALLY_RECEIVED, (ReturnLine(1, 2, 1),), LATER)
    assert expected_units(after.returns) == {1: 1}


def test_what_is_damaged_does_not_go_back_to_stock() -> None:
    after, _, changes = decide_receipt(announced(shipped()), "return-1", {1: 1}, {1: 1}, "main", "torn", LATER)
    assert deltas(changes) == {("MUG", "main"): (1, 0, 0)}
    assert [(change.on_hand, change.note) for change in changes] == [(1, "torn"), (0, "1 damaged: torn")]
    assert (after.returns[0].state, after.returns[0].lines) == (RECEIVED, (ReturnLine(1, 2, 2, 1),))
    assert after.amounts.returned == 2000


def test_all_that_is_expected_comes_when_nothing_is_named() -> None:
    after = received(received(announced(shipped(), {1: 3, 2: 1}), {1: 1}))
    assert (after.returns[0].state, [line.returned for line in after.lines]) == (RECEIVED, [3, 1])
    assert after.amounts.net == 0


def test_parts_come_to_as_much_as_the_same_units_returned_at_once() -> None:
    parts = received(received(announced(shipped()), {1: 1}), {1: 1})
    whole, _ = decide_return(shipped(), {1: 2}, {}, "main", "", NOW)
    assert (parts.lines, parts.amounts) == (whole.lines, whole.amounts)


def test_the_rest_of_a_closed_return_stays_with_the_customer_and_can_be_announced_again() -> None:
    closed = decide_return_closing(received(announced(shipped()), {1: 1}), "return-1", LATER)
    assert (closed.returns[0].state, closed.amounts.returned, expected_units(closed.returns)) == (CLOSED, 1000, {})
    assert announced(closed, {1: 2}, "return-2").returns[1].state is ANNOUNCED


def test_a_withdrawn_return_leaves_the_order_as_it_was() -> None:
    before = shipped()
    withdrawn = decide_return_withdrawal(announced(before), "return-1", LATER)
    assert (withdrawn.returns[0].state, withdrawn.amounts, withdrawn.lines) == (WITHDRAWN, before.amounts, before.lines)
    decide_return(withdrawn, {1: 3}, {}, "main", "", LATER)


ORDERS = {
    ANNOUNCED: announced(shipped()),
    PARTIALLY_RECEIVED: received(announced(shipped()), {1: 1}),
    RECEIVED: received(announced(shipped())),
    CLOSED: decide_return_closing(received(announced(shipped()), {1: 1}), "return-1", LATER),
    WITHDRAWN: decide_return_withdrawal(announced(shipped()), "return-1", LATER),
}
STEPS: dict[str, tuple[Callable[[Order], Order], set[ReturnState]]] = {
    "receive": (received, {ANNOUNCED, PARTIALLY_RECEIVED}),
    "close": (lambda before: decide_return_closing(before, "return-1", LATER), {PARTIALLY_RECEIVED}),
    "withdraw": (lambda before: decide_return_withdrawal(before, "return-1", LATER), {ANNOUNCED}),
    "update": (
        lambda before: decide_return_update(before, "return-1", ReturnChange(note="x"), LATER),
        {*ReturnState} - {WITHDRAWN},
    ),
}


@pytest.mark.parametrize("state", ReturnState)
@pytest.mark.parametrize("step", STEPS)
def test_each_step_is_for_some_states(step: str, state: ReturnState) -> None:
    take, allowed = STEPS[step]
    before = ORDERS[state]
    assert before.returns[0].state is state
    if state in allowed:
        take(before)
        return
    with pytest.raises(ReturnStateInvalid, match=f"cannot {step} return return-1: it is {state.name}") as refusal:
        take(before)
    assert refusal.value.metadata == {
        "order_id": "order-1",
        "return_id": "return-1",
        "state": state.name,
        "action": step,
    }


@pytest.mark.parametrize("state", [OrderState.PENDING, OrderState.PROCESSING, OrderState.CANCELLED, OrderState.EXPIRED])
def test_nothing_is_announced_of_an_order_of_which_nothing_was_shipped(state: OrderState) -> None:
    with pytest.raises(OrderStateInvalid, match="cannot announce a return"):
        announced(order(state))


def test_no_more_is_announced_than_was_shipped_and_did_not_come_back() -> None:
    with pytest.raises(QuantityExceeded, match=r"4 named, 3 remain$"):
        announced(shipped(), {1: 4})
    back, _ = decide_return(shipped(), {1: 1}, {}, "main", "", NOW)
    with pytest.raises(QuantityExceeded, match=r"3 named, 2 remain$"):
        announced(back, {1: 3})
    with pytest.raises(LineUnknown):
        announced(shipped(), {3: 1})


def test_units_that_one_return_expects_are_in_no_other() -> None:
    once = announced(shipped())
    twice: list[Callable[[], object]] = [
        lambda: announced(once, {1: 2}, "return-2"),
        lambda: decide_return(once, {1: 2}, {}, "main", "", NOW),
    ]
    for again in twice:
        with pytest.raises(QuantityExceeded, match="2 named, 1 remain, and 2 more are expected in returns") as refusal:
            again()
        assert refusal.value.metadata["announced"] == "2"
    assert expected_units(announced(once, {1: 1}, "return-2").returns) == {1: 3}


def test_no_more_comes_of_a_return_than_was_announced() -> None:
    once = announced(shipped())
    for units in ({1: 3}, {2: 1}):
        with pytest.raises(QuantityExceeded, match="expected in return return-1") as refusal:
            received(once, units)
        assert refusal.value.metadata["return_id"] == "return-1"
    with pytest.raises(QuantityExceeded):
        received(once, {1: 1}, {1: 2})
    with pytest.raises(LineUnknown):
        received(once, {3: 1})


def test_what_comes_was_with_the_customer_whatever_was_announced() -> None:
    """A server of the release before returns units and knows of no announcements."""
    once = announced(shipped(), {1: 3})
    back = replace(once, lines=(replace(once.lines[0], returned=2), once.lines[1]))
    with pytest.raises(QuantityExceeded, match="3 named, 1 remain"):
        received(back)
    assert received(back, {1: 1}).lines[0].returned == 3


def test_units_that_nobody_announced_are_a_return_of_their_own() -> None:
    record = OrderReturn("return-2", RECEIVED, (), NOW, NOW, reason="found at the door")
    after, changes = decide_return_at_once(announced(shipped()), record, {1: 1}, {2: 1}, "main", NOW)
    assert after.returns[1].lines == (ReturnLine(1, 1, 1), ReturnLine(2, 1, 1, 1))
    assert ([line.returned for line in after.lines], len(changes)) == ([1, 1], 2)


def test_a_return_is_found_by_its_id() -> None:
    for step, _ in STEPS.values():
        with pytest.raises(ReturnNotFound):
            step(shipped())


def test_a_return_is_corrected_in_what_is_named() -> None:
    change = ReturnChange(tracking_number="T1", label_url="https://labels.example/1")
    updated = decide_return_update(announced(shipped()), "return-1", change, LATER)
    (one,) = updated.returns
    assert (one.tracking_number, one.carrier, one.label_url, one.note) == ("T1", "", "https://labels.example/1", "")
    assert (one.reason, one.update_time) == ("too small", LATER)


def test_the_number_of_returns_that_can_be_announced_has_an_end() -> None:
    placed = shipped()
    for number in range(MAX_RETURNS):
        placed = decide_return_withdrawal(announced(placed, {1: 1}, f"{number}"), f"{number}", LATER)
    with pytest.raises(ReturnLimitReached):
        announced(placed)
    decide_return(placed, {1: 1}, {}, "main", "", LATER)


# Beside parcels and cancellations


def sent() -> Order:
    return decide_fulfillment(order(OrderState.PROCESSING), PARCEL, {1: 3}, LEVELS, LATER)[0]


def test_a_parcel_that_is_expected_back_is_not_cancelled() -> None:
    with pytest.raises(QuantityExceeded, match="3 named, 1 remain, and 2 more are expected in returns"):
        decide_parcel_cancellation(announced(sent()), "parcel-1", "", LATER)
    withdrawn = decide_return_withdrawal(announced(sent()), "return-1", LATER)
    assert decide_parcel_cancellation(withdrawn, "parcel-1", "", LATER)[0].state is OrderState.PROCESSING


def test_a_parcel_is_corrected_while_its_goods_come_back() -> None:
    corrected, _ = decide_parcel_update(announced(sent()), "parcel-1", ParcelChange(tracking_number="T2"), LATER)
    assert received(corrected).returns[0].state is RECEIVED


def test_the_rest_of_an_order_is_cancelled_and_shipped_units_still_come_back() -> None:
    rest, _ = decide_cancellation(announced(sent()), {2: 1}, "", LATER + SECOND)
    assert rest.state is OrderState.FULFILLED
    assert received(rest).lines[0].returned == 2
