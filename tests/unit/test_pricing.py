"""What an order costs: merged and priced lines, totals, and what is owed either way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stockward_server.domain.charge import Charge, ChargeKind
from stockward_server.domain.errors import CurrencyMismatch, FieldInvalid, PriceChanged, QuantityOverflow
from stockward_server.domain.money import Money
from stockward_server.domain.order import (
    OrderLine,
    OrderState,
)
from stockward_server.domain.order_steps import (
    MAX_TOTAL_MINOR,
    decide_cancellation,
    decide_order,
    decide_order_from_hold,
    decide_return,
)
from stockward_server.domain.payment import Payment, PaymentState
from stockward_server.domain.pricing import WantedLine, merge_lines, price_lines
from stockward_server.domain.stock import Offer
from tests.examples import LATER, order, payment

OFFERS = {
    "MUG": Offer("MUG", "Mug – blue", Money("EUR", 1000), published=True),
    "CAP": Offer("CAP", "Cap", Money("EUR", 500), published=True),
    "SOCK": Offer("SOCK", "Sock", Money("USD", 300), published=True),
}


def euros(cents: int) -> Money:
    return Money("EUR", cents)


def wanted(*lines: tuple[str, int] | tuple[str, int, dict[str, Any]]) -> list[WantedLine]:
    return [
        WantedLine(sku, quantity, f"lines[{position}]", **(rest[0] if rest else {}))
        for position, (sku, quantity, *rest) in enumerate(lines)
    ]


def priced(*lines: tuple[str, int] | tuple[str, int, dict[str, Any]]) -> tuple[str, tuple[OrderLine, ...]]:
    return price_lines(wanted(*lines), merge_lines(wanted(*lines)), OFFERS)


def test_lines_of_one_sku_are_summed_in_order_of_first_mention() -> None:
    assert list(merge_lines(wanted(("MUG", 1), ("CAP", 2), ("MUG", 4))).items()) == [("MUG", 5), ("CAP", 2)]


def test_lines_are_numbered_and_priced_by_the_catalogue() -> None:
    assert priced(("CAP", 2), ("MUG", 1), ("CAP", 1)) == (
        "EUR",
        (OrderLine(1, "CAP", "Cap", 3, 500), OrderLine(2, "MUG", "Mug – blue", 1, 1000)),
    )


def test_the_price_that_was_shown_must_be_the_present_one() -> None:
    priced(("MUG", 1, {"shown_unit_price": euros(1000)}))
    with pytest.raises(PriceChanged, match=r"^MUG costs EUR 10\.00, not EUR 9\.90$") as refusal:
        priced(("CAP", 1), ("MUG", 1, {"shown_unit_price": euros(990)}))
    assert refusal.value.metadata == {
        "sku": "MUG",
        "shown": "EUR 9.90",
        "current": "EUR 10.00",
        "field": "lines[1].shown_unit_price",
    }


def test_the_shown_price_is_checked_on_every_line_of_a_sku() -> None:
    with pytest.raises(PriceChanged) as refusal:
        priced(("MUG", 1), ("MUG", 1, {"shown_unit_price": euros(1)}))
    assert refusal.value.metadata["field"] == "lines[1].shown_unit_price"


@pytest.mark.parametrize("cents", [0, 800, 1200])
def test_an_override_takes_the_place_of_the_price(cents: int) -> None:
    override = {"unit_price_override": euros(cents), "price_override_reason": "wholesale"}
    _, (mug, cap) = priced(("MUG", 1, override), ("CAP", 1), ("MUG", 2))
    assert (mug.quantity, mug.unit_price, mug.price_override_reason) == (3, cents, "wholesale")
    assert (cap.unit_price, cap.price_override_reason) == (500, "")


def test_the_first_override_of_a_sku_holds_for_all_its_units() -> None:
    overrides = [{"unit_price_override": euros(cents), "price_override_reason": f"{cents}"} for cents in (900, 800)]
    _, (mug,) = priced(("MUG", 1), *(("MUG", 1, override) for override in overrides))
    assert (mug.quantity, mug.unit_price, mug.price_override_reason) == (3, 900, "900")


@pytest.mark.parametrize("name", ["shown_unit_price", "unit_price_override"])
def test_a_stated_price_is_in_the_currency_of_the_sku(name: str) -> None:
    with pytest.raises(CurrencyMismatch, match="USD where EUR is expected") as refusal:
        priced(("MUG", 1, {name: Money("USD", 1000)}))
    assert refusal.value.metadata == {"expected": "EUR", "actual": "USD", "field": f"lines[0].{name}"}


def test_an_order_has_one_currency() -> None:
    with pytest.raises(CurrencyMismatch) as refusal:
        priced(("MUG", 1), ("SOCK", 1), ("SOCK", 1))
    assert refusal.value.metadata == {"expected": "EUR", "actual": "USD", "field": "lines[1].sku"}


def test_a_hold_of_two_currencies_is_the_reservations_fault() -> None:
    with pytest.raises(CurrencyMismatch) as refusal:
        price_lines([], {"MUG": 1, "SOCK": 1}, OFFERS)
    assert refusal.value.metadata["field"] == "reservation_id.sku"


# Totals

CHARGES = (Charge(ChargeKind.SHIPPING, 490), Charge(ChargeKind.TAX, 700), Charge(ChargeKind.DISCOUNT, 350))


def test_totals() -> None:
    placed = order(charges=CHARGES)
    assert (placed.amounts.subtotal, placed.amounts.charged, placed.amounts.total, placed.amounts.net) == (
        3500,
        840,
        4340,
        4340,
    )


def test_cancelled_units_lower_what_is_owed_and_what_is_to_be_paid() -> None:
    fewer, _ = decide_cancellation(order(charges=CHARGES), {1: 1}, "", LATER)
    assert (fewer.amounts.total, fewer.amounts.cancelled, fewer.amounts.net, fewer.amounts.asked) == (
        4340,
        1000,
        3340,
        3340,
    )


def test_returned_units_are_owed_back_but_stay_paid() -> None:
    paid = order(OrderState.FULFILLED, payment=payment(captured=3500))
    returned, _ = decide_return(paid, {1: 1}, {2: 1}, "main", "", LATER)
    assert (returned.amounts.returned, returned.amounts.net, returned.amounts.asked) == (1500, 2000, 2000)
    assert (returned.payment_state, returned.refund_due) == (PaymentState.PAID, 1500)


@pytest.mark.parametrize("state", [OrderState.CANCELLED, OrderState.EXPIRED])
def test_nothing_is_owed_for_a_void_order(state: OrderState) -> None:
    void = order(state, payment=payment(captured=3500, refunded=500), charges=CHARGES)
    assert (void.amounts.net, void.amounts.asked, void.refund_due) == (0, 4340, 3000)


def test_a_discount_never_makes_an_order_negative() -> None:
    gift = order(charges=(Charge(ChargeKind.DISCOUNT, 9999),))
    assert (gift.amounts.net, gift.amounts.asked, gift.payment_state) == (0, 0, PaymentState.PAID)


@pytest.mark.parametrize(
    ("reported", "refund"),
    [
        (Payment(), 0),
        (payment(authorized=9000), 0),
        (payment(captured=3500), 0),
        (payment(captured=4000), 500),
        (payment(captured=4000, refunded=500), 0),
        (payment(captured=4000, refunded=9000), 0),
    ],
)
def test_what_is_kept_beyond_what_is_owed_must_go_back(reported: Payment, refund: int) -> None:
    assert order(payment=reported).refund_due == refund


def test_discounts_greater_than_everything_else_are_refused() -> None:
    gift = order(allocations=(), charges=(Charge(ChargeKind.DISCOUNT, order().amounts.subtotal + 1),))
    for place in (lambda: decide_order(gift, {}, {}), lambda: decide_order_from_hold(gift, [])):
        with pytest.raises(FieldInvalid) as refusal:
            place()
        assert refusal.value.metadata == {"field": "charges"}


@pytest.mark.parametrize("excess", [0, 1])
def test_a_total_beyond_counting_is_refused(excess: int) -> None:
    line = replace(order().lines[0], quantity=1, unit_price=MAX_TOTAL_MINOR - 100 + excess)
    huge = order(lines=(line,), allocations=(), charges=(Charge(ChargeKind.DISCOUNT, 100),))
    if excess:
        for place in (lambda: decide_order(huge, {}, {}), lambda: decide_order_from_hold(huge, [])):
            with pytest.raises(QuantityOverflow) as refusal:
                place()
            assert refusal.value.metadata == {"field": "lines"}
    else:
        decide_order(huge, {}, {})
