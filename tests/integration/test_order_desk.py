"""What staff do with an order between its steps, as its callers and subscribers see it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.event.v1 import event_pb2
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
