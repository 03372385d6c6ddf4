"""Messages of the contract as people read them: tables and cards, made from their descriptors."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stockward_server.commands.output import printable
from stockward_server.commands.parsers import word_of
from stockward_server.domain.money import Money

COLUMNS: Mapping[str, Sequence[str]] = {
    "Product": ("product_id", "title", "state", "variants", "vendor", "update_time"),
    "StockLevel": (
        *("sku", "location_id", "on_hand", "reserved", "allocated", "safety_stock", "available"),
        *("overhang", "backorder_limit", "reorder_point", "alert_level"),
    ),
    "Location": ("location_id", "name", "priority", "active", "create_time"),
    "StockMovement": (
        *("create_time", "sku", "location_id", "kind", "reason", "on_hand_delta", "reserved_delta", "allocated_delta"),
        *("on_hand", "reserved", "allocated", "reference", "note", "actor"),
    ),
    "Reservation": ("reservation_id", "state", "lines", "customer_id", "expire_time", "order_id"),
    "Order": ("order_id", "state", "reference", "customer", "lines", "totals.net", "payment.state", "create_time"),
    "OrderTimelineEntry": (
        *("create_time", "type", "actor", "note", "lines", "edits", "fields", "payment", "fulfillment", "charge"),
        "hold",
    ),
    "PaymentReport": (
        *("create_time", "kind", "amount", "provider", "payment_reference", "provider_event_id", "event_time"),
        "running_total",
    ),
    "Endpoint": (
        "endpoint_id",
        "url",
        "types",
        "state",
        "failing_since",
        "disable_reason",
        "description",
        "updated_by",
    ),
    "Delivery": (
        *("event_time", "endpoint_id", "type", "aggregate_id", "state", "attempt_count", "attempts", "due_time"),
        "event_id",
    ),
    "Key": (
        *("key_id", "name", "role", "prefix", "state", "create_time", "expire_time", "last_used_time", "created_by"),
        *("rotated_by", "revoked_by"),
    ),
    "Event": ("time", "type", "aggregate_id", "aggregate_version", "actor", "event_id"),
}
"""What a table of these shows; of other messages it shows every field."""

HIDDEN = {
    "Event": ("product", "stock", "reservation", "order", "endpoint"),
    "Product": ("etag",),
    "Order": ("etag",),
    "StockLevel": ("policy_etag",),
}
"""Fields that a card leaves to --json."""

AS_CARDS = {"PackingSlip"}
"""Rows of a list that are cards of their own."""

STYLES: Mapping[str, str] = {
    **dict.fromkeys(("published", "fulfilled", "paid", "active", "enabled", "delivered", "yes"), "green"),
    **dict.fromkeys(("draft", "pending", "low", "partially_paid", "partially_fulfilled", "authorized"), "yellow"),
    **dict.fromkeys(("processing", "unpublished", "converted"), "cyan"),
    **dict.fromkeys(("cancelled", "expired", "failed", "depleted", "shortfall", "disabled", "dead", "no"), "red"),
    **dict.fromkeys(("archived", "released", "voided", "skipped"), "dim"),
    "retiring": "yellow",
    "revoked": "red",
}
"""Colours of states, and of yes and no."""

LONGEST = 200
"""Characters of a text that a cell shows."""

NUMBER = re.compile(r"(-?\d+|[A-Z]{3} -?[\d.]+)?")
"""A cell that belongs to the right: a number, an amount, or nothing."""

SHORT: Mapping[str, Callable[[Any], str]] = {
    "google.type.Money": lambda money: _amount(money) if money.currency_code else "",
    "google.protobuf.Duration": lambda span: f"{span.ToMilliseconds()} ms",
    "google.protobuf.Timestamp": lambda stamp: f"{stamp.ToDatetime(UTC):%Y-%m-%d %H:%M:%SZ}",
    "Variant": lambda variant: f"{variant.sku} (untracked)" if variant.untracked else variant.sku,
    "OrderLine": lambda line: f"{line.quantity} × {line.sku}",
    "Reservation.Line": lambda line: f"{line.quantity} × {line.sku}",
    "FulfillmentLine": lambda line: (
        f"{line.quantity} of line {line.line_number}" + (f" from {line.location_id}" if line.location_id else "")
    ),
    "Delivery.Attempt": lambda attempt: attempt.error or f"HTTP {attempt.status}",
    "Tender": lambda tender: _tender(tender),
    "LineQuantity": lambda line: f"{line.quantity} of line {line.line_number}",
    "LineEdit": lambda edit: f"{edit.sku}: {edit.from_quantity} → {edit.to_quantity}",
    "PaymentReport": lambda report: (
        f"{_amount(report.amount)} {word_of(report.DESCRIPTOR.fields_by_name['kind'].enum_type, report.kind)}"
        f" by {report.provider} {report.payment_reference}".rstrip()
    ),
    "Customer": lambda customer: customer.name or customer.email or customer.customer_id,
    "Address": lambda address: ", ".join(
        filter(None, (address.recipient, *address.lines, f"{address.postal_code} {address.city}".strip()))
    ),
}
"""Messages that have room in a cell."""


def show(message: Message, *, as_json: bool) -> None:
    """Prints an answer: as proto3 JSON, one document; else a listing as a table, anything else as a card."""
    if as_json:
        typer.echo(MessageToJson(message, always_print_fields_with_no_presence=True))
        return
    # Without a terminal there is no width to keep to: lines stay whole for grep.
    console = Console(width=None if sys.stdout.isatty() else 1000)
    if re.fullmatch(r"List\w+Response", message.DESCRIPTOR.name):
        (rows,) = (value for _, value in lists_of(message))
        if rows and rows[0].DESCRIPTOR.name in AS_CARDS:
            for row in rows:
                _show_card(console, row)
        else:
            console.print(_table(rows) if rows else Text("(none)", "dim"))
    else:
        _show_card(console, message)


def _show_card(console: Console, message: Message) -> None:
    console.print(_card(message))
    for name, rows in lists_of(message):
        if rows:
            console.print(Text(_title(name), "bold"))
            console.print(_table(rows))


def lists_of(message: Message) -> list[tuple[str, Sequence[Message]]]:
    """Returns name and rows of each table in the message: its repeated messages."""
    return [
        (field.name, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if field.is_repeated and field.message_type and not field.message_type.GetOptions().map_entry
    ]


def _table(rows: Sequence[Message]) -> Table:
    name = rows[0].DESCRIPTOR.name
    paths = COLUMNS.get(name) or [field.name for field in rows[0].DESCRIPTOR.fields]
    columns = {path: [_cell(row, path) for row in rows] for path in paths}
    if name not in COLUMNS:
        columns = {path: cells for path, cells in columns.items() if any(cell.plain for cell in cells)}
    table = Table(box=SIMPLE)
    for path, cells in columns.items():
        right = all(NUMBER.fullmatch(cell.plain) for cell in cells)
        is_name = path.endswith(("_id", "sku"))
        table.add_column(_title(path), justify="right" if right else "left", no_wrap=is_name, overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def _card(message: Message) -> Table:
    card = Table(box=None, show_header=False, pad_edge=False)
    card.add_column(style="bold", no_wrap=True)
    card.add_column(overflow="fold")
    for name, cell in _facts(message):
        card.add_row(_title(name), cell)
    return card


def _facts(message: Message, prefix: str = "") -> Iterator[tuple[str, Text]]:
    """Yields every field that is set and is no table; those of messages inside, lists too, have a prefix."""
    tables = {name for name, _ in lists_of(message)} if not prefix else ()
    for field in message.DESCRIPTOR.fields:
        if field.name in tables or field.name in HIDDEN.get(message.DESCRIPTOR.name, ()):
            continue
        value = getattr(message, field.name)
        inside = field.message_type and not field.is_repeated and _short(value) is None
        if inside:
            if message.HasField(field.name):
                yield from _facts(value, f"{prefix}{field.name} ")
        elif (cell := _cell(message, field.name)).plain:
            yield prefix + field.name, cell


def _cell(message: Any, path: str) -> Text:
    *way, last = path.split(".")
    for name in way:
        message = getattr(message, name)
    field = message.DESCRIPTOR.fields_by_name[last]
    if field.has_presence and not message.HasField(last):
        return Text()
    value = getattr(message, last)
    if field.message_type and field.message_type.GetOptions().map_entry:
        return Text(_printable(f"{key}: {each}" for key, each in sorted(value.items())))
    if field.is_repeated:
        return Text(_printable(_plain(field, each) for each in value))
    text = _plain(field, value)
    return Text(_printable([text]), STYLES.get(text, "") if field.enum_type or isinstance(value, bool) else "")


def _plain(field: Any, value: Any) -> str:
    if field.enum_type:
        return word_of(field.enum_type, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.message_type:
        short = _short(value)
        return _brief(value) if short is None else short
    return str(value)


def _brief(message: Message) -> str:
    """Returns what is set in a message without a text of its own."""
    return ", ".join(filter(None, (_cell(message, field.name).plain for field, _ in message.ListFields())))


def _short(message: Message) -> str | None:
    """Returns its text for a cell; None when it has none."""
    name = message.DESCRIPTOR.full_name
    of = SHORT.get(name) or SHORT.get(re.sub(r"^stockward\.\w+\.v1\.", "", name))
    return of(message) if of else None


def _tender(message: Any) -> str:
    """Returns a tender and its sums, such as stripe pi_1: EUR 15.00 captured."""
    sums = [
        f"{_amount(value)} {field.name}"
        for field, value in message.ListFields()
        if field.message_type and (value.units or value.nanos)
    ]
    return f"{message.provider} {message.payment_reference}".rstrip() + f": {' and '.join(sums) or 'nothing'}"


def _amount(message: Any) -> str:
    """Returns money, such as EUR 19.90. Below zero, too: a discount may be more than the shipping."""
    amount = Money.from_units(message.currency_code, abs(message.units), abs(message.nanos), "")
    below_zero = message.units < 0 or message.nanos < 0
    return str(Money(amount.currency, -amount.minor) if below_zero else amount)


def _printable(texts: Iterable[str]) -> str:
    return printable(", ".join(filter(None, texts)), LONGEST)


def _title(name: str) -> str:
    words = re.sub(r"[._]", " ", name)
    return "SKU" if words == "sku" else words[0].upper() + words[1:]
