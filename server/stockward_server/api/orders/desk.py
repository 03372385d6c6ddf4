"""The order desk on the wire: methods of OrderService for what staff do with an order between its steps."""

from __future__ import annotations

from stockward.order.v1 import order_pb2 as pb
from stockward.order.v1 import order_pb2_grpc

from stockward_server.api.orders.desk_messages import line_edits, order_details
from stockward_server.api.orders.messages import ORDER
from stockward_server.api.requests import Context, request_of
from stockward_server.application.order_desk_commands import HoldOrder, ReleaseOrder
from stockward_server.application.order_edit_commands import EditOrderLines, UpdateOrder
from stockward_server.application.ports.committer import Submit
from stockward_server.domain.order import HoldReason
from stockward_server.wire.times import moment


class OrderDeskServicer(order_pb2_grpc.OrderServiceServicer):
    """A part of OrderServicer; every method raises a Refusal for a documented error."""

    _submit: Submit

    async def UpdateOrder(self, request: pb.UpdateOrderRequest, context: Context) -> pb.Order:
        command = UpdateOrder(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            details=order_details(request),
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
