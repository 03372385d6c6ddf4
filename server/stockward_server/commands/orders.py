"""`stockward orders`: orders, from the first line to the return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.type.money_pb2 import Money
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.batch_answer import BatchAnswer
from stockward_server.commands.order_batches import change_orders, only_for_one
from stockward_server.commands.order_options import Etag, Lines, Reason
from stockward_server.commands.parsers import amount, choice, counted, numbered, whole
from stockward_server.commands.returns import app as app
from stockward_server.commands.returns import last_return
from stockward_server.commands.rpc_command import (
    OrderName,
    OrderNames,
    RequestId,
    command,
    complete_skus,
    order_id,
)

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

Payments = pb.RecordPaymentRequest


@command(app, "create")
async def create(
    client: AsyncStockward,
    lines: Annotated[list[str] | None, typer.Argument(metavar="SKU=UNITS ...", autocompletion=complete_skus)] = None,
    reservation: Annotated[str, typer.Option(help="The hold that becomes this order.")] = "",
    reference: Annotated[str, typer.Option(help="The merchant's own number for it.")] = "",
    customer: Annotated[str, typer.Option(help="The shop's name for the customer.")] = "",
    email: Annotated[str, typer.Option(help="Of the customer.")] = "",
    exchange_of: Annotated[
        str, typer.Option("--exchange-of", metavar="ORDER", help="The order of whose last return it is the exchange.")
    ] = "",
    on_account: Annotated[bool, typer.Option("--on-account", help="Processed without payment.")] = False,
    *,
    request_id: RequestId,
) -> pb.Order:
    """Create an order for a customer, from stock or from a reservation."""
    return await client.orders.create_order(
        lines=[pb.CreateOrderRequest.Line(sku=sku, quantity=units) for sku, units in map(counted, lines or ())],
        reservation_id=reservation,
        customer=pb.Customer(customer_id=customer, email=email),
        reference=reference,
        payment_terms=pb.PAYMENT_TERMS_ON_ACCOUNT if on_account else pb.PAYMENT_TERMS_PREPAID,
        exchange_of=await last_return(client, exchange_of) if exchange_of else None,
        request_id=request_id,
    )


@command(app, "process", next_step="Once it is shipped: stockward orders fulfill {done}")
async def process(
    client: AsyncStockward, orders: OrderNames, etag: Etag = "", *, request_id: RequestId
) -> pb.Order | BatchAnswer:
    """Start to process an order, or several."""
    only_for_one(orders, etag=etag)
    return await change_orders(
        client,
        orders,
        lambda order_id, request_id: pb.ProcessOrderRequest(order_id=order_id, etag=etag, request_id=request_id),
        lambda each: client.orders.process_order(order_id=each.order_id, etag=each.etag, request_id=each.request_id),
        lambda requests: client.orders.batch_process_orders(requests=requests),
        request_id,
    )


@command(app, "fulfill")
async def fulfill(
    client: AsyncStockward,
    orders: OrderNames,
    lines: Lines = None,
    tracking: Annotated[str, typer.Option(help="The carrier's number.")] = "",
    carrier: Annotated[str, typer.Option(help="The carrier.")] = "",
    location: Annotated[str, typer.Option(help="Where they left.", show_default="wherever they are")] = "",
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order | BatchAnswer:
    """Record that units were shipped: those named, or all that remain; or all of several orders."""
    only_for_one(orders, line=lines, tracking=tracking, etag=etag)
    return await change_orders(
        client,
        orders,
        lambda order_id, request_id: pb.FulfillOrderRequest(
            order_id=order_id,
            lines=[pb.LineQuantity(**numbered(line)) for line in lines or ()],
            tracking_number=tracking,
            carrier=carrier,
            location_id=location,
            etag=etag,
            request_id=request_id,
        ),
        lambda each: client.orders.fulfill_order(
            order_id=each.order_id,
            lines=each.lines,
            tracking_number=each.tracking_number,
            carrier=each.carrier,
            location_id=each.location_id,
            etag=each.etag,
            request_id=each.request_id,
        ),
        lambda requests: client.orders.batch_fulfill_orders(requests=requests),
        request_id,
    )


@command(app, "cancel")
async def cancel(
    client: AsyncStockward,
    orders: OrderNames,
    lines: Lines = None,
    reason: Reason = "",
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order | BatchAnswer:
    """Cancel an order of which nothing was shipped, or the units named; or several orders."""
    only_for_one(orders, line=lines, etag=etag)
    return await change_orders(
        client,
        orders,
        lambda order_id, request_id: pb.CancelOrderRequest(
            order_id=order_id,
            lines=[pb.LineQuantity(**numbered(line)) for line in lines or ()],
            reason=reason,
            etag=etag,
            request_id=request_id,
        ),
        lambda each: client.orders.cancel_order(
            order_id=each.order_id, lines=each.lines, reason=each.reason, etag=each.etag, request_id=each.request_id
        ),
        lambda requests: client.orders.batch_cancel_orders(requests=requests),
        request_id,
    )


@command(app, "charge")
async def charge(
    client: AsyncStockward,
    order: OrderName,
    kind: Annotated[Any, choice(pb.Charge.Kind, "--kind", help="What it is for.")],
    charged: Annotated[str, typer.Option("--amount", help="Such as 4.90.")],
    reason: Annotated[str, typer.Option(help="Why, for people.")],
    description: Annotated[str, typer.Option(help="What the customer reads, such as a coupon code.")] = "",
    lines: Annotated[
        list[int] | None,
        typer.Option(
            "--line", parser=whole(1, 1000), metavar="LINE", help="A line of a tax or discount; once for each."
        ),
    ] = None,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Add a charge later: a fee, tax or shipping; or take off a discount or credit."""
    now = await client.orders.get_order(order_id=await order_id(client, order))
    return await client.orders.add_charge(
        order_id=now.order_id,
        charge=pb.Charge(
            kind=kind,
            amount=amount(charged, now.totals.net.currency_code),
            description=description,
            line_numbers=lines or (),
        ),
        reason=reason,
        etag=etag,
        request_id=request_id,
    )


@command(app, "pay")
async def pay(
    client: AsyncStockward,
    order: OrderName,
    paid: Annotated[str, typer.Option("--amount", help="Such as 19.90.", show_default="all that is open")] = "",
    kind: Annotated[Any, choice(Payments.Kind, "--kind", help="What happened.  [default: captured]")] = None,
    provider: Annotated[str, typer.Option(help="Who reports it.")] = "manual",
    tender: Annotated[
        str,
        typer.Option(
            help="The provider's id of the card payment or gift card.", show_default="the provider's only one"
        ),
    ] = "",
    event_id: Annotated[str, typer.Option(help="The provider's id of it.", show_default="the request id")] = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Record a payment: money that was captured, authorized, refunded, disputed or refused."""
    now = await client.orders.get_order(order_id=await order_id(client, order))
    kind = kind or Payments.KIND_CAPTURED
    return await client.orders.record_payment(
        order_id=now.order_id,
        provider=provider,
        provider_event_id=event_id or request_id,
        payment_reference=tender,
        kind=kind,
        amount=amount(paid, now.totals.net.currency_code) if paid else _open(now, kind, provider, tender),
        request_id=request_id,
    )


@command(app, "refund")
async def refund(
    client: AsyncStockward,
    order: OrderName,
    paid: Annotated[str, typer.Option("--amount", help="Such as 19.90.", show_default="all that is due")] = "",
    provider: Annotated[str, typer.Option(help="Who paid it back.", show_default="who took the money")] = "",
    tender: Annotated[
        str, typer.Option(help="The provider's id of the payment.", show_default="the only one with money left")
    ] = "",
    event_id: Annotated[str, typer.Option(help="The provider's id of it.", show_default="the request id")] = "",
    *,
    request_id: RequestId,
) -> pb.Order:
    """Record that money was paid back; it is the provider that pays it."""
    now = await client.orders.get_order(order_id=await order_id(client, order))
    if not provider:
        provider, tender = _only_payment(now, tender)
    kind = Payments.KIND_REFUNDED
    return await client.orders.record_payment(
        order_id=now.order_id,
        provider=provider,
        provider_event_id=event_id or request_id,
        payment_reference=tender,
        kind=kind,
        amount=amount(paid, now.totals.net.currency_code) if paid else _open(now, kind, provider, tender),
        request_id=request_id,
    )


def _only_payment(order: pb.Order, reference: str) -> tuple[str, str]:
    """Returns provider and reference of the only means of payment with money left; with `reference`, of that one."""
    found = [
        (each.provider, each.payment_reference)
        for each in order.payment.tenders
        if (each.payment_reference == reference if reference else _left(each) > 0)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise typer.BadParameter("no payment of this order has money left: name it with --provider and --tender")
    named = ", ".join(" ".join(filter(None, each)) for each in found)
    raise typer.BadParameter(f"it was paid in several ways: name one with --provider and --tender ({named})")


def _left(tender: pb.Tender) -> int:
    """Returns the money of a tender that is neither refunded nor lost, in billionths of its unit."""
    captured, *gone = (each.units * 10**9 + each.nanos for each in (tender.captured, tender.refunded, tender.lost))
    return captured - sum(gone)


def _open(order: pb.Order, kind: int, provider: str, reference: str) -> Money:
    """Returns the amount that is open for a kind of payment event, with this tender."""
    payment = order.payment
    tenders = {(each.provider, each.payment_reference): each for each in payment.tenders}
    tender = tenders.get((provider, reference), pb.Tender())
    match kind:
        case Payments.KIND_FAILED:
            return order.totals.net
        case Payments.KIND_CAPTURED | Payments.KIND_AUTHORIZED:
            left = payment.still_to_pay
        case Payments.KIND_REFUNDED:
            left = payment.refund_due
        case Payments.KIND_DISPUTE_WON | Payments.KIND_DISPUTE_LOST:
            left = tender.disputed
        case Payments.KIND_VOIDED | Payments.KIND_AUTHORIZATION_EXPIRED if not _is_some(tender.captured):
            left = tender.authorized
        case _:
            left = Money()
    if not _is_some(left):
        raise typer.BadParameter("nothing says how much: name it with --amount")
    return left


def _is_some(amount: Money) -> bool:
    return bool(amount.units or amount.nanos)
