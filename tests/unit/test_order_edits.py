"""Edits of orders: what happens to units, claims and amounts, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stockward_server.domain.charge import Charge, ChargeKind
from stockward_server.domain.errors import (
    ChargeExceeded,
    CurrencyMismatch,
    FieldInvalid,
    InsufficientStock,
    LineCharged,
    OrderStateInvalid,
    QuantityExceeded,
)
from stockward_server.domain.money import Money
from stockward_server.domain.order import Address, Allocation, Order, OrderLine, OrderState
from stockward_server.domain.order_edits import (
    MAX_EDITS,
    MAX_LINES,
    AddedLine,
    LineChange,
    OrderDetails,
    current_prices,
    decide_edit,
    decide_update,
)
from stockward_server.domain.order_steps import decide_cancellation, decide_charge, decide_order_expiry, decide_payment
from stockward_server.domain.payment import PaymentKind
from stockward_server.domain.pricing import spread_charge
from stockward_server.domain.stock import StockChange, untracked_level
from tests.examples import LATER, NOW, SECOND, deltas, level, order, report

TAX, DISCOUNT, CREDIT = ChargeKind.TAX, ChargeKind.DISCOUNT, ChargeKind.CREDIT
LEVELS = {
    "MUG": [level(4, allocated=2), level(6, allocated=1, location_id="north", priority=1)],
    "CAP": [level(5, allocated=1, sku="CAP")],
    "PIN": [level(2, sku="PIN")],
    "PDF": [untracked_level("PDF")],
}


def edit(
    before: Order,
    changes: dict[int, int],
    *added: tuple[str, int, int],
    prices: dict[int, int] | None = None,
    now: Any = LATER,
) -> tuple[Order, list[StockChange]]:
    """Sets units by line number, and adds (SKU, units, unit price)."""
    lines = [AddedLine(OrderLine(0, sku, sku, units, price), "additions[0]") for sku, units, price in added]
    wanted = [LineChange(number, units, f"changes[{index}]") for index, (number, units) in enumerate(changes.items())]
    return decide_edit(before, wanted, lines, prices or {}, LEVELS, now)


def charged(before: Order, *charges: Charge) -> Order:
    lines = before.lines
    for charge in charges:
        lines = spread_charge(lines, charge, "EUR", "charges[0]")
    return replace(before, lines=lines, charges=charges)


def test_lines_change_are_removed_and_added_together() -> None:
    edited, changes = edit(order(), {1: 1, 2: 0}, ("PIN", 2, 300))
    assert [(line.line_number, line.sku, line.quantity) for line in edited.lines] == [(1, "MUG", 1), (3, "PIN", 2)]
    assert edited.amounts.net == 1000 + 600
    assert set(edited.allocations) == {Allocation(1, "main", 1), Allocation(3, "main", 2)}
    assert deltas(changes) == {
        ("MUG", "main"): (0, 0, -1),
        ("MUG", "north"): (0, 0, -1),
        ("CAP", "main"): (0, 0, -1),
        ("PIN", "main"): (0, 0, 2),
    }
    assert {change.reference for change in changes} == {"order-1"}


def test_more_units_are_claimed_where_they_are() -> None:
    edited, changes = edit(order(), {1: 6})
    assert set(edited.allocations) == {Allocation(1, "main", 4), Allocation(1, "north", 2), Allocation(2, "main", 1)}
    assert deltas(changes) == {("MUG", "main"): (0, 0, 2), ("MUG", "north"): (0, 0, 1)}


def test_all_or_nothing() -> None:
    with pytest.raises(InsufficientStock) as refusal:
        edit(order(), {1: 4}, ("PIN", 3, 300))
    assert refusal.value.metadata["sku"] == "PIN"


def test_what_is_not_tracked_claims_nothing() -> None:
    edited, changes = edit(order(), {}, ("PDF", 7, 100))
    assert (edited.lines[-1].untracked, changes) == (True, [])
    more, changes = edit(edited, {3: 9})
    assert (more.lines[-1].quantity, more.lines[-1].untracked, changes) == (9, True, [])


@pytest.mark.parametrize("state", [state for state in OrderState if state is not OrderState.PENDING])
def test_only_a_pending_order_is_edited(state: OrderState) -> None:
    with pytest.raises(OrderStateInvalid, match="cannot edit"):
        edit(order(state), {1: 1})


def test_charges_are_spread_again_over_what_is_left() -> None:
    before = charged(order(), Charge(TAX, 350), Charge(DISCOUNT, 70))
    assert [(line.shares.tax, line.shares.discount) for line in before.lines] == [(300, 60), (50, 10)]
    edited, _ = edit(before, {1: 1, 2: 2})
    assert [(line.shares.tax, line.shares.discount) for line in edited.lines] == [(175, 35), (175, 35)]
    assert edited.amounts.net == 2000 + 350 - 70
    cancelled, _ = decide_cancellation(edited, {1: 1}, "", LATER)
    assert cancelled.amounts.net == 1000 + 175 - 35


def test_cancelled_units_stay_and_bear_nothing_any_more() -> None:
    before, _ = decide_cancellation(charged(order(), Charge(TAX, 350)), {1: 2, 2: 1}, "", LATER)
    edited, changes = edit(before, {1: 3})
    assert [(line.quantity, line.cancelled, line.open) for line in edited.lines] == [(5, 2, 3), (1, 1, 0)]
    assert (edited.amounts.cancelled, edited.amounts.net) == (2500, 3000 + 350)
    assert deltas(changes) == {("MUG", "main"): (0, 0, 2)}
    with pytest.raises(QuantityExceeded):
        edit(before, {2: 1})
    kept, _ = edit(before, {1: 0}, ("CAP", 1, 600))
    assert [(line.sku, line.quantity, line.open) for line in kept.lines] == [
        ("MUG", 2, 0),
        ("CAP", 1, 0),
        ("CAP", 1, 1),
    ]
    assert {claim.line_number for claim in kept.allocations} == {3}


def test_a_line_that_a_charge_names_is_not_removed() -> None:
    before = charged(order(), Charge(DISCOUNT, 100, line_numbers=(2,)))
    with pytest.raises(LineCharged, match="a discount of the order names it") as refusal:
        edit(before, {2: 0})
    assert refusal.value.metadata == {"order_id": "order-1", "line_number": "2", "field": "changes[0].quantity"}
    with pytest.raises(ChargeExceeded):
        edit(charged(order(), Charge(DISCOUNT, 2500, line_numbers=(1,))), {1: 2})


def test_no_more_is_taken_off_than_is_left() -> None:
    before = charged(order(), Charge(DISCOUNT, 3000), Charge(CREDIT, 200))
    with pytest.raises(ChargeExceeded) as refusal:
        edit(before, {1: 1})
    assert refusal.value.metadata["left"] == "EUR 13.00"
    assert edit(before, {1: 4})[0].amounts.net == 4500 - 3200


def test_an_order_keeps_a_unit_and_its_lines_have_numbers() -> None:
    with pytest.raises(FieldInvalid, match="keeps at least one unit"):
        edit(order(), {1: 0, 2: 0})
    with pytest.raises(FieldInvalid, match="has a line of MUG"):
        edit(order(), {}, ("MUG", 1, 1000))
    last = replace(order().lines[1], line_number=MAX_LINES)
    with pytest.raises(FieldInvalid, match="at most 1,000 lines"):
        edit(order(lines=(order().lines[0], last)), {}, ("PIN", 1, 300))


def test_present_prices_are_for_lines_that_nobody_priced() -> None:
    lines = (*order().lines, OrderLine(3, "PIN", "Pin", 1, 100, "a friend of the house"))
    asked = {"MUG": Money("EUR", 1100), "CAP": Money("EUR", 450), "PIN": Money("EUR", 300)}
    prices = current_prices(order(lines=lines), asked)
    assert prices == {1: 1100, 2: 450}
    edited, _ = edit(order(lines=lines), {1: 2}, prices=prices)
    assert [line.unit_price for line in edited.lines] == [1100, 450, 100]
    with pytest.raises(CurrencyMismatch):
        current_prices(order(), {"MUG": Money("USD", 1100)})


def test_a_paid_order_that_comes_to_more_waits_for_the_rest_and_never_expires() -> None:
    paid, _ = decide_payment(order(), report(PaymentKind.CAPTURED, 3500, event_time=NOW + SECOND), {}, NOW + SECOND)
    more, _ = edit(paid, {1: 4})
    assert (more.terms_met, more.terms_met_once, more.hold, more.still_to_pay) == (False, True, None, 1000)
    assert decide_order_expiry(more, NOW + timedelta(hours=2)) is None
    less, _ = edit(more, {1: 2}, now=LATER + SECOND)
    assert (less.terms_met, less.refund_due) == (True, 1000)
    fee = Charge(ChargeKind.FEE, 500, added=LATER + 2 * SECOND)
    assert decide_charge(more, fee, "charge", LATER + 2 * SECOND).terms_met_once


def test_an_unpaid_order_that_comes_to_less_is_paid_by_what_was_captured() -> None:
    paid, _ = decide_payment(order(), report(PaymentKind.CAPTURED, 3000, event_time=NOW + SECOND), {}, NOW + SECOND)
    assert not paid.terms_met_once
    less, _ = edit(paid, {2: 0})
    assert (less.terms_met, less.terms_met_once) == (True, True)


def test_edits_are_remembered_up_to_a_number() -> None:
    edited = order()
    for number in range(MAX_EDITS + 5):
        edited, _ = edit(edited, {1: 1 + number % 2}, now=NOW + number * SECOND)
    assert len(edited.edits) == MAX_EDITS
    assert sum(each.amount for each in edited.edits) == edited.amounts.net - 3500


def test_an_update_changes_what_it_names() -> None:
    ada = Address("Ada", ("Main Street 1",), "Berlin", "", "10115", "DE")
    before = replace(order(), reference="A-1", tags=("vip",))
    details = OrderDetails({"name": "Ada", "shipping_address": ada}, gift_note="Dear Ann", line_gift_notes={2: "Blue!"})
    updated = decide_update(before, details, LATER)
    assert (updated.customer.name, updated.customer.shipping_address) == ("Ada", ada)
    assert (updated.reference, updated.tags, updated.gift_note) == ("A-1", ("vip",), "Dear Ann")
    assert [line.gift_note for line in updated.lines] == ["", "Blue!"]
    cleared = decide_update(updated, OrderDetails({"name": ""}, "", (), (), "", {2: ""}), LATER)
    assert (cleared.reference, cleared.tags, cleared.gift_note, cleared.customer.name) == ("", (), "", "")
    assert cleared.lines == before.lines
