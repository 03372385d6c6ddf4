"""docs/concepts/money.md: every worked example is what the rules come to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from stockward_server.domain.charge import Charge, ChargeKind
from stockward_server.domain.money import Money
from stockward_server.domain.order import Order, OrderLine, OrderState
from stockward_server.domain.order_steps import (
    decide_cancellation,
    decide_charge,
    decide_order_expiry,
    decide_payment,
    decide_processing,
    decide_return,
)
from stockward_server.domain.payment import PaymentKind
from stockward_server.domain.pricing import spread_charge
from tests.examples import LATER, NOW, SECOND, level, order, report

PAGE = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "money.md"
DUE = LATER + 100 * SECOND

REPORTS = {
    "capture": PaymentKind.CAPTURED,
    "authorize": PaymentKind.AUTHORIZED,
    "authorization expires": PaymentKind.AUTHORIZATION_EXPIRED,
    "refund": PaymentKind.REFUNDED,
    "refund fails": PaymentKind.REFUND_FAILED,
    "dispute": PaymentKind.DISPUTED,
    "lose dispute": PaymentKind.DISPUTE_LOST,
}


COLUMNS: Mapping[str, Callable[[Order], object]] = {
    "State": lambda o: o.state.name,
    "Net": lambda o: o.amounts.net,
    "Cancelled": lambda o: o.amounts.cancelled,
    "Returned": lambda o: o.amounts.returned,
    "Captured": lambda o: o.payment.captured,
    "Still to pay": lambda o: o.still_to_pay,
    "Refund due": lambda o: o.refund_due,
    "Payment": lambda o: o.payment_state.name,
    "Terms met": lambda o: "yes" if o.terms_met else "no",
    "Hold": lambda o: o.hold.reason.name if o.hold else "–",
    "After its time": lambda o: (decide_order_expiry(o, DUE) or [o])[0].state.name,
    "Discount of line 1": lambda o: discount_of(o, 1),
    "Discount of line 2": lambda o: discount_of(o, 2),
    "Discount of line 3": lambda o: discount_of(o, 3),
}

Table = list[dict[str, str]]


def tables() -> Iterator[Table]:
    """The worked examples: tables that begin with a step."""
    for block in re.findall(r"(?:^\|.*\|\n)+", PAGE.read_text(), re.MULTILINE):
        header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        if header[0] == "Step":
            yield [dict(zip(header, row, strict=True)) for row in rows]


def discount_of(placed: Order, number: int) -> object:
    return placed.lines[number - 1].shares.discount if number <= len(placed.lines) else "–"


def cents(text: str) -> int:
    return int(text.replace(".", ""))


def placed(lines: str, charges: list[str]) -> Order:
    """`2 × 10.00 + 1 × 5.00`, and such as `discount 5.00 on line 2`."""
    found = re.findall(r"(\d+) × (\d+\.\d\d)", lines)
    made = tuple(OrderLine(n, f"S{n}", "", int(units), cents(price)) for n, (units, price) in enumerate(found, 1))
    wanted = []
    for text in charges:
        kind, amount, line = re.fullmatch(r"(\w+) (\d+\.\d\d)(?: on line (\d+))?", text).groups()  # type: ignore[union-attr]
        wanted.append(Charge(ChargeKind[kind.upper()], cents(amount), line_numbers=(int(line),) if line else ()))
        made = spread_charge(made, wanted[-1], "EUR", "charges")
    return order(lines=made, charges=tuple(wanted), allocations=(), payment_due_time=DUE)


def after(before: Order, step: str, second: int) -> Order:
    """The order after a step, in the page's words."""
    now = NOW + second * SECOND
    stock = {line.sku: [level(99, sku=line.sku)] for line in before.lines}
    match step.split():
        case ["process"]:
            return decide_processing(before, now)
        case ["fulfil"]:
            lines = tuple(replace(line, fulfilled=line.open) for line in before.lines)
            return replace(before, state=OrderState.FULFILLED, lines=lines)
        case ["expire"]:
            return (decide_order_expiry(before, DUE) or [before])[0]
        case ["cancel", "all"]:
            return decide_cancellation(before, {}, "", now)[0]
        case ["cancel", units, "of", "line", line]:
            return decide_cancellation(before, {int(line): int(units)}, "", now)[0]
        case ["return", units, "of", "line", line]:
            return decide_return(before, {int(line): int(units)}, {}, "main", "", now)[0]
        case ["add", kind, amount]:
            return decide_charge(before, Charge(ChargeKind[kind.upper()], cents(amount), added=now), "charge", now)
    what, amount, tender = re.fullmatch(r"([a-z ]+) (\d+\.\d\d)(?: on (\w+))?", step).groups()  # type: ignore[union-attr]
    event = report(REPORTS[what], cents(amount), f"evt-{second}", event_time=now, payment_reference=tender or "")
    return decide_payment(before, event, stock, now)[0]


@pytest.mark.parametrize("table", list(tables()), ids=lambda table: f"{table[0]['Step']}, {table[-1]['Step']}")
def test_an_example_is_what_the_rules_come_to(table: Table) -> None:
    now = order()
    for second, row in enumerate(table):
        name, *rest = row.pop("Step").split(" ", 1)
        if name == "order":
            lines, *charges = rest[0].split(" with ")
            now = placed(lines, charges)
        else:
            now = after(now, " ".join([name, *rest]), second)
        shown = {column: said(COLUMNS[column](now)) for column in row}
        assert shown == row, f"after {name} {rest}"


def said(value: object) -> str:
    return str(Money("EUR", value)).removeprefix("EUR ") if isinstance(value, int) else str(value)


def test_the_examples_are_found() -> None:
    """And every column and kind of report is used, so that the test above looks at something."""
    found = list(tables())
    assert len(found) >= 14
    assert {column for table in found for column in table[0]} == {"Step", *COLUMNS}
