"""Verbs of `stockward orders` for what staff do with an order between its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.order_lists import app as app
from stockward_server.commands.order_options import Etag
from stockward_server.commands.parsers import address, choice, counted, moment, numbered, pair, timestamp, whole
from stockward_server.commands.rpc_command import (
    Limit,
    OrderName,
    RequestId,
    command,
    complete_skus,
    first,
    order_id,
)

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

ADDRESS_HELP = "Where the goods go: 'Ada Lovelace; Main Street 1; 10115 Berlin; DE'."


@command(app, "update")
async def update(
    client: AsyncStockward,
    order: OrderName,
    email: Annotated[str | None, typer.Option(help="E-mail address of the customer.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the customer.")] = None,
    ship_to: Annotated[str | None, typer.Option(metavar="ADDRESS", help=ADDRESS_HELP)] = None,
    bill_to: Annotated[str | None, typer.Option(metavar="ADDRESS", help="The same for the invoice.")] = None,
    reference: Annotated[str | None, typer.Option(help="The merchant's own number for it.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Once for each; they replace those it has.")] = None,
    attributes: Annotated[
        list[str] | None, typer.Option("--attribute", metavar="KEY=VALUE", help="Once for each; they replace all.")
    ] = None,
    gift_note: Annotated[str | None, typer.Option(help="What the card in the parcel says.")] = None,
    line_notes: Annotated[
        list[str] | None, typer.Option("--line-note", metavar="LINE=TEXT", help="Such as '2=For Ann'; once for each.")
    ] = None,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Correct contact, addresses, reference, tags, attributes or gift notes. An empty value removes one."""
    texts = {"reference": reference, "gift_note": gift_note}
    paths = [path for path, text in texts.items() if text is not None]
    customer = pb.Customer(email=email or "", name=name or "")
    paths += [f"customer.{path}" for path, text in (("email", email), ("name", name)) if text is not None]
    for path, text in (("shipping_address", ship_to), ("billing_address", bill_to)):
        if text is not None:
            paths.append(f"customer.{path}")
            if text:
                getattr(customer, path).CopyFrom(address(text))
    paths += ["tags"] * bool(tags) + ["attributes"] * bool(attributes) + ["line_gift_notes"] * bool(line_notes)
    if not paths:
        raise typer.BadParameter("name what is to be changed, such as --email")
    return await client.orders.update_order(
        order_id=await order_id(client, order),
        customer=customer,
        reference=reference or "",
        tags=[tag for tag in tags or () if tag],
        attributes=dict(pair(each) for each in attributes or () if each),
        gift_note=gift_note or "",
        line_gift_notes=[_line_note(each) for each in line_notes or ()],
        update_mask=FieldMask(paths=paths),
        etag=etag,
        request_id=request_id,
    )


def _line_note(text: str) -> pb.UpdateOrderRequest.LineGiftNote:
    number, is_given, note = text.partition("=")
    if not is_given:
        raise typer.BadParameter(f"{text!r}: give a line and its text, such as '2=For Ann'")
    return pb.UpdateOrderRequest.LineGiftNote(line_number=whole(1, 1000)(number), gift_note=note)


@command(app, "edit")
async def edit(
    client: AsyncStockward,
    order: OrderName,
    lines: Annotated[
        list[str] | None,
        typer.Option("--line", metavar="LINE=UNITS", help="New units of a line, 0 removes it; once for each."),
    ] = None,
    added: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="SKU=UNITS", help="A line to add; once for each.", autocompletion=complete_skus),
    ] = None,
    current_prices: Annotated[
        bool, typer.Option("--current-prices", help="Lines that stay cost what the catalog says now.")
    ] = False,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Edit the lines of an order that is not processed yet: all of it or nothing."""
    return await client.orders.edit_order_lines(
        order_id=await order_id(client, order),
        changes=[pb.EditOrderLinesRequest.Change(**_new_quantity(line)) for line in lines or ()],
        additions=[pb.CreateOrderRequest.Line(sku=sku, quantity=units) for sku, units in map(counted, added or ())],
        current_prices=current_prices,
        etag=etag,
        request_id=request_id,
    )


def _new_quantity(text: str) -> dict[str, int]:
    if "=" not in text:
        raise typer.BadParameter(f"{text!r}: give a line and its units, such as 1=3, or 1=0 to remove it")
    return numbered(text)


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


@command(app, "note")
async def note(
    client: AsyncStockward,
    order: OrderName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The note.")],
    for_customer: Annotated[bool, typer.Option("--for-customer", help="The customer may read it.")] = False,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Add a note to the timeline of an order."""
    return await client.orders.add_order_note(
        order_id=await order_id(client, order),
        note=text,
        customer_visible=for_customer,
        etag=etag,
        request_id=request_id,
    )


@command(app, "timeline")
async def timeline(client: AsyncStockward, order: OrderName, limit: Limit = 200) -> pb.ListOrderTimelineResponse:
    """Show what happened to an order, oldest first: steps, edits, notes, payments and parcels."""
    return await first(client.orders.list_order_timeline(order_id=await order_id(client, order)), limit)


@command(app, "payments")
async def payments(client: AsyncStockward, order: OrderName, limit: Limit = 200) -> pb.ListPaymentsResponse:
    """List what payment providers reported of an order."""
    return await first(client.orders.list_payments(order_id=await order_id(client, order)), limit)
