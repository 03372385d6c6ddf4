"""The order desk on the wire: methods of OrderService for what staff do with an order between its steps."""

from __future__ import annotations

from stockward.order.v1 import order_pb2 as pb
from stockward.order.v1 import order_pb2_grpc

from stockward_server.api.orders.desk_messages import line_edits, order_details
from stockward_server.api.orders.messages import ORDER
from stockward_server.api.orders.timeline_messages import entry_message, payment_report
from stockward_server.api.requests import Context, request_of
from stockward_server.application.context import Role
from stockward_server.application.order_desk_commands import AddOrderNote, HoldOrder, ReleaseOrder
from stockward_server.application.order_edit_commands import EditOrderLines, UpdateOrder
from stockward_server.application.ports.committer import Submit
from stockward_server.application.ports.orders import OrderViews
from stockward_server.application.ports.positions import Part
from stockward_server.auth.identity import current_call
from stockward_server.domain.errors import OrderNotFound
from stockward_server.domain.order import HoldReason, Order
from stockward_server.domain.timeline import TimelineEntry
from stockward_server.wire.pages import list_page
from stockward_server.wire.seal import Seals
from stockward_server.wire.storefront_view import hide_timeline_entry
from stockward_server.wire.times import moment


class OrderDeskServicer(order_pb2_grpc.OrderServiceServicer):
    """A part of OrderServicer; every method raises a Refusal for a documented error."""

    _submit: Submit
    _views: OrderViews
    _seals: Seals
    _unique_references: bool

    async def UpdateOrder(self, request: pb.UpdateOrderRequest, context: Context) -> pb.Order:
        command = UpdateOrder(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            details=order_details(request),
            unique_reference=self._unique_references,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def EditOrderLines(self, request: pb.EditOrderLinesRequest, context: Context) -> pb.Order:
        changes, additions = line_edits(request)
        command = EditOrderLines(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            changes=changes,
            additions=additions,
            current_prices=request.current_prices,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def HoldOrder(self, request: pb.HoldOrderRequest, context: Context) -> pb.Order:
        command = HoldOrder(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            reason=HoldReason(request.reason),
            note=request.note,
            expire_time=moment(request.expire_time, "expire_time") if request.HasField("expire_time") else None,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def ReleaseOrder(self, request: pb.ReleaseOrderRequest, context: Context) -> pb.Order:
        cause = request_of(context, request)
        command = ReleaseOrder(cause=cause, order_id=request.order_id.lower(), etag=request.etag)
        return await self._submit(command, ORDER)

    async def AddOrderNote(self, request: pb.AddOrderNoteRequest, context: Context) -> pb.Order:
        command = AddOrderNote(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            note=request.note,
            customer_visible=request.customer_visible,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def ListOrderTimeline(
        self, request: pb.ListOrderTimelineRequest, context: Context
    ) -> pb.ListOrderTimelineResponse:
        order = await self._order(request.order_id)
        by_storefront = current_call.get().caller.role is Role.STOREFRONT

        def message(entry: TimelineEntry) -> pb.OrderTimelineEntry:
            made = entry_message(entry, order.currency)
            if by_storefront:
                hide_timeline_entry(made)
            return made

        entries, token = await list_page(
            self._seals,
            request,
            lambda page: self._views.timeline(page, order.order_id, by_storefront=by_storefront),
            message,
            lambda entry: [entry.version],
            [Part.NUMBER],
        )
        return pb.ListOrderTimelineResponse(entries=entries, next_page_token=token)

    async def ListPayments(self, request: pb.ListPaymentsRequest, context: Context) -> pb.ListPaymentsResponse:
        order = await self._order(request.order_id)
        payments, token = await list_page(
            self._seals,
            request,
            lambda page: self._views.payments(page, order.order_id),
            lambda event: payment_report(event, order.currency),
            lambda event: [
                (event.record_time or event.event_time).isoformat(),
                event.provider,
                event.provider_event_id,
            ],
            [Part.TIME, Part.TEXT, Part.TEXT],
        )
        return pb.ListPaymentsResponse(payments=payments, next_page_token=token)

    async def _order(self, order_id: str) -> Order:
        """The order, if its caller may see it."""
        order = await self._views.order(order_id)
        if order is None or not current_call.get().caller.acts_for(order.customer.customer_id):
            raise OrderNotFound(order_id)
        return order
