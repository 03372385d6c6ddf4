"""What staff do with an order between its steps, as its callers and subscribers see it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.event.v1 import event_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2 as pb

from tests.commands import verify
from tests.events import until
from tests.shop import Shop, money, refused
from tests.snapshot import nothing_written

FRAUD, ADDRESS = pb.Hold.REASON_FRAUD, pb.Hold.REASON_ADDRESS


async def events_of(shop: Shop, order: pb.Order) -> list[event_pb2.Event]:
    listed = await shop.pms.events.ListEvents(event_pb2.ListEventsRequest(aggregate_id=order.order_id))
    return list(listed.events)


async def paid_order(shop: Shop, units: int = 3) -> pb.Order:
    await shop.sell("TEE", 10)
    return await shop.pay(await shop.order("TEE", units))


def in_a(second: float) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) + timedelta(seconds=second))
    return moment


# Holds


async def hold(shop: Shop, order: pb.Order, reason: pb.Hold.Reason.ValueType = FRAUD, **fields: Any) -> pb.Order:
    held: pb.Order = await shop.pms.orders.HoldOrder(
        pb.HoldOrderRequest(order_id=order.order_id, reason=reason, **fields)
    )
    return held


async def test_an_order_on_hold_waits_until_it_is_released(shop: Shop) -> None:
    order = await paid_order(shop)
    held = await hold(shop, order, note="two cards", expire_time=in_a(3600))
    assert (held.hold.reason, held.hold.note, held.hold.actor) == (FRAUD, "two cards", "pms")
    assert held.hold.create_time == held.update_time
    process = pb.ProcessOrderRequest(order_id=order.order_id)
    async with nothing_written(shop.pool):
        refusal = await refused(shop.pms.orders.ProcessOrder(process))
        again = await refused(hold(shop, order, ADDRESS))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_ON_HOLD")
    assert refusal.metadata["hold"] == "FRAUD"
    assert refusal.metadata["expire_time"] == held.hold.expire_time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert again.reason == "ORDER_ON_HOLD"
    seen = await shop.storefront.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id))
    assert not seen.HasField("hold")
    released = await shop.pms.orders.ReleaseOrder(pb.ReleaseOrderRequest(order_id=order.order_id))
    assert not released.HasField("hold")
    assert (await shop.pms.orders.ProcessOrder(process)).state == pb.Order.STATE_PROCESSING
    events = await events_of(shop, order)
    assert [event.type for event in events][-3:] == ["order.held", "order.released", "order.processing"]
    assert (events[-3].order.hold, events[-2].order.HasField("hold")) == (held.hold, False)
    idle = await refused(shop.pms.orders.ReleaseOrder(pb.ReleaseOrderRequest(order_id=order.order_id)))
    assert (idle.code, idle.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_NOT_ON_HOLD")


async def test_a_hold_ends_by_itself(shop: Shop) -> None:
    order = await paid_order(shop)
    await hold(shop, order, expire_time=in_a(0.3))
    read = pb.GetOrderRequest(order_id=order.order_id)

    async def released() -> bool:
        return not (await shop.pms.orders.GetOrder(read)).HasField("hold")

    await until(released)
    last = (await events_of(shop, order))[-1]
    assert (last.type, last.actor, last.order.HasField("hold")) == ("order.released", "system", False)


async def test_a_hold_that_is_over_does_not_wait_for_the_sweeper(shop: Shop) -> None:
    order = await paid_order(shop)
    await hold(shop, order, expire_time=in_a(3600))
    over = "UPDATE orders SET hold_expire_time = now() - interval '1 s' WHERE order_id = $1"
    await shop.pool.execute(over, order.order_id)
    processed = await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=order.order_id))
    assert (processed.state, processed.HasField("hold")) == (pb.Order.STATE_PROCESSING, False)
    types = [event.type for event in await events_of(shop, order)]
    assert types.count("order.released") == 1


# Edits


async def edit(shop: Shop, order: pb.Order, changes: dict[int, int], **fields: Any) -> pb.Order:
    named = [pb.EditOrderLinesRequest.Change(line_number=number, quantity=n) for number, n in changes.items()]
    edited: pb.Order = await shop.pms.orders.EditOrderLines(
        pb.EditOrderLinesRequest(order_id=order.order_id, changes=named, **fields)
    )
    return edited


async def test_an_order_is_updated_as_a_whole_or_in_parts(shop: Shop) -> None:
    customer = pb.Customer(customer_id="ada", email="ada@shop.exmaple")
    await shop.sell("TEE", 10)
    order = await shop.order("TEE", 2, customer=customer, reference="A-1")
    address = pb.Address(recipient="Ada", lines=["Main Street 1"], city="Berlin", country_code="DE")
    updated = await shop.pms.orders.UpdateOrder(
        pb.UpdateOrderRequest(
            order_id=order.order_id,
            customer=pb.Customer(customer_id="ada", email="ada@shop.example", shipping_address=address),
            tags=["vip", "call first"],
            attributes={"lane": "4"},
            gift_note="Dear Ann",
            line_gift_notes=[pb.UpdateOrderRequest.LineGiftNote(line_number=1, gift_note="The blue one")],
        )
    )
    assert (updated.customer.email, updated.customer.shipping_address) == ("ada@shop.example", address)
    assert (updated.reference, list(updated.tags), dict(updated.attributes)) == (
        *("A-1", ["vip", "call first"]),
        {"lane": "4"},
    )
    read = pb.GetOrderRequest(order_id=order.order_id)
    assert await shop.pms.orders.GetOrder(read) == updated
    assert updated.lines[0].gift_note == "The blue one"
    seen = await shop.storefront.orders.GetOrder(read)
    assert (seen.gift_note, list(seen.tags), dict(seen.attributes)) == ("Dear Ann", [], {})
    mask = FieldMask(paths=["customer", "gift_note", "reference"])
    cleared = await shop.pms.orders.UpdateOrder(pb.UpdateOrderRequest(order_id=order.order_id, update_mask=mask))
    assert (cleared.customer, cleared.gift_note, cleared.reference) == (pb.Customer(customer_id="ada"), "", "")
    assert (list(cleared.tags), cleared.lines[0].gift_note) == (["vip", "call first"], "The blue one")
    event = (await events_of(shop, order))[-1]
    assert (event.type, list(event.order.tags), event.order.lines[0].gift_note) == (
        *("order.updated", ["vip", "call first"]),
        "",
    )


async def test_lines_are_edited_all_or_none(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    await shop.sell("MUG", 4, "5.00")
    order = await shop.order("TEE", 3)
    mugs = [pb.CreateOrderRequest.Line(sku="MUG", quantity=2)]
    edited = await edit(shop, order, {1: 1}, additions=mugs)
    assert [(line.line_number, line.sku, line.quantity) for line in edited.lines] == [(1, "TEE", 1), (2, "MUG", 2)]
    assert edited.totals.net == money("29.90")
    assert await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id)) == edited
    assert [(await shop.level(sku)).allocated for sku in ("TEE", "MUG")] == [1, 2]
    assert (await events_of(shop, order))[-1].type == "order.edited"
    async with nothing_written(shop.pool):
        refusal = await refused(edit(shop, order, {1: 9, 2: 5}))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    swapped = await edit(shop, order, {1: 0, 2: 4})
    assert [line.sku for line in swapped.lines] == ["MUG"]
    assert [(await shop.level(sku)).allocated for sku in ("TEE", "MUG")] == [0, 4]
    await verify(shop.pool)


async def test_a_line_that_a_discount_names_stays(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    await shop.sell("MUG", 4)
    order = await shop.order("TEE", 3)
    order = await edit(shop, order, {}, additions=[pb.CreateOrderRequest.Line(sku="MUG", quantity=2)])
    discount = pb.Charge(kind=pb.Charge.KIND_DISCOUNT, amount=money("1"), line_numbers=[1])
    await shop.pms.orders.AddCharge(pb.AddChargeRequest(order_id=order.order_id, charge=discount, reason="dent"))
    refusal = await refused(edit(shop, order, {1: 0}))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LINE_CHARGED")


async def test_agreed_prices_stay_unless_those_of_now_are_wanted(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    order = await shop.order("TEE", 1)
    await shop.pool.execute("UPDATE variants SET price = 2500")
    assert (await edit(shop, order, {1: 2})).totals.net == money("39.80")
    assert (await edit(shop, order, {}, current_prices=True)).totals.net == money("50.00")


async def test_of_edits_and_orders_at_once_none_takes_what_is_not_there(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    orders = [await shop.order("TEE", 1) for _ in range(4)]
    outcomes = await asyncio.gather(
        *(edit(shop, order, {1: 4}) for order in orders),
        *(shop.order("TEE", 1) for _ in range(6)),
        return_exceptions=True,
    )
    level = await shop.level("TEE")
    assert level.allocated <= 10
    assert any(isinstance(outcome, grpc.aio.AioRpcError) for outcome in outcomes)
    await verify(shop.pool)


# Timeline


async def timeline(shop: Shop, order: pb.Order, by: str = "pms", **page: Any) -> list[pb.OrderTimelineEntry]:
    request = pb.ListOrderTimelineRequest(order_id=order.order_id, **page)
    return list((await getattr(shop, by).orders.ListOrderTimeline(request)).entries)


async def test_a_timeline_tells_who_did_what_and_why(shop: Shop) -> None:
    order = await paid_order(shop)
    asked: Any = {"order_id": order.order_id}
    await edit(shop, order, {1: 2})
    await shop.pms.orders.UpdateOrder(pb.UpdateOrderRequest(**asked, reference="A-1"))
    note = pb.AddOrderNoteRequest(**asked, note="We pack it today", customer_visible=True)
    noted = await shop.pms.orders.AddOrderNote(note)
    await shop.pms.orders.AddOrderNote(pb.AddOrderNoteRequest(**asked, note="watch the glass"))
    fee = pb.Charge(kind=pb.Charge.KIND_FEE, amount=money("1"))
    await shop.pms.orders.AddCharge(pb.AddChargeRequest(**asked, charge=fee, reason="gift wrap"))
    held = await hold(shop, order, note="two cards")
    await shop.pms.orders.ReleaseOrder(pb.ReleaseOrderRequest(**asked))
    await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(**asked))
    one = [pb.LineQuantity(line_number=1, quantity=1)]
    shipped = await shop.pms.orders.FulfillOrder(pb.FulfillOrderRequest(**asked, lines=one, tracking_number="T1"))
    cancelled = await shop.pms.orders.CancelOrder(pb.CancelOrderRequest(**asked, lines=one, reason="sold out"))
    back = [pb.ReturnOrderRequest.Line(line_number=1, quantity=1)]
    await shop.pms.orders.ReturnOrder(pb.ReturnOrderRequest(**asked, lines=back, reason="too small"))

    entries = await timeline(shop, order)
    assert [entry.version for entry in entries] == [*range(1, 14)]
    events = await events_of(shop, order)
    assert [(e.type, e.create_time, e.actor) for e in entries] == [(e.type, e.time, e.actor) for e in events]
    by_type = {entry.type: entry for entry in entries}
    assert by_type["order.created"].actor == "storefront"
    (report,) = (await shop.pms.orders.ListPayments(pb.ListPaymentsRequest(**asked))).payments
    assert by_type["payment.updated"].payment == report
    assert (report.kind, report.amount, report.provider) == (
        *(pb.RecordPaymentRequest.KIND_CAPTURED, order.totals.total),
        "test",
    )
    assert list(by_type["order.edited"].edits) == [pb.LineEdit(sku="TEE", from_quantity=3, to_quantity=2)]
    assert list(by_type["order.updated"].fields) == ["reference"]
    assert [(e.note, e.customer_visible) for e in entries if e.type == "order.noted"] == [
        ("We pack it today", True),
        ("watch the glass", False),
    ]
    assert (by_type["order.charged"].charge.reason, by_type["order.held"].hold) == ("gift wrap", held.hold)
    assert by_type["order.partially_fulfilled"].fulfillment == shipped.fulfillments[0]
    assert (by_type["order.cancelled"].note, list(by_type["order.cancelled"].lines)) == ("sold out", one)
    assert (by_type["order.returned"].note, list(by_type["order.returned"].lines)) == ("too small", one)
    assert cancelled.cancel_reason == "sold out"
    reasons = {event.type: event.order.reason for event in events if event.order.reason}
    assert reasons == {
        "order.noted": "watch the glass",
        "order.cancelled": "sold out",
        "order.returned": "too small",
    }
    assert noted.version == by_type["order.noted"].version - 1

    paged = [(await timeline(shop, order, page_size=13))[-1], *(await timeline(shop, order, page_size=5))[:1]]
    assert paged == [entries[-1], entries[0]]
    seen = await timeline(shop, order, by="storefront")
    assert [(entry.type, entry.note, entry.actor) for entry in seen] == [
        ("order.created", "", ""),
        ("order.edited", "", ""),
        ("order.noted", "We pack it today", ""),
        ("order.processing", "", ""),
        ("order.partially_fulfilled", "", ""),
        ("order.cancelled", "", ""),
        ("order.returned", "", ""),
    ]
    whole = b"".join(entry.SerializeToString() for entry in seen)
    assert not [text for text in (b"glass", b"gift wrap", b"two cards", b"sold out", b"pms") if text in whole]


async def test_a_timeline_stays_when_the_events_are_gone(shop: Shop) -> None:
    order = await paid_order(shop)
    before = await timeline(shop, order)
    await shop.pool.execute("DELETE FROM events")
    assert await timeline(shop, order) == before
    assert [entry.type for entry in before] == ["order.created", "payment.updated"]


async def test_pages_of_payments_and_of_a_timeline_go_on(shop: Shop) -> None:
    order = await paid_order(shop)
    for _ in range(3):
        await shop.pay(order, "REFUNDED", money("1"))
    for method, request, field in (
        (shop.pms.orders.ListPayments, pb.ListPaymentsRequest, "payments"),
        (shop.pms.orders.ListOrderTimeline, pb.ListOrderTimelineRequest, "entries"),
    ):
        whole = list(getattr(await method(request(order_id=order.order_id)), field))
        rows, token = list[Any](), ""
        while not rows or token:
            page = await method(request(order_id=order.order_id, page_size=2, page_token=token))
            rows += getattr(page, field)
            token = page.next_page_token
        assert rows == whole
        assert len(whole) >= 4


# Parcels


async def shipped_order(shop: Shop) -> pb.Order:
    order = await paid_order(shop)
    await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=order.order_id))
    shipped: pb.Order = await shop.pms.orders.FulfillOrder(pb.FulfillOrderRequest(order_id=order.order_id))
    return shipped


async def test_a_parcel_is_corrected_and_sent_again(shop: Shop) -> None:
    order = await shipped_order(shop)
    (parcel,) = order.fulfillments
    ids: Any = {"order_id": order.order_id, "fulfillment_id": parcel.fulfillment_id}
    assert parcel.state == pb.Fulfillment.STATE_SHIPPED
    tracked = await shop.pms.orders.UpdateFulfillment(
        pb.UpdateFulfillmentRequest(**ids, tracking_number="T1", carrier="DHL", state=pb.Fulfillment.STATE_FAILED)
    )
    mask = FieldMask(paths=["state", "carrier"])
    again = await shop.pms.orders.UpdateFulfillment(
        pb.UpdateFulfillmentRequest(**ids, state=pb.Fulfillment.STATE_SHIPPED, update_mask=mask)
    )
    assert [
        (each.tracking_number, each.carrier, each.state) for each in (*tracked.fulfillments, *again.fulfillments)
    ] == [
        ("T1", "DHL", pb.Fulfillment.STATE_FAILED),
        ("T1", "", pb.Fulfillment.STATE_SHIPPED),
    ]
    assert await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id)) == again
    event = (await events_of(shop, order))[-1]
    assert (event.type, event.order.fulfillment) == ("order.fulfillment_updated", again.fulfillments[0])


async def test_a_parcel_that_was_not_sent_comes_back_whole(shop: Shop) -> None:
    order = await shipped_order(shop)
    ids: Any = {"order_id": order.order_id, "fulfillment_id": order.fulfillments[0].fulfillment_id}
    cancel = pb.CancelFulfillmentRequest(**ids, reason="wrong address")
    reopened = await shop.pms.orders.CancelFulfillment(cancel)
    assert (reopened.state, reopened.lines[0].fulfilled) == (pb.Order.STATE_PROCESSING, 0)
    level = await shop.level("TEE")
    assert (level.on_hand, level.allocated) == (10, 3)
    await verify(shop.pool)
    async with nothing_written(shop.pool):
        twice = await refused(shop.pms.orders.CancelFulfillment(cancel))
        update = pb.UpdateFulfillmentRequest(**ids, tracking_number="T2")
        late = await refused(shop.pms.orders.UpdateFulfillment(update))
    assert (twice.code, twice.reason, late.reason) == (
        *(grpc.StatusCode.FAILED_PRECONDITION, "FULFILLMENT_STATE_INVALID"),
        "FULFILLMENT_STATE_INVALID",
    )
    events = [event for event in await events_of(shop, order) if event.type == "order.fulfillment_cancelled"]
    assert [event.order.reason for event in events] == ["wrong address"]
    again = await shop.pms.orders.FulfillOrder(pb.FulfillOrderRequest(order_id=order.order_id))
    assert (again.state, len(again.fulfillments)) == (pb.Order.STATE_FULFILLED, 2)
    assert (await shop.level("TEE")).on_hand == 7
    entries = await timeline(shop, order)
    assert [entry.type for entry in entries if entry.HasField("fulfillment")] == [
        *("order.fulfilled", "order.fulfillment_cancelled", "order.fulfilled"),
    ]


async def test_goods_that_are_not_counted_any_more_do_not_come_back(shop: Shop) -> None:
    order = await shipped_order(shop)
    cancel = pb.CancelFulfillmentRequest(order_id=order.order_id, fulfillment_id=order.fulfillments[0].fulfillment_id)
    await shop.pool.execute("UPDATE variants SET untracked = true")
    async with nothing_written(shop.pool):
        refusal = await refused(shop.pms.orders.CancelFulfillment(cancel))
    assert refusal.reason == "STOCK_NOT_TRACKED"


async def test_a_packing_list_has_what_is_to_be_shipped(shop: Shop) -> None:
    await shop.sell("TEE", 2)
    await shop.sell("PDF", untracked=True)
    north = inventory_pb2.Location(location_id="north", priority=1, active=True)
    await shop.pms.inventory.CreateLocation(inventory_pb2.CreateLocationRequest(location=north))
    await shop.receive("TEE", 2, "north")
    ada = pb.Customer(name="Ada", shipping_address=pb.Address(recipient="Ada", city="London"))
    placed: list[pb.Order] = []
    for sku, units in (("TEE", 3), ("PDF", 1), ("TEE", 1)):
        order = await shop.pay(await shop.order(sku, units, customer=ada, reference=f"A-{len(placed)}"))
        placed.append(order)
    for order in placed[:2]:
        await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=order.order_id))
    held = await hold(shop, placed[1])

    async def slips(**wanted: Any) -> list[pb.PackingSlip]:
        return list((await shop.pms.orders.ListPackingSlips(pb.ListPackingSlipsRequest(**wanted))).slips)

    first, second = await slips()
    assert [(line.sku, line.location_id, line.quantity) for line in first.lines] == [
        ("TEE", "main", 2),
        ("TEE", "north", 1),
    ]
    assert (first.reference, first.shipping_address, first.customer_name) == ("A-0", ada.shipping_address, "Ada")
    assert [(line.sku, line.location_id, line.quantity) for line in second.lines] == [("PDF", "", 1)]
    assert (first.HasField("hold"), second.hold) == (False, held.hold)
    assert [[line.quantity for line in slip.lines] for slip in await slips(location_id="north")] == [[1]]
    assert await slips(order_ids=[placed[1].order_id, placed[2].order_id]) == [second]
    assert await slips(start_time=placed[1].create_time) == [second]
    assert await slips(end_time=placed[1].create_time) == [first]
    one = [pb.LineQuantity(line_number=1, quantity=2)]
    await shop.pms.orders.FulfillOrder(pb.FulfillOrderRequest(order_id=placed[0].order_id, lines=one))
    assert [sum(line.quantity for line in slip.lines) for slip in await slips()] == [1, 1]
