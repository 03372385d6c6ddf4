"""Every amount right to the cent: what an order comes to, what stands behind it, and what goes back."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc
import pytest
from google.type.money_pb2 import Money
from stockward.event.v1 import event_pb2
from stockward.order.v1 import order_pb2 as pb

from tests.events import until
from tests.shop import Shop, money, refused
from tests.snapshot import nothing_written

PENDING, PROCESSING, CANCELLED = pb.Order.STATE_PENDING, pb.Order.STATE_PROCESSING, pb.Order.STATE_CANCELLED
TOTAL = "20.00"


class Desk:
    """Staff of a shop, at work on one order."""

    def __init__(self, shop: Shop, order: pb.Order, currency: str = "EUR") -> None:
        self.shop, self.order, self.currency = shop, order, currency

    def request(self, kind: str, amount: str, tender: str = "", event_id: str = "") -> pb.RecordPaymentRequest:
        return pb.RecordPaymentRequest(
            order_id=self.order.order_id,
            provider="test",
            provider_event_id=event_id or str(uuid.uuid4()),
            kind=pb.RecordPaymentRequest.Kind.Value(f"KIND_{kind}"),
            amount=money(amount, self.currency),
            payment_reference=tender,
        )

    async def pay(self, kind: str, amount: str, tender: str = "", event_id: str = "") -> pb.Order:
        request = self.request(kind, amount, tender, event_id)
        paid: pb.Order = await self.shop.pms.orders.RecordPayment(request)
        return paid

    async def process(self) -> pb.Order:
        processed: pb.Order = await self.shop.pms.orders.ProcessOrder(
            pb.ProcessOrderRequest(order_id=self.order.order_id)
        )
        return processed

    async def fulfill(self) -> pb.Order:
        fulfilled: pb.Order = await self.shop.pms.orders.FulfillOrder(
            pb.FulfillOrderRequest(order_id=self.order.order_id)
        )
        return fulfilled

    async def cancel(self, units: int = 0) -> pb.Order:
        """Units of the first line, or the whole order."""
        lines = [pb.LineQuantity(line_number=1, quantity=units)] if units else []
        cancelled: pb.Order = await self.shop.pms.orders.CancelOrder(
            pb.CancelOrderRequest(order_id=self.order.order_id, lines=lines)
        )
        return cancelled

    async def take_back(self, units: int) -> pb.Order:
        """Units of the first line."""
        lines = [pb.ReturnOrderRequest.Line(line_number=1, quantity=units)]
        returned: pb.Order = await self.shop.pms.orders.ReturnOrder(
            pb.ReturnOrderRequest(order_id=self.order.order_id, lines=lines)
        )
        return returned

    async def charge(self, kind: str, amount: str, reason: str = "because", *lines: int) -> pb.Order:
        charged: pb.Order = await self.shop.pms.orders.AddCharge(
            pb.AddChargeRequest(
                order_id=self.order.order_id, charge=charge(kind, amount, self.currency, *lines), reason=reason
            )
        )
        return charged

    async def seen(self, by: str = "pms") -> pb.Order:
        order: pb.Order = await getattr(self.shop, by).orders.GetOrder(pb.GetOrderRequest(order_id=self.order.order_id))
        return order

    async def events(self) -> list[str]:
        rows = await self.shop.pool.fetch(
            "SELECT type FROM events WHERE aggregate_id = $1 ORDER BY seq", self.order.order_id
        )
        return [row["type"] for row in rows]


def charge(kind: str, amount: str, currency: str = "EUR", *lines: int) -> pb.Charge:
    return pb.Charge(kind=pb.Charge.Kind.Value(f"KIND_{kind}"), amount=money(amount, currency), line_numbers=lines)


async def desk(
    shop: Shop, units: int = 2, price: str = "10.00", *charges: pb.Charge, currency: str = "EUR", **fields: Any
) -> Desk:
    """An order of so many units at this price."""
    sku = f"TEE-{uuid.uuid4().hex[:8]}"
    await shop.sell(sku, 100, price=price, currency=currency)
    order = await shop.pms.orders.CreateOrder(
        pb.CreateOrderRequest(lines=[pb.CreateOrderRequest.Line(sku=sku, quantity=units)], charges=charges, **fields)
    )
    return Desk(shop, order, currency)


def state_of(order: pb.Order) -> str:
    return pb.Payment.State.Name(order.payment.state).removeprefix("STATE_")


async def overdue(staff: Desk) -> None:
    """Its time is up, and the sweeper has been there."""
    other = await staff.shop.order(staff.order.lines[0].sku)
    ids = [staff.order.order_id, other.order_id]
    await staff.shop.pool.execute(
        "UPDATE orders SET payment_due_time = now() - interval '1 second' WHERE order_id = ANY($1::uuid[])", ids
    )

    async def is_swept() -> bool:
        return (await Desk(staff.shop, other).seen()).state == pb.Order.STATE_EXPIRED

    await until(is_swept)


# Terms


async def test_a_goodwill_refund_leaves_an_order_paid(shop: Shop) -> None:
    staff = await desk(shop)
    await staff.pay("CAPTURED", TOTAL)
    refunded = await staff.pay("REFUNDED", "5.00")
    assert (refunded.payment.still_to_pay, refunded.payment.refund_required) == (money("0"), False)
    await overdue(staff)
    assert (await staff.process()).state == PROCESSING


async def test_part_captured_on_a_gift_card_and_the_rest_authorized_meet_the_terms(shop: Shop) -> None:
    staff = await desk(shop)
    await staff.pay("CAPTURED", "5.00", "gift")
    both = await staff.pay("AUTHORIZED", "15.00", "card")
    assert [(each.payment_reference, each.authorized, each.captured) for each in both.payment.tenders] == [
        ("gift", money("0"), money("5.00")),
        ("card", money("15.00"), money("0")),
    ]
    assert both.payment.still_to_pay == money("15.00")
    await overdue(staff)
    assert (await staff.process()).state == PROCESSING


async def test_a_released_authorization_and_then_another_payment(shop: Shop) -> None:
    staff = await desk(shop)
    await staff.pay("AUTHORIZED", TOTAL, "pi_1")
    voided = await staff.pay("VOIDED", TOTAL, "pi_1")
    assert (state_of(voided), voided.hold.reason) == ("VOIDED", pb.Hold.REASON_PAYMENT)
    paid = await staff.pay("CAPTURED", TOTAL, "pi_2")
    assert (state_of(paid), paid.HasField("hold")) == ("PAID", False)
    assert (await staff.process()).state == PROCESSING


async def test_the_remainder_of_a_partial_capture_is_released(shop: Shop) -> None:
    staff = await desk(shop)
    await staff.pay("AUTHORIZED", TOTAL, "pi_1")
    await staff.pay("CAPTURED", "15.00", "pi_1")
    rest = await staff.pay("VOIDED", "5.00", "pi_1")
    assert (rest.payment.captured, rest.payment.refunded, rest.payment.still_to_pay) == (
        money("15.00"),
        money("0"),
        money("5.00"),
    )
    assert state_of(rest) == "PARTIALLY_PAID"


@pytest.mark.parametrize("first", [("FAILED", "20.00"), ("VOIDED", "20.00")])
async def test_authorized_in_part_after_a_void_or_a_failure(shop: Shop, first: tuple[str, str]) -> None:
    staff = await desk(shop)
    await staff.pay(*first, "pi_1")
    assert state_of(await staff.pay("AUTHORIZED", "10.00", "pi_2")) == "PARTIALLY_AUTHORIZED"


# Holds


@pytest.mark.parametrize(
    "lapse",
    [
        [("AUTHORIZED", TOTAL), ("AUTHORIZATION_EXPIRED", TOTAL)],
        [("AUTHORIZED", TOTAL), ("VOIDED", "0.01")],
        [("CAPTURED", TOTAL), ("DISPUTED", TOTAL), ("DISPUTE_LOST", TOTAL)],
    ],
    ids=["expired", "voided by a cent", "lost"],
)
@pytest.mark.parametrize("processed", [False, True])
async def test_an_order_whose_money_went_away_waits_until_it_is_covered_again(
    shop: Shop, lapse: list[tuple[str, str]], processed: bool
) -> None:
    staff = await desk(shop)
    await staff.pay(*lapse[0], "pi_1")
    if processed:
        await staff.process()
    for step in lapse[1:]:
        held = await staff.pay(*step, "pi_1")
    assert held.hold.reason == pb.Hold.REASON_PAYMENT
    async with nothing_written(shop.pool):
        refusal = await refused(staff.fulfill() if processed else staff.process())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_ON_HOLD")
    assert refusal.metadata == {"order_id": staff.order.order_id, "hold": "PAYMENT"}
    await overdue(staff)
    assert not (await staff.pay("CAPTURED", TOTAL, "pi_2")).HasField("hold")
    if not processed:
        await staff.process()
    await staff.fulfill()
    types = [each for each in await staff.events() if each in ("order.held", "order.released")]
    assert types == ["order.held", "order.released"]


async def test_a_cancellation_releases_what_is_still_covered(shop: Shop) -> None:
    staff = await desk(shop)
    await staff.pay("AUTHORIZED", TOTAL)
    assert (await staff.pay("VOIDED", "10.00")).HasField("hold")
    assert not (await staff.cancel(1)).HasField("hold")
    assert (await staff.events())[-2:] == ["order.cancelled", "order.released"]
    other = await desk(shop)
    await other.pay("AUTHORIZED", TOTAL)
    await other.pay("VOIDED", TOTAL)
    assert not (await other.cancel()).HasField("hold")
    assert (await other.events())[-1] == "order.cancelled"


# Charges


async def test_a_discount_is_not_given_back_with_the_goods(shop: Shop) -> None:
    staff = await desk(shop, 3, "100.00", charge("DISCOUNT", "30.00"))
    assert staff.order.lines[0].discount == money("30.00")
    await staff.pay("CAPTURED", "270.00")
    await staff.process()
    await staff.fulfill()
    returned = await staff.take_back(2)
    assert (returned.payment.refund_due, returned.totals.net) == (money("180.00"), money("90.00"))


async def test_a_tax_is_given_back_with_the_goods(shop: Shop) -> None:
    staff = await desk(shop, 2, "10.00", charge("TAX", "4.00"))
    assert staff.order.lines[0].tax == money("4.00")
    await staff.pay("CAPTURED", "24.00")
    await staff.process()
    await staff.fulfill()
    assert (await staff.take_back(2)).payment.refund_due == money("24.00")


@pytest.mark.parametrize(
    ("currency", "price", "discount", "tax", "steps"),
    [
        ("JPY", "1000", "100", "77", ["993", "991", "993"]),
        ("EUR", "10.00", "1.00", "0.77", ["9.93", "9.91", "9.93"]),
        ("KWD", "10.000", "1.000", "0.077", ["9.693", "9.691", "9.693"]),
    ],
)
async def test_steps_add_up_in_currencies_with_any_decimals(
    shop: Shop, currency: str, price: str, discount: str, tax: str, steps: list[str]
) -> None:
    made = charge("DISCOUNT", discount, currency), charge("TAX", tax, currency), charge("SHIPPING", "5", currency)
    staff = await desk(shop, 3, price, *made, currency=currency)
    await staff.pay("CAPTURED", minus(staff.order.totals.total))
    await staff.process()
    await staff.fulfill()
    before = Money(currency_code=currency)
    for step in steps:
        order = await staff.take_back(1)
        assert nanos(order.totals.returned) - nanos(before) == nanos(money(step, currency))
        before = order.totals.returned
        assert nanos(order.totals.total) - nanos(order.totals.returned) == nanos(order.totals.net)
        assert order.payment.refund_due == order.totals.returned
    assert order.totals.net == money("5", currency)


def nanos(amount: Money) -> int:
    return amount.units * 10**9 + amount.nanos


def minus(amount: Money) -> str:
    """The amount as a text."""
    return f"{amount.units}.{amount.nanos:09}"


async def test_the_history_of_a_line_survives_its_rows(shop: Shop) -> None:
    """What earlier steps took, and what a charge that came later finds."""
    staff = await desk(shop, 5, "9.99", charge("DISCOUNT", "1.01"))
    await staff.pay("CAPTURED", "48.94")
    await staff.process()
    await staff.cancel(1)
    await staff.fulfill()
    returned = await staff.take_back(1)
    taxed = await staff.charge("TAX", "0.50", "tax was forgotten", 1)
    assert (taxed.totals.cancelled, taxed.totals.returned) == (returned.totals.cancelled, returned.totals.returned)
    assert await staff.seen() == taxed
    assert taxed.lines[0].tax == money("0.50")
    gone = await staff.take_back(3)
    assert gone.totals.net == money("0")
    total = 5 * 999 - 101 + 50
    assert nanos(gone.totals.cancelled) + nanos(gone.totals.returned) == total * 10**7


# Charges that are added later


async def test_staff_add_a_charge_with_a_reason(shop: Shop) -> None:
    staff = await desk(shop, 2, "10.00", charge("SHIPPING", "4.90"))
    await staff.pay("CAPTURED", "24.90")
    given_back = await staff.charge("CREDIT", "4.90", "came late")
    added = given_back.charges[-1]
    assert (added.reason, added.actor, added.HasField("create_time")) == ("came late", "pms", True)
    assert (given_back.totals.net, given_back.payment.refund_due) == (money("20.00"), money("4.90"))
    assert (await staff.events())[-1] == "order.charged"
    assert await staff.seen() == given_back
    payload = await shop.pool.fetchval("SELECT payload FROM events WHERE type = 'order.charged'")
    told = event_pb2.Event.FromString(payload)
    assert (told.order.charge, told.order.totals) == (added, given_back.totals)
    seen = await staff.seen("storefront")
    assert (seen.charges[-1].amount, seen.charges[-1].reason, seen.charges[-1].actor) == (money("4.90"), "", "")


async def test_a_charge_added_to_a_paid_order_is_only_still_to_pay(shop: Shop) -> None:
    waiting, working = await desk(shop), await desk(shop)
    for staff in (waiting, working):
        await staff.pay("CAPTURED", TOTAL)
    await working.process()
    for staff in (waiting, working):
        charged = await staff.charge("FEE", "5.00", "gift wrap")
        assert (charged.payment.still_to_pay, charged.HasField("hold")) == (money("5.00"), False)
    await overdue(waiting)
    assert (await waiting.seen()).state == PENDING
    assert (await refused(waiting.process())).reason == "PAYMENT_REQUIRED"
    await waiting.pay("CAPTURED", "5.00")
    await waiting.process()
    await working.fulfill()


async def test_a_cancelled_order_owes_its_fee(shop: Shop) -> None:
    staff = await desk(shop, 2, "10.00", charge("SHIPPING", "4.90"))
    await staff.pay("CAPTURED", "24.90")
    assert (await staff.cancel()).payment.refund_due == money("24.90")
    charged = await staff.charge("FEE", "5.00", "cancelled too late")
    assert (charged.state, charged.totals.net, charged.payment.refund_due) == (CANCELLED, money("5"), money("19.90"))


# Tenders and refusals


async def test_a_tender_belongs_to_one_order(shop: Shop) -> None:
    first, second = await desk(shop), await desk(shop)
    await first.pay("AUTHORIZED", TOTAL, "pi_1", "evt-1")
    async with nothing_written(shop.pool):
        refusal = await refused(second.pay("CAPTURED", TOTAL, "pi_1"))
    assert await first.pay("AUTHORIZED", TOTAL, "pi_1", "evt-1") == await first.seen()
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TENDER_OF_ANOTHER_ORDER")
    assert (refusal.fields, refusal.metadata["payment_reference"]) == (["payment_reference"], "pi_1")
    await first.pay("CAPTURED", TOTAL, "pi_1")
    await second.pay("CAPTURED", TOTAL, "")
    await first.pay("FAILED", "0", "")


async def test_of_many_orders_at_once_one_gets_the_tender(shop: Shop) -> None:
    desks = [await desk(shop) for _ in range(8)]
    requests = [each.pay("CAPTURED", TOTAL, "pi_1") for each in desks]
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    assert sum(isinstance(outcome, pb.Order) for outcome in outcomes) == 1
    rows = await shop.pool.fetch("SELECT DISTINCT order_id FROM payments WHERE payment_reference = 'pi_1'")
    assert len(rows) == 1


async def test_a_refund_that_failed_is_the_merchants_again_once(shop: Shop) -> None:
    staff = await desk(shop)
    await staff.pay("CAPTURED", TOTAL, "pi_1")
    async with nothing_written(shop.pool):
        early = await refused(staff.pay("REFUND_FAILED", "5.00", "pi_1", "evt-f"))
    assert (early.code, early.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REFUND_EXCEEDED")
    assert "send it again" in early.message
    await staff.pay("REFUNDED", "5.00", "pi_1")
    failed = await staff.pay("REFUND_FAILED", "5.00", "pi_1", "evt-f")
    assert (state_of(failed), failed.payment.refunded) == ("PAID", money("0"))
    assert await staff.pay("REFUND_FAILED", "5.00", "pi_1", "evt-f") == failed
    async with nothing_written(shop.pool):
        assert (await refused(staff.pay("REFUND_FAILED", "5.00", "pi_1"))).reason == "REFUND_EXCEEDED"


async def test_an_event_with_another_tender_is_another_event(shop: Shop) -> None:
    staff = await desk(shop)
    await staff.pay("CAPTURED", "5.00", "pi_1", "evt-1")
    async with nothing_written(shop.pool):
        refusal = await refused(staff.pay("CAPTURED", "5.00", "pi_2", "evt-1"))
    assert refusal.reason == "PAYMENT_EVENT_CONFLICT"


# Who sees what


async def test_a_storefront_sees_what_is_to_pay_and_nothing_of_how(shop: Shop) -> None:
    staff = await desk(shop)
    await staff.pay("CAPTURED", "15.00", "pi_1")
    await staff.pay("DISPUTED", "5.00", "pi_1")
    await staff.pay("DISPUTE_LOST", "4.00", "pi_1")
    full, seen = await staff.seen(), await staff.seen("storefront")
    assert (full.payment.disputed, full.payment.lost, len(full.payment.tenders)) == (money("1.00"), money("4.00"), 1)
    assert seen.payment.still_to_pay == full.payment.still_to_pay == money("5.00")
    for name in ("disputed", "lost", "tenders"):
        full.payment.ClearField(name)
    assert seen == full
    listed = await shop.storefront.events.ListEvents(
        event_pb2.ListEventsRequest(types=["payment.*"], aggregate_id=staff.order.order_id)
    )
    assert len(listed.events) == 3
    assert not any(event.order.payment.tenders or event.order.payment.HasField("lost") for event in listed.events)
    assert not any(event.order.HasField("charge") for event in listed.events)


async def test_a_storefront_is_not_told_that_an_order_is_on_hold(shop: Shop) -> None:
    staff = await desk(shop)
    await staff.pay("AUTHORIZED", TOTAL, "card")
    await staff.pay("VOIDED", TOTAL, "card")
    await staff.pay("AUTHORIZED", TOTAL, "another")
    wanted = event_pb2.ListEventsRequest(aggregate_id=staff.order.order_id)
    full = [each.type for each in (await shop.pms.events.ListEvents(wanted)).events]
    seen = [each.type for each in (await shop.storefront.events.ListEvents(wanted)).events]
    assert full[-2:] == ["payment.updated", "order.released"]
    assert seen == [each for each in full if each not in ("order.held", "order.released")]
