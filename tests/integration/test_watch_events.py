"""WatchEvents: every event from now on, or after a cursor, each once and in order."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from stockward.event.v1.event_pb2 import ListEventsRequest, WatchEventsRequest
from stockward.order.v1.order_pb2 import CancelOrderRequest

from tests.shop import Callers, Shop, refused
from tests.watching import Watch


def watch_events(callers: Callers, **fields: Any) -> Watch:
    return Watch(callers.events.WatchEvents(WatchEventsRequest(**fields)))


def types(watch: Watch) -> list[str]:
    return [event.type for response in watch.responses for event in response.events]


async def test_a_watch_begins_now_and_brings_each_event(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    async with watch_events(shop.viewer) as watch:
        await watch.begun()
        assert (types(watch), watch.responses[0].checkpoint) == ([], True)
        order = await shop.order("TEE")
        await shop.pms.orders.CancelOrder(CancelOrderRequest(order_id=order.order_id))
        await watch.until(lambda watch: len(types(watch)) == 4)
    assert types(watch) == ["order.created", "stock.changed", "order.cancelled", "stock.changed"]
    events = [event for response in watch.responses for event in response.events]
    assert {event.actor for event in events} == {"storefront", "pms"}
    assert events[0].order.order_id == order.order_id


async def test_a_watch_goes_on_after_a_cursor_as_a_list_does(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    listed = await shop.pms.events.ListEvents(ListEventsRequest())
    order = await shop.order("TEE")
    async with watch_events(shop.pms, cursor=listed.next_cursor) as watch:
        await watch.until(lambda watch: "order.created" in types(watch))
    rest = await shop.pms.events.ListEvents(ListEventsRequest(cursor=listed.next_cursor))
    assert [e.event_id for response in watch.responses for e in response.events] == [e.event_id for e in rest.events]
    async with watch_events(shop.pms, cursor=watch.cursor) as again:
        await again.begun()
        await shop.pms.orders.CancelOrder(CancelOrderRequest(order_id=order.order_id))
        await again.until(lambda watch: "order.cancelled" in types(watch))
    assert "order.created" not in types(again)


@pytest.mark.parametrize("live", [False, True], ids=["recorded", "live"])
async def test_a_watch_brings_what_it_asked_for_only(shop: Shop, live: bool) -> None:
    await shop.sell("TEE", 9)
    order = await shop.order("TEE")
    start = (await shop.pms.events.ListEvents(ListEventsRequest())).next_cursor
    selections: dict[str, dict[str, Any]] = {
        "order.cancelled": {"types": ["order.*"]},
        "stock.changed": {"types": ["stock.changed", "order.created"]},
        " order.cancelled": {"aggregate_id": order.order_id},
        " stock.changed": {"aggregate_id": "TEE@main"},
    }
    cancel = CancelOrderRequest(order_id=order.order_id)
    if not live:
        await shop.pms.orders.CancelOrder(cancel)
    async with AsyncExitStack() as stack:
        for expected, request in selections.items():
            watch = await stack.enter_async_context(watch_events(shop.pms, cursor=start, **request))
            await watch.begun()
            selections[expected] = {"watch": watch}
        if live:
            await shop.pms.orders.CancelOrder(cancel)
        for expected, found in selections.items():
            await found["watch"].until(types)
            assert types(found["watch"]) == [expected.strip()]


async def test_a_storefront_watches_no_events(shop: Shop) -> None:
    call = shop.storefront.events.WatchEvents(WatchEventsRequest())
    refusal = await refused(anext(aiter(call)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")
