"""An order as staff read it, and what they can do with it next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.cells import STYLES, amount_of, cell_of, local_time, short
from stockward_server.commands.output import printable
from stockward_server.commands.parsers import word_of

COVERED = (pb.Payment.STATE_AUTHORIZED, pb.Payment.STATE_PAID)
"""Payment states in which a prepaid order can be processed."""

EXPECTED = (pb.OrderReturn.STATE_ANNOUNCED, pb.OrderReturn.STATE_PARTIALLY_RECEIVED)
"""States of a return of which more is to come."""

DETAILS = ("note", "hold", "edits", "lines", "fields", "payment", "fulfillment", "charge")
"""Fields of an entry of the timeline that say what it changed, most important first."""


def order_card(order: pb.Order) -> RenderableType:
    """Returns the order: who and when, its lines, what it comes to and what is open, its parcels and returns."""
    head = _facts(_head(order))
    parts: list[RenderableType] = [head, _lines(order), _facts(_money(order))]
    if order.fulfillments:
        parts += [Text("\nParcels", "bold"), _parcels(order)]
    if order.returns:
        parts += [Text("\nReturns", "bold"), _returns(order)]
    return Group(*parts)


def timeline_table(entries: Sequence[pb.OrderTimelineEntry]) -> Table:
    """Returns a row for each entry: when, what, and who said or did it with which effect."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in ("when", "what"):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for entry in entries:
        details = [cell_of(entry, field).plain for field in DETAILS]
        details.append(f"by {entry.actor}" if entry.actor else "")
        what = entry.type.removeprefix("order.").replace(".", " ").replace("_", " ")
        table.add_row(local_time(entry.create_time), what, Text(printable("; ".join(filter(None, details)), 400)))
    return table


def next_step(order: pb.Order, name: str) -> str:
    """Returns what is to be done with the order next, with the command for it; empty when nothing is. `name`: what
    the person calls the order."""
    name = shlex.quote(name)
    if order.HasField("hold"):
        verb = "release" if order.hold.actor else "pay"
        return f"On hold ({word_of(pb.Hold.Reason.DESCRIPTOR, order.hold.reason)}): stockward orders {verb} {name}"
    if _is_some(order.payment.refund_due):
        amount = amount_of(order.payment.refund_due)
        return f"Refund due, {amount}. Once it is paid back: stockward orders refund {name}"
    if order.state == pb.Order.STATE_PENDING:
        covered = order.payment_terms == pb.PAYMENT_TERMS_ON_ACCOUNT or order.payment.state in COVERED
        if not covered and _is_some(order.payment.still_to_pay):
            return f"When it is paid: stockward orders pay {name}"
        return f"Start to prepare it: stockward orders process {name}"
    if order.state in (pb.Order.STATE_PROCESSING, pb.Order.STATE_PARTIALLY_FULFILLED):
        return f"Once it is shipped: stockward orders fulfill {name}"
    if any(each.state in EXPECTED for each in order.returns):
        return f"When the return comes: stockward orders receive {name}"
    if order.state == pb.Order.STATE_FULFILLED and _is_some(order.payment.still_to_pay):
        return f"When it is paid: stockward orders pay {name}"
    return ""


def _head(order: pb.Order) -> Iterator[tuple[str, Text | str]]:
    yield "Order", order.reference or order.order_id
    if order.reference:
        yield "Order id", order.order_id
    yield "State", cell_of(order, "state")
    if order.HasField("hold"):
        yield "On hold", Text(_hold(order.hold), "red")
    yield "Why cancelled", order.cancel_reason
    customer = order.customer
    known = [customer.name, customer.email and f"<{customer.email}>", customer.customer_id]
    yield "Customer", " ".join(filter(None, known))
    for title, field in (("Ship to", "shipping_address"), ("Bill to", "billing_address")):
        if customer.HasField(field):  # type: ignore[arg-type]
            yield title, short(getattr(customer, field)) or ""
    yield "Created", local_time(order.create_time)
    yield "Changed", local_time(order.update_time)
    waits = order.state == pb.Order.STATE_PENDING and order.payment.state not in COVERED
    if waits and order.HasField("payment_due_time"):
        yield "Payment due", local_time(order.payment_due_time)
    yield "Reservation", order.reservation_id
    yield "Exchange of", order.exchange_of.order_id
    yield "Tags", ", ".join(order.tags)
    yield from sorted(order.attributes.items())
    yield "Gift note", order.gift_note
    for line in order.lines:
        if line.gift_note:
            yield f"Gift note {line.line_number}", line.gift_note


def _hold(hold: pb.Hold) -> str:
    """Returns why an order is on hold, until when, and by whom."""
    words = [word_of(pb.Hold.Reason.DESCRIPTOR, hold.reason), printable(hold.note, 400)]
    if hold.HasField("expire_time"):
        words.append(f"until {local_time(hold.expire_time)}")
    if hold.actor:
        words.append(f"by {hold.actor}")
    return ", ".join(filter(None, words))


def _money(order: pb.Order) -> Iterator[tuple[str, Text | str]]:
    totals, payment = order.totals, order.payment
    yield "Subtotal", _some(totals.subtotal)
    for charge in order.charges:
        kind = word_of(pb.Charge.Kind.DESCRIPTOR, charge.kind).capitalize()
        sign = "-" if charge.kind in (pb.Charge.KIND_DISCOUNT, pb.Charge.KIND_CREDIT) else ""
        currency, _, number = amount_of(charge.amount).partition(" ")
        why = ", ".join(filter(None, (charge.description, charge.reason)))
        yield kind, f"{currency} {sign}{number}" + (f"  {why}" if why else "")
    for title, amount in (("Cancelled", totals.cancelled), ("Returned", totals.returned)):
        yield title, f"{_some(amount)}" if _is_some(amount) else ""
    yield "Total", Text(amount_of(totals.net), "bold")
    yield "Payment", cell_of(payment, "state")
    for tender in payment.tenders:
        yield "", short(tender) or ""
    for title, amount, style in (
        ("Disputed", payment.disputed, "red"),
        ("Lost", payment.lost, "red"),
        ("Still to pay", payment.still_to_pay, "yellow"),
        ("Refund due", payment.refund_due, "red"),
    ):
        if _is_some(amount):
            yield title, Text(amount_of(amount), style)


def _lines(order: pb.Order) -> Table:
    """Returns the lines; columns of units in which there are none are left out."""
    titles = {"fulfilled": "Shipped", "cancelled": "Cancelled", "returned": "Returned"}
    counters = [name for name in titles if any(getattr(line, name) for line in order.lines)]
    titled = any(line.title or line.price_override_reason for line in order.lines)
    table = Table(box=SIMPLE)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("SKU", overflow="fold")
    if titled:
        table.add_column("Title", overflow="fold")
    for title in ("Units", *(titles[name] for name in counters), "Price"):
        table.add_column(title, justify="right", no_wrap=True)
    for line in order.lines:
        cells = [str(line.line_number), printable(line.sku, 64)]
        if titled:
            why = line.price_override_reason and f"(price: {line.price_override_reason})"
            cells.append(printable(" ".join(filter(None, (line.title, why))), 400))
        cells += [str(line.quantity), *(str(getattr(line, name) or "") for name in counters)]
        table.add_row(*map(Text, [*cells, amount_of(line.unit_price)]))
    return table


def _parcels(order: pb.Order) -> Table:
    skus = {line.line_number: line.sku for line in order.lines}
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for parcel in order.fulfillments:
        units = ", ".join(
            f"{line.quantity} × {skus[line.line_number]}" + (f" from {line.location_id}" if line.location_id else "")
            for line in parcel.lines
        )
        carried = " ".join(filter(None, (parcel.carrier, parcel.tracking_number)))
        later = parcel.state not in (pb.Fulfillment.STATE_UNSPECIFIED, pb.Fulfillment.STATE_SHIPPED)
        state = word_of(pb.Fulfillment.State.DESCRIPTOR, parcel.state) if later else ""
        table.add_row(
            local_time(parcel.create_time), Text(printable("; ".join(filter(None, (units, carried, state))), 400))
        )
    return table


def _returns(order: pb.Order) -> Table:
    """Returns a row for each return: when, what came of it, and its texts."""
    skus = {line.line_number: line.sku for line in order.lines}
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in ("when", "state"):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in order.returns:
        units = ", ".join(
            f"{line.received} of {line.quantity} × {skus[line.line_number]}"
            + (f" ({line.damaged} damaged)" if line.damaged else "")
            for line in each.lines
        )
        carried = " ".join(filter(None, (each.carrier, each.tracking_number)))
        details = filter(None, (units, each.reason, each.note, carried, each.label_url))
        table.add_row(local_time(each.create_time), cell_of(each, "state"), Text(printable("; ".join(details), 400)))
    return table


def _facts(facts: Iterator[tuple[str, Text | str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, value in facts:
        text = value if isinstance(value, Text) else Text(printable(value, 400), STYLES.get(value, ""))
        if text.plain:
            table.add_row(title, text)
    return table


def _some(amount: Any) -> str:
    return amount_of(amount) if amount.currency_code else ""


def _is_some(amount: Any) -> bool:
    return bool(amount.units or amount.nanos)
