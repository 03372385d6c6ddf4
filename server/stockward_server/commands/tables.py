"""Messages of the contract as people read them: tables and cards, made from their descriptors."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from stockward.order.v1.order_pb2 import Order

from stockward_server.commands.cells import amount_of, cell_of, short, title_of
from stockward_server.commands.order_card import order_card

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
    "Moment": ("time", "on_hand", "reserved", "allocated"),
    "Reservation": ("reservation_id", "state", "lines", "customer_id", "expire_time", "order_id"),
    "Order": (
        *("order_id", "reference", "state", "hold.reason", "customer", "lines", "totals.net", "payment.state"),
        *("payment.still_to_pay", "payment.refund_due", "create_time"),
    ),
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

NAMED_BY: Mapping[str, str] = {"order_id": "reference"}
"""Fields that name a row better than its id, where they are set."""

NUMBER = re.compile(r"(-?\d+|[A-Z]{3} -?[\d.]+)?")
"""A cell that belongs to the right: a number, an amount, or nothing."""

MIN_TEXT = 12
"""Characters of a line that a column of text keeps at least, unless its words are shorter."""

FORMULA = tuple("=+-@\t\r")
"""What makes a spreadsheet compute a cell."""


def show(message: Message, *, as_json: bool, as_csv: bool = False) -> None:
    """Prints an answer: as proto3 JSON, one document; as CSV; else a listing as a table, anything else as a card."""
    if as_json:
        typer.echo(MessageToJson(message, always_print_fields_with_no_presence=True))
        return
    if as_csv:
        _write_csv(rows_of(message))
        return
    printer = console()
    if is_listing(message.DESCRIPTOR.name):
        rows = rows_of(message)
        if rows and rows[0].DESCRIPTOR.name in AS_CARDS:
            for row in rows:
                _show_card(printer, row)
        else:
            printer.print(listed(rows, printer) if rows else Text("(none)", "dim"))
    elif isinstance(message, Order):
        printer.print(order_card(message))
    else:
        _show_card(printer, message)


def _show_card(printer: Console, message: Message) -> None:
    printer.print(_card(_facts(message)))
    for name, rows in lists_of(message):
        if rows:
            printer.print(Text(title_of(name), "bold"))
            printer.print(listed(rows, printer))


def console() -> Console:
    """Returns the console for an answer. Without a terminal there is no width to keep to: lines stay whole for grep."""
    return Console(width=None if sys.stdout.isatty() else 1000)


def is_listing(name: str) -> bool:
    """Returns whether a message of this name is the page of a list."""
    return re.fullmatch(r"(List|Count)\w+Response", name) is not None


def rows_of(message: Message) -> Sequence[Message]:
    """Returns the rows of a page."""
    ((_, rows),) = lists_of(message)
    return rows


def lists_of(message: Message) -> list[tuple[str, Sequence[Message]]]:
    """Returns name and rows of each table in the message: its repeated messages."""
    return [
        (field.name, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if field.is_repeated and field.message_type and not field.message_type.GetOptions().map_entry
    ]


def listed(rows: Sequence[Message], printer: Console) -> RenderableType:
    """Returns a table, or a card a row where the table would break a number, an amount, a date, a state or a name.

    On a terminal, columns in which all rows are equal are named once, below.
    """
    columns = _columns(rows)
    same: dict[str, Text] = {}
    if printer.is_terminal and len(rows) > 1:
        _, *others = columns
        same = {path: columns[path][0] for path in others if len({cell.plain for cell in columns[path]}) == 1}
    columns = {path: cells for path, cells in columns.items() if path not in same}
    below = [Text("All: " + " · ".join(f"{title_of(path).lower()} {cell.plain}" for path, cell in same.items()), "dim")]
    below = below if same else []
    if _width(rows[0], columns) > printer.width:
        cards = (_card(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        return Group(*(Padding(card, (0, 0, 1, 0)) for card in cards), *below)
    table = Table(box=SIMPLE)
    for path, cells in columns.items():
        right = all(NUMBER.fullmatch(cell.plain) for cell in cells)
        solid = _is_solid(rows[0], path)
        table.add_column(title_of(path), justify="right" if right else "left", no_wrap=solid, overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return Group(table, *below)


def _columns(rows: Sequence[Message]) -> dict[str, list[Text]]:
    """Returns the cells of each column by its path. Columns without any content are left out, and so are ids of rows
    that have better names."""
    name = rows[0].DESCRIPTOR.name
    paths = COLUMNS.get(name) or [field.name for field in rows[0].DESCRIPTOR.fields]
    columns = {path: [cell_of(row, path) for row in rows] for path in paths}
    for id, better in NAMED_BY.items():
        if paths[0] == id and better in columns:
            named = columns.pop(better)
            columns = {
                name.lower(): [n if n.plain else i for n, i in zip(named, columns.pop(id), strict=True)],
                **columns,
            }
    return {path: cells for path, cells in columns.items() if any(cell.plain for cell in cells)}


def _width(row: Message, columns: Mapping[str, Sequence[Text]]) -> int:
    """Returns the width of the narrowest table that breaks no word, and text only between words."""
    width = 2
    for path, cells in columns.items():
        texts = [title_of(path), *(cell.plain for cell in cells)]
        if _is_solid(row, path):
            width += 2 + max(Text(text).cell_len for text in texts)
        else:
            words = [word for text in texts for word in text.split()] or [""]
            longest = max(Text(text).cell_len for text in texts)
            width += 2 + max(min(MIN_TEXT, longest), *(Text(word).cell_len for word in words))
    return width


def _is_solid(row: Any, path: str) -> bool:
    """Returns whether a value of the field is one thing, which is never broken: all but text and lists."""
    *way, last = path.split(".")
    for name in way:
        row = getattr(row, name)
    field = row.DESCRIPTOR.fields_by_name.get(last)
    if field is None or last.endswith(("_id", "sku")):
        return True
    if field.is_repeated or field.type == field.TYPE_STRING:
        return False
    return not field.message_type or field.message_type.full_name.startswith("google.")


def _card(facts: Any) -> Table:
    card = Table(box=None, show_header=False, pad_edge=False)
    card.add_column(style="bold", no_wrap=True)
    card.add_column(overflow="fold")
    for name, cell in facts:
        if cell.plain:
            card.add_row(title_of(name), cell)
    return card


def _facts(message: Message, prefix: str = "") -> Iterator[tuple[str, Text]]:
    """Yields every field that is set and is no table; those of messages inside, lists too, have a prefix."""
    tables = {name for name, _ in lists_of(message)} if not prefix else ()
    for field in message.DESCRIPTOR.fields:
        if field.name in tables or field.name in HIDDEN.get(message.DESCRIPTOR.name, ()):
            continue
        value = getattr(message, field.name)
        inside = field.message_type and not field.is_repeated and short(value) is None
        if inside:
            if message.HasField(field.name):
                yield from _facts(value, f"{prefix}{field.name} ")
        elif (cell := cell_of(message, field.name)).plain:
            yield prefix + field.name, cell


def _write_csv(rows: Sequence[Message]) -> None:
    """Writes the rows for a spreadsheet: times in UTC, amounts as numbers with their currency beside them."""
    if not rows:
        return
    paths = COLUMNS.get(rows[0].DESCRIPTOR.name) or [field.name for field in rows[0].DESCRIPTOR.fields]
    table = [dict(pair for path in paths for pair in _csv_cells(row, path)) for row in rows]
    writer = csv.DictWriter(sys.stdout, table[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)


def _csv_cells(row: Message, path: str) -> Iterator[tuple[str, str]]:
    value: Any = row
    for name in path.split("."):
        value = getattr(value, name)
    kind = value.DESCRIPTOR.full_name if isinstance(value, Message) else ""
    if kind == "google.type.Money":
        yield path, amount_of(value).partition(" ")[2] if value.currency_code else ""
        yield f"{path}.currency", value.currency_code
    elif kind == "google.protobuf.Timestamp":
        yield path, value.ToDatetime(UTC).isoformat() if value.ByteSize() else ""
    else:
        text = cell_of(row, path).plain
        is_text = isinstance(value, str) or kind or not isinstance(value, int | float | bool)
        yield path, f"'{text}" if is_text and text.startswith(FORMULA) else text
