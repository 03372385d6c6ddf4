"""The payment axis: a set of events, whatever their order; orders that are not paid in time, and paid too late."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from stockward.order.v1 import order_pb2 as pb

from stockward_server.config import Settings
from tests.events import until
from tests.shop import Shop, money, refused, running_shop
from tests.snapshot import nothing_written

EXPIRED, PROCESSING = pb.Order.STATE_EXPIRED, pb.Order.STATE_PROCESSING


async def record(shop: Shop, order: pb.Order, kind: str, amount: str, event_id: str = "", **fields: Any) -> pb.Order:
    recorded: pb.Order = await shop.pms.orders.RecordPayment(
        pb.RecordPaymentRequest(
            order_id=order.order_id,
            provider=fields.pop("provider", "test"),
            provider_event_id=event_id or str(uuid.uuid4()),
            kind=pb.RecordPaymentRequest.Kind.Value(f"KIND_{kind}"),
            payment_reference=fields.pop("tender", ""),
            amount=money(amount, **fields),
        )
    )
    return recorded


async def events_of(shop: Shop, order: pb.Order) -> list[str]:
    """The types of its events, in order."""
    rows = await shop.pool.fetch("SELECT type FROM events WHERE aggregate_id = $1 ORDER BY seq", order.order_id)
    return [row["type"] for row in rows]


async def process(shop: Shop, order: pb.Order) -> pb.Order:
    processed: pb.Order = await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=order.order_id))
    return processed


async def get(shop: Shop, order: pb.Order) -> pb.Order:
    found: pb.Order = await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id))
    return found


def state_of(order: pb.Order) -> str:
    return pb.Payment.State.Name(order.payment.state).removeprefix("STATE_")


STORIES = {
    "paid": ([("AUTHORIZED", "20.00"), ("CAPTURED", "20.00")], "PAID"),
    "authorized": ([("AUTHORIZED", "20.00")], "AUTHORIZED"),
    "authorized in part": ([("AUTHORIZED", "19.99")], "PARTIALLY_AUTHORIZED"),
    "authorized in part at the second try": ([("FAILED", "20.00"), ("AUTHORIZED", "10.00")], "PARTIALLY_AUTHORIZED"),
    "in two parts": ([("CAPTURED", "5.00"), ("CAPTURED", "15.00")], "PAID"),
    "a part": ([("AUTHORIZED", "20.00"), ("CAPTURED", "5.00")], "PARTIALLY_PAID"),
    "at the second try": ([("FAILED", "20.00"), ("CAPTURED", "20.00")], "PAID"),
    "failed": ([("FAILED", "20.00")], "FAILED"),
    "expired": ([("AUTHORIZED", "20.00"), ("AUTHORIZATION_EXPIRED", "20.00")], "VOIDED"),
    "disputed": ([("CAPTURED", "20.00"), ("DISPUTED", "20.00"), ("DISPUTE_WON", "20.00")], "PAID"),
    "voided": ([("AUTHORIZED", "20.00"), ("VOIDED", "20.00")], "VOIDED"),
    "refunded in part": ([("CAPTURED", "20.00"), ("REFUNDED", "5.00")], "PARTIALLY_REFUNDED"),
    "refunded": ([("AUTHORIZED", "20.00"), ("CAPTURED", "20.00"), ("REFUNDED", "20.00")], "REFUNDED"),
}


@pytest.mark.parametrize("story", STORIES)
async def test_payment_events_add_up_in_any_order_and_however_often(shop: Shop, story: str) -> None:
    events, state = STORIES[story]
    await shop.sell("TEE", 100, price="10.00")
    for number, sequence in enumerate(itertools.permutations(enumerate(events))):
        order = await shop.order("TEE", 2)
        for index, (kind, amount) in sequence:
            recorded = await record(shop, order, kind, amount, f"{number}-{index}")
        assert state_of(recorded) == state, sequence
        for index, (kind, amount) in sequence:
            assert await record(shop, order, kind, amount, f"{number}-{index}") == recorded, "a repetition is no change"
        assert await get(shop, order) == recorded


async def test_sums_are_told(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="10.00")
    order = await shop.order("TEE", 2)
    await record(shop, order, "AUTHORIZED", "25.00")
    await record(shop, order, "VOIDED", "1.00")
    await record(shop, order, "CAPTURED", "23.00")
    payment = (await record(shop, order, "REFUNDED", "0.50")).payment
    assert (payment.authorized, payment.captured, payment.refunded) == (money("24.00"), money("23.00"), money("0.50"))
    assert payment.still_to_pay == money("0")
    (tender,) = payment.tenders
    assert (tender.provider, tender.payment_reference, tender.captured) == ("test", "", money("23.00"))
    assert (payment.refund_required, payment.refund_due) == (True, money("2.50"))


async def test_an_event_is_known_by_provider_and_id(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="10.00")
    order, other = await shop.order("TEE", 2), await shop.order("TEE", 2)
    first = await record(shop, order, "CAPTURED", "10.00", "evt")
    async with nothing_written(shop.pool):
        conflicts = (
            record(shop, order, "CAPTURED", "10.01", "evt"),
            record(shop, order, "REFUNDED", "10.00", "evt"),
            record(shop, other, "CAPTURED", "10.00", "evt"),
        )
        for conflict in conflicts:
            refusal = await refused(conflict)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "PAYMENT_EVENT_CONFLICT")
            assert refusal.metadata == {"provider": "test", "provider_event_id": "evt", "field": "provider_event_id"}
    second = await record(shop, order, "CAPTURED", "10.00", "evt", provider="another")
    assert (state_of(first), state_of(second)) == ("PARTIALLY_PAID", "PAID")


async def test_a_payment_is_in_the_currency_of_the_order(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await shop.order("TEE")
    async with nothing_written(shop.pool):
        refusal = await refused(record(shop, order, "CAPTURED", "19.90", currency="USD"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CURRENCY_MISMATCH")
    assert refusal.metadata == {"expected": "EUR", "actual": "USD", "field": "amount"}


async def test_after_a_part_was_cancelled_and_refunded_the_rest_is_still_paid(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="10.00")
    order = await shop.order("TEE", 2)
    await shop.pay(order)
    part = await shop.pms.orders.CancelOrder(
        pb.CancelOrderRequest(order_id=order.order_id, lines=[pb.LineQuantity(line_number=1, quantity=1)])
    )
    assert part.payment.refund_due == money("10.00")
    refunded = await record(shop, order, "REFUNDED", "10.00")
    assert not refunded.payment.refund_required
    assert (await process(shop, order)).state == PROCESSING


async def test_an_order_whose_money_was_all_given_back_is_on_hold(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="10.00")
    order = await shop.order("TEE", 2)
    for kind in ("AUTHORIZED", "CAPTURED", "REFUNDED"):
        held = await record(shop, order, kind, "20.00")
    assert (state_of(held), held.hold.reason) == ("REFUNDED", pb.Hold.REASON_PAYMENT)
    async with nothing_written(shop.pool):
        refusal = await refused(process(shop, order))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_ON_HOLD")
    assert refusal.metadata == {"order_id": order.order_id, "hold": "PAYMENT"}


# Not paid in time


@pytest.fixture
async def hasty(settings: Settings) -> AsyncIterator[Shop]:
    """A shop whose orders are due after a second."""
    async with running_shop(settings.model_copy(update={"payment_due_seconds": 1})) as shop:
        yield shop


async def expire(shop: Shop, order: pb.Order) -> pb.Order:
    """Its time is up, and the sweeper has seen it."""
    await shop.pool.execute(
        "UPDATE orders SET payment_due_time = now() - interval '1 second' WHERE order_id = $1", order.order_id
    )
    return await expired(shop, order)


async def expired(shop: Shop, order: pb.Order) -> pb.Order:
    async def is_expired() -> bool:
        return (await get(shop, order)).state == EXPIRED

    await until(is_expired)
    return await get(shop, order)


async def test_an_unpaid_order_expires_and_gives_its_stock_back(hasty: Shop) -> None:
    await hasty.sell("TEE", 5)
    order = await hasty.order("TEE", 3)
    assert await hasty.counters("TEE") == (5, 0, 3)
    gone = await expired(hasty, order)
    assert gone.update_time.ToDatetime() >= order.payment_due_time.ToDatetime()
    assert (gone.totals.net, gone.lines[0].cancelled) == (money("0"), 0)
    assert await hasty.counters("TEE") == (5, 0, 0)
    await hasty.verify()


async def test_what_is_paid_or_on_account_does_not_expire(shop: Shop) -> None:
    await shop.sell("TEE", 9, price="10.00")
    account = pb.CreateOrderRequest(payment_terms=pb.PAYMENT_TERMS_ON_ACCOUNT)
    account.lines.add(sku="TEE", quantity=1)
    on_account = await shop.pms.orders.CreateOrder(account)
    paid, authorized = await shop.order("TEE"), await shop.order("TEE")
    await shop.pay(paid)
    await shop.pay(authorized, "AUTHORIZED")
    with_discount = pb.CreateOrderRequest()
    with_discount.lines.add(sku="TEE", quantity=1)
    with_discount.charges.add(kind=pb.Charge.KIND_DISCOUNT, amount=money("4.00"))
    discounted = await shop.pms.orders.CreateOrder(with_discount)
    await record(shop, discounted, "CAPTURED", "6.00")
    unpaid = await shop.order("TEE")
    await shop.pool.execute("UPDATE orders SET payment_due_time = now() - interval '1 second'")
    await expired(shop, unpaid)
    for order in (on_account, paid, authorized, discounted):
        assert (await get(shop, order)).state == pb.Order.STATE_PENDING


@pytest.mark.parametrize("paid", ["20.00", "24.89"], ids=["all but the shipping", "all but a cent"])
async def test_an_order_that_is_paid_in_part_expires(shop: Shop, paid: str) -> None:
    await shop.sell("TEE", 5, price="10.00")
    request = pb.CreateOrderRequest()
    request.lines.add(sku="TEE", quantity=2)
    request.charges.add(kind=pb.Charge.KIND_SHIPPING, amount=money("4.90"))
    order = await shop.pms.orders.CreateOrder(request)
    await record(shop, order, "CAPTURED", paid)
    gone = await expire(shop, order)
    assert (gone.payment.refund_required, gone.payment.refund_due) == (True, money(paid))
    assert await shop.counters("TEE") == (5, 0, 0)


async def test_what_was_paid_once_never_expires(shop: Shop) -> None:
    """Nor do any of many hide an order behind them that is due."""
    await shop.sell("TEE", 50, price="10.00")
    stories = {
        "a goodwill refund": ["CAPTURED 20", "REFUNDED 5"],
        "a full refund": ["AUTHORIZED 20", "CAPTURED 20", "REFUNDED 20"],
        "an authorization that ran out": ["AUTHORIZED 20", "AUTHORIZATION_EXPIRED 20"],
        "a dispute that was lost": ["CAPTURED 20", "DISPUTED 20", "DISPUTE_LOST 20"],
    }
    kept = [await shop.order("TEE", 2) for _ in stories]
    for order, story in zip(kept, stories.values(), strict=True):
        for step in story:
            await record(shop, order, *step.split())
    free = await shop.pms.orders.CreateOrder(
        pb.CreateOrderRequest(
            lines=[pb.CreateOrderRequest.Line(sku="TEE", quantity=1)],
            charges=[pb.Charge(kind=pb.Charge.KIND_DISCOUNT, amount=money("10"))],
        )
    )
    unpaid = await shop.order("TEE")
    await shop.pool.execute("UPDATE orders SET payment_due_time = now() - interval '1 second', terms_met = false")
    await expired(shop, unpaid)
    for order in (*kept, free):
        assert (await get(shop, order)).state == pb.Order.STATE_PENDING
    due = "SELECT count(*) FROM orders WHERE state = 1 AND NOT terms_met"

    async def is_settled() -> bool:
        return bool(await shop.pool.fetchval(due) == 0)

    await until(is_settled)
    assert not [event for event in await events_of(shop, free) if event != "order.created"]
    await shop.verify()


# Paid too late


async def test_a_late_payment_revives_an_order_while_its_stock_lasts(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await shop.order("TEE", 3)
    await expire(shop, order)
    revived = await shop.pay(order)
    assert (revived.state, state_of(revived)) == (PROCESSING, "PAID")
    assert not revived.payment.refund_required
    assert await shop.counters("TEE") == (5, 0, 3)
    assert await events_of(shop, order) == ["order.created", "order.expired", "payment.updated", "order.processing"]
    fulfilled = await shop.pms.orders.FulfillOrder(pb.FulfillOrderRequest(order_id=order.order_id))
    assert fulfilled.state == pb.Order.STATE_FULFILLED
    await shop.verify()


async def test_a_late_payment_must_go_back_when_the_stock_is_gone(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await shop.order("TEE", 3)
    await expire(shop, order)
    await shop.order("TEE", 3)
    late = await shop.pay(order)
    assert (late.state, state_of(late)) == (EXPIRED, "PAID")
    assert (late.payment.refund_required, late.payment.refund_due) == (True, order.totals.total)
    assert await shop.counters("TEE") == (5, 0, 3)
    done = await record(shop, order, "REFUNDED", "59.70")
    assert (done.state, state_of(done), done.payment.refund_required) == (EXPIRED, "REFUNDED", False)
    await shop.verify()


async def test_a_late_payment_in_part_revives_nothing_until_the_rest_is_there(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="10.00")
    order = await shop.order("TEE", 2)
    await expire(shop, order)
    half = await record(shop, order, "CAPTURED", "10.00")
    assert (half.state, half.payment.refund_due) == (EXPIRED, money("10.00"))
    assert (await record(shop, order, "CAPTURED", "10.00")).state == PROCESSING


async def test_a_late_payment_owes_nothing_for_units_that_were_cancelled_before(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="10.00")
    order = await shop.order("TEE", 3)
    part = await shop.pms.orders.CancelOrder(
        pb.CancelOrderRequest(order_id=order.order_id, lines=[pb.LineQuantity(line_number=1, quantity=1)])
    )
    assert part.totals.net == money("20.00")
    await expire(shop, order)
    revived = await record(shop, order, "CAPTURED", "20.00")
    assert (revived.state, state_of(revived)) == (PROCESSING, "PAID")
    assert await shop.counters("TEE") == (5, 0, 2)
    await shop.verify()


async def test_a_payment_for_a_cancelled_order_must_go_back(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await shop.order("TEE")
    await shop.storefront.orders.CancelOrder(pb.CancelOrderRequest(order_id=order.order_id))
    late = await shop.pay(order)
    assert (late.state, late.payment.refund_due) == (pb.Order.STATE_CANCELLED, order.totals.total)
    assert await shop.counters("TEE") == (5, 0, 0)


async def test_an_expired_order_cannot_be_processed(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await shop.order("TEE")
    await expire(shop, order)
    async with nothing_written(shop.pool):
        refusal = await refused(process(shop, order))
    assert (refusal.reason, refusal.metadata["state"]) == ("ORDER_STATE_INVALID", "EXPIRED")


async def test_a_payment_for_an_order_that_does_not_exist(shop: Shop) -> None:
    nothing = pb.Order(order_id="0190aaaa-0000-7000-8000-000000000000")
    async with nothing_written(shop.pool):
        refusal = await refused(record(shop, nothing, "CAPTURED", "1.00"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
