"""Stripe's events as webhooks: whose are accepted, which do nothing, and that malformed ones do no harm."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from random import Random

import grpc
import pytest
from google.protobuf.message import Message
from pydantic import SecretStr
from stockward.order.v1 import order_pb2 as orders

from stockward_server.api.incoming_webhooks.signatures import verify_standard, verify_stripe
from stockward_server.config import Settings
from stockward_server.domain.errors import WebhookSignatureInvalid, WebhookTimestampStale
from tests.incoming import STRIPE_SECRET, deliver_stripe, post, stripe_signed
from tests.shop import Refused, Shop, money, refused, running_shop
from tests.snapshot import nothing_written, snapshot
from tests.stripe import charge, checkout, dispute, event, fresh, intent, refund, spoilt_events

# Made with `printf '%s' "<t>.<body>" | openssl dgst -sha256 -hmac <secret>` (-macopt hexkey: and base64 for the other).

STRIPE_BODY = (
    b'{"id":"evt_1","type":"payment_intent.succeeded","created":1700000000,"data":{"object":{"amount_received":1990,'
    b'"currency":"eur","metadata":{"order_id":"0190aaaa-0000-7000-8000-000000000000"}}}}'
)
STRIPE_SIGNATURE = "1f63b15347c4ff48f09475b3526c187f5ac6baaa6b8b9aaa14d0fe0ce7a50acf"
STANDARD_BODY = (
    b'{"type":"stock.adjusted","timestamp":"2026-11-22T10:00:00Z",'
    b'"data":{"sku":"TEE","delta":"5","reason":"ADJUSTMENT_REASON_RECEIVED"}}'
)
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_SIGNATURE = "s3VsNDTVZodKlkF8EfCoz4nA3GToW29XskW5dJPkcHM="


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    secrets = SecretStr(f"whsec_the_next_one {STRIPE_SECRET}")
    async with running_shop(settings.model_copy(update={"stripe_webhook_secret": secrets})) as shop:
        await shop.sell("TEE", 5)
        yield shop


# Signatures


@pytest.mark.parametrize("seconds", [0, 299, -299])
def test_signatures_that_another_program_made(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    monkeypatch.setattr("stockward_server.api.incoming_webhooks.signatures.time.time", lambda: 1_700_000_000 + seconds)
    header = {"stripe-signature": f"t=1700000000,v1={STRIPE_SIGNATURE}"}
    verify_stripe(STRIPE_BODY, header, [STRIPE_SECRET])
    verify_stripe(STRIPE_BODY, {"stripe-signature": f"t=1700000000, v1=00, v1={STRIPE_SIGNATURE}"}, [STRIPE_SECRET])
    with pytest.raises(WebhookSignatureInvalid):
        verify_stripe(STRIPE_BODY + b" ", header, [STRIPE_SECRET])
    with pytest.raises(WebhookSignatureInvalid):
        verify_stripe(STRIPE_BODY, {"stripe-signature": f"t=1700000000,v0={STRIPE_SIGNATURE}"}, [STRIPE_SECRET])
    monkeypatch.setattr("stockward_server.api.incoming_webhooks.signatures.time.time", lambda: 1_700_000_301)
    with pytest.raises(WebhookTimestampStale):
        verify_stripe(STRIPE_BODY, header, [STRIPE_SECRET])


def test_a_standard_signature_that_another_program_made(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        def now(self, tz: object) -> object:
            return datetime.fromtimestamp(1_700_000_100, UTC)

        fromtimestamp = staticmethod(datetime.fromtimestamp)

    monkeypatch.setattr("stockward_server.api.incoming_webhooks.signatures.time.time", lambda: 1_700_000_100)
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Clock())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"v1,{STANDARD_SIGNATURE}",
    }
    assert verify_standard(STANDARD_BODY, headers, [STANDARD_SECRET]) == ("msg_1", STANDARD_SECRET)
    with pytest.raises(WebhookSignatureInvalid):
        verify_standard(STANDARD_BODY, headers | {"webhook-id": "msg_2"}, [STANDARD_SECRET])


async def test_whose_events_are_not_taken(shop: Shop) -> None:
    stale = stripe_signed(STRIPE_BODY, at=time.time() - 310)
    cases = [
        ({}, "WEBHOOK_SIGNATURE_INVALID"),
        ({"stripe-signature": "nonsense"}, "WEBHOOK_SIGNATURE_INVALID"),
        ({"stripe-signature": f"t={int(time.time())}"}, "WEBHOOK_SIGNATURE_INVALID"),
        (stripe_signed(STRIPE_BODY, "whsec_wrong"), "WEBHOOK_SIGNATURE_INVALID"),
        (stale, "WEBHOOK_TIMESTAMP_STALE"),
    ]
    async with nothing_written(shop.pool):
        for headers, reason in cases:
            refusal = await refused(post(shop, "stripe", STRIPE_BODY, headers))
            assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", reason)


HEADERS = {
    "no time": "v1={v1}",
    "no signature": "t={t}",
    "time without a value": "t=,v1={v1}",
    "time that is no number": "t=now,v1={v1}",
    "time that is a fraction": "t={t}.0,v1={v1}",
    "time below zero": "t=-{t},v1={v1}",
    "time in other digits": "t=\u0661\u0667,v1={v1}",
    "time that is too long": "t=" + "1" * 4000 + ",v1={v1}",
    "two times, the first one wrong": "t=1,t={t},v1={v1}",
    "only separators": ",,,===,,",
    "a test signature": "t={t},v0={v1}",
    "in upper case": "t={t},v1={upper}",
    "cut off": "t={t},v1={cut}",
    "longer": "t={t},v1={v1}0",
    "many wrong ones": "t={t}" + ",v1=00" * 1000,
    "not ASCII": "t={t},v1=\u00e9\u00e9",
    "nothing": "",
}


@pytest.mark.parametrize("case", HEADERS)
def test_whatever_the_header_is_the_answer_is_a_documented_one(case: str) -> None:
    t, v1 = stripe_signed(STRIPE_BODY)["stripe-signature"].removeprefix("t=").split(",v1=")
    header = HEADERS[case].format(t=t, v1=v1, upper=v1.upper(), cut=v1[:-1])
    with pytest.raises((WebhookSignatureInvalid, WebhookTimestampStale)):
        verify_stripe(STRIPE_BODY, {"stripe-signature": header}, [STRIPE_SECRET])


def test_one_right_signature_among_many_will_do() -> None:
    t, v1 = stripe_signed(STRIPE_BODY)["stripe-signature"].removeprefix("t=").split(",v1=")
    header = f"v0=0,t={t}" + ",v1=00" * 1000 + f",v1={v1}"
    verify_stripe(STRIPE_BODY, {"stripe-signature": header}, [STRIPE_SECRET])


async def test_the_signature_is_checked_before_anything_is_read(shop: Shop) -> None:
    async with nothing_written(shop.pool):
        for body in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null"):
            refusal = await refused(post(shop, "stripe", body, stripe_signed(body, "whsec_wrong")))
            assert refusal.reason == "WEBHOOK_SIGNATURE_INVALID"
            refusal = await refused(post(shop, "stripe", body, stripe_signed(body)))
            assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "WEBHOOK_BODY_INVALID")


# What is nothing to us


UNKNOWN_ID = "01900000-0000-7000-8000-000000000000"
SUBSCRIPTION = intent(id="pi_sub", amount_received=900, metadata={}, invoice="in_1")

OF_OTHERS = {
    "a subscription": event("payment_intent.succeeded", SUBSCRIPTION),
    "an invoice as a whole": event("payment_intent.succeeded", SUBSCRIPTION | {"invoice": {"id": "in_1"}}),
    "without metadata": event("payment_intent.succeeded", intent(amount_received=900, metadata=None)),
    "another shop's order number": event("charge.succeeded", charge(metadata={"order_id": "WC-4711"})),
    "an order that is not here": event("payment_intent.succeeded", intent(metadata={"order_id": UNKNOWN_ID})),
    "a refund": event("refund.created", refund(payment_intent="pi_sub", charge="ch_sub")),
    "a refund from a cash balance": event("refund.created", refund(payment_intent=None, charge=None)),
    "a dispute": event("charge.dispute.created", dispute(payment_intent="pi_sub", charge="ch_sub")),
    "a checkout": event("checkout.session.completed", checkout(client_reference_id="cart 7")),
    "with fields that we would not understand": event("payment_intent.canceled", {"id": "pi_old", "object": "other"}),
}


async def test_events_of_other_systems_are_answered_and_do_nothing(shop: Shop) -> None:
    async with nothing_written(shop.pool):
        for case, body in OF_OTHERS.items():
            assert (await deliver_stripe(shop, body)).ignored == "NO_ORDER", case


NO_MONEY = [
    ("payment_intent.created", intent()),
    ("payment_intent.processing", intent(status="processing")),
    ("payment_intent.requires_action", intent(status="requires_action")),
    ("payment_intent.partially_funded", intent()),
    ("payment_intent.amount_capturable_updated", intent(amount_capturable=0)),
    ("charge.pending", charge(status="pending")),
    ("charge.updated", charge()),
    ("charge.dispute.created", dispute(status="warning_needs_response")),
    ("charge.dispute.closed", dispute(status="warning_closed")),
    ("checkout.session.completed", checkout(payment_status="unpaid")),
    (
        "checkout.session.completed",
        checkout(
            mode="setup",
            payment_status="no_payment_required",
            amount_total=None,
            currency=None,
            payment_intent=None,
        ),
    ),
    ("checkout.session.expired", checkout(payment_status="unpaid", status="expired")),
    ("invoice.paid", {"id": "in_1", "object": "invoice"}),
    ("customer.subscription.updated", {"id": "sub_1", "object": "subscription"}),
    ("some.type.to.come", {}),
]


async def test_events_that_move_no_money_are_answered_and_do_nothing(shop: Shop) -> None:
    order = await shop.order("TEE")
    async with nothing_written(shop.pool):
        for type_, thing in NO_MONEY:
            named = thing | {"metadata": {"order_id": order.order_id}}
            assert (await deliver_stripe(shop, fresh(type_, named))).ignored == "NO_MONEY_MOVED", type_


async def test_another_currency_than_the_orders_is_answered_and_reported(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    order = await shop.order("TEE")
    metadata = {"order_id": order.order_id}
    async with nothing_written(shop.pool):
        for currency in ("usd", "USD", "jpy", "usdc"):
            paid = fresh("payment_intent.succeeded", intent(amount_received=1990, currency=currency, metadata=metadata))
            assert (await deliver_stripe(shop, paid)).ignored == "CURRENCY_MISMATCH"
    (said, *_) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert order.order_id in said.getMessage()


async def test_a_part_of_a_unit_that_has_no_parts_is_answered_and_reported(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Stripe has hundredths where a price here has none (ISK, UGX, RSD): it would repeat the event for days."""
    await shop.sell("SWEATER", 1, price="12500", currency="ISK")
    order = await shop.order("SWEATER")
    metadata = {"order_id": order.order_id}
    await deliver_stripe(
        shop, fresh("payment_intent.succeeded", intent(amount_received=1250000, currency="isk", metadata=metadata))
    )
    async with nothing_written(shop.pool):
        part = fresh("refund.created", refund(amount=1250, currency="isk", metadata=metadata))
        assert (await deliver_stripe(shop, part)).ignored == "MONEY_INVALID"
    assert any(order.order_id in record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    paid = await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=order.order_id))
    assert (paid.payment.state, paid.payment.captured) == (orders.Payment.STATE_PAID, money("12500", "ISK"))


async def test_what_the_order_cannot_accept_is_answered_and_reported(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """The same refund of two orders: somebody has changed its metadata."""
    first, second = await shop.order("TEE"), await shop.order("TEE")
    await deliver_stripe(shop, fresh("refund.created", refund(metadata={"order_id": first.order_id})))
    async with nothing_written(shop.pool):
        moved = fresh("refund.created", refund(metadata={"order_id": second.order_id}))
        assert (await deliver_stripe(shop, moved)).ignored in ("PAYMENT_EVENT_CONFLICT", "TENDER_OF_ANOTHER_ORDER")
    assert second.order_id in caplog.text


async def test_an_event_that_is_done_says_so(shop: Shop) -> None:
    order = await shop.order("TEE")
    paid = fresh("payment_intent.succeeded", intent(amount_received=1990, metadata={"order_id": order.order_id}))
    for _ in range(2):
        assert not (await deliver_stripe(shop, paid)).HasField("ignored")
    (stored,) = await shop.pool.fetch("SELECT * FROM payments WHERE kind = 2")
    assert (stored["provider"], stored["payment_reference"], stored["amount"]) == ("stripe", "pi_1", 1990)


async def test_one_id_with_other_content_is_refused(shop: Shop) -> None:
    order = await shop.order("TEE")
    paid = fresh("payment_intent.succeeded", intent(amount_received=1990, metadata={"order_id": order.order_id}))
    await deliver_stripe(shop, paid)
    other = fresh("payment_intent.payment_failed", intent(metadata={"order_id": order.order_id}), id=paid["id"])
    body = json.dumps(other).encode()
    async with nothing_written(shop.pool):
        refusal = await refused(post(shop, "stripe", body, stripe_signed(body)))
    assert (refusal.code.name, refusal.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


# Malformed bodies


MALFORMED = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a number": b"7",
    "no type": b'{"id": "evt_1", "data": {}}',
    "a number for a type": b'{"id": "evt_1", "type": 1}',
    "half a character for a type": b'{"id": "evt_1", "type": "\\ud800"}',
    "a line for a type": b'{"id": "evt_1", "type": "a\\nb"}',
    "too long a type": b'{"id": "evt_1", "type": "' + b"x" * 100_000 + b'"}',
    "no id": b'{"type": "invoice.paid"}',
    "half a character for an id": b'{"id": "\\ud800", "type": "invoice.paid"}',
    "no data": b'{"id": "evt_1", "type": "refund.created"}',
    "a list for data": b'{"id": "evt_1", "type": "refund.created", "data": []}',
    "no object": b'{"id": "evt_1", "type": "refund.created", "data": {"object": "re_1"}}',
    "too large a number": b'{"id": "evt_1", "type": "refund.created", "created": ' + b"9" * 5000 + b"}",
    "no number": b'{"id": "evt_1", "type": "refund.created", "data": {"object": {"id": NaN}}}',
    "very deep": b'{"id": "evt_1", "type": "refund.created", "data": '
    + b'{"a":' * 100_000
    + b"1"
    + b"}" * 100_000
    + b"}",
}


async def test_a_malformed_body_is_refused(shop: Shop) -> None:
    async with nothing_written(shop.pool):
        for case, body in MALFORMED.items():
            refusal = await refused(post(shop, "stripe", body, stripe_signed(body)))
            assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "WEBHOOK_BODY_INVALID"), case


@pytest.mark.long
async def test_a_field_that_is_missing_or_of_another_type_is_refused_or_does_no_harm(shop: Shop) -> None:
    """Some of the spoilt bodies of tests/unit/test_stripe_events.py, chosen by chance, through the method itself."""
    order = await shop.order("TEE")
    outcomes = set()
    for spoilt in Random(7).sample(list(spoilt_events(order.order_id)), 100):
        body = json.dumps(spoilt | ({"id": f"evt_{uuid.uuid4()}"} if spoilt.get("id") == "evt_1" else {})).encode()
        before = await snapshot(shop.pool)
        outcome = await outcome_of(post(shop, "stripe", body, stripe_signed(body)))
        outcomes.add(outcome)
        assert outcome in (None, "WEBHOOK_BODY_INVALID"), body
        assert outcome is None or await snapshot(shop.pool) == before
    assert {None, "WEBHOOK_BODY_INVALID"} <= outcomes


async def outcome_of(call: Awaitable[Message]) -> str | None:
    """The reason of a refusal, or None."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return str(Refused(error).reason)
    return None
