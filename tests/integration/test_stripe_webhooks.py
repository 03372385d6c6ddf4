"""Stripe's payment events: their signature, and what each is recorded as."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from stockward.order.v1 import order_pb2 as orders

from stockward_server.config import Settings
from stockward_server.domain.errors import WebhookBodyInvalid, WebhookSignatureInvalid, WebhookTimestampStale
from stockward_server.grpc_api.signatures import verify_standard, verify_stripe
from stockward_server.grpc_api.stripe_events import payment_of
from tests.incoming import STRIPE_SECRET, deliver_stripe, post, stripe_event, stripe_signed
from tests.shop import Shop, money, refused, running_shop
from tests.snapshot import nothing_written

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


async def paid(shop: Shop, order: orders.Order) -> orders.Payment:
    found: orders.Order = await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=order.order_id))
    return found.payment


# Signatures


@pytest.mark.parametrize("seconds", [0, 299, -299])
def test_signatures_that_another_program_made(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    monkeypatch.setattr("stockward_server.grpc_api.signatures.time.time", lambda: 1_700_000_000 + seconds)
    header = {"stripe-signature": f"t=1700000000,v1={STRIPE_SIGNATURE}"}
    verify_stripe(STRIPE_BODY, header, [STRIPE_SECRET])
    verify_stripe(STRIPE_BODY, {"stripe-signature": f"t=1700000000, v1=00, v1={STRIPE_SIGNATURE}"}, [STRIPE_SECRET])
    with pytest.raises(WebhookSignatureInvalid):
        verify_stripe(STRIPE_BODY + b" ", header, [STRIPE_SECRET])
    with pytest.raises(WebhookSignatureInvalid):
        verify_stripe(STRIPE_BODY, {"stripe-signature": f"t=1700000000,v0={STRIPE_SIGNATURE}"}, [STRIPE_SECRET])
    monkeypatch.setattr("stockward_server.grpc_api.signatures.time.time", lambda: 1_700_000_301)
    with pytest.raises(WebhookTimestampStale):
        verify_stripe(STRIPE_BODY, header, [STRIPE_SECRET])


def test_a_standard_signature_that_another_program_made(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        def now(self, tz: object) -> object:
            return datetime.fromtimestamp(1_700_000_100, UTC)

        fromtimestamp = staticmethod(datetime.fromtimestamp)

    monkeypatch.setattr("stockward_server.grpc_api.signatures.time.time", lambda: 1_700_000_100)
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Clock())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"v1,{STANDARD_SIGNATURE}",
    }
    assert verify_standard(STANDARD_BODY, headers, [STANDARD_SECRET]) == "msg_1"
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


# Effects


async def test_a_payment_that_failed_succeeded_and_was_refunded_in_parts(shop: Shop) -> None:
    order = await shop.order("TEE")
    await deliver_stripe(shop, stripe_event("payment_intent.payment_failed", order.order_id, amount=1990))
    assert (await paid(shop, order)).state == orders.Payment.STATE_FAILED

    succeeded = stripe_event("payment_intent.succeeded", order.order_id, amount_received=1990)
    await deliver_stripe(shop, succeeded)
    async with nothing_written(shop.pool):
        await deliver_stripe(shop, succeeded)
    payment = await paid(shop, order)
    assert (payment.state, payment.captured) == (orders.Payment.STATE_PAID, money("19.90"))

    first = stripe_event(
        "charge.refunded", order.order_id, amount_refunded=500, previous_attributes={"amount_refunded": 0}
    )
    second = stripe_event(
        "charge.refunded", order.order_id, amount_refunded=1990, previous_attributes={"amount_refunded": 500}
    )
    await deliver_stripe(shop, second)
    assert (await paid(shop, order)).refunded == money("14.90")
    await deliver_stripe(shop, first)
    payment = await paid(shop, order)
    assert (payment.state, payment.refunded) == (orders.Payment.STATE_REFUNDED, money("19.90"))
    log = await shop.pool.fetch("SELECT DISTINCT provider FROM payments")
    assert [row["provider"] for row in log] == ["stripe"]


async def test_an_event_that_is_none_of_ours(shop: Shop) -> None:
    unknown = json.dumps(stripe_event("invoice.paid", "x")).encode()
    refusal = await refused(post(shop, "stripe", unknown, stripe_signed(unknown)))
    assert (refusal.reason, refusal.metadata) == ("WEBHOOK_TYPE_UNKNOWN", {"type": "invoice.paid"})
    nobody = json.dumps(stripe_event("payment_intent.succeeded", "no-uuid", amount_received=1)).encode()
    refusal = await refused(post(shop, "stripe", nobody, stripe_signed(nobody)))
    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["order_id"])


EVENT = stripe_event("charge.refunded", "x", amount_refunded=500)
BROKEN: dict[str, Any] = {
    "data.object.metadata.order_id": EVENT | {"data": {"object": EVENT["data"]["object"] | {"metadata": None}}},
    "data.object.amount_refunded": stripe_event("charge.refunded", "x", amount_refunded="5"),
    "data.previous_attributes.amount_refunded": stripe_event(
        "charge.refunded", "x", amount_refunded=5, previous_attributes=[]
    ),
    "data.object.amount": stripe_event("payment_intent.payment_failed", "x", amount=-1),
    "data.object.currency": stripe_event("charge.refunded", "x", amount_refunded=5, currency=None),
    "created": EVENT | {"created": 10**20},
    "id": EVENT | {"id": 7},
}


@pytest.mark.parametrize("path", BROKEN)
def test_what_is_missing_is_named(path: str) -> None:
    with pytest.raises(WebhookBodyInvalid) as error:
        payment_of(BROKEN[path])
    assert error.value.metadata["field"] == path


@pytest.mark.parametrize(
    ("currency", "amount", "expected"),
    [
        ("eur", 1990, money("19.90")),
        ("jpy", 1990, money("1990", "JPY")),
        ("kwd", 1990, money("1.990", "KWD")),
        ("isk", 199000, money("1990", "ISK")),  # Stripe counts hundredths of a króna, which has none
    ],
)
def test_amounts_are_in_the_unit_that_stripe_counts(currency: str, amount: int, expected: Any) -> None:
    event = stripe_event("payment_intent.succeeded", "x", amount_received=amount, currency=currency)
    assert payment_of(event).amount == expected
