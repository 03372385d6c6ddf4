"""WatchStock and WatchOrders on the wire: what a caller may watch, the present state, and events as changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

from stockward.event.v1 import event_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2

from stockward_server.api.inventory.messages import availability_message
from stockward_server.api.orders.messages import order_parts
from stockward_server.api.requests import Context
from stockward_server.application.context import Role
from stockward_server.application.follower import Encoder, key_of
from stockward_server.application.ports.events import Cursor, LoggedEvent
from stockward_server.application.ports.orders import OrderFilter, OrderViews
from stockward_server.application.ports.pages import Page, Position
from stockward_server.application.ports.stock import StockViews
from stockward_server.application.watch_queues import Interest
from stockward_server.application.watches import SnapshotItem, Watches
from stockward_server.auth.identity import current_call
from stockward_server.domain.errors import FieldInvalid, RoleNotAllowed
from stockward_server.domain.order import OPEN_STATES, Order, OrderState
from stockward_server.domain.stock import StockLevel
from stockward_server.runtime.turns import long_read
from stockward_server.wire.cursor import Encode, going_on
from stockward_server.wire.enums import wire
from stockward_server.wire.pages import FIRST_STEP, ORDERS_AT_FIRST, read_page
from stockward_server.wire.seal import Seals
from stockward_server.wire.times import timestamp

Row = TypeVar("Row")

PRESENT_PAGE = 500
"""Most rows of one response while the present state is sent."""


async def watch_stock(
    watches: Watches, views: StockViews, seals: Seals, request: inventory_pb2.WatchStockRequest, context: Context
) -> AsyncIterator[inventory_pb2.WatchStockResponse]:
    """Availability for a storefront, counters for staff."""
    async with going_on(seals, request.cursor) as (after, encode):
        async for response in _watch_stock(watches, views, request, context, after, encode):
            yield response


async def _watch_stock(
    watches: Watches,
    views: StockViews,
    request: inventory_pb2.WatchStockRequest,
    context: Context,
    after: Cursor | None,
    encode: Encode,
) -> AsyncIterator[inventory_pb2.WatchStockResponse]:
    skus = frozenset(request.skus)
    slot = watches.enter()
    context.add_done_callback(lambda _: slot.close())  # type: ignore[arg-type]  # the stub has a client's callback
    if current_call.get().caller.role is Role.STOREFRONT:
        _check_storefront(request)
        async for update in watches.availability(slot, skus, after):
            yield inventory_pb2.WatchStockResponse(
                availabilities=[message for _, message in update.messages if message is not None],
                unknown_skus=[sku for sku, message in update.messages if message is None],
                cursor=_cursor(update.position, encode),
            )
        return

    def at_location(counters: inventory_pb2.StockCounters) -> bool:
        return request.location_id in ("", counters.location_id)

    present = _pages(
        lambda page: views.levels(page, request.skus, request.location_id or None),
        _present_level,
        lambda level: [level.sku, level.location_id],
        lambda counters: f"{counters.sku}@{counters.location_id}",
    )
    async for update in watches.changes(slot, Interest("stock", skus, at_location), after, present):
        yield inventory_pb2.WatchStockResponse(counters=update.messages, cursor=_cursor(update.position, encode))


async def watch_orders(
    watches: Watches, views: OrderViews, seals: Seals, request: order_pb2.WatchOrdersRequest, context: Context
) -> AsyncIterator[order_pb2.WatchOrdersResponse]:
    """Orders without personal data."""
    async with going_on(seals, request.cursor) as (after, encode):
        async for response in _watch_orders(watches, views, request, context, after, encode):
            yield response


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
        return (not request.states or change.state in request.states) and (
            request.customer_id in ("", change.customer_id)
        )

    wanted = OrderFilter(
        [OrderState(state) for state in request.states] or (() if order_ids else OPEN_STATES),
        request.customer_id or None,
        order_ids=sorted(order_ids),
        oldest_first=True,
    )

    present = _pages(
        lambda page: views.orders(page, wanted),
        _present_order,
        lambda order: [order.order_id],
        lambda change: change.order_id,
        first_step=ORDERS_AT_FIRST,
    )
    async for update in watches.changes(slot, Interest("order", order_ids, matches), after, present):
        yield order_pb2.WatchOrdersResponse(changes=update.messages, cursor=_cursor(update.position, encode))


def _check_storefront(request: inventory_pb2.WatchStockRequest) -> None:
    if request.location_id:
        raise RoleNotAllowed(
            "a storefront key may not watch a location", field="location_id", role="storefront", allowed="pms,admin"
        )
    if not request.skus:
        raise FieldInvalid("a storefront must name the SKUs that it watches", field="skus")


async def _pages(
    load: Callable[[Page], Awaitable[Sequence[Row]]],
    message: Callable[[Row], Any],
    position: Callable[[Row], Position],
    aggregate_id: Callable[[Any], str],
    *,
    first_step: int = FIRST_STEP,
) -> AsyncIterator[Sequence[SnapshotItem]]:
    """The present state, one response after the other."""
    page = Page(PRESENT_PAGE, None)
    while True:
        async with long_read(page.size):
            read = await read_page(load, page, message, position, first_step=first_step)
        if read.messages:
            yield [SnapshotItem(aggregate_id(each), each.version, each) for each in read.messages]
        if read.rest is None:
            return
        page = Page(PRESENT_PAGE, read.rest)


def _cursor(position: Cursor | None, encode: Encode) -> str:
    return "" if position is None else encode(position)


# What watches are told


def _present_level(level: StockLevel) -> inventory_pb2.StockCounters:
    return inventory_pb2.StockCounters(
        sku=level.sku,
        location_id=level.location_id,
        on_hand=level.on_hand,
        reserved=level.reserved,
        allocated=level.allocated,
        safety_stock=level.safety_stock,
        available=level.available,
        version=level.version,
        update_time=timestamp(level.update_time),
    )


def _changed_level(logged: LoggedEvent) -> inventory_pb2.StockCounters:
    event = event_pb2.Event.FromString(logged.payload)
    stock = event.stock
    return inventory_pb2.StockCounters(
        sku=stock.sku,
        location_id=stock.location_id,
        on_hand=stock.on_hand,
        reserved=stock.reserved,
        allocated=stock.allocated,
        safety_stock=stock.safety_stock,
        available=stock.available,
        version=event.aggregate_version,
        update_time=event.time,
    )


def _present_order(order: Order) -> order_pb2.OrderChange:
    lines, totals, payment, hold = order_parts(order)
    return order_pb2.OrderChange(
        order_id=order.order_id,
        state=wire(order.state),
        reference=order.reference,
        customer_id=order.customer.customer_id,
        lines=lines,
        totals=totals,
        payment=payment,
        version=order.version,
        update_time=timestamp(order.update_time),
        hold=hold,
    )


def _changed_order(logged: LoggedEvent) -> order_pb2.OrderChange:
    event = event_pb2.Event.FromString(logged.payload)
    order = event.order
    return order_pb2.OrderChange(
        type=event.type,
        order_id=order.order_id,
        state=order.state,
        reference=order.reference,
        customer_id=order.customer_id,
        lines=order.lines,
        totals=order.totals,
        payment=order.payment,
        version=event.aggregate_version,
        update_time=event.time,
        hold=order.hold if order.HasField("hold") else None,
    )


def _skus(logged: LoggedEvent) -> Collection[str]:
    """Returns the SKUs whose availability an event may have changed. Those of a product are for sale while it is
    published."""
    if logged.aggregate_type == "stock":
        return (key_of(logged),)
    if logged.aggregate_type == "product":
        product = event_pb2.Event.FromString(logged.payload).product
        return [*(variant.sku for variant in product.variants), product.renamed.from_sku]
    return ()


WATCH_ENCODER = Encoder({"stock": _changed_level, "order": _changed_order}, availability_message, _skus)
