"""The payment axis: a function of the set of events, whatever their order."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_server.domain.order import Order, OrderState
from stockward_server.domain.order_steps import (
    decide_payment,
)
from stockward_server.domain.payment import Payment, PaymentKind, PaymentState
from tests.examples import LATER, level, order, report

AUTHORIZED, CAPTURED, FAILED, VOIDED, REFUNDED = PaymentKind
TOTAL = 3500


def payment(*events: tuple[PaymentKind, int]) -> Payment:
    sums = Payment()
    for kind, amount in events:
        sums = sums.record(report(kind, amount))
    return sums


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], PaymentState.PENDING),
        ([(FAILED, TOTAL)], PaymentState.FAILED),
        ([(FAILED, TOTAL), (CAPTURED, TOTAL)], PaymentState.PAID),
        ([(FAILED, TOTAL), (AUTHORIZED, TOTAL)], PaymentState.AUTHORIZED),
        ([(AUTHORIZED, TOTAL)], PaymentState.AUTHORIZED),
        ([(AUTHORIZED, 3000), (AUTHORIZED, 500)], PaymentState.AUTHORIZED),
        ([(AUTHORIZED, TOTAL - 1)], PaymentState.PENDING),
        ([(AUTHORIZED, TOTAL), (VOIDED, TOTAL)], PaymentState.VOIDED),
        ([(VOIDED, TOTAL)], PaymentState.VOIDED),
        ([(AUTHORIZED, TOTAL), (VOIDED, TOTAL), (AUTHORIZED, TOTAL)], PaymentState.AUTHORIZED),
        ([(AUTHORIZED, TOTAL), (CAPTURED, TOTAL)], PaymentState.PAID),
        ([(CAPTURED, TOTAL - 1)], PaymentState.PARTIALLY_PAID),
        ([(CAPTURED, TOTAL - 1), (CAPTURED, 1)], PaymentState.PAID),
        ([(CAPTURED, TOTAL + 1)], PaymentState.PAID),
        ([(CAPTURED, TOTAL), (REFUNDED, 1)], PaymentState.PARTIALLY_REFUNDED),
        ([(CAPTURED, TOTAL), (REFUNDED, TOTAL)], PaymentState.REFUNDED),
        ([(CAPTURED, 100), (REFUNDED, 100)], PaymentState.REFUNDED),
        ([(AUTHORIZED, TOTAL), (CAPTURED, TOTAL), (REFUNDED, 1000), (REFUNDED, 2500)], PaymentState.REFUNDED),
        ([(AUTHORIZED, TOTAL), (FAILED, 1), (VOIDED, 500), (CAPTURED, 3000)], PaymentState.PARTIALLY_PAID),
    ],
)
def test_every_order_of_arrival_gives_the_same_state(
    events: list[tuple[PaymentKind, int]], state: PaymentState
) -> None:
    assert {payment(*arrival) for arrival in permutations(events)} == {payment(*events)}
    assert payment(*events).state(TOTAL) is state


@given(st.lists(st.tuples(st.sampled_from(PaymentKind), st.integers(0, 5000)), max_size=6), st.randoms())
def test_arrival_does_not_matter_for_any_events(events: list[tuple[PaymentKind, int]], random: Random) -> None:
    shuffled = random.sample(events, len(events))
    assert payment(*shuffled) == payment(*events)


def test_a_void_that_overtook_its_authorization_counts_once_that_arrives() -> None:
    assert payment((VOIDED, TOTAL)).held == 0
    assert payment((VOIDED, TOTAL), (AUTHORIZED, TOTAL)).held == 0
    assert payment((VOIDED, 500), (AUTHORIZED, TOTAL)).held == 3000


def test_nothing_to_pay_is_paid() -> None:
    assert Payment().state(0) is PaymentState.PAID


def paid(start: Order, *events: tuple[PaymentKind, int]) -> Order:
    levels = {"MUG": [level(9)], "CAP": [level(9, sku="CAP")]}
    for position, (kind, amount) in enumerate(events):
        start, _ = decide_payment(start, report(kind, amount, f"evt-{position}"), levels, LATER)
    return start


@pytest.mark.parametrize("state", [OrderState.PENDING, OrderState.PROCESSING, OrderState.FULFILLED])
def test_an_order_ends_up_the_same_in_every_order_of_arrival(state: OrderState) -> None:
    events = [(AUTHORIZED, TOTAL), (CAPTURED, 2000), (CAPTURED, 1500), (REFUNDED, 700)]
    result, *others = (paid(order(state), *arrival) for arrival in permutations(events))
    assert all(vars(other) == vars(result) for other in others)
    assert result.payment == Payment(authorized=TOTAL, captured=TOTAL, refunded=700)
    assert (result.state, result.payment_state) == (state, PaymentState.PARTIALLY_REFUNDED)
