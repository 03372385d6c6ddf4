"""The file, sorted into sales, cancellations and rows that are neither."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass, field
from pathlib import Path

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")

NOT_GOODS = {
    "AMAZONFEE": "a marketplace's fee",
    "BANK CHARGES": "a bank's fee",
    "C2": "carriage",
    "D": "a discount",
    "DOT": "postage",
    "M": "a manual entry",
    "POST": "postage",
    "S": "samples",
}
"""Stock codes that name no goods."""


class NotOnlineRetail(Exception):
    """The file is no month of that data set; the message says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """Goods on an invoice; `units` is above zero, whatever the invoice is."""

    sku: str
    units: int
    pence: int


@dataclass(slots=True)
class Invoice:
    """A sale, or the cancellation of one."""

    number: str
    customer: str
    """Empty where the shop knew none."""
    time: str
    lines: list[Line] = field(default_factory=list)

    @property
    def is_cancellation(self) -> bool:
        return self.number.startswith("C")


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is neither the sale nor the return of goods; the header is line 1."""

    line: int
    invoice: str
    code: str
    reason: str


@dataclass(slots=True)
class Month:
    """What the file holds."""

    rows: int
    invoices: list[Invoice]
    """In the order of time; an invoice of refused rows alone is not among them."""
    titles: dict[str, str]
    prices: dict[str, int]
    """Catalogue price by SKU, in pence: the first one in the file."""
    refused: list[RefusedRow]


def read_month(file: Path) -> Month:
    """Read `file`, gzipped CSV. Raises NotOnlineRetail."""
    month = Month(0, [], {}, {}, [])
    invoices: dict[str, Invoice] = {}
    try:
        with gzip.open(file, "rt", encoding="utf-8", newline="") as source:
            for row in csv.DictReader(source):
                month.rows += 1
                _read_row(month, invoices, row)
    except KeyError as error:
        raise NotOnlineRetail(f"{file}: there is no column {error.args[0]}") from None
    except ValueError as error:
        raise NotOnlineRetail(f"{file}, line {month.rows + 1}: {error}") from None
    except (OSError, EOFError) as error:
        raise NotOnlineRetail(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    month.invoices = sorted(invoices.values(), key=lambda invoice: invoice.time)
    if not month.invoices:
        raise NotOnlineRetail(f"{file}: there is no sale in it")
    return month


def _read_row(month: Month, invoices: dict[str, Invoice], row: dict[str, str]) -> None:
    number, code, title, quantity, date, price, customer = (row[column].strip() for column in COLUMNS)
    sku, units, pence = code.upper(), int(quantity), round(float(price) * 100)
    if reason := _why_not(sku, number, units, pence):
        month.refused.append(RefusedRow(month.rows + 1, number, code, reason))
        return
    invoice = invoices.setdefault(number, Invoice(number, customer.removesuffix(".0"), date))
    invoice.lines.append(Line(sku, abs(units), pence))
    month.prices.setdefault(sku, pence)
    month.titles[sku] = month.titles.get(sku) or title


def _why_not(sku: str, invoice: str, units: int, pence: int) -> str:
    """Why a row is neither the sale nor the return of goods; empty when it is one."""
    if sku in NOT_GOODS:
        return f"{sku} is {NOT_GOODS[sku]}, not goods"
    if units == 0:
        return "the quantity is zero"
    if units < 0 and not invoice.startswith("C"):
        return "the quantity is negative, and the invoice is no cancellation"
    if units > 0 and invoice.startswith("C"):
        return "the quantity is positive, and the invoice is a cancellation"
    if pence <= 0:
        return "the price is not above zero"
    return ""
