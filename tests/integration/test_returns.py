"""Returns as their callers and subscribers see them: announced, received in parts, closed or withdrawn."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from stockward.event.v1 import event_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2 as pb

from stockward_server.domain.order_returns import MAX_RETURNS
from tests.commands import verify
from tests.shop import Shop, refused
from tests.snapshot import nothing_written

ANNOUNCED, PARTLY = pb.OrderReturn.STATE_ANNOUNCED, pb.OrderReturn.STATE_PARTIALLY_RECEIVED
RECEIVED, CLOSED, WITHDRAWN = (
    pb.OrderReturn.STATE_RECEIVED,
    pb.OrderReturn.STATE_CLOSED,
    pb.OrderReturn.STATE_WITHDRAWN,
)


async def shipped_order(shop: Shop, units: int = 3, **fields: Any) -> pb.Order:
    await shop.sell("TEE", 10)
    order = await shop.pay(await shop.order("TEE", units, **fields))
    await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=order.order_id))
    shipped: pb.Order = await shop.pms.orders.FulfillOrder(pb.FulfillOrderRequest(order_id=order.order_id))
    return shipped


async def announce(shop: Shop, order: pb.Order, units: int = 2, **fields: Any) -> pb.Order:
    lines = [pb.LineQuantity(line_number=1, quantity=units)]
    announced: pb.Order = await shop.pms.orders.AnnounceReturn(
        pb.AnnounceReturnRequest(order_id=order.order_id, lines=lines, **fields)
    )
    return announced


def ids(order: pb.Order) -> Any:
    return {"order_id": order.order_id, "return_id": order.returns[0].return_id}


def came(units: int, *, damaged: bool = False) -> list[pb.ReturnOrderRequest.Line]:
    return [pb.ReturnOrderRequest.Line(line_number=1, quantity=units, damaged=damaged)]


async def test_a_return_comes_in_parts_and_is_paid_back_by_what_came(shop: Shop) -> None:
    north = inventory_pb2.Location(location_id="north", priority=1, active=True)
    await shop.pms.inventory.CreateLocation(inventory_pb2.CreateLocationRequest(location=north))
    order = await shipped_order(shop)
    expected = await announce(shop, order, 3, reason="too small", note="call her", label_url="https://labels.example/1")
    assert (expected.payment.refund_required, expected.totals) == (False, order.totals)
    assert (await shop.level("TEE")).on_hand == 7
    (one,) = expected.returns
    assert (one.state, one.reason, one.note, one.actor) == (ANNOUNCED, "too small", "call her", "pms")
    assert [(line.line_number, line.quantity, line.received) for line in one.lines] == [(1, 3, 0)]
    await shop.pms.orders.UpdateReturn(pb.UpdateReturnRequest(**ids(expected), tracking_number="R1", carrier="DHL"))

    receive = pb.ReceiveReturnRequest(**ids(expected), lines=came(1), location_id="north")
    partly = await shop.pms.orders.ReceiveReturn(receive)
    assert (partly.returns[0].state, partly.lines[0].returned) == (PARTLY, 1)
    assert partly.payment.refund_due == order.lines[0].unit_price
    assert (await shop.level("TEE", "north")).on_hand == 1
    broken = pb.ReceiveReturnRequest(**ids(expected), lines=came(1, damaged=True), note="torn")
    more = await shop.pms.orders.ReceiveReturn(broken)
    assert (more.returns[0].lines[0].received, more.returns[0].lines[0].damaged) == (2, 1)
    assert (await shop.level("TEE")).on_hand == 7
    closed = await shop.pms.orders.CloseReturn(pb.CloseReturnRequest(**ids(expected), reason="she keeps one"))
    assert (closed.returns[0].state, closed.lines[0].returned) == (CLOSED, 2)
    assert (closed.returns[0].tracking_number, closed.returns[0].label_url) == ("R1", "https://labels.example/1")
    assert await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id)) == closed
    await verify(shop.pool)

    types = ["return_announced", "return_updated", "returned", "returned", "return_closed"]
    listed = await shop.pms.events.ListEvents(event_pb2.ListEventsRequest(aggregate_id=order.order_id))
    events = list(listed.events)[-len(types) :]
    assert [event.type for event in events] == [f"order.{each}" for each in types]
    assert [event.order.order_return.state for event in events] == [ANNOUNCED, ANNOUNCED, PARTLY, PARTLY, CLOSED]
    assert not any(event.order.order_return.label_url or event.order.order_return.note for event in events)
    assert [event.order.reason for event in events] == ["too small", "", "", "torn", "she keeps one"]
    entries = (await shop.pms.orders.ListOrderTimeline(pb.ListOrderTimelineRequest(order_id=order.order_id))).entries[
        -len(types) :
    ]
    assert [(entry.type, sum(line.quantity for line in entry.lines)) for entry in entries] == [
        *(("order.return_announced", 3), ("order.return_updated", 0), ("order.returned", 1), ("order.returned", 1)),
        ("order.return_closed", 1),
    ]
    assert {entry.return_id for entry in entries} == {one.return_id}


async def test_all_of_a_return_comes_at_once(shop: Shop) -> None:
    expected = await announce(shop, await shipped_order(shop))
    received = await shop.pms.orders.ReceiveReturn(pb.ReceiveReturnRequest(**ids(expected)))
    assert (received.returns[0].state, received.lines[0].returned) == (RECEIVED, 2)
    assert (await shop.level("TEE")).on_hand == 9
    await verify(shop.pool)


async def test_units_that_nobody_announced_are_a_return_too(shop: Shop) -> None:
    order = await shipped_order(shop)
    request = pb.ReturnOrderRequest(order_id=order.order_id, lines=[*came(1), *came(1, damaged=True)], reason="cold")
    returned = await shop.pms.orders.ReturnOrder(request)
    (one,) = returned.returns
    assert (one.state, one.reason, one.lines[0].received, one.lines[0].damaged) == (RECEIVED, "cold", 2, 1)
    assert await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id)) == returned


async def test_what_a_return_expects_is_nobody_elses(shop: Shop) -> None:
    order = await shipped_order(shop)
    expected = await announce(shop, order)
    parcel = order.fulfillments[0].fulfillment_id
    async with nothing_written(shop.pool):
        for call in (
            announce(shop, order),
            shop.pms.orders.ReturnOrder(pb.ReturnOrderRequest(order_id=order.order_id, lines=came(2))),
            shop.pms.orders.CancelFulfillment(
                pb.CancelFulfillmentRequest(order_id=order.order_id, fulfillment_id=parcel)
            ),
        ):
            refusal = await refused(call)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "QUANTITY_EXCEEDED")
            assert (refusal.metadata["remaining"], refusal.metadata["announced"]) == ("1", "2")
        late = await refused(shop.pms.orders.ReceiveReturn(pb.ReceiveReturnRequest(**ids(expected), lines=came(3))))
        assert (late.reason, late.metadata["return_id"]) == ("QUANTITY_EXCEEDED", expected.returns[0].return_id)
    tracked = pb.UpdateFulfillmentRequest(order_id=order.order_id, fulfillment_id=parcel, tracking_number="T2")
    corrected = await shop.pms.orders.UpdateFulfillment(tracked)
    assert corrected.returns == expected.returns


async def test_a_return_ends_once(shop: Shop) -> None:
    order = await shipped_order(shop)
    expected = await announce(shop, order)
    withdraw, close = pb.WithdrawReturnRequest(**ids(expected), reason="kept"), pb.CloseReturnRequest(**ids(expected))
    async with nothing_written(shop.pool):
        early = await refused(shop.pms.orders.CloseReturn(close))
    assert (early.reason, early.metadata["state"]) == ("RETURN_STATE_INVALID", "ANNOUNCED")
    withdrawn = await shop.pms.orders.WithdrawReturn(withdraw)
    assert (withdrawn.returns[0].state, withdrawn.totals) == (WITHDRAWN, order.totals)
    async with nothing_written(shop.pool):
        for call in (
            shop.pms.orders.WithdrawReturn(withdraw),
            shop.pms.orders.ReceiveReturn(pb.ReceiveReturnRequest(**ids(expected))),
            shop.pms.orders.UpdateReturn(pb.UpdateReturnRequest(**ids(expected), note="x")),
        ):
            refusal = await refused(call)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RETURN_STATE_INVALID")
    await announce(shop, order, 3)


async def test_of_two_who_receive_at_once_one_does(shop: Shop) -> None:
    expected = await announce(shop, await shipped_order(shop))
    receive = [pb.ReceiveReturnRequest(**ids(expected), etag=expected.etag) for _ in range(2)]
    answers = await asyncio.gather(*map(shop.pms.orders.ReceiveReturn, receive), return_exceptions=True)
    (lost,) = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert lost.code() is grpc.StatusCode.ABORTED
    assert (await shop.level("TEE")).on_hand == 9


async def test_a_storefront_announces_and_withdraws_and_is_not_told_what_staff_wrote(shop: Shop) -> None:
    order = await shipped_order(shop)
    lines = [pb.LineQuantity(line_number=1, quantity=1)]
    mine = pb.AnnounceReturnRequest(order_id=order.order_id, lines=lines, reason="too small", tracking_number="R1")
    seen = await shop.storefront.orders.AnnounceReturn(mine)
    assert (seen.returns[0].tracking_number, seen.returns[0].reason, seen.returns[0].actor) == ("R1", "", "")
    told = (await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id))).returns[0]
    assert (told.reason, told.actor) == ("too small", "storefront")
    for name, value in (("note", "x"), ("label_url", "https://labels.example/1")):
        request = pb.AnnounceReturnRequest(order_id=order.order_id, lines=lines, **{name: value})
        async with nothing_written(shop.pool):
            refusal = await refused(shop.storefront.orders.AnnounceReturn(request))
        assert (refusal.reason, refusal.fields) == ("ROLE_NOT_ALLOWED", [name])
    withdrawn = await shop.storefront.orders.WithdrawReturn(pb.WithdrawReturnRequest(**ids(seen)))
    assert withdrawn.returns[0].state == WITHDRAWN
    read = pb.ListOrderTimelineRequest(order_id=order.order_id)
    entries = (await shop.storefront.orders.ListOrderTimeline(read)).entries[-2:]
    assert [(entry.type, entry.note) for entry in entries] == [
        ("order.return_announced", ""),
        ("order.return_withdrawn", ""),
    ]
    listed = await shop.storefront.events.ListEvents(event_pb2.ListEventsRequest(types=["order.return_announced"]))
    assert [event.order.order_return.reason for event in listed.events] == [""]


async def test_an_exchange_points_back_to_its_return(shop: Shop) -> None:
    order = await shipped_order(shop, customer=pb.Customer(customer_id="ada"))
    expected = await announce(shop, order, 1)
    wanted = pb.CreateOrderRequest(
        lines=[pb.CreateOrderRequest.Line(sku="TEE", quantity=1)],
        customer=pb.Customer(customer_id="ada"),
        exchange_of=pb.ExchangeOf(**ids(expected)),
    )
    made = await shop.pms.orders.CreateOrder(wanted)
    assert made.exchange_of == wanted.exchange_of
    assert await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=made.order_id)) == made
    assert (await shop.level("TEE")).allocated == 1
    assert not (await shop.order("TEE")).HasField("exchange_of")


async def test_an_exchange_needs_a_return_of_the_same_customer_that_is_not_withdrawn(shop: Shop) -> None:
    order = await shipped_order(shop, customer=pb.Customer(customer_id="ada"))
    expected = await announce(shop, order, 1)

    async def refusal(by: Any, customer_id: str = "ada", **named: str) -> Any:
        wanted = pb.CreateOrderRequest(
            lines=[pb.CreateOrderRequest.Line(sku="TEE", quantity=1)],
            customer=pb.Customer(customer_id=customer_id),
            exchange_of=pb.ExchangeOf(**{**ids(expected), **named}),
        )
        async with nothing_written(shop.pool):
            return await refused(by.orders.CreateOrder(wanted))

    nothing = "0190aaaa-0000-7000-8000-000000000000"
    assert (await refusal(shop.pms, order_id=nothing)).reason == "ORDER_NOT_FOUND"
    assert (await refusal(shop.pms, return_id=nothing)).reason == "RETURN_NOT_FOUND"
    other = await refusal(shop.pms, customer_id="bob")
    assert (other.reason, other.fields) == ("FIELD_INVALID", ["exchange_of.order_id"])
    storefront = await refusal(shop.storefront)
    assert (storefront.reason, storefront.fields) == ("ROLE_NOT_ALLOWED", ["exchange_of"])
    await shop.pms.orders.WithdrawReturn(pb.WithdrawReturnRequest(**ids(expected)))
    late = await refusal(shop.pms)
    assert (late.reason, late.metadata["action"]) == ("RETURN_STATE_INVALID", "exchange")


async def test_an_order_has_so_many_returns(shop: Shop) -> None:
    order = await shipped_order(shop)
    await shop.pool.execute(
        """
        INSERT INTO order_returns
        SELECT gen_random_uuid(), $1, 5, '[[1, 1, 0, 0]]', '', '', '', '', '', '', now(), now()
        FROM generate_series(1, $2)
        """,
        order.order_id,
        MAX_RETURNS,
    )
    async with nothing_written(shop.pool):
        refusal = await refused(announce(shop, order))
    assert (refusal.reason, refusal.metadata["limit"]) == ("RETURN_LIMIT_REACHED", str(MAX_RETURNS))
