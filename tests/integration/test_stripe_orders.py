"""What becomes of an order by the events of Stripe: each movement of money counts once, whichever events report it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any

import pytest
from pydantic import SecretStr
from stockward.order.v1 import order_pb2 as orders

from stockward_server.config import Settings
from tests.incoming import STRIPE_SECRET, deliver_stripe
from tests.shop import Shop, money, running_shop
from tests.stripe import Json, charge, checkout, dispute, fresh, intent, refund

OLD, NEW = "2024-06-20", "2025-03-31.basil"


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """One that sells TEE for 20.00."""
    secrets = SecretStr(STRIPE_SECRET)
    async with running_shop(settings.model_copy(update={"stripe_webhook_secret": secrets})) as shop:
        await shop.sell("TEE", 100, price="20.00")
        yield shop


async def now(shop: Shop, order: orders.Order) -> Any:
    return await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=order.order_id))


async def figures(shop: Shop, order: orders.Order) -> tuple[str, str, str, str]:
    """State of the payment, and authorized, captured and refunded."""
    payment = (await now(shop, order)).payment
    sums = [payment.authorized, payment.captured, payment.refunded]
    authorized, captured, refunded = [f"{each.units}.{each.nanos // 10**7:02}" for each in sums]
    return orders.Payment.State.Name(payment.state).removeprefix("STATE_"), authorized, captured, refunded


def of(order: orders.Order, thing: Json) -> Json:
    """The object with the order's id in its metadata, as intents have it, and the charges made from them."""
    return thing | {"metadata": {"order_id": order.order_id}}


async def report(shop: Shop, *events: Json) -> None:
    for each in events:
        assert not (await deliver_stripe(shop, each)).HasField("ignored"), each["type"]


# From the authorization to the dispute


async def test_an_intent_from_authorization_to_a_refund_that_failed(shop: Shop) -> None:
    order = await shop.order("TEE")
    authorized = intent(amount_capturable=2000, status="requires_capture")
    await report(
        shop,
        fresh("charge.succeeded", of(order, charge(captured=False, amount_captured=0))),
        fresh("payment_intent.amount_capturable_updated", of(order, authorized)),
    )
    assert await figures(shop, order) == ("AUTHORIZED", "20.00", "0.00", "0.00")

    captured = charge(amount_captured=1500, amount_refunded=500)
    await report(
        shop,
        fresh("charge.captured", of(order, captured)),
        fresh("payment_intent.succeeded", of(order, intent(amount_received=1500))),
        fresh("charge.refunded", of(order, captured), previous_attributes={"amount_refunded": 0}),
    )
    assert await figures(shop, order) == ("PARTIALLY_PAID", "15.00", "15.00", "0.00")

    await report(
        shop,
        fresh("refund.created", refund(amount=300)),
        fresh(
            "charge.refunded",
            of(order, captured | {"amount_refunded": 800}),
            previous_attributes={"amount_refunded": 500},
        ),
    )
    assert await figures(shop, order) == ("PARTIALLY_REFUNDED", "15.00", "15.00", "3.00")

    failed = refund(amount=300, status="failed", failure_reason="expired_or_canceled_card")
    await report(shop, fresh("refund.failed", failed), fresh("charge.refund.updated", failed))
    assert await figures(shop, order) == ("PARTIALLY_PAID", "15.00", "15.00", "0.00")


async def test_a_dispute_that_is_lost_is_money_gone_and_no_return(shop: Shop) -> None:
    order = await shop.order("TEE")
    await report(shop, fresh("payment_intent.succeeded", of(order, intent(amount_received=2000))))
    await report(shop, fresh("charge.dispute.created", dispute()), fresh("charge.dispute.funds_withdrawn", dispute()))
    payment = (await now(shop, order)).payment
    assert (payment.disputed, payment.refund_required) == (money("20.00"), False)
    await report(shop, *[fresh("charge.dispute.closed", dispute(status="lost"))] * 2)
    payment = (await now(shop, order)).payment
    assert (payment.disputed.units, payment.lost, payment.refunded.units) == (0, money("20.00"), 0)
    assert payment.still_to_pay == money("20.00")


async def test_a_dispute_that_is_won_leaves_the_order_paid(shop: Shop) -> None:
    order = await shop.order("TEE")
    await report(shop, fresh("payment_intent.succeeded", of(order, intent(amount_received=2000))))
    won = dispute(status="won")
    await report(
        shop, fresh("charge.dispute.closed", won), fresh("charge.dispute.funds_reinstated", won)
    )  # its beginning comes last
    await report(shop, fresh("charge.dispute.created", dispute()))
    payment = (await now(shop, order)).payment
    assert (payment.disputed.units, payment.lost.units) == (0, 0)
    assert await figures(shop, order) == ("PAID", "0.00", "20.00", "0.00")


# An authorization that is released


RELEASES = {
    "reported as a refund of what was not captured": [
        ("charge.refunded", charge(captured=False, amount_captured=0, amount_refunded=2000, refunded=True))
    ],
    "cancelled": [("payment_intent.canceled", intent(cancellation_reason="abandoned"))],
    "lapsed": [
        ("payment_intent.canceled", intent(cancellation_reason="automatic")),
        ("charge.expired", charge(captured=False, amount_captured=0)),
    ],
    "lapsed, and reported as a refund, too": [
        ("refund.created", refund(amount=2000, reason="expired_uncaptured_charge", balance_transaction=None)),
        ("charge.refunded", charge(captured=False, amount_captured=None, amount_refunded=2000)),
        ("payment_intent.canceled", intent(cancellation_reason="automatic")),
    ],
}


@pytest.mark.parametrize("release", RELEASES)
async def test_after_a_release_a_second_intent_pays_the_order(shop: Shop, release: str) -> None:
    order = await shop.order("TEE")
    await report(shop, fresh("payment_intent.amount_capturable_updated", of(order, intent(amount_capturable=2000))))
    await report(shop, *(fresh(type_, of(order, thing)) for type_, thing in RELEASES[release]))
    assert await figures(shop, order) == ("VOIDED", "0.00", "0.00", "0.00")

    await report(shop, fresh("payment_intent.succeeded", of(order, intent(id="pi_2", amount_received=2000))))
    state, _, captured, refunded = await figures(shop, order)
    assert (state, captured, refunded) == ("PAID", "20.00", "0.00")
    await shop.pms.orders.ProcessOrder(orders.ProcessOrderRequest(order_id=order.order_id))
    assert (await now(shop, order)).state == orders.Order.STATE_PROCESSING


async def test_the_remainder_of_a_partial_capture_is_no_refund(shop: Shop) -> None:
    """In the event of the charge alone, and by both of what Stripe makes of it."""
    for version, thing in (
        (OLD, charge(amount_captured=1500, amount_refunded=500)),
        (NEW, charge(amount_captured=1500)),
    ):
        order = await shop.order("TEE")
        tender = {"payment_intent": f"pi_{order.order_id}"}
        named = [of(order, each | tender) for each in (charge(captured=False, amount_captured=0), thing)]
        await report(
            shop,
            fresh("charge.succeeded", named[0], api_version=version),
            fresh("charge.captured", named[1], api_version=version),
        )
        if version == OLD:
            await report(shop, fresh("charge.refunded", named[1], api_version=version))
        assert await figures(shop, order) == ("PARTIALLY_PAID", "15.00", "15.00", "0.00")


async def test_several_captures_and_increments_are_sums(shop: Shop) -> None:
    order = await shop.order("TEE", 2)
    steps = [
        intent(amount=3000, amount_capturable=3000),
        intent(amount=4000, amount_capturable=4000),
        intent(amount=4000, amount_capturable=2500, amount_received=1500),
        intent(amount=4000, amount_capturable=500, amount_received=3500),
    ]
    for each in steps:
        await report(shop, fresh("payment_intent.amount_capturable_updated", of(order, each)))
    assert await figures(shop, order) == ("PARTIALLY_PAID", "40.00", "35.00", "0.00")
    await report(shop, fresh("payment_intent.succeeded", of(order, intent(amount=4000, amount_received=4000))))
    assert await figures(shop, order) == ("PAID", "40.00", "40.00", "0.00")


# Once


async def test_one_payment_that_many_events_report_at_once(shop: Shop, settings: Settings) -> None:
    """To two servers, and each of them twice."""
    order = await shop.order("TEE")
    events = [
        fresh("payment_intent.succeeded", of(order, intent(amount_received=2000))),
        fresh("payment_intent.succeeded", of(order, intent(amount_received=2000))),  # two events of one thing
        fresh("charge.succeeded", of(order, charge())),
        fresh("charge.captured", of(order, charge())),
        fresh("checkout.session.completed", checkout(client_reference_id=order.order_id)),
        fresh("checkout.session.async_payment_succeeded", checkout(client_reference_id=order.order_id)),
    ]
    update = {"stripe_webhook_secret": SecretStr(STRIPE_SECRET)}
    async with running_shop(settings.model_copy(update=update)) as other:
        await asyncio.gather(*(report(each, event) for event in events for each in (shop, other)))
    assert await figures(shop, order) == ("PAID", "0.00", "20.00", "0.00")
    assert [row["amount"] for row in await shop.pool.fetch("SELECT amount FROM payments")] == [2000]


@pytest.mark.parametrize("first", ["stripe", "storefront"])
async def test_a_payment_that_the_storefront_reports_as_well(shop: Shop, first: str) -> None:
    """By Stripe as the sum of the intent, and by the storefront as a payment of it, with an id of its own."""
    order = await shop.order("TEE")
    by_storefront = orders.RecordPaymentRequest(
        order_id=order.order_id,
        provider="stripe",
        provider_event_id="payment 4711",
        payment_reference="pi_1",
        kind=orders.RecordPaymentRequest.KIND_CAPTURED,
        amount=money("20.00"),
    )
    if first == "storefront":
        await shop.pms.orders.RecordPayment(by_storefront)
    await report(shop, fresh("payment_intent.succeeded", of(order, intent(amount_received=2000))))
    if first == "stripe":
        await shop.pms.orders.RecordPayment(by_storefront)
    assert await figures(shop, order) == ("PAID", "0.00", "20.00", "0.00")


FIRST, SECOND = refund(amount=500), refund(id="re_2", amount=700)

SINGLY = [("refund.created", FIRST), ("refund.updated", FIRST), ("refund.created", SECOND)]
SUMMED = [("charge.refunded", charge(amount_refunded=500)), ("charge.refunded", charge(amount_refunded=1200))]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "reports",
    [SINGLY, SUMMED, [*SINGLY, *SUMMED], [SINGLY[0], SUMMED[1]], [SUMMED[1]]],
    ids=["singly", "as sums", "both", "in part", "the last sum alone"],
)
async def test_two_refunds_count_once_each(shop: Shop, reports: Sequence[tuple[str, Json]], seed: int) -> None:
    """In whatever order they arrive, and each of them twice."""
    order = await shop.order("TEE")
    await report(shop, fresh("payment_intent.succeeded", of(order, intent(amount_received=2000))))
    events = [fresh(type_, of(order, thing) if type_ == "charge.refunded" else thing) for type_, thing in reports] * 2
    Random(seed).shuffle(events)
    await report(shop, *events)
    assert await figures(shop, order) == ("PARTIALLY_REFUNDED", "0.00", "20.00", "12.00")


@pytest.mark.parametrize("seed", range(4))
async def test_a_refund_that_failed_and_was_made_again(shop: Shop, seed: int) -> None:
    order = await shop.order("TEE")
    await report(shop, fresh("payment_intent.succeeded", of(order, intent(amount_received=2000))))
    failed = FIRST | {"status": "failed"}
    again = refund(id="re_2", amount=500)
    events = [
        fresh("refund.created", FIRST),
        fresh("charge.refunded", of(order, charge(amount_refunded=500)), created=1_796_000_010),
        fresh("refund.failed", failed, created=1_796_000_020),
        fresh("refund.updated", failed, created=1_796_000_020),
        fresh("refund.created", again, created=1_796_000_030),
        fresh("charge.refunded", of(order, charge(amount_refunded=500)), created=1_796_000_030),
    ]
    Random(seed).shuffle(events)
    await report(shop, *events)
    assert (await figures(shop, order))[3] == "5.00"


async def test_a_refund_of_which_only_the_failure_is_reported(shop: Shop) -> None:
    order = await shop.order("TEE")
    await report(shop, fresh("payment_intent.succeeded", of(order, intent(amount_received=2000))))
    await report(shop, fresh("refund.failed", FIRST | {"status": "canceled"}))
    assert await figures(shop, order) == ("PAID", "0.00", "20.00", "0.00")
    await report(shop, fresh("refund.created", FIRST))
    assert await shop.pool.fetchval("SELECT count(*) FROM payments") == 3
    assert await figures(shop, order) == ("PAID", "0.00", "20.00", "0.00")


# Which order


async def test_a_checkout_that_alone_names_the_order(shop: Shop) -> None:
    """Its intent has no metadata; what comes after it is found by the intent."""
    order = await shop.order("TEE")
    unnamed = fresh("payment_intent.succeeded", intent(amount_received=2000, metadata={}))
    assert (await deliver_stripe(shop, unnamed)).ignored == "NO_ORDER"
    await report(shop, fresh("checkout.session.completed", checkout(client_reference_id=order.order_id.upper())))
    await report(shop, fresh("charge.refunded", charge(amount_refunded=2000, metadata={})))
    assert await figures(shop, order) == ("REFUNDED", "0.00", "20.00", "20.00")


async def test_a_charge_without_an_intent(shop: Shop) -> None:
    order = await shop.order("TEE")
    await report(shop, fresh("charge.succeeded", of(order, charge(payment_intent=None))))
    refunded = refund(payment_intent=None, amount=2000)
    await report(shop, fresh("charge.refund.updated", refunded, api_version="2020-08-27"))
    assert await figures(shop, order) == ("REFUNDED", "0.00", "20.00", "20.00")


async def test_objects_may_stand_there_as_a_whole(shop: Shop) -> None:
    order = await shop.order("TEE")
    whole = {"payment_intent": of(order, intent(amount_received=2000))}
    await report(shop, fresh("charge.succeeded", charge(metadata={}) | whole))
    await report(shop, fresh("refund.created", refund(amount=2000, charge=charge(metadata={})) | whole))
    assert await figures(shop, order) == ("REFUNDED", "0.00", "20.00", "20.00")


async def test_a_failed_attempt_and_a_second_one(shop: Shop) -> None:
    order = await shop.order("TEE")
    declined = intent(last_payment_error={"charge": "ch_0", "code": "card_declined"})
    await report(
        shop,
        fresh("payment_intent.payment_failed", of(order, declined)),
        fresh("charge.failed", of(order, charge(id="ch_0", captured=False, status="failed"))),
    )
    assert await figures(shop, order) == ("FAILED", "0.00", "0.00", "0.00")
    assert await shop.pool.fetchval("SELECT count(*) FROM payments") == 1
    await report(shop, fresh("payment_intent.succeeded", of(order, intent(amount_received=2000))))
    assert await figures(shop, order) == ("PAID", "0.00", "20.00", "0.00")


@pytest.mark.parametrize(
    ("currency", "price", "amount"),
    [("JPY", "2000", 2000), ("KRW", "2000", 2000), ("KWD", "2.000", 2000), ("ISK", "20", 2000), ("UGX", "20", 2000)],
)
async def test_a_currency_from_payment_to_refund(shop: Shop, currency: str, price: str, amount: int) -> None:
    await shop.sell("MUG", 5, price=price, currency=currency)
    order = await shop.order("MUG")
    named = intent(amount=amount, amount_received=amount, currency=currency.lower())
    await report(shop, fresh("payment_intent.succeeded", of(order, named)))
    await report(shop, fresh("refund.created", refund(amount=amount // 2, currency=currency.lower())))
    payment = (await now(shop, order)).payment
    assert (payment.captured, payment.state) == (money(price, currency), orders.Payment.STATE_PARTIALLY_REFUNDED)
    twice = (payment.refunded.units * 2, payment.refunded.nanos * 2)
    assert (twice[0] + twice[1] // 10**9, twice[1] % 10**9) == (payment.captured.units, payment.captured.nanos)
