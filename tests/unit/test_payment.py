"""The payment axis: a function of the set of events, whatever their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_server.domain.errors import OrderOnHold, QuantityOverflow, RefundExceeded
from stockward_server.domain.order import UNPAID_HOLD, Order, OrderState, PaymentTerms
from stockward_server.domain.order_steps import (
    MAX_TOTAL_MINOR,
    decide_cancellation,
    decide_fulfillment,
    decide_order_expiry,
    decide_payment,
    decide_processing,
)
from stockward_server.domain.payment import Payment, PaymentEvent, PaymentKind, PaymentState, payment_of
from tests.examples import LATER, NOW, PARCEL, SECOND, level, order, report

AUTHORIZED, CAPTURED, FAILED, VOIDED, REFUNDED, REFUND_FAILED, DISPUTED, WON, LOST, EXPIRED = PaymentKind
PENDING, PROCESSING, PARTIALLY_FULFILLED, FULFILLED, CANCELLED, _ = OrderState
TOTAL = 3500

Reported = tuple[PaymentKind, int] | tuple[PaymentKind, int, str]
"""Kind, amount in cents and, where there are several, the tender."""


def events(*reported: Reported) -> list[PaymentEvent]:
    """The events, a second apart."""
    return [
        report(kind, amount, f"evt-{n}", event_time=NOW + n * SECOND, payment_reference=tender[0] if tender else "")
        for n, (kind, amount, *tender) in enumerate(reported)
    ]


def payment(*reported: Reported) -> Payment:
    return payment_of(tuple(events(*reported)))


# States

STATES: list[tuple[list[Reported], PaymentState]] = [
    ([], PaymentState.PENDING),
    ([(FAILED, TOTAL)], PaymentState.FAILED),
    ([(FAILED, TOTAL), (AUTHORIZED, 10)], PaymentState.PARTIALLY_AUTHORIZED),
    ([(FAILED, TOTAL), (AUTHORIZED, TOTAL)], PaymentState.AUTHORIZED),
    ([(FAILED, TOTAL), (CAPTURED, TOTAL)], PaymentState.PAID),
    ([(AUTHORIZED, TOTAL)], PaymentState.AUTHORIZED),
    ([(AUTHORIZED, TOTAL + 1)], PaymentState.AUTHORIZED),
    ([(AUTHORIZED, 3000), (AUTHORIZED, 500)], PaymentState.AUTHORIZED),
    ([(AUTHORIZED, 3000, "card"), (AUTHORIZED, 500, "gift")], PaymentState.AUTHORIZED),
    ([(AUTHORIZED, TOTAL - 1)], PaymentState.PARTIALLY_AUTHORIZED),
    ([(AUTHORIZED, TOTAL), (VOIDED, TOTAL)], PaymentState.VOIDED),
    ([(AUTHORIZED, TOTAL), (EXPIRED, TOTAL)], PaymentState.VOIDED),
    ([(AUTHORIZED, TOTAL), (VOIDED, 1)], PaymentState.PARTIALLY_AUTHORIZED),
    ([(VOIDED, TOTAL)], PaymentState.VOIDED),
    ([(FAILED, TOTAL), (VOIDED, TOTAL)], PaymentState.VOIDED),
    ([(AUTHORIZED, TOTAL), (VOIDED, TOTAL), (AUTHORIZED, 10)], PaymentState.PARTIALLY_AUTHORIZED),
    ([(AUTHORIZED, TOTAL), (VOIDED, TOTAL), (AUTHORIZED, TOTAL)], PaymentState.AUTHORIZED),
    ([(AUTHORIZED, TOTAL), (CAPTURED, TOTAL)], PaymentState.PAID),
    ([(CAPTURED, TOTAL - 1)], PaymentState.PARTIALLY_PAID),
    ([(CAPTURED, 500, "gift"), (AUTHORIZED, 3000, "card")], PaymentState.PARTIALLY_PAID),
    ([(CAPTURED, TOTAL - 1), (CAPTURED, 1)], PaymentState.PAID),
    ([(CAPTURED, TOTAL + 1)], PaymentState.PAID),
    ([(CAPTURED, TOTAL), (REFUNDED, 1)], PaymentState.PARTIALLY_REFUNDED),
    ([(CAPTURED, TOTAL), (REFUNDED, TOTAL)], PaymentState.REFUNDED),
    ([(CAPTURED, 100), (REFUNDED, 100)], PaymentState.REFUNDED),
    ([(CAPTURED, TOTAL), (REFUNDED, 100), (REFUND_FAILED, 100)], PaymentState.PAID),
    ([(CAPTURED, TOTAL), (REFUNDED, 200), (REFUND_FAILED, 100)], PaymentState.PARTIALLY_REFUNDED),
    ([(AUTHORIZED, TOTAL), (CAPTURED, TOTAL), (REFUNDED, 1000), (REFUNDED, 2500)], PaymentState.REFUNDED),
    ([(AUTHORIZED, TOTAL), (FAILED, 1), (VOIDED, 500), (CAPTURED, 3000)], PaymentState.PARTIALLY_PAID),
    ([(CAPTURED, TOTAL), (DISPUTED, TOTAL)], PaymentState.PAID),
    ([(CAPTURED, TOTAL), (DISPUTED, TOTAL), (WON, TOTAL)], PaymentState.PAID),
    ([(CAPTURED, TOTAL), (DISPUTED, 100), (LOST, 100)], PaymentState.PAID),
]


@pytest.mark.parametrize(("reported", "state"), STATES)
def test_every_order_of_arrival_gives_the_same_state(reported: list[Reported], state: PaymentState) -> None:
    assert {payment_of(arrival) for arrival in permutations(events(*reported))} == {payment(*reported)}
    assert payment(*reported).state(TOTAL) is state


def test_nothing_to_pay_is_paid() -> None:
    assert Payment().state(0) is PaymentState.PAID


# Sums


def test_a_capture_and_a_void_consume_the_authorization_of_their_own_tender_only() -> None:
    both = payment((AUTHORIZED, 1500, "card"), (CAPTURED, 500, "gift"), (VOIDED, 200, "gift"))
    assert (both.open_authorizations, both.captured, both.cover.secured) == (1500, 500, 2000)
    captured = payment((AUTHORIZED, 1500, "card"), (CAPTURED, 500, "card"))
    assert (captured.authorized, captured.open_authorizations) == (1500, 1000)
    lapsed = payment((AUTHORIZED, 1500, "card"), (CAPTURED, 500, "card"), (EXPIRED, 1000, "card"))
    assert (lapsed.authorized, lapsed.open_authorizations) == (500, 0)


def test_tenders_of_different_providers_are_apart() -> None:
    card, gift = report(AUTHORIZED, 1500), replace(report(CAPTURED, 500, "evt-2"), provider="gift-cards")
    both = payment_of((card, gift))
    assert (both.authorized, both.captured) == (1500, 500)
    assert [tender.provider for tender in both.tenders] == ["stripe", "gift-cards"]


def test_a_void_that_overtook_its_authorization_counts_once_that_arrives() -> None:
    assert payment((VOIDED, TOTAL)).authorized == 0
    assert payment((VOIDED, TOTAL), (AUTHORIZED, TOTAL)).authorized == 0
    assert payment((VOIDED, 500), (AUTHORIZED, TOTAL)).authorized == 3000


def test_a_tender_of_which_only_failures_are_known_is_not_listed() -> None:
    assert not payment((FAILED, TOTAL, "card")).tenders


@pytest.mark.parametrize(
    ("reported", "disputed", "lost", "kept"),
    [
        ([(DISPUTED, 500)], 500, 0, TOTAL),
        ([(DISPUTED, 500), (WON, 500)], 0, 0, TOTAL),
        ([(DISPUTED, 500), (LOST, 500)], 0, 500, 3000),
        ([(LOST, 500)], 0, 500, 3000),
        ([(DISPUTED, 500), (LOST, 200)], 300, 200, 3300),
    ],
)
def test_a_dispute_that_is_lost_is_money_gone(reported: list[Reported], disputed: int, lost: int, kept: int) -> None:
    paid = payment((CAPTURED, TOTAL), *reported)
    assert (paid.disputed, paid.lost, paid.kept, paid.refunded) == (disputed, lost, kept, 0)


@pytest.mark.parametrize(
    ("reported", "net", "still_to_pay", "refund_due"),
    [
        ([], 2000, 2000, 0),
        ([(AUTHORIZED, 2000)], 2000, 2000, 0),
        ([(CAPTURED, 500)], 2000, 1500, 0),
        ([(CAPTURED, 2000)], 2000, 0, 0),
        ([(CAPTURED, 2000), (REFUNDED, 500)], 2000, 0, 0),
        ([(CAPTURED, 2000), (REFUNDED, 2000)], 2000, 2000, 0),
        ([(CAPTURED, 2000), (REFUNDED, 500)], 1000, 0, 500),
        ([(CAPTURED, 2000), (LOST, 500)], 2000, 0, 0),
        ([(CAPTURED, 2000), (LOST, 2000)], 2000, 2000, 0),
        ([(CAPTURED, 2000), (REFUNDED, 500), (REFUND_FAILED, 500)], 1500, 0, 500),
        ([(CAPTURED, 2000)], 0, 0, 2000),
    ],
)
def test_what_is_still_to_pay_and_what_must_go_back(
    reported: list[Reported], net: int, still_to_pay: int, refund_due: int
) -> None:
    paid = payment(*reported)
    assert (paid.still_to_pay(net), paid.refund_due(net)) == (still_to_pay, refund_due)


# Terms and holds


def with_payment(start: Order, *reported: Reported) -> Order:
    levels = {"MUG": [level(9)], "CAP": [level(9, sku="CAP")]}
    for event in events(*reported):
        start, _ = decide_payment(start, event, levels, LATER)
    return start


TERMS: list[tuple[list[Reported], bool, bool]] = [
    ([], False, False),
    ([(CAPTURED, TOTAL), (REFUNDED, 500)], True, False),
    ([(CAPTURED, 500, "gift"), (AUTHORIZED, 3000, "card")], True, False),
    ([(CAPTURED, 500, "card"), (AUTHORIZED, 3000, "card")], False, False),
    ([(AUTHORIZED, TOTAL), (CAPTURED, 100), (REFUNDED, 100)], True, False),
    ([(AUTHORIZED, TOTAL), (VOIDED, TOTAL)], False, True),
    ([(AUTHORIZED, TOTAL), (EXPIRED, 1)], False, True),
    ([(AUTHORIZED, TOTAL - 1), (VOIDED, TOTAL - 1)], False, False),
    ([(AUTHORIZED, TOTAL), (VOIDED, TOTAL), (CAPTURED, TOTAL, "other")], True, False),
    ([(CAPTURED, TOTAL), (LOST, TOTAL)], False, True),
    ([(CAPTURED, TOTAL), (DISPUTED, TOTAL)], True, False),
    ([(CAPTURED, TOTAL), (LOST, TOTAL - 1)], True, False),
    ([(CAPTURED, TOTAL), (REFUNDED, TOTAL)], False, True),
    ([(CAPTURED, TOTAL), (REFUNDED, TOTAL), (REFUND_FAILED, 1)], True, False),
]


@pytest.mark.parametrize(("reported", "met", "held"), TERMS)
def test_terms_are_met_or_the_order_is_on_hold(reported: list[Reported], met: bool, held: bool) -> None:
    paid = with_payment(order(), *reported)
    assert (paid.terms_met, paid.hold) == (met, UNPAID_HOLD if held else None)
    assert paid.terms_met_once == (met or held)
    if held:
        with pytest.raises(OrderOnHold) as refusal:
            decide_processing(paid, LATER)
        assert refusal.value.metadata == {"order_id": "order-1", "hold": "PAYMENT"}
    overdue = replace(paid, payment_due_time=LATER)
    assert (decide_order_expiry(overdue, LATER) is None) == paid.terms_met_once


@pytest.mark.parametrize("state", [PROCESSING, PARTIALLY_FULFILLED])
@pytest.mark.parametrize(
    ("reported", "held"), [(reported, held) for reported, met, held in TERMS if met or held] + [([], True)]
)
def test_an_order_on_hold_is_not_fulfilled(state: OrderState, reported: list[Reported], held: bool) -> None:
    paid = with_payment(order(state, payment=Payment()), *reported)
    shelves = {sku: [level(9, sku=sku, location_id=place) for place in ("main", "north")] for sku in ("MUG", "CAP")}
    if held:
        with pytest.raises(OrderOnHold):
            decide_fulfillment(paid, PARCEL, {}, shelves, LATER)
    else:
        decide_fulfillment(paid, PARCEL, {}, shelves, LATER)


def test_an_order_on_account_waits_for_no_money() -> None:
    on_account = with_payment(order(payment_terms=PaymentTerms.ON_ACCOUNT), (AUTHORIZED, TOTAL), (VOIDED, TOTAL))
    assert (on_account.terms_met, on_account.hold) == (True, None)


@pytest.mark.parametrize("state", [FULFILLED, CANCELLED, OrderState.EXPIRED])
def test_an_order_that_is_over_is_not_on_hold(state: OrderState) -> None:
    lapsed = payment((AUTHORIZED, TOTAL), (EXPIRED, TOTAL))
    assert order(state, payment=lapsed).hold is None


def test_a_cancellation_releases_an_order_whose_money_covers_the_rest() -> None:
    held = with_payment(order(), (AUTHORIZED, TOTAL), (VOIDED, 500))
    assert held.hold is UNPAID_HOLD
    fewer, _ = decide_cancellation(held, {2: 1}, "", LATER)
    assert (fewer.hold, fewer.terms_met) == (None, True)


# Order of arrival


@pytest.mark.parametrize("state", [PENDING, PROCESSING, FULFILLED])
def test_an_order_ends_up_the_same_in_every_order_of_arrival(state: OrderState) -> None:
    reported = events((AUTHORIZED, TOTAL), (CAPTURED, 2000), (CAPTURED, 1500), (REFUNDED, 700), (DISPUTED, 100))
    levels = {"MUG": [level(9)], "CAP": [level(9, sku="CAP")]}

    def arrive(arrival: tuple[PaymentEvent, ...]) -> Order:
        paid = order(state, payment=Payment())
        for event in arrival:
            paid, _ = decide_payment(paid, event, levels, LATER)
        return paid

    result, *others = map(arrive, permutations(reported))
    assert all(vars(other) == vars(result) for other in others)
    assert (result.payment.captured, result.payment.refunded, result.payment.disputed) == (TOTAL, 700, 100)
    assert (result.state, result.payment_state) == (state, PaymentState.PARTIALLY_REFUNDED)


anything = st.lists(
    st.builds(
        lambda n, kind, amount, tender, second: report(
            kind, amount, f"evt-{n}", payment_reference=tender, event_time=NOW + timedelta(seconds=second)
        ),
        st.integers(0, 10**6),
        st.sampled_from(PaymentKind),
        st.integers(0, 5000),
        st.sampled_from(["", "card", "gift"]),
        st.integers(0, 3),
    ),
    max_size=8,
    unique_by=lambda event: event.provider_event_id,
)


@given(anything, st.randoms(), st.sampled_from([PENDING, PROCESSING, PARTIALLY_FULFILLED]))
def test_arrival_does_not_matter_for_any_events(
    reported: list[PaymentEvent], random: Random, state: OrderState
) -> None:
    placed = order(state, payment=payment_of(tuple(reported)))
    shuffled = order(state, payment=payment_of(tuple(random.sample(reported, len(reported)))))
    assert shuffled.payment == placed.payment
    for name in ("payment_state", "terms_met", "terms_met_once", "hold", "still_to_pay", "refund_due"):
        assert getattr(shuffled, name) == getattr(placed, name)
    assert not (placed.still_to_pay and placed.refund_due)


# Refusals


def test_a_refund_fails_only_after_it_was_made_and_only_once() -> None:
    start = with_payment(order(), (CAPTURED, TOTAL, "card"), (REFUNDED, 500, "gift"))
    failure = report(REFUND_FAILED, 500, "evt-9", payment_reference="card")
    with pytest.raises(RefundExceeded) as refusal:
        decide_payment(start, failure, {}, LATER)
    assert refusal.value.metadata["payment_reference"] == "card"
    refunded, _ = decide_payment(start, replace(failure, kind=REFUNDED, provider_event_id="evt-8"), {}, LATER)
    failed, _ = decide_payment(refunded, failure, {}, LATER)
    assert failed.payment.refunded == 500
    with pytest.raises(RefundExceeded):
        decide_payment(failed, replace(failure, provider_event_id="evt-10", amount=1), {}, LATER)


def test_a_refund_that_failed_may_be_reported_as_a_running_total() -> None:
    start = with_payment(order(), (CAPTURED, TOTAL, "card"), (REFUNDED, 500, "card"))
    so_far = report(REFUND_FAILED, 500, "evt-8", payment_reference="card", running_total=True)
    failed, _ = decide_payment(start, so_far, {}, LATER)
    again, _ = decide_payment(failed, replace(so_far, provider_event_id="evt-9"), {}, LATER)
    assert (failed.payment.refunded, again.payment.refunded) == (0, 0)
    with pytest.raises(RefundExceeded):
        decide_payment(failed, replace(so_far, provider_event_id="evt-10", amount=501), {}, LATER)


def test_payments_beyond_counting_are_refused() -> None:
    rich, _ = decide_payment(order(), report(CAPTURED, MAX_TOTAL_MINOR - 1), {}, LATER)
    decide_payment(rich, report(CAPTURED, 1, "evt-2"), {}, LATER)
    with pytest.raises(QuantityOverflow):
        decide_payment(rich, report(CAPTURED, 2, "evt-2"), {}, LATER)
