"""Verbs of `stockward orders` for what staff do with an order between its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.options import group
from stockward_server.commands.order_options import Etag
from stockward_server.commands.parsers import choice, moment, timestamp
from stockward_server.commands.rpc_command import OrderName, RequestId, command, order_id

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

app = group("orders")


@command(app, "hold", next_step="When it is settled: stockward orders release {answer.order_id}")
async def hold(
    client: AsyncStockward,
    order: OrderName,
    reason: Annotated[Any, choice(pb.Hold.Reason, "--reason", help="Cause of the hold.")],
    note: Annotated[str, typer.Option(help="What staff should know.")] = "",
    until: Annotated[
        Any,
        typer.Option(parser=moment, metavar="TIME", help="When it ends by itself.", show_default="when it is released"),
    ] = None,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Put an order on hold: it is neither processed nor shipped until it is released."""
    return await client.orders.hold_order(
        order_id=await order_id(client, order),
        reason=reason,
        note=note,
        expire_time=timestamp(until),
        etag=etag,
        request_id=request_id,
    )


@command(app, "release")
async def release(client: AsyncStockward, order: OrderName, etag: Etag = "", *, request_id: RequestId) -> pb.Order:
    """Release an order that staff put on hold."""
    return await client.orders.release_order(order_id=await order_id(client, order), etag=etag, request_id=request_id)
