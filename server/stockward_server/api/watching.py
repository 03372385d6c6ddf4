"""The watches on the wire: the present state, and events as changes.

A watch may wait for hours for its next change, so nothing of the last one is kept meanwhile: updates and responses
are deleted.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

from stockward.event.v1 import event_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2

from stockward_server.api.inventory.messages import availability_message, level_message
from stockward_server.api.orders.messages import snapshot_message
from stockward_server.api.requests import Context
from stockward_server.application.follower import Encoder, key_of
from stockward_server.application.ports.events import Cursor, LoggedEvent
from stockward_server.application.ports.orders import OrderFilter, OrderViews
from stockward_server.application.ports.pages import Page, Position
from stockward_server.application.ports.stock import StockViews
from stockward_server.application.watch_queues import EVERY_TOPIC, Interest
from stockward_server.application.watches import SnapshotItem, Watches
from stockward_server.domain.order import OPEN_STATES, Order, OrderState
from stockward_server.domain.stock import policy_etag
from stockward_server.runtime.turns import long_read
from stockward_server.wire.cursor import Encode, going_on
from stockward_server.wire.pages import read_page
from stockward_server.wire.seal import Seals

Row = TypeVar("Row")

PRESENT_PAGE = 500
"""Most rows of one response while the present state is sent."""


async def watch_availability(
    watches: Watches, seals: Seals, request: inventory_pb2.WatchAvailabilityRequest, context: Context
) -> AsyncIterator[inventory_pb2.WatchAvailabilityResponse]:
    """Sends the availability of SKUs, then each change of it."""
    async with going_on(seals, request.cursor) as (after, encode):
        slot = watches.enter()
        context.add_done_callback(lambda _: slot.close())  # type: ignore[arg-type]  # the stub has a client's callback
        async for update in watches.availability(slot, _names(request.skus), after):
            response = inventory_pb2.WatchAvailabilityResponse(
                availabilities=[message for _, message in update.messages if message is not None],
                unknown_skus=[sku for sku, message in update.messages if message is None],
                cursor=_cursor(update.position, encode),
                checkpoint=update.is_checkpoint,
            )
            del update
            yield response
            del response


async def watch_stock(
    watches: Watches, views: StockViews, seals: Seals, request: inventory_pb2.WatchStockRequest, context: Context
) -> AsyncIterator[inventory_pb2.WatchStockResponse]:
    """Sends stock levels, then each version of them."""
    async with going_on(seals, request.cursor) as (after, encode):
        slot = watches.enter()
        context.add_done_callback(lambda _: slot.close())  # type: ignore[arg-type]  # the stub has a client's callback

        def at_location(level: inventory_pb2.StockLevel) -> bool:
            return request.location_id in ("", level.location_id)

        present = _pages(
            lambda page: views.levels(page, request.skus, request.location_id or None),
            level_message,
            lambda level: [level.sku, level.location_id],
            lambda level: f"{level.sku}@{level.location_id}",
            lambda level: level.version,
        )
        interest = Interest("stock", _names(request.skus), at_location)
        async for update in watches.changes(slot, interest, after, present):
            response = inventory_pb2.WatchStockResponse(
                stock_levels=update.messages,
                cursor=_cursor(update.position, encode),
                checkpoint=update.is_checkpoint,
            )
            del update
            yield response
            del response


async def watch_orders(
    watches: Watches, views: OrderViews, seals: Seals, request: order_pb2.WatchOrdersRequest, context: Context
) -> AsyncIterator[order_pb2.WatchOrdersResponse]:
    """Orders without personal data."""
    async with going_on(seals, request.cursor) as (after, encode):
        async for response in _watch_orders(watches, views, request, context, after, encode):
            yield response
            del response


async def _watch_orders(
    watches: Watches,
    views: OrderViews,
    request: order_pb2.WatchOrdersRequest,
    context: Context,
    after: Cursor | None,
    encode: Encode,
) -> AsyncIterator[order_pb2.WatchOrdersResponse]:
    order_ids = frozenset(order_id.lower() for order_id in request.order_ids)
    slot = watches.enter()
    context.add_done_callback(lambda _: slot.close())  # type: ignore[arg-type]  # the stub has a client's callback

    def matches(change: order_pb2.OrderChange) -> bool:
        order = change.order
        return (not request.states or order.state in request.states) and (
            request.customer_id in ("", order.customer_id)
        )

    wanted = OrderFilter(
        [OrderState(state) for state in request.states] or (() if order_ids else OPEN_STATES),
        request.customer_id or None,
        order_ids=sorted(order_ids),
        descending=False,
    )

    present = _pages(
        lambda page: views.orders(page, wanted),
        _present_order,
        lambda order: [order.order_id],
        lambda change: change.order.order_id,
        lambda change: change.order.version,
    )
    async for update in watches.changes(slot, Interest("order", order_ids, matches), after, present):
        response = order_pb2.WatchOrdersResponse(
            changes=update.messages, cursor=_cursor(update.position, encode), checkpoint=update.is_checkpoint
        )
        del update
        yield response
        del response


async def watch_events(
    watches: Watches, seals: Seals, request: event_pb2.WatchEventsRequest, context: Context
) -> AsyncIterator[event_pb2.WatchEventsResponse]:
    """Sends the events after a cursor, or from now on."""
    async with going_on(seals, request.cursor) as (after, encode):
        slot = watches.enter()
        context.add_done_callback(lambda _: slot.close())  # type: ignore[arg-type]  # the stub has a client's callback
        types = frozenset(request.types)

        def matches(event: event_pb2.Event) -> bool:
            return not types or event.type in types or f"{event.aggregate_type}.*" in types

        keys = frozenset({request.aggregate_id} if request.aggregate_id else ())
        async for update in watches.changes(slot, Interest(EVERY_TOPIC, keys, matches), after, _nothing()):
            assert update.position is not None  # there is no snapshot to complete
            response = event_pb2.WatchEventsResponse(
                events=update.messages, cursor=encode(update.position), checkpoint=update.is_checkpoint
            )
            del update
            yield response
            del response


async def _nothing() -> AsyncIterator[Sequence[SnapshotItem]]:
    """Yields no snapshot: events have no present state."""
    nothing: Sequence[Sequence[SnapshotItem]] = ()
    for page in nothing:
        yield page


async def _pages(
    load: Callable[[Page], Awaitable[Sequence[Row]]],
    message: Callable[[Row], Any],
    position: Callable[[Row], Position],
    aggregate_id: Callable[[Any], str],
    version: Callable[[Any], int],
) -> AsyncIterator[Sequence[SnapshotItem]]:
    """The present state, one response after the other."""
    page = Page(PRESENT_PAGE, None)
    while True:
        async with long_read(page.size):
            read = await read_page(load, page, message, position)
        if read.messages:
            yield [SnapshotItem(aggregate_id(each), version(each), each) for each in read.messages]
        if read.rest is None:
            return
        page = Page(PRESENT_PAGE, read.rest)


def _names(skus: Iterable[str]) -> frozenset[str]:
    """Returns SKUs, each of which is in memory once, however many watches name it."""
    return frozenset(map(sys.intern, skus))


def _cursor(position: Cursor | None, encode: Encode) -> str:
    return "" if position is None else encode(position)


# What watches are sent


def _changed_level(logged: LoggedEvent) -> inventory_pb2.StockLevel:
    """Returns the stock level after an event.

    It has no `policy_etag` after an event of the release before, which did not record the backorder limit.
    """
    event = event_pb2.Event.FromString(logged.payload)
    stock = event.stock
    level = inventory_pb2.StockLevel(
        sku=stock.sku,
        location_id=stock.location_id,
        on_hand=stock.on_hand,
        reserved=stock.reserved,
        allocated=stock.allocated,
        safety_stock=stock.safety_stock,
        available=stock.available,
        backorder_limit=stock.backorder_limit,
        alert_level=stock.alert_level or None,
        overhang=stock.overhang,
        version=event.aggregate_version,
        update_time=event.time,
    )
    if stock.HasField("reorder_point"):
        level.reorder_point = stock.reorder_point
    if stock.HasField("backorder_limit"):
        reorder_point = stock.reorder_point if stock.HasField("reorder_point") else None
        level.policy_etag = policy_etag(stock.safety_stock, reorder_point, stock.backorder_limit)
    return level


def _present_order(order: Order) -> order_pb2.OrderChange:
    return order_pb2.OrderChange(order=snapshot_message(order))


def _changed_order(logged: LoggedEvent) -> order_pb2.OrderChange:
    event = event_pb2.Event.FromString(logged.payload)
    order = event.order
    if not order.version:  # recorded by the release before
        order.version = event.aggregate_version
        order.update_time.CopyFrom(event.time)
    return order_pb2.OrderChange(type=event.type, order=order)


def _skus(logged: LoggedEvent) -> Collection[str]:
    """Returns the SKUs whose availability an event may have changed. Those of a product are for sale while it is
    published."""
    if logged.aggregate_type == "stock":
        return (key_of(logged),)
    if logged.aggregate_type == "product":
        product = event_pb2.Event.FromString(logged.payload).product
        return [*(variant.sku for variant in product.variants), product.renamed.from_sku]
    return ()


def _event(logged: LoggedEvent) -> event_pb2.Event:
    return event_pb2.Event.FromString(logged.payload)


WATCH_ENCODER = Encoder(
    {"stock": _changed_level, "order": _changed_order, EVERY_TOPIC: _event}, availability_message, _skus
)
