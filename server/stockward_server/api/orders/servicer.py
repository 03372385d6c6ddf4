"""OrderService on the wire: messages in, commands to the committer, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial

from stockward.order.v1 import order_pb2 as pb

from stockward_server.api.inventory.messages import DEFAULT_LOCATION
from stockward_server.api.orders.desk import OrderDeskServicer
from stockward_server.api.orders.messages import (
    ORDER,
    customer_of,
    line_quantities,
    order_message,
    wanted_charge,
    wanted_charges,
    wanted_lines,
)
from stockward_server.api.orders.parcels import ParcelServicer
from stockward_server.api.requests import Context, customer_of_call, request_of
from stockward_server.api.watching import watch_orders
from stockward_server.application.command import Command
from stockward_server.application.context import Role
from stockward_server.application.order_commands import (
    AddCharge,
    CancelOrder,
    CreateOrder,
    FulfillOrder,
    ProcessOrder,
    ReturnOrder,
)
from stockward_server.application.payment_commands import RecordPayment
from stockward_server.application.ports.committer import Submit
from stockward_server.application.ports.orders import OrderFilter, OrderViews
from stockward_server.application.ports.positions import Part
from stockward_server.application.watches import Watches
from stockward_server.auth.identity import current_call
from stockward_server.domain.errors import Refusal, RoleNotAllowed
from stockward_server.domain.order import Order, OrderState, PaymentTerms
from stockward_server.domain.payment import PaymentKind
from stockward_server.domain.unpaid_limits import UnpaidLimits
from stockward_server.runtime.turns import MUCH, Turns, beside
from stockward_server.wire.money import money_of
from stockward_server.wire.pages import ORDERS_AT_FIRST, Room, list_page
from stockward_server.wire.seal import Seals
from stockward_server.wire.status import status_of
from stockward_server.wire.storefront_view import hide_order
from stockward_server.wire.times import moment
from stockward_server.wire.validation.rules import validate

CREATE_ORDER = "/stockward.order.v1.OrderService/CreateOrder"


class OrderServicer(OrderDeskServicer, ParcelServicer):
    """See order.proto; every method raises a Refusal for a documented error. What staff do with an order between its
    steps is in OrderDeskServicer, what they do with its parcels in ParcelServicer."""

    def __init__(
        self,
        submit: Submit,
        views: OrderViews,
        payment_allowance: timedelta,
        unpaid_limits: UnpaidLimits,
        watches: Watches,
        seals: Seals,
    ) -> None:
        """`payment_allowance`: how long a prepaid order waits for its money."""
        self._submit = submit
        self._views = views
        self._payment_allowance = payment_allowance
        self._unpaid_limits = unpaid_limits
        self._watches = watches
        self._seals = seals

    async def CreateOrder(self, request: pb.CreateOrderRequest, context: Context) -> pb.Order:
        return _for_caller(await self._submit(self._command(request, context), ORDER))

    async def BatchCreateOrders(
        self, request: pb.BatchCreateOrdersRequest, context: Context
    ) -> pb.BatchCreateOrdersResponse:
        commands: list[Command[Order] | Refusal] = []

        def command(each: pb.CreateOrderRequest) -> Command[Order]:
            validate(each)
            return self._command(each, context)

        turns = Turns()
        await turns.begin()
        for each in request.requests:
            try:
                is_long = len(each.lines) > MUCH
                commands.append(await beside(partial(command, each)) if is_long else command(each))
            except Refusal as refusal:
                commands.append(refusal)
            await turns.give()
        room = Room()
        results = await asyncio.gather(*(self._create(command, room) for command in commands))
        return pb.BatchCreateOrdersResponse(results=results)

    async def _create(self, command: Command[Order] | Refusal, room: Room) -> pb.BatchCreateOrdersResponse.Result:
        try:
            if isinstance(command, Refusal):
                raise command
            order = _for_caller(await self._submit(command, ORDER))
            abridged = not room.take(order.ByteSize())
            return pb.BatchCreateOrdersResponse.Result(order=_abridged(order) if abridged else order, abridged=abridged)
        except Refusal as refusal:
            return pb.BatchCreateOrdersResponse.Result(error=status_of(refusal))

    def _command(self, request: pb.CreateOrderRequest, context: Context) -> Command[Order]:
        return CreateOrder(
            cause=request_of(context, request, CREATE_ORDER),
            lines=wanted_lines(request),
            reservation_id=request.reservation_id.lower() or None,
            customer=customer_of(request, customer_of_call(request.customer.customer_id, "customer.customer_id")),
            reference=request.reference,
            charges=wanted_charges(request),
            terms=PaymentTerms(request.payment_terms or PaymentTerms.PREPAID),
            payment_allowance=self._payment_allowance,
            unpaid_limits=self._unpaid_limits,
        )

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.Order:
        return _for_caller(order_message(await self._order(request.order_id)))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        caller = current_call.get().caller
        if caller.role is Role.STOREFRONT and not caller.customer_id:
            raise RoleNotAllowed(
                "storefront", "list orders without a customer's token", allowed=("viewer", "pms", "admin")
            )
        wanted = OrderFilter(
            [OrderState(state) for state in request.states],
            customer_of_call(request.customer_id, "customer_id") or None,
            request.reference or None,
            request.sku or None,
        )
        orders, token = await self._page(request, wanted)
        return pb.ListOrdersResponse(orders=orders, next_page_token=token)

    async def ListPendingOrders(
        self, request: pb.ListPendingOrdersRequest, context: Context
    ) -> pb.ListPendingOrdersResponse:
        orders, token = await self._page(request, OrderFilter([OrderState.PENDING], oldest_first=True))
        return pb.ListPendingOrdersResponse(orders=orders, next_page_token=token)

    async def _page(
        self, request: pb.ListOrdersRequest | pb.ListPendingOrdersRequest, wanted: OrderFilter
    ) -> tuple[Sequence[pb.Order], str]:
        return await list_page(
            self._seals,
            request,
            lambda page: self._views.orders(page, wanted),
            lambda order: _for_caller(order_message(order)),
            lambda order: [order.order_id],
            [Part.ID],
            first_step=ORDERS_AT_FIRST,
        )

    def WatchOrders(self, request: pb.WatchOrdersRequest, context: Context) -> AsyncIterator[pb.WatchOrdersResponse]:
        return watch_orders(self._watches, self._views, self._seals, request, context)

    async def ProcessOrder(self, request: pb.ProcessOrderRequest, context: Context) -> pb.Order:
        cause = request_of(context, request)
        command = ProcessOrder(cause=cause, order_id=request.order_id.lower(), etag=request.etag)
        return await self._submit(command, ORDER)

    async def FulfillOrder(self, request: pb.FulfillOrderRequest, context: Context) -> pb.Order:
        command = FulfillOrder(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            quantities=line_quantities(request.lines),
            tracking_number=request.tracking_number,
            carrier=request.carrier,
            location_id=request.location_id,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.Order:
        command = CancelOrder(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            quantities=line_quantities(request.lines),
            reason=request.reason,
            etag=request.etag,
        )
        return _for_caller(await self._submit(command, ORDER))

    async def ReturnOrder(self, request: pb.ReturnOrderRequest, context: Context) -> pb.Order:
        command = ReturnOrder(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            restocked=line_quantities(line for line in request.lines if not line.damaged),
            damaged=line_quantities(line for line in request.lines if line.damaged),
            location_id=request.location_id or DEFAULT_LOCATION,
            reason=request.reason,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def AddCharge(self, request: pb.AddChargeRequest, context: Context) -> pb.Order:
        command = AddCharge(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            charge=wanted_charge(request.charge, "charge"),
            reason=request.reason,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def RecordPayment(self, request: pb.RecordPaymentRequest, context: Context) -> pb.Order:
        amount = money_of(request.amount, "amount")
        command = RecordPayment(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            provider=request.provider,
            provider_event_id=request.provider_event_id,
            kind=PaymentKind(request.kind),
            amount=amount,
            event_time=moment(request.event_time, "event_time") if request.HasField("event_time") else None,
            payment_reference=request.payment_reference,
            running_total=request.running_total,
        )
        return await self._submit(command, ORDER)


def _abridged(order: pb.Order) -> pb.Order:
    """The order without what may be long."""
    for field in order.DESCRIPTOR.fields:
        if field.is_repeated or field.name == "customer":
            order.ClearField(field.name)  # type: ignore[arg-type]
    return order


def _for_caller(order: pb.Order) -> pb.Order:
    """The order as its caller may see it."""
    if current_call.get().caller.role is Role.STOREFRONT:
        hide_order(order)
    return order
