"""What Stripe's events say: of which order, of which tender, what became of how much."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from stockward.order.v1.order_pb2 import RecordPaymentRequest

from stockward_server.api.incoming_webhooks.stripe_events import READERS, payments_of, subject_of
from stockward_server.domain.errors import WebhookBodyInvalid
from stockward_server.wire.validation.rules import validate
from tests.shop import money
from tests.stripe import EVERY_TYPE, ORDER, charge, checkout, dispute, event, intent, refund, spoilt_events

Said = list[tuple[str, str, str]]


ROOT = Path(__file__).resolve().parents[2]


def said(type_: str, thing: dict[str, Any], **fields: Any) -> Said:
    """Name, kind and amount of everything that an event is recorded as; a running total is marked with `=`."""
    return [
        (
            each.provider_event_id,
            RecordPaymentRequest.Kind.Name(each.kind).removeprefix("KIND_"),
            f"{'=' if each.running_total else ''}{each.amount.units}.{each.amount.nanos // 10**7:02}",
        )
        for each in payments_of(event(type_, thing, **fields), ORDER)
    ]


CAPTURED: Said = [("pi_1 captured 2000", "CAPTURED", "=20.00")]
PARTLY: Said = [("pi_1 captured 1500", "CAPTURED", "=15.00"), ("pi_1 voided 500", "VOIDED", "=5.00")]
AUTHORIZED: Said = [("pi_1 authorized 2000", "AUTHORIZED", "=20.00")]


@pytest.mark.parametrize(
    ("type_", "thing", "expected"),
    [
        ("payment_intent.amount_capturable_updated", intent(amount_capturable=2000), AUTHORIZED),
        (  # incremented by 500
            "payment_intent.amount_capturable_updated",
            intent(amount=2500, amount_capturable=2500),
            [("pi_1 authorized 2500", "AUTHORIZED", "=25.00")],
        ),
        (  # one of several captures
            "payment_intent.amount_capturable_updated",
            intent(amount_capturable=500, amount_received=1500),
            [*AUTHORIZED, ("pi_1 captured 1500", "CAPTURED", "=15.00")],
        ),
        ("payment_intent.amount_capturable_updated", intent(), []),
        ("payment_intent.succeeded", intent(amount_received=2000), CAPTURED),
        ("payment_intent.succeeded", intent(amount_received=1500), PARTLY),
        ("payment_intent.succeeded", intent(amount_received=2000, amount=None), CAPTURED),
        ("payment_intent.canceled", intent(), [("pi_1 voided 2000", "VOIDED", "=20.00")]),
        (
            "payment_intent.canceled",
            intent(cancellation_reason="requested_by_customer"),
            [("pi_1 voided 2000", "VOIDED", "=20.00")],
        ),
        *(
            (
                "payment_intent.canceled",
                intent(cancellation_reason=reason),
                [("pi_1 authorization_expired 2000", "AUTHORIZATION_EXPIRED", "=20.00")],
            )
            for reason in ("automatic", "expired")
        ),
        (
            "payment_intent.payment_failed",
            intent(last_payment_error={"charge": "ch_1", "code": "card_declined"}),
            [("ch_1 failed", "FAILED", "20.00")],
        ),
        ("payment_intent.payment_failed", intent(), [("evt_1 failed", "FAILED", "20.00")]),
        ("charge.failed", charge(status="failed", captured=False), [("ch_1 failed", "FAILED", "20.00")]),
        ("charge.succeeded", charge(captured=False, amount_captured=0), AUTHORIZED),
        ("charge.succeeded", charge(), CAPTURED),
        ("charge.captured", charge(amount_captured=1500), PARTLY),
        (  # others are to follow
            "charge.captured",
            charge(amount_captured=1500, payment_method_details={"card": {"multicapture": {"status": "available"}}}),
            PARTLY[:1],
        ),
        ("charge.captured", charge(amount_captured=None), CAPTURED),
        ("charge.captured", charge(payment_intent=None), [("ch_1 captured 2000", "CAPTURED", "=20.00")]),
        (
            "charge.expired",
            charge(captured=False),
            [("pi_1 authorization_expired 2000", "AUTHORIZATION_EXPIRED", "=20.00")],
        ),
        ("checkout.session.completed", checkout(), CAPTURED),
        ("checkout.session.completed", checkout(payment_status="unpaid"), []),
        ("checkout.session.completed", checkout(payment_status="no_payment_required", payment_intent=None), []),
        ("checkout.session.completed", checkout(payment_status="no_payment_required", amount_total=None), []),
        (
            "checkout.session.completed",
            checkout(payment_intent=None, mode="subscription"),
            [("cs_1 captured 2000", "CAPTURED", "=20.00")],
        ),
        ("checkout.session.async_payment_succeeded", checkout(), CAPTURED),
        (
            "checkout.session.async_payment_failed",
            checkout(payment_status="unpaid"),
            [("cs_1 failed", "FAILED", "20.00")],
        ),
    ],
)
def test_what_is_set_aside_captured_and_released(type_: str, thing: dict[str, Any], expected: Said) -> None:
    assert said(type_, thing) == expected


REFUNDED: Said = [("re_1 refunded", "REFUNDED", "5.00")]
FAILED: Said = [*REFUNDED, ("re_1 failed", "REFUND_FAILED", "5.00")]


@pytest.mark.parametrize("type_", ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"])
@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (refund(), REFUNDED),
        (refund(status="pending", balance_transaction=None), REFUNDED),
        (refund(status="requires_action"), REFUNDED),
        (refund(status=None), REFUNDED),
        (refund(status="failed"), FAILED),
        (refund(status="canceled"), FAILED),
    ],
)
def test_a_refund_has_one_name_whichever_event_reports_it(type_: str, thing: dict[str, Any], expected: Said) -> None:
    assert said(type_, thing) == expected


@pytest.mark.parametrize(
    ("version", "thing", "expected"),
    [
        ("2024-10-28.acacia", refund(reason="partial_capture"), [("re_1 released", "VOIDED", "5.00")]),
        (
            "2024-10-28.acacia",
            refund(reason="expired_uncaptured_charge"),
            [("re_1 expired", "AUTHORIZATION_EXPIRED", "5.00")],
        ),
        ("2024-10-28.acacia", refund(balance_transaction=None), [("re_1 released", "VOIDED", "5.00")]),
        ("2025-03-31.basil", refund(balance_transaction=None), REFUNDED),
    ],
)
def test_what_is_released_was_once_a_refund_object(version: str, thing: dict[str, Any], expected: Said) -> None:
    """From version 2025-03-31 on it is not: docs.stripe.com/changelog/basil/2025-03-31."""
    assert said("refund.created", thing, api_version=version) == expected


OLD, NEW = "2024-06-20", "2025-03-31.basil"
REMAINDER: Said = [("pi_1 voided 500", "VOIDED", "=5.00")]


@pytest.mark.parametrize(
    ("version", "thing", "expected"),
    [
        (OLD, charge(amount_refunded=500), [("ch_1 refunded 500 at 1796000000", "REFUNDED", "=5.00")]),
        (NEW, charge(amount_refunded=500), [("ch_1 refunded 500 at 1796000000", "REFUNDED", "=5.00")]),
        # Released before it was captured.
        (
            OLD,
            charge(captured=False, amount_captured=0, amount_refunded=2000),
            [("pi_1 voided 2000", "VOIDED", "=20.00")],
        ),
        (
            OLD,
            charge(captured=False, amount_captured=None, amount_refunded=2000),
            [("pi_1 voided 2000", "VOIDED", "=20.00")],
        ),
        # 15 of 20 captured: the 5 are part of amount_refunded up to a certain version.
        (OLD, charge(amount_captured=1500, amount_refunded=500), REMAINDER),
        (
            OLD,
            charge(amount_captured=1500, amount_refunded=800),
            [*REMAINDER, ("ch_1 refunded 300 at 1796000000", "REFUNDED", "=3.00")],
        ),
        (
            NEW,
            charge(amount_captured=1500, amount_refunded=500),
            [*REMAINDER, ("ch_1 refunded 500 at 1796000000", "REFUNDED", "=5.00")],
        ),
        # More was captured than had been authorized.
        (
            NEW,
            charge(amount_captured=2400, amount_refunded=500),
            [("ch_1 refunded 500 at 1796000000", "REFUNDED", "=5.00")],
        ),
    ],
)
def test_a_charge_says_what_is_refunded_so_far(version: str, thing: dict[str, Any], expected: Said) -> None:
    for beside in ({}, {"previous_attributes": {"amount_refunded": 0}}):
        assert said("charge.refunded", thing, api_version=version, **beside) == expected


DISPUTED: Said = [("dp_1 disputed", "DISPUTED", "20.00")]
WON: Said = [*DISPUTED, ("dp_1 won", "DISPUTE_WON", "20.00")]
LOST: Said = [*DISPUTED, ("dp_1 lost", "DISPUTE_LOST", "20.00")]


@pytest.mark.parametrize(
    ("type_", "status", "expected"),
    [
        ("created", "needs_response", DISPUTED),
        ("funds_withdrawn", "needs_response", DISPUTED),
        ("updated", "under_review", DISPUTED),
        ("updated", "won", WON),
        ("closed", "won", WON),
        ("funds_reinstated", "won", WON),
        ("funds_reinstated", "under_review", WON),
        ("closed", "lost", LOST),
        ("updated", "lost", LOST),
        ("funds_withdrawn", "lost", LOST),
        ("created", "warning_needs_response", []),
        ("updated", "warning_under_review", []),
        ("closed", "warning_closed", []),
        ("closed", "prevented", []),
    ],
)
def test_a_dispute_is_what_its_status_says(type_: str, status: str, expected: Said) -> None:
    assert said(f"charge.dispute.{type_}", dispute(status=status)) == expected


OTHER = "0190bbbb-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("thing", "order_id", "tender"),
    [
        (intent(), ORDER, "pi_1"),
        (intent(metadata={"order_id": ORDER.upper()}), ORDER, "pi_1"),
        (intent(metadata={}), None, "pi_1"),
        (intent(metadata=None), None, "pi_1"),
        (intent(metadata=[]), None, "pi_1"),
        (intent(metadata={"order_id": 7}), None, "pi_1"),
        (intent(metadata={"order_id": "WC-4711"}), None, "pi_1"),
        (intent(metadata={"order_id": f"{{{ORDER}}}"}), None, "pi_1"),
        (charge(), ORDER, "pi_1"),
        (charge(payment_intent=None), ORDER, "ch_1"),
        (charge(payment_intent={"id": "pi_2", "object": "payment_intent", "metadata": {}}), ORDER, "pi_2"),
        (refund(), None, "pi_1"),
        (refund(payment_intent=None), None, "ch_1"),
        (refund(payment_intent=None, charge={"id": "ch_2", "metadata": {"order_id": ORDER}}), ORDER, "ch_2"),
        (refund(payment_intent=None, charge=None), None, "re_1"),
        (refund(metadata={"order_id": OTHER}), OTHER, "pi_1"),
        (dispute(), None, "pi_1"),
        (checkout(), ORDER, "pi_1"),
        (checkout(metadata={"order_id": OTHER}), OTHER, "pi_1"),
        (checkout(metadata={"order_id": "WC-4711"}), ORDER, "pi_1"),
        (checkout(client_reference_id="cart 7"), None, "pi_1"),
        (checkout(payment_intent=None), ORDER, "cs_1"),
    ],
)
def test_which_order_and_which_tender(thing: dict[str, Any], order_id: str | None, tender: str) -> None:
    subject = subject_of(event("any.type", thing))
    assert (subject.order_id, subject.tender) == (order_id, tender)


@pytest.mark.parametrize(
    ("currency", "amount", "expected"),
    [
        ("eur", 1990, money("19.90")),
        ("jpy", 1990, money("1990", "JPY")),
        ("krw", 1990, money("1990", "KRW")),
        ("clp", 1990, money("1990", "CLP")),
        ("kwd", 1990, money("1.990", "KWD")),
        ("bhd", 10, money("0.010", "BHD")),  # three decimals, the last of them 0
        ("isk", 199000, money("1990", "ISK")),  # without decimals by now, and yet counted in hundredths
        ("ugx", 199000, money("1990", "UGX")),
        ("huf", 199000, money("1990", "HUF")),
        ("twd", 199000, money("1990", "TWD")),
    ],
)
def test_amounts_are_in_the_unit_that_stripe_counts(currency: str, amount: int, expected: Any) -> None:
    """docs.stripe.com/currencies: zero-decimal and three-decimal currencies, special cases."""
    (payment,) = payments_of(
        event("payment_intent.succeeded", intent(amount=amount, amount_received=amount, currency=currency)), ORDER
    )
    assert payment.amount == expected


def test_there_is_an_event_of_every_type() -> None:
    assert set(EVERY_TYPE) == set(READERS)
    for type_, thing in EVERY_TYPE.items():
        assert said(type_, thing), type_


@pytest.mark.parametrize(
    "document", ["docs/how-to/storefront/connect-stripe.md", "proto/stockward/webhook/v1/incoming.proto"]
)
def test_the_manual_names_every_type(document: str) -> None:
    """`refund.created, .updated` are two, and `charge.dispute.*` are all of them."""
    named, area = set(), ""
    for full, short in re.findall(r"\b([a-z_]+\.[a-z_.]*[a-z_*])|(?<=[ `])\.([a-z_]+)", (ROOT / document).read_text()):
        area = full.rpartition(".")[0] or area
        named.add(full or f"{area}.{short}")
    assert not {type_ for type_ in READERS if not named & {type_, f"{type_.rpartition('.')[0]}.*"}}


def test_a_field_that_is_missing_or_of_another_type_is_refused_or_makes_a_valid_request() -> None:
    """Stripe sends none such; a sender with the secret could."""
    spoilt = [each for each in spoilt_events(ORDER) if each.get("type") in list(READERS)]
    assert len(spoilt) > 4000
    for each in spoilt:
        with suppress(WebhookBodyInvalid):
            for request in payments_of(each, ORDER):
                validate(request)


@pytest.mark.parametrize(
    ("type_", "thing", "beside", "path"),
    [
        ("charge.refunded", charge(amount_refunded="5"), {}, "data.object.amount_refunded"),
        ("charge.refunded", charge(amount_refunded=5.0), {}, "data.object.amount_refunded"),
        ("charge.refunded", charge(amount_refunded=True), {}, "data.object.amount_refunded"),
        ("charge.refunded", charge(captured="true"), {}, "data.object.captured"),
        ("charge.refunded", charge(amount_refunded=5, currency=None), {}, "data.object.currency"),
        ("charge.refunded", charge(amount_refunded=5, id="ch 1"), {}, "data.object.id"),
        ("charge.refunded", charge(amount_refunded=5, payment_intent=7), {}, "data.object.payment_intent"),
        ("charge.expired", charge(payment_intent={"id": None}), {}, "data.object.payment_intent.id"),
        ("payment_intent.payment_failed", intent(amount=-1), {}, "data.object.amount"),
        ("payment_intent.succeeded", intent(amount_received=10**15), {}, "data.object.amount_received"),
        ("payment_intent.succeeded", intent(amount_received=1), {"created": 10**20}, "created"),
        ("payment_intent.succeeded", intent(amount_received=1), {"created": None}, "created"),
        ("payment_intent.payment_failed", intent(), {"id": 7}, "id"),
        ("refund.created", refund(id="re_\u0000"), {}, "data.object.id"),
        ("refund.created", refund(id="re_\ud800"), {}, "data.object.id"),
        ("refund.created", refund(id="x" * 101), {}, "data.object.id"),
        ("charge.dispute.closed", dispute(status=None), {}, "data.object.status"),
    ],
)
def test_what_is_missing_is_named(type_: str, thing: dict[str, Any], beside: dict[str, Any], path: str) -> None:
    with pytest.raises(WebhookBodyInvalid) as error:
        payments_of(event(type_, thing, **beside), ORDER)
    assert error.value.metadata["field"] == path
