"""OrderService on the wire: messages in, commands to the committer, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

from google.protobuf.message import Message
from stockward.order.v1 import order_pb2 as pb

from stockward_server.api.orders.caller_view import for_caller
from stockward_server.api.orders.desk import OrderDeskServicer
from stockward_server.api.orders.filters import POSITIONS, order_filter
from stockward_server.api.orders.messages import (
    ORDER,
    customer_of,
    exchange_of,
    line_quantities,
    order_message,
    wanted_charge,
    wanted_charges,
    wanted_lines,
)
from stockward_server.api.orders.parcels import ParcelServicer
from stockward_server.api.orders.returns import ReturnServicer
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
)
from stockward_server.application.payment_commands import RecordPayment
from stockward_server.application.ports.committer import Submit
from stockward_server.application.ports.orders import OrderFilter, OrderViews
from stockward_server.application.watches import Watches
from stockward_server.auth.identity import current_call
from stockward_server.domain.errors import Refusal, RoleNotAllowed
from stockward_server.domain.order import Order, OrderState, PaymentTerms
from stockward_server.domain.payment import PaymentKind
from stockward_server.domain.unpaid_limits import UnpaidLimits
from stockward_server.runtime.turns import MUCH, Turns, beside
from stockward_server.wire.money import money_of
from stockward_server.wire.pages import Room, list_page
from stockward_server.wire.seal import Seals
from stockward_server.wire.status import status_of
from stockward_server.wire.times import moment
from stockward_server.wire.validation.rules import validate

CREATE_ORDER, PROCESS_ORDER, FULFILL_ORDER, CANCEL_ORDER = (
    f"/stockward.order.v1.OrderService/{verb}Order" for verb in ("Create", "Process", "Fulfill", "Cancel")
)
"""Methods that a batch carries out, under whose names request_ids are remembered."""

Each = TypeVar("Each", bound=Message)
BatchResult = TypeVar("BatchResult", pb.BatchCreateOrdersResponse.Result, pb.BatchOrderResult)


class OrderServicer(OrderDeskServicer, ParcelServicer, ReturnServicer):
    """See order.proto; every method raises a Refusal for a documented error. What staff do with an order between its
    steps is in OrderDeskServicer, what they do with its parcels in ParcelServicer, returns are in ReturnServicer."""

    def __init__(
        self,
        submit: Submit,
        views: OrderViews,
        lists: OrderViews,
        payment_allowance: timedelta,
        unpaid_limits: UnpaidLimits,
        watches: Watches,
        seals: Seals,
        *,
        unique_references: bool = False,
    ) -> None:
        """`lists` may read from a replica. `payment_allowance`: how long a prepaid order waits for its money.
        `unique_references`: whether the orders of a sales channel have different references."""
        self._submit = submit
        self._views = views
        self._lists = lists
        self._payment_allowance = payment_allowance
        self._unpaid_limits = unpaid_limits
        self._watches = watches
        self._seals = seals
        self._unique_references = unique_references

    async def CreateOrder(self, request: pb.CreateOrderRequest, context: Context) -> pb.Order:
        return for_caller(await self._submit(self._create(request, context), ORDER))

    async def BatchCreateOrders(
        self, request: pb.BatchCreateOrdersRequest, context: Context
    ) -> pb.BatchCreateOrdersResponse:
        return pb.BatchCreateOrdersResponse(
            results=await self._batch(
                request.requests, lambda each: self._create(each, context), pb.BatchCreateOrdersResponse.Result
            )
        )

    async def _batch(
        self, requests: Sequence[Each], command: Callable[[Each], Command[Order]], result: type[BatchResult]
    ) -> list[BatchResult]:
        """Submits the command of each request at once; returns a result each, in the order of the requests."""

        def checked(each: Each) -> Command[Order]:
            validate(each)
            return command(each)

        commands: list[Command[Order] | Refusal] = []
        turns = Turns()
        await turns.begin()
        for each in requests:
            try:
                is_long = len(getattr(each, "lines", ())) > MUCH
                commands.append(await beside(partial(checked, each)) if is_long else checked(each))
            except Refusal as refusal:
                commands.append(refusal)
            await turns.give()
        room = Room()
        return await asyncio.gather(*(self._result(each, room, result) for each in commands))

    async def _result(self, command: Command[Order] | Refusal, room: Room, result: type[BatchResult]) -> BatchResult:
        try:
            if isinstance(command, Refusal):
                raise command
            order = for_caller(await self._submit(command, ORDER))
            abridged = not room.take(order.ByteSize())
            return result(order=_abridged(order) if abridged else order, abridged=abridged)
        except Refusal as refusal:
            return result(error=status_of(refusal))

    def _create(self, request: pb.CreateOrderRequest, context: Context) -> Command[Order]:
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
            exchange_of=exchange_of(request),
            unique_reference=self._unique_references,
        )

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.Order:
        return for_caller(order_message(await self._order(request.order_id)))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        caller = current_call.get().caller
        if caller.role is Role.STOREFRONT and not caller.customer_id:
            raise RoleNotAllowed(
                "storefront", "list orders without a customer's token", allowed=("viewer", "pms", "admin")
            )
        customer_id = customer_of_call(request.customer_id, "customer_id")
        orders, token = await self._page(request, order_filter(request, caller.role, customer_id))
        return pb.ListOrdersResponse(orders=orders, next_page_token=token)

    async def CountOrders(self, request: pb.CountOrdersRequest, context: Context) -> pb.CountOrdersResponse:
        counts = await self._views.counts()
        return pb.CountOrdersResponse(counts=[pb.CountOrdersResponse.Count(**count._asdict()) for count in counts])

    async def ListPendingOrders(
        self, request: pb.ListPendingOrdersRequest, context: Context
    ) -> pb.ListPendingOrdersResponse:
        orders, token = await self._page(request, OrderFilter([OrderState.PENDING], descending=False))
        return pb.ListPendingOrdersResponse(orders=orders, next_page_token=token)

    async def _page(
        self, request: pb.ListOrdersRequest | pb.ListPendingOrdersRequest, wanted: OrderFilter
    ) -> tuple[Sequence[pb.Order], str]:
        position, shape = POSITIONS[wanted.sort]
        return await list_page(
            self._seals,
            request,
            lambda page: self._lists.orders(page, wanted),
            lambda order: for_caller(order_message(order)),
            position,
            shape,
        )

    def WatchOrders(self, request: pb.WatchOrdersRequest, context: Context) -> AsyncIterator[pb.WatchOrdersResponse]:
        return watch_orders(self._watches, self._views, self._seals, request, context)

    async def ProcessOrder(self, request: pb.ProcessOrderRequest, context: Context) -> pb.Order:
        return await self._submit(self._process(request, context), ORDER)

    async def BatchProcessOrders(
        self, request: pb.BatchProcessOrdersRequest, context: Context
    ) -> pb.BatchProcessOrdersResponse:
        results = await self._batch(request.requests, lambda each: self._process(each, context), pb.BatchOrderResult)
        return pb.BatchProcessOrdersResponse(results=results)

    def _process(self, request: pb.ProcessOrderRequest, context: Context) -> Command[Order]:
        return ProcessOrder(
            cause=request_of(context, request, PROCESS_ORDER), order_id=request.order_id.lower(), etag=request.etag
        )

    async def FulfillOrder(self, request: pb.FulfillOrderRequest, context: Context) -> pb.Order:
        return await self._submit(self._fulfill(request, context), ORDER)

    async def BatchFulfillOrders(
        self, request: pb.BatchFulfillOrdersRequest, context: Context
    ) -> pb.BatchFulfillOrdersResponse:
        results = await self._batch(request.requests, lambda each: self._fulfill(each, context), pb.BatchOrderResult)
        return pb.BatchFulfillOrdersResponse(results=results)

    def _fulfill(self, request: pb.FulfillOrderRequest, context: Context) -> Command[Order]:
        return FulfillOrder(
            cause=request_of(context, request, FULFILL_ORDER),
            order_id=request.order_id.lower(),
            quantities=line_quantities(request.lines),
            tracking_number=request.tracking_number,
            carrier=request.carrier,
            location_id=request.location_id,
            etag=request.etag,
        )

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.Order:
        return for_caller(await self._submit(self._cancel(request, context), ORDER))

    async def BatchCancelOrders(
        self, request: pb.BatchCancelOrdersRequest, context: Context
    ) -> pb.BatchCancelOrdersResponse:
        results = await self._batch(request.requests, lambda each: self._cancel(each, context), pb.BatchOrderResult)
        return pb.BatchCancelOrdersResponse(results=results)

    def _cancel(self, request: pb.CancelOrderRequest, context: Context) -> Command[Order]:
        return CancelOrder(
            cause=request_of(context, request, CANCEL_ORDER),
            order_id=request.order_id.lower(),
            quantities=line_quantities(request.lines),
            reason=request.reason,
            etag=request.etag,
        )

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
