"""Returns on the wire: methods of OrderService for what comes back."""

from __future__ import annotations

from stockward.order.v1 import order_pb2 as pb
from stockward.order.v1 import order_pb2_grpc

from stockward_server.api.inventory.messages import DEFAULT_LOCATION, masked
from stockward_server.api.orders.caller_view import for_caller
from stockward_server.api.orders.messages import ORDER, line_quantities
from stockward_server.api.requests import Context, request_of
from stockward_server.application.ports.committer import Submit
from stockward_server.application.return_commands import (
    AnnounceReturn,
    CloseReturn,
    ReceiveReturn,
    ReturnOrder,
    UpdateReturn,
    WithdrawReturn,
)
from stockward_server.domain.errors import FieldInvalid
from stockward_server.domain.order_returns import ReturnChange

FIELDS = ("tracking_number", "carrier", "label_url", "note")


class ReturnServicer(order_pb2_grpc.OrderServiceServicer):
    """A part of OrderServicer; every method raises a Refusal for a documented error."""

    _submit: Submit

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

    async def AnnounceReturn(self, request: pb.AnnounceReturnRequest, context: Context) -> pb.Order:
        command = AnnounceReturn(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            quantities=line_quantities(request.lines),
            reason=request.reason,
            note=request.note,
            tracking_number=request.tracking_number,
            carrier=request.carrier,
            label_url=request.label_url,
            etag=request.etag,
        )
        return for_caller(await self._submit(command, ORDER))

    async def UpdateReturn(self, request: pb.UpdateReturnRequest, context: Context) -> pb.Order:
        command = UpdateReturn(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            return_id=request.return_id.lower(),
            change=_change(request),
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def ReceiveReturn(self, request: pb.ReceiveReturnRequest, context: Context) -> pb.Order:
        command = ReceiveReturn(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            return_id=request.return_id.lower(),
            restocked=line_quantities(line for line in request.lines if not line.damaged),
            damaged=line_quantities(line for line in request.lines if line.damaged),
            location_id=request.location_id or DEFAULT_LOCATION,
            note=request.note,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def CloseReturn(self, request: pb.CloseReturnRequest, context: Context) -> pb.Order:
        command = CloseReturn(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            return_id=request.return_id.lower(),
            reason=request.reason,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def WithdrawReturn(self, request: pb.WithdrawReturnRequest, context: Context) -> pb.Order:
        command = WithdrawReturn(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            return_id=request.return_id.lower(),
            reason=request.reason,
            etag=request.etag,
        )
        return for_caller(await self._submit(command, ORDER))


def _change(request: pb.UpdateReturnRequest) -> ReturnChange:
    """What the request updates; FieldInvalid when the mask names anything else, or nothing is updated."""
    paths = request.update_mask.paths
    names = set(masked(paths, FIELDS) if paths else (field.name for field, _ in request.ListFields())) & set(FIELDS)
    if not names:
        raise FieldInvalid("update_mask", "nothing is to be updated")
    return ReturnChange(**{name: getattr(request, name) for name in names})
