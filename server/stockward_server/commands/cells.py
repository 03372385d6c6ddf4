"""Values of the contract as people read them, each short enough for a cell of a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any

from google.protobuf.message import Message
from rich.text import Text

from stockward_server.commands.output import printable
from stockward_server.commands.parsers import word_of
from stockward_server.domain.money import Money

STYLES: Mapping[str, str] = {
    **dict.fromkeys(("published", "fulfilled", "paid", "active", "enabled", "delivered", "yes"), "green"),
    **dict.fromkeys(("draft", "pending", "low", "partially_paid", "partially_fulfilled", "authorized"), "yellow"),
    **dict.fromkeys(("announced", "partially_received"), "yellow"),
    **dict.fromkeys(("processing", "unpublished", "converted"), "cyan"),
    **dict.fromkeys(("cancelled", "expired", "failed", "depleted", "shortfall", "disabled", "dead", "no"), "red"),
    **dict.fromkeys(("archived", "released", "voided", "skipped", "withdrawn"), "dim"),
    "retiring": "yellow",
    "revoked": "red",
}
"""Colours of states, and of yes and no."""

TITLES: Mapping[str, str] = {
    "sku": "SKU",
    "totals.net": "Total",
    "hold.reason": "On hold",
    "payment.state": "Payment",
    "payment.still_to_pay": "To pay",
    "payment.refund_due": "Refund due",
}
"""Of fields whose own names say it less well."""

LONGEST = 200
"""Characters of a text that a cell shows."""

SHORT: Mapping[str, Callable[[Any], str]] = {
    "google.type.Money": lambda money: amount_of(money) if money.currency_code else "",
    "google.protobuf.Duration": lambda span: f"{span.ToMilliseconds()} ms",
    "google.protobuf.Timestamp": lambda stamp: local_time(stamp),
    "Variant": lambda variant: f"{variant.sku} (untracked)" if variant.untracked else variant.sku,
    "OrderLine": lambda line: f"{line.quantity} × {line.sku}",
    "Reservation.Line": lambda line: f"{line.quantity} × {line.sku}",
    "FulfillmentLine": lambda line: (
        f"{line.quantity} of line {line.line_number}" + (f" from {line.location_id}" if line.location_id else "")
    ),
    "ReturnLine": lambda line: f"{line.received} of {line.quantity} of line {line.line_number}",
    "Delivery.Attempt": lambda attempt: attempt.error or f"HTTP {attempt.status}",
    "Tender": lambda tender: _tender(tender),
    "LineQuantity": lambda line: f"{line.quantity} of line {line.line_number}",
    "LineEdit": lambda edit: f"{edit.sku}: {edit.from_quantity} → {edit.to_quantity}",
    "PaymentReport": lambda report: (
        f"{amount_of(report.amount)} {word_of(report.DESCRIPTOR.fields_by_name['kind'].enum_type, report.kind)}"
        f" by {report.provider} {report.payment_reference}".rstrip()
    ),
    "Customer": lambda customer: customer.name or customer.email or customer.customer_id,
    "Address": lambda address: ", ".join(
        filter(None, (address.recipient, *address.lines, f"{address.postal_code} {address.city}".strip()))
    ),
}
"""Messages that have room in a cell."""


def cell_of(message: Any, path: str) -> Text:
    """Returns the field at `path`, such as `totals.net`; empty when it is not set."""
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
        text = short(value)
        return _brief(value) if text is None else text
    return str(value)


def _brief(message: Message) -> str:
    """Returns what is set in a message without a text of its own."""
    return ", ".join(filter(None, (cell_of(message, field.name).plain for field, _ in message.ListFields())))


def short(message: Message) -> str | None:
    """Returns its text for a cell; None when it has none."""
    name = message.DESCRIPTOR.full_name
    of = SHORT.get(name) or SHORT.get(re.sub(r"^stockward\.\w+\.v1\.", "", name))
    return of(message) if of else None


def _tender(message: Any) -> str:
    """Returns a tender and its sums, such as stripe pi_1: EUR 15.00 captured."""
    sums = [
        f"{amount_of(value)} {field.name}"
        for field, value in message.ListFields()
        if field.message_type and (value.units or value.nanos)
    ]
    return f"{message.provider} {message.payment_reference}".rstrip() + f": {' and '.join(sums) or 'nothing'}"


def amount_of(message: Any) -> str:
    """Returns money, such as EUR 19.90. Below zero, too: a discount may be more than the shipping."""
    amount = Money.from_units(message.currency_code, abs(message.units), abs(message.nanos), "")
    below_zero = message.units < 0 or message.nanos < 0
    return str(Money(amount.currency, -amount.minor) if below_zero else amount)


def local_time(stamp: Any) -> str:
    """Returns a time of this machine's zone, with the zone, such as 2026-12-01 09:30:00 CET."""
    return f"{stamp.ToDatetime(UTC).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _printable(texts: Iterable[str]) -> str:
    return printable(", ".join(filter(None, texts)), LONGEST)


def title_of(name: str) -> str:
    """Returns what a field is called on the terminal, from its path."""
    if name in TITLES:
        return TITLES[name]
    words = re.sub(r"[._]", " ", name)
    return words[0].upper() + words[1:]
