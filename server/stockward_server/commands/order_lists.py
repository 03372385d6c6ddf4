"""`stockward orders list`, `find`, `pending`, `counts` and `show`: orders as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.options import group
from stockward_server.commands.order_answer import OrderAnswer
from stockward_server.commands.parsers import choice, moment, one_of, price, timestamp
from stockward_server.commands.rpc_command import Limit, OrderName, command, complete_skus, first, order_id

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

app = group("orders")

ENTRIES = 1000
"""Most entries of a timeline that are read."""

SORTS = ("create_time", "update_time", "net", "create_time desc", "update_time desc", "net desc")


def _time(flag: str, text: str) -> Any:
    return typer.Option(flag, parser=moment, metavar="TIME", help=text)


@command(app, "list")
async def list_orders(
    client: AsyncStockward,
    states: Annotated[
        list[Any] | None, choice(pb.Order.State, "--state", help="Only in this state; once for each.")
    ] = None,
    payments: Annotated[
        list[Any] | None, choice(pb.Payment.State, "--payment", help="Only with this payment; once for each.")
    ] = None,
    held: Annotated[bool | None, typer.Option("--held/--not-held", help="Only those on hold, or not.")] = None,
    refund_due: Annotated[
        bool | None, typer.Option("--refund-due/--no-refund-due", help="Only those with money to pay back, or none.")
    ] = None,
    customer: Annotated[str, typer.Option(help="Only of this customer.")] = "",
    reference: Annotated[str, typer.Option(help="Only with this reference.")] = "",
    sku: Annotated[str, typer.Option(help="Only with this SKU.", autocompletion=complete_skus)] = "",
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Only with this tag; once for each.")] = None,
    location: Annotated[str, typer.Option(help="Only with units that this location has to ship.")] = "",
    since: Annotated[Any, _time("--since", "Only created then or later.")] = None,
    until: Annotated[Any, _time("--until", "Only created before.")] = None,
    updated_since: Annotated[Any, _time("--updated-since", "Only changed then or later.")] = None,
    updated_until: Annotated[Any, _time("--updated-until", "Only changed before.")] = None,
    due_since: Annotated[Any, _time("--due-since", "Only unpaid, and due then or later.")] = None,
    due_until: Annotated[Any, _time("--due-until", "Only unpaid, and due before.")] = None,
    least: Annotated[Any, typer.Option("--min", parser=price, metavar="AMOUNT", help="Such as 'EUR 100'.")] = None,
    most: Annotated[Any, typer.Option("--max", parser=price, metavar="AMOUNT", help="Such as 'EUR 500'.")] = None,
    order_by: Annotated[
        str,
        typer.Option(parser=one_of(SORTS), metavar="KEY", help="create_time, update_time or net, with ' desc' too."),
    ] = "create_time desc",
    limit: Limit = 50,
) -> pb.ListOrdersResponse:
    """List orders, newest first."""
    return await first(
        client.orders.list_orders(
            states=states or (),
            payment_states=payments or (),
            held=held,
            refund_required=refund_due,
            customer_id=customer,
            reference=reference,
            sku=sku,
            location_id=location,
            tags=tags or (),
            create_start_time=timestamp(since),
            create_end_time=timestamp(until),
            update_start_time=timestamp(updated_since),
            update_end_time=timestamp(updated_until),
            due_start_time=timestamp(due_since),
            due_end_time=timestamp(due_until),
            min_net=least,
            max_net=most,
            order_by=order_by,
        ),
        limit,
    )


@command(app, "find")
async def find(
    client: AsyncStockward,
    text: Annotated[
        str, typer.Argument(help="Reference, e-mail, name, postal code, tracking number, or an id's start.")
    ],
    limit: Limit = 50,
) -> pb.ListOrdersResponse:
    """Find orders by what is known of them; the beginning of each word is enough."""
    return await first(client.orders.list_orders(search=text), limit)


@command(app, "pending")
async def pending(client: AsyncStockward, limit: Limit = 50) -> pb.ListPendingOrdersResponse:
    """List the orders that wait to be processed or shipped, oldest first."""
    return await first(client.orders.list_pending_orders(), limit)


@command(app, "counts")
async def counts(client: AsyncStockward) -> pb.CountOrdersResponse:
    """Count all orders by state and payment."""
    return await client.orders.count_orders()


@command(app, "show")
async def show(client: AsyncStockward, order: OrderName) -> OrderAnswer:
    """Show an order with its lines, payment and parcels, and what happened to it."""
    id = await order_id(client, order)
    found = await client.orders.get_order(order_id=id)
    return OrderAnswer(found, (await client.orders.list_order_timeline(order_id=id).first(ENTRIES)).entries)
