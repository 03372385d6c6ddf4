"""Charges: what stays with the order, what goes with the lines, and how the steps add up to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stockward_server.domain.charge import Charge, ChargeKind, split
from stockward_server.domain.errors import (
    ChargeExceeded,
    ChargeLimitReached,
    LineUnknown,
    OrderStateInvalid,
    QuantityOverflow,
    Refusal,
)
from stockward_server.domain.order import Order, OrderLine, OrderState
from stockward_server.domain.order_steps import (
    MAX_CHARGES,
    MAX_TOTAL_MINOR,
    decide_cancellation,
    decide_charge,
    decide_order_expiry,
    decide_payment,
    decide_processing,
    decide_return,
)
from stockward_server.domain.payment import PaymentKind
from stockward_server.domain.pricing import spread_charge
from tests.examples import LATER, NOW, SECOND, order, payment, report

SHIPPING, TAX, DISCOUNT, FEE, CREDIT = ChargeKind
PENDING, PROCESSING, _, FULFILLED, CANCELLED, EXPIRED = OrderState


def lines_of(*lines: tuple[int, int]) -> tuple[OrderLine, ...]:
    """Lines of (units, unit price)."""
    return tuple(OrderLine(n, f"SKU-{n}", "", units, price) for n, (units, price) in enumerate(lines, 1))


def ordered(lines: Sequence[tuple[int, int]], *charges: Charge, state: OrderState = FULFILLED, **fields: Any) -> Order:
    """An order of (units, unit price) with its charges spread; FULFILLED unless said otherwise."""
    placed = lines_of(*lines)
    if state is FULFILLED:
        placed = tuple(replace(line, fulfilled=line.quantity) for line in placed)
    for charge in charges:
        placed = spread_charge(placed, charge, "EUR", "charges[0]")
    return order(state, lines=placed, charges=charges, allocations=(), **fields)


def shares(placed: Order) -> list[tuple[int, int]]:
    """Discount and tax of each line."""
    return [(line.shares.discount, line.shares.tax) for line in placed.lines]


def taken_back(placed: Order, *units: tuple[int, int]) -> Order:
    """After returns of (line, units)."""
    for number, count in units:
        placed, _ = decide_return(placed, {number: count}, {}, "main", "", LATER)
    return placed


def charged(placed: Order, kind: ChargeKind, amount: int, *line_numbers: int, added: Any = LATER) -> Order:
    charge = Charge(kind, amount, line_numbers=line_numbers, reason="because", actor="staff", added=added)
    return decide_charge(placed, charge, "charge", LATER)


# Spreading


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        (10, {1: 1, 2: 1, 3: 1}, {1: 4, 2: 3, 3: 3}),
        (2, {1: 1, 2: 1, 3: 1}, {1: 1, 2: 1, 3: 0}),
        (100, {1: 333, 2: 667}, {1: 33, 2: 67}),
        (1, {1: 1, 2: 2}, {1: 0, 2: 1}),
        (7, {1: 0, 2: 5}, {1: 0, 2: 7}),
    ],
)
def test_an_amount_is_split_by_largest_remainder(amount: int, weights: dict[int, int], parts: dict[int, int]) -> None:
    assert split(amount, weights) == parts


@given(st.integers(0, 10**9), st.dictionaries(st.integers(1, 1000), st.integers(0, 10**9), min_size=1))
def test_parts_add_up_and_are_within_one_of_their_proportion(amount: int, weights: dict[int, int]) -> None:
    weights[1001] = 1  # one is above zero
    whole = sum(weights.values())
    parts = split(amount, weights)
    assert sum(parts.values()) == amount
    assert all(abs(parts[n] * whole - amount * weight) < whole for n, weight in weights.items())


def test_discounts_and_taxes_belong_to_the_lines_and_all_else_to_the_order() -> None:
    placed = ordered(
        [(3, 1000), (1, 1000)], Charge(DISCOUNT, 400), Charge(TAX, 200), Charge(SHIPPING, 490), Charge(FEE, 100)
    )
    assert shares(placed) == [(300, 150), (100, 50)]
    back = taken_back(placed, (1, 3), (2, 1))
    assert (back.amounts.returned, back.amounts.net) == (4000 - 400 + 200, 590)


def test_a_charge_may_name_its_lines() -> None:
    placed = ordered([(1, 1000), (1, 1000), (1, 2000)], Charge(DISCOUNT, 300, line_numbers=(3, 1, 3)))
    assert shares(placed) == [(100, 0), (0, 0), (200, 0)]


def test_free_lines_share_a_tax_by_units() -> None:
    assert shares(ordered([(1, 0), (3, 0)], Charge(TAX, 400))) == [(0, 100), (0, 300)]


def test_what_a_discount_exceeds_the_lines_by_takes_off_shipping() -> None:
    placed = ordered([(2, 1000)], Charge(SHIPPING, 490), Charge(DISCOUNT, 2100))
    assert (shares(placed), placed.amounts.net) == ([(2000, 0)], 390)
    assert taken_back(placed, (1, 2)).amounts.net == 390


def test_a_discount_takes_off_no_line_more_than_is_left_of_it() -> None:
    placed = ordered([(1, 1000), (1, 1000)], Charge(DISCOUNT, 1000, line_numbers=(1,)), Charge(DISCOUNT, 600))
    assert shares(placed) == [(1000, 0), (600, 0)]


def test_a_discount_that_names_lines_may_not_exceed_them() -> None:
    with pytest.raises(ChargeExceeded) as refusal:
        ordered([(1, 1000), (1, 500)], Charge(DISCOUNT, 501, line_numbers=(2,)))
    assert refusal.value.metadata == {"amount": "EUR 5.01", "left": "EUR 5.00", "field": "charges[0].amount"}


def test_a_charge_of_a_line_that_is_not_there_is_refused() -> None:
    with pytest.raises(LineUnknown) as refusal:
        ordered([(1, 1000)], Charge(TAX, 1, line_numbers=(1, 4)))
    assert refusal.value.metadata == {"line_number": "4", "field": "charges[0].line_numbers[1]"}


# Steps


def test_a_discount_is_not_given_back_with_the_goods() -> None:
    paid = ordered([(3, 10000)], Charge(DISCOUNT, 3000), payment=payment(captured=27000))
    assert taken_back(paid, (1, 2)).refund_due == 18000


def test_a_tax_is_given_back_with_the_goods() -> None:
    paid = ordered([(2, 1000)], Charge(TAX, 400), payment=payment(captured=2400))
    assert taken_back(paid, (1, 2)).refund_due == 2400


def test_rounding_is_cumulative() -> None:
    placed = ordered([(3, 1000)], Charge(DISCOUNT, 100))
    steps = [0]
    for _ in range(3):
        placed = taken_back(placed, (1, 1))
        steps.append(placed.amounts.returned)
    assert [after - before for before, after in pairwise(steps)] == [967, 966, 967]


@pytest.mark.parametrize("steps", [[1, 1, 1], [2, 1], [1, 2], [3]])
def test_the_way_does_not_matter(steps: list[int]) -> None:
    placed = ordered([(3, 999)], Charge(DISCOUNT, 101), Charge(TAX, 77))
    assert taken_back(placed, *[(1, units) for units in steps]).amounts.returned == 3 * 999 - 101 + 77


def test_a_charge_that_is_added_leaves_earlier_steps_as_they_were() -> None:
    back = taken_back(ordered([(3, 1000)], Charge(DISCOUNT, 100)), (1, 1))
    before = back.amounts
    later = charged(back, DISCOUNT, 333)
    assert (later.amounts.returned, later.amounts.net) == (before.returned, before.net - 333)
    gone = taken_back(later, (1, 2)).amounts
    assert (gone.returned, gone.net) == (3000 - 100 - 333, 0)


# Charges that are added later


@pytest.mark.parametrize(
    ("kind", "amount", "net", "still_to_pay", "refund_due"),
    [
        (FEE, 500, 2990, 500, 0),
        (SHIPPING, 500, 2990, 500, 0),
        (TAX, 500, 2990, 500, 0),
        (CREDIT, 490, 2000, 0, 490),
        (DISCOUNT, 490, 2000, 0, 490),
        (CREDIT, 2490, 0, 0, 2490),
    ],
)
def test_a_charge_changes_what_is_to_pay_or_to_go_back(
    kind: ChargeKind, amount: int, net: int, still_to_pay: int, refund_due: int
) -> None:
    paid = ordered([(2, 1000)], Charge(SHIPPING, 490), payment=payment(captured=2490))
    after = charged(paid, kind, amount)
    assert (after.amounts.net, after.still_to_pay, after.refund_due) == (net, still_to_pay, refund_due)
    assert after.charges[-1].reason == "because"


def test_a_fee_for_a_return_lowers_the_refund() -> None:
    paid = ordered([(2, 1000)], payment=payment(captured=2000))
    assert charged(taken_back(paid, (1, 1)), FEE, 300).refund_due == 700


def test_nothing_is_owed_for_a_cancelled_order_but_what_was_charged_since() -> None:
    start = ordered([(2, 1000)], Charge(SHIPPING, 490), state=PENDING, payment=payment(captured=2490))
    gone, _ = decide_cancellation(start, {}, "", LATER)
    assert (gone.state, gone.amounts.net, gone.refund_due) == (CANCELLED, 0, 2490)
    kept = charged(gone, FEE, 500)
    assert (kept.amounts.net, kept.refund_due, kept.still_to_pay) == (500, 1990, 0)
    assert charged(kept, CREDIT, 500).amounts.net == 0


@pytest.mark.parametrize(("kind", "amount"), [(CREDIT, 2491), (DISCOUNT, 2491), (DISCOUNT, 2001)])
def test_no_more_is_taken_off_than_is_left(kind: ChargeKind, amount: int) -> None:
    start = ordered([(2, 1000)], Charge(SHIPPING, 490))
    named = (1,) if amount == 2001 else ()
    with pytest.raises(ChargeExceeded) as refusal:
        charged(start, kind, amount, *named)
    assert refusal.value.metadata["field"] == "charge.amount"


def test_an_expired_order_is_charged_nothing() -> None:
    with pytest.raises(OrderStateInvalid) as refusal:
        charged(order(EXPIRED), FEE, 1)
    assert refusal.value.metadata["action"] == "charge"


def test_charges_are_limited_in_number_and_in_sum() -> None:
    full = order(charges=(Charge(FEE, 1),) * MAX_CHARGES)
    with pytest.raises(ChargeLimitReached):
        charged(full, FEE, 1)
    with pytest.raises(QuantityOverflow):
        charged(order(), FEE, MAX_TOTAL_MINOR)


def test_a_charge_that_is_added_is_only_still_to_pay() -> None:
    paid = order(payment=payment(captured=3500))
    more = charged(paid, FEE, 500)
    assert (more.terms_met, more.terms_met_once, more.hold, more.still_to_pay) == (False, True, None, 500)
    assert decide_order_expiry(replace(more, payment_due_time=LATER), LATER) is None
    processing = charged(decide_processing(paid, LATER), FEE, 500)
    assert (processing.hold, processing.still_to_pay) == (None, 500)


def test_an_order_that_is_charged_before_it_is_paid_must_be_paid_with_the_charge() -> None:
    placed = charged(order(), SHIPPING, 500, added=NOW)
    late = report(PaymentKind.CAPTURED, 3500, event_time=NOW + SECOND)
    part, _ = decide_payment(placed, late, {}, LATER)
    assert (part.terms_met, part.terms_met_once, part.still_to_pay) == (False, False, 500)
    rest, _ = decide_payment(part, replace(late, provider_event_id="evt-2", amount=500), {}, LATER)
    assert (rest.terms_met, rest.still_to_pay) == (True, 0)


def test_a_payment_counts_for_what_the_order_came_to_when_it_happened() -> None:
    more = charged(order(), FEE, 500)
    paid, _ = decide_payment(more, report(PaymentKind.CAPTURED, 3500, event_time=LATER - SECOND), {}, LATER)
    assert (paid.terms_met_once, paid.terms_met, paid.hold) == (True, False, None)


def test_a_payment_of_a_clock_that_is_ahead_counts_from_its_record() -> None:
    ahead = report(PaymentKind.CAPTURED, 3500, event_time=LATER + 3600 * SECOND, record_time=LATER - SECOND)
    paid, _ = decide_payment(order(), ahead, {}, LATER)
    more = charged(paid, FEE, 500)
    assert (more.terms_met, more.terms_met_once, more.hold, more.still_to_pay) == (False, True, None, 500)


@pytest.mark.parametrize("captured", [0, 500])
def test_a_fee_that_was_taken_back_does_not_make_an_order_paid_for(captured: int) -> None:
    """What was charged by mistake and given back is no price that was ever agreed on."""
    placed = charged(charged(order(payment=payment(captured=captured)), FEE, 3500), CREDIT, 3500)
    assert (placed.amounts.net, placed.terms_met_once, placed.hold) == (3500, False, None)


def test_a_credit_lowers_what_must_have_been_paid() -> None:
    placed = charged(charged(order(payment=payment(captured=3000)), CREDIT, 500), FEE, 500)
    assert (placed.terms_met, placed.terms_met_once, placed.hold, placed.still_to_pay) == (False, True, None, 500)


# Anything


ORDERED = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3000)), min_size=1, max_size=4)
CHARGES = st.builds(
    Charge,
    st.sampled_from(ChargeKind),
    st.integers(0, 700),
    line_numbers=st.lists(st.integers(1, 4), max_size=3).map(tuple),
    added=st.integers(0, 100).map(lambda second: NOW + timedelta(seconds=second)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("cancel"), st.integers(1, 4), st.integers(1, 3)),
        st.tuples(st.just("return"), st.integers(1, 4), st.integers(1, 3)),
        st.tuples(st.just("charge"), CHARGES),
        st.tuples(st.just("charge"), CHARGES),
        st.tuples(
            st.just("pay"), st.sampled_from(PaymentKind), st.integers(0, 9000), st.sampled_from(["", "card", "gift"])
        ),
    ),
    max_size=12,
)


def attempt(placed: Order, step: Any, number: int) -> Order:
    """The order after a step, or as it was when the step is refused."""
    name, *arguments = step
    try:
        match name:
            case "cancel":
                placed, _ = decide_cancellation(placed, dict([arguments]), "", LATER)
            case "return":
                placed, _ = decide_return(placed, dict([arguments]), {}, "main", "", LATER)
            case "charge":
                (charge,) = arguments
                named = charge.line_numbers if charge.kind.is_spread else ()
                placed = decide_charge(placed, replace(charge, line_numbers=named), "charge", LATER)
            case "pay":
                kind, amount, tender = arguments
                event = report(
                    kind, amount, f"evt-{number}", payment_reference=tender, event_time=NOW + number * 9 * SECOND
                )
                placed, _ = decide_payment(placed, event, {}, LATER)
    except Refusal:
        pass
    return placed


@example([(1, 0)], [Charge(ChargeKind.SHIPPING, 1, added=NOW)], [("cancel", 1, 1)], 0)
@settings(max_examples=300)
@given(ORDERED, st.lists(CHARGES, max_size=3), STEPS, st.integers(0, 5))
def test_the_steps_add_up_to_the_whole(
    wanted: list[tuple[int, int]], charges: list[Charge], steps: list[Any], shipped: int
) -> None:
    placed = order(OrderState.PARTIALLY_FULFILLED, lines=lines_of(*wanted), allocations=(), payment=payment())
    for charge in charges:
        placed = attempt(placed, ("charge", charge), 0)
    placed = replace(placed, lines=tuple(replace(line, fulfilled=min(shipped, line.quantity)) for line in placed.lines))
    for number, step in enumerate(steps):
        before, placed = placed.amounts, attempt(placed, step, number)
        after = placed.amounts
        assert after.remaining == max(0, after.total - after.cancelled - after.returned)
        if placed.state is OrderState.CANCELLED:  # nothing was sent, so not even its shipping is owed
            assert after.net == max(0, sum(charge.signed for charge in placed.charges if charge.after_cancellation))
        else:
            assert after.net == after.remaining
        assert not (placed.still_to_pay and placed.refund_due)
        if step[0] in ("cancel", "return"):
            other = "returned" if step[0] == "cancel" else "cancelled"
            assert getattr(after, other) == getattr(before, other)
            assert before.cancelled <= after.cancelled
            assert before.returned <= after.returned
            assert after.net <= before.net
        elif step[0] == "charge":
            assert (after.cancelled, after.returned) == (before.cancelled, before.returned)
        assert all(line.room >= 0 for line in placed.lines)
    for line in placed.lines:
        placed = attempt(placed, ("cancel", line.line_number, line.open), 0)
        placed = attempt(placed, ("return", line.line_number, line.fulfilled - line.returned), 0)
    gone = placed.amounts
    assert gone.cancelled + gone.returned == gone.subtotal + sum(
        line.shares.tax - line.shares.discount for line in placed.lines
    )
    for line in placed.lines:
        assert line.shares.cancelled + line.shares.returned == line.shares.tax - line.shares.discount
