"""What staff do with an order between its steps, as its callers and subscribers see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.event.v1 import event_pb2
from stockward.order.v1 import order_pb2 as pb

from tests.events import until
from tests.shop import Shop, refused
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
