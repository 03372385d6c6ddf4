"""Money that comes after an order has expired, and money at any other time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stockward_server.domain.order import Allocation, OrderState
from stockward_server.domain.order_steps import decide_cancellation, decide_payment
from stockward_server.domain.payment import PaymentKind, PaymentState
from stockward_server.domain.stock import StockLevel
from tests.examples import LATER, NOW, deltas, level, order, report

EXPIRED, PROCESSING = OrderState.EXPIRED, OrderState.PROCESSING
TOTAL = 3500


def offered(mugs: int = 9, caps: int = 9) -> dict[str, list[StockLevel]]:
    return {"MUG": [level(mugs)], "CAP": [level(caps, sku="CAP")]}


def test_money_for_an_expired_order_revives_it_while_there_is_stock() -> None:
    paid, changes = decide_payment(order(EXPIRED), report(PaymentKind.CAPTURED, TOTAL), offered(), LATER)
    assert (paid.state, paid.refund_due) == (PROCESSING, 0)
    assert deltas(changes) == {("MUG", "main"): (0, 0, 3), ("CAP", "main"): (0, 0, 1)}
    assert paid.allocations == (Allocation(1, "main", 3), Allocation(2, "main", 1))


def test_money_for_an_expired_order_goes_back_when_the_stock_is_gone() -> None:
    paid, changes = decide_payment(order(EXPIRED), report(PaymentKind.CAPTURED, TOTAL), offered(mugs=2), LATER)
    assert (paid.state, paid.allocations, changes) == (EXPIRED, (), [])
    assert (paid.payment_state, paid.refund_due) == (PaymentState.PAID, TOTAL)


def test_part_of_the_money_does_not_revive() -> None:
    part, changes = decide_payment(order(EXPIRED), report(PaymentKind.CAPTURED, TOTAL - 1), offered(), LATER)
    assert (part.state, changes, part.refund_due) == (EXPIRED, [], TOTAL - 1)
    rest, _ = decide_payment(part, report(PaymentKind.CAPTURED, 1, "evt-2"), offered(), LATER)
    assert rest.state is PROCESSING


@pytest.mark.parametrize("kind", ["REFUNDED", "DISPUTED", "DISPUTE_LOST", "DISPUTE_WON", "VOIDED", "FAILED"])
def test_an_order_whose_money_goes_back_is_not_revived_by_stock_that_came(kind: str) -> None:
    paid, _ = decide_payment(order(EXPIRED), report(PaymentKind.CAPTURED, TOTAL), offered(mugs=2), LATER)
    after, changes = decide_payment(paid, report(PaymentKind[kind], 500, "evt-2"), offered(), LATER)
    assert (after.state, after.allocations, changes) == (EXPIRED, (), [])
    assert after.refund_due == after.payment.kept


def test_an_order_is_not_revived_when_the_sku_of_one_line_has_become_that_of_another() -> None:
    """The goods of line 2 were dropped, and those of line 1 were given their SKU: what is in stock is not what line 2
    was of."""
    expired = order(EXPIRED)
    alike = replace(expired, lines=tuple(replace(line, sku="MUG") for line in expired.lines))
    paid, changes = decide_payment(alike, report(PaymentKind.CAPTURED, TOTAL), offered(), LATER)
    assert (paid.state, paid.allocations, changes, paid.refund_due) == (EXPIRED, (), [], TOTAL)


def test_an_authorization_revives_too() -> None:
    revived, _ = decide_payment(order(EXPIRED), report(PaymentKind.AUTHORIZED, TOTAL), offered(), LATER)
    assert revived.state is PROCESSING


def test_units_that_were_cancelled_before_do_not_come_back_to_life() -> None:
    fewer, _ = decide_cancellation(order(), {1: 1}, "", NOW)
    expired = replace(fewer, state=EXPIRED, allocations=())
    _, changes = decide_payment(expired, report(PaymentKind.CAPTURED, TOTAL), offered(), LATER)
    assert deltas(changes) == {("MUG", "main"): (0, 0, 2), ("CAP", "main"): (0, 0, 1)}


@pytest.mark.parametrize("state", [each for each in OrderState if each is not EXPIRED])
@pytest.mark.parametrize("kind", [each for each in PaymentKind if each is not PaymentKind.REFUND_FAILED])
def test_money_moves_nothing_else(kind: PaymentKind, state: OrderState) -> None:
    paid, changes = decide_payment(order(state), report(kind, TOTAL), offered(), LATER)
    assert (paid.state, paid.allocations, changes) == (state, order(state).allocations, [])
