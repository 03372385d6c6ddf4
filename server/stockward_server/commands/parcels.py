"""Verbs of `stockward orders` for parcels: what to pack, and what became of what was shipped."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.order_desk import app
from stockward_server.commands.order_options import Etag, Reason
from stockward_server.commands.parsers import choice, moment, timestamp
from stockward_server.commands.rpc_command import (
    Limit,
    OrderName,
    RequestId,
    command,
    complete_orders,
    first,
    order_id,
)

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

__all__ = ["app"]

Parcel = Annotated[
    str, typer.Option("--parcel", metavar="UUID", help="Its `fulfillment_id`.", show_default="the only one")
]


@command(app, "packing")
async def packing(
    client: AsyncStockward,
    orders: Annotated[
        list[str] | None, typer.Argument(metavar="ORDER ...", help="Ids or references.", autocompletion=complete_orders)
    ] = None,
    location: Annotated[str, typer.Option(help="Only what this location owes.")] = "",
    since: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="Ordered then or later (UTC).")
    ] = None,
    until: Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="Ordered before then.")] = None,
    limit: Limit = 100,
) -> pb.ListPackingSlipsResponse:
    """Print what is to be packed: of these orders, or of all that are being prepared, oldest first."""
    slips = client.orders.list_packing_slips(
        order_ids=[await order_id(client, each) for each in orders or ()],
        location_id=location,
        start_time=timestamp(since),
        end_time=timestamp(until),
    )
    return await first(slips, limit)


@command(app, "parcel")
async def parcel(
    client: AsyncStockward,
    order: OrderName,
    parcel: Parcel = "",
    tracking: Annotated[str | None, typer.Option(help="The carrier's number.")] = None,
    carrier: Annotated[str | None, typer.Option(help="The carrier.")] = None,
    state: Annotated[Any, choice(pb.Fulfillment.State, "--state", help="What became of it.")] = None,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Correct the tracking of a parcel, or say that it was delivered, failed, or is sent again (shipped)."""
    named = {"tracking_number": tracking, "carrier": carrier, "state": state}
    paths = [path for path, value in named.items() if value is not None]
    if not paths:
        raise typer.BadParameter("name what is to be changed, such as --tracking or --state")
    found = await order_id(client, order)
    return await client.orders.update_fulfillment(
        order_id=found,
        fulfillment_id=await _parcel_id(client, found, parcel),
        tracking_number=tracking or "",
        carrier=carrier or "",
        state=state,
        update_mask=FieldMask(paths=paths),
        etag=etag,
        request_id=request_id,
    )


@command(app, "unpack")
async def unpack(
    client: AsyncStockward,
    order: OrderName,
    parcel: Parcel = "",
    reason: Reason = "",
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Cancel a parcel that was not sent after all: its goods are on hand again, and owed to the order."""
    found = await order_id(client, order)
    return await client.orders.cancel_fulfillment(
        order_id=found,
        fulfillment_id=await _parcel_id(client, found, parcel),
        reason=reason,
        etag=etag,
        request_id=request_id,
    )


async def _parcel_id(client: AsyncStockward, order_id: str, named: str) -> str:
    """Returns the parcel that is named, else the only one of the order."""
    if named:
        return named
    parcels = (await client.orders.get_order(order_id=order_id)).fulfillments
    if len(parcels) != 1:
        ids = ", ".join(parcel.fulfillment_id for parcel in parcels)
        raise typer.BadParameter(f"the order has {len(parcels)} parcels: name one with --parcel: {ids}".rstrip(": "))
    return parcels[0].fulfillment_id
