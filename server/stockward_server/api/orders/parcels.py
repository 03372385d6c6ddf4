"""Parcels on the wire: methods of OrderService for what is packed, and for what was shipped."""

from __future__ import annotations

from stockward.order.v1 import order_pb2 as pb
from stockward.order.v1 import order_pb2_grpc

from stockward_server.api.inventory.messages import masked
from stockward_server.api.orders.messages import ORDER, address_message, hold_message
from stockward_server.api.requests import Context, request_of
from stockward_server.application.parcel_commands import CancelFulfillment, UpdateFulfillment
from stockward_server.application.ports.committer import Submit
from stockward_server.application.ports.orders import OrderViews, PackingFilter
from stockward_server.application.ports.positions import Part
from stockward_server.domain.errors import FieldInvalid
from stockward_server.domain.order import FulfillmentState, Order
from stockward_server.domain.order_parcels import ParcelChange
from stockward_server.domain.stock import NOWHERE
from stockward_server.wire.pages import list_page
from stockward_server.wire.seal import Seals
from stockward_server.wire.times import moment

FIELDS = ("tracking_number", "carrier", "state")


class ParcelServicer(order_pb2_grpc.OrderServiceServicer):
    """A part of OrderServicer; every method raises a Refusal for a documented error."""

    _submit: Submit
    _views: OrderViews
    _seals: Seals

    async def UpdateFulfillment(self, request: pb.UpdateFulfillmentRequest, context: Context) -> pb.Order:
        command = UpdateFulfillment(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            fulfillment_id=request.fulfillment_id.lower(),
            change=_change(request),
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def CancelFulfillment(self, request: pb.CancelFulfillmentRequest, context: Context) -> pb.Order:
        command = CancelFulfillment(
            cause=request_of(context, request),
            order_id=request.order_id.lower(),
            fulfillment_id=request.fulfillment_id.lower(),
            reason=request.reason,
            etag=request.etag,
        )
        return await self._submit(command, ORDER)

    async def ListPackingSlips(
        self, request: pb.ListPackingSlipsRequest, context: Context
    ) -> pb.ListPackingSlipsResponse:
        wanted = PackingFilter(
            [order_id.lower() for order_id in request.order_ids],
            request.location_id,
            moment(request.start_time, "start_time") if request.HasField("start_time") else None,
            moment(request.end_time, "end_time") if request.HasField("end_time") else None,
        )
        slips, token = await list_page(
            self._seals,
            request,
            lambda page: self._views.to_pack(page, wanted),
            lambda order: _packing_slip(order, request.location_id),
            lambda order: [order.order_id],
            [Part.ID],
        )
        return pb.ListPackingSlipsResponse(slips=slips, next_page_token=token)


def _change(request: pb.UpdateFulfillmentRequest) -> ParcelChange:
    """What the request updates; FieldInvalid when the mask names anything else, or nothing is updated."""
    paths = request.update_mask.paths
    names = set(masked(paths, FIELDS) if paths else (field.name for field, _ in request.ListFields()))
    if not names & set(FIELDS):
        raise FieldInvalid("update_mask", "nothing is to be updated")
    return ParcelChange(
        request.tracking_number if "tracking_number" in names else None,
        request.carrier if "carrier" in names else None,
        FulfillmentState(request.state) if "state" in names and request.HasField("state") else None,
    )


def _packing_slip(order: Order, location_id: str) -> pb.PackingSlip:
    """The open units of an order, at all locations or at one."""
    lines = {line.line_number: line for line in order.lines}
    places = [(a.line_number, a.location_id, a.quantity) for a in order.allocations]
    places += [(line.line_number, NOWHERE, line.open) for line in order.lines if line.untracked and line.open]
    return pb.PackingSlip(
        order_id=order.order_id,
        reference=order.reference,
        customer_name=order.customer.name,
        shipping_address=address_message(order.customer.shipping_address),
        gift_note=order.gift_note,
        hold=hold_message(order.hold),
        lines=[
            pb.PackingSlip.Line(
                line_number=number,
                location_id=place,
                quantity=units,
                sku=lines[number].sku,
                title=lines[number].title,
                gift_note=lines[number].gift_note,
            )
            for number, place, units in sorted(places)
            if location_id in ("", place)
        ],
    )
