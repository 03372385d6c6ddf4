"""Verbs of `stockward orders` for returns: announced, received, closed or withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.order_card import EXPECTED
from stockward_server.commands.order_options import Etag, Lines, Reason
from stockward_server.commands.parcels import app
from stockward_server.commands.parsers import numbered
from stockward_server.commands.rpc_command import Location, OrderName, RequestId, command, order_id

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

__all__ = ["app"]

Return = Annotated[
    str, typer.Option("--return", metavar="UUID", help="Its `return_id`.", show_default="the only one that is expected")
]


@command(app, "return")
async def return_order(
    client: AsyncStockward,
    order: OrderName,
    lines: Lines = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="Written off, not back on the shelf.")] = False,
    location: Location = "",
    reason: Reason = "",
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Return units that were shipped and came back without an announcement."""
    return await client.orders.return_order(
        order_id=await order_id(client, order),
        lines=[pb.ReturnOrderRequest.Line(**numbered(line), damaged=damaged) for line in lines or ()],
        location_id=location,
        reason=reason,
        etag=etag,
        request_id=request_id,
    )


@command(app, "announce")
async def announce(
    client: AsyncStockward,
    order: OrderName,
    lines: Lines = None,
    reason: Reason = "",
    note: Annotated[str, typer.Option(help="What staff should know about it.")] = "",
    tracking: Annotated[str, typer.Option(help="The carrier's number.")] = "",
    carrier: Annotated[str, typer.Option(help="The carrier.")] = "",
    label: Annotated[str, typer.Option(metavar="URL", help="Where the customer gets the label.")] = "",
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Announce that shipped units will come back. Nothing else changes until they do."""
    return await client.orders.announce_return(
        order_id=await order_id(client, order),
        lines=[pb.LineQuantity(**numbered(line)) for line in lines or ()],
        reason=reason,
        note=note,
        tracking_number=tracking,
        carrier=carrier,
        label_url=label,
        etag=etag,
        request_id=request_id,
    )


@command(app, "update-return")
async def update_return(
    client: AsyncStockward,
    order: OrderName,
    which: Return = "",
    tracking: Annotated[str | None, typer.Option(help="The carrier's number.")] = None,
    carrier: Annotated[str | None, typer.Option(help="The carrier.")] = None,
    label: Annotated[str | None, typer.Option(metavar="URL", help="Where the customer gets the label.")] = None,
    note: Annotated[str | None, typer.Option(help="What staff should know about it.")] = None,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Correct tracking, label or note of a return that was announced."""
    named = {"tracking_number": tracking, "carrier": carrier, "label_url": label, "note": note}
    paths = [path for path, value in named.items() if value is not None]
    if not paths:
        raise typer.BadParameter("name what is to be changed, such as --tracking or --note")
    found = await order_id(client, order)
    return await client.orders.update_return(
        order_id=found,
        return_id=await _return_id(client, found, which),
        tracking_number=tracking or "",
        carrier=carrier or "",
        label_url=label or "",
        note=note or "",
        update_mask=FieldMask(paths=paths),
        etag=etag,
        request_id=request_id,
    )


@command(app, "receive")
async def receive(
    client: AsyncStockward,
    order: OrderName,
    lines: Lines = None,
    which: Return = "",
    damaged: Annotated[bool, typer.Option("--damaged", help="Written off, not back on the shelf.")] = False,
    location: Location = "",
    note: Annotated[str, typer.Option(help="What was found.")] = "",
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Receive units of a return that was announced: those named, or all that are still expected."""
    if damaged and not lines:
        raise typer.BadParameter("name what is damaged with --line")
    found = await order_id(client, order)
    return await client.orders.receive_return(
        order_id=found,
        return_id=await _return_id(client, found, which),
        lines=[pb.ReturnOrderRequest.Line(**numbered(line), damaged=damaged) for line in lines or ()],
        location_id=location,
        note=note,
        etag=etag,
        request_id=request_id,
    )


@command(app, "close-return")
async def close_return(
    client: AsyncStockward,
    order: OrderName,
    which: Return = "",
    reason: Reason = "",
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Close a return of which a part came: the rest stays with the customer."""
    found = await order_id(client, order)
    return await client.orders.close_return(
        order_id=found,
        return_id=await _return_id(client, found, which),
        reason=reason,
        etag=etag,
        request_id=request_id,
    )


@command(app, "withdraw-return")
async def withdraw_return(
    client: AsyncStockward,
    order: OrderName,
    which: Return = "",
    reason: Reason = "",
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Withdraw a return of which nothing came."""
    found = await order_id(client, order)
    return await client.orders.withdraw_return(
        order_id=found,
        return_id=await _return_id(client, found, which),
        reason=reason,
        etag=etag,
        request_id=request_id,
    )


async def last_return(client: AsyncStockward, order: str) -> pb.ExchangeOf:
    """Returns the return of an order that was announced last and is not withdrawn."""
    found = await client.orders.get_order(order_id=await order_id(client, order))
    returns = [each.return_id for each in found.returns if each.state != pb.OrderReturn.STATE_WITHDRAWN]
    if not returns:
        raise typer.BadParameter(f"{order} has no return to exchange: announce it first")
    return pb.ExchangeOf(order_id=found.order_id, return_id=returns[-1])


async def _return_id(client: AsyncStockward, order_id: str, named: str) -> str:
    """Returns the return that is named, else the only one that is expected; where none is, the one that changed last,
    so that a repetition means the same."""
    if named:
        return named
    returns = (await client.orders.get_order(order_id=order_id)).returns
    expected = [each.return_id for each in returns if each.state in EXPECTED]
    if len(expected) > 1:
        raise typer.BadParameter(f"{len(expected)} returns are expected: name one with --return: {', '.join(expected)}")
    if not returns:
        raise typer.BadParameter("the order has no return: announce it, or use `orders return`")
    return expected[0] if expected else max(returns, key=lambda each: each.update_time.ToNanoseconds()).return_id
