"""The file, sorted into sales, cancellations and rows that are neither."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")

LINES_AN_ORDER = 1000
"""Most lines of one order."""

GOODS = re.compile(r"\d{5}|DCGS|GIFT_|PADS$", re.ASCII)
"""How a stock code that names goods begins."""

OTHER_CODES = {
    "AMAZONFEE": "a marketplace's fee",
    "B": "a bad debt",
    "BANK CHARGES": "a bank's fee",
    "C2": "carriage",
    "CRUK": "a charity's commission",
    "D": "a discount",
    "DOT": "postage",
    "M": "a manual entry",
    "POST": "postage",
    "S": "samples",
}
"""What the known codes stand for that name no goods."""


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

    def parts(self) -> list[Invoice]:
        """The invoice; one with more lines than an order may have in parts, numbered like 573585, 573585-2."""
        lines, more = self.lines[:LINES_AN_ORDER], self.lines[LINES_AN_ORDER:]
        number, _, part = self.number.partition("-")
        rest = Invoice(f"{number}-{int(part or 1) + 1}", self.customer, self.time, more)
        return [Invoice(self.number, self.customer, self.time, lines), *(rest.parts() if more else [])]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is neither the sale nor the return of goods."""

    line: int
    """Where the row begins; the header is line 1."""
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
    """Reads `file`, gzipped CSV. Raises NotOnlineRetail."""
    month = Month(0, [], {}, {}, [])
    invoices: dict[str, Invoice] = {}
    try:
        with gzip.open(file, "rt", encoding="utf-8-sig", newline="") as source:
            reader = csv.reader(source)
            header = [cell.strip() for cell in next(reader, [])]
            places = [header.index(column) for column in COLUMNS]
            line = reader.line_num + 1  # a quoted cell may go over several lines: this is where the row begins
            for cells in reader:
                if cells:
                    month.rows += 1
                    _read_row(month, invoices, line, cells, len(header), places)
                line = reader.line_num + 1
    except UnicodeDecodeError:
        raise NotOnlineRetail(f"{file}: this is not UTF-8") from None
    except ValueError:
        missing = [column for column in COLUMNS if column not in header]
        raise NotOnlineRetail(f"{file}: there is no column {', '.join(missing)}") from None
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise NotOnlineRetail(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    month.invoices = sorted(
        (part for invoice in invoices.values() for part in invoice.parts()), key=lambda invoice: invoice.time
    )
    if not month.invoices:
        raise NotOnlineRetail(f"{file}: there is no sale in it")
    return month


def _read_row(
    month: Month,
    invoices: dict[str, Invoice],
    line: int,
    cells: Sequence[str],
    width: int,
    places: Sequence[int],
) -> None:
    whole = len(cells) == width
    number, code, title, quantity, date, price, customer = (
        cells[place].strip() if place < len(cells) else "" for place in places
    )
    sku, number = code.upper(), number.upper()
    units, pence = _number(quantity), _number(price, 100)
    if reason := _why_not(sku, number, units, pence) if whole else "the row has more or fewer cells than the header":
        month.refused.append(RefusedRow(line, number, code, reason))
        return
    invoice = invoices.setdefault(number, Invoice(number, customer.removesuffix(".0"), date))
    invoice.lines.append(Line(sku, abs(int(units)), int(pence)))
    month.prices.setdefault(sku, int(pence))
    month.titles[sku] = month.titles.get(sku) or title


def _number(text: str, factor: int = 1) -> Decimal:
    """The number times the factor, exactly; not a number (NaN) where the text is none."""
    return Decimal(text) * factor if re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII) else Decimal("NaN")


def _why_not(sku: str, invoice: str, units: Decimal, pence: Decimal) -> str:
    """Why a row is neither the sale nor the return of goods; empty when it is one."""
    is_cancellation = re.fullmatch(r"C\d+", invoice, re.ASCII)
    if not sku:
        return "there is no stock code"
    if not GOODS.match(sku):
        return f"{sku} is {OTHER_CODES[sku]}, not goods" if sku in OTHER_CODES else f"{sku} is no known code of goods"
    if not is_cancellation and not re.fullmatch(r"\d+", invoice, re.ASCII):
        return "the invoice number is neither that of a sale nor of a cancellation"
    if units != units.to_integral_value():
        return "the quantity is not a whole number"
    if units == 0:
        return "the quantity is zero"
    if units < 0 and not is_cancellation:
        return "the quantity is negative, and the invoice is no cancellation"
    if units > 0 and is_cancellation:
        return "the quantity is positive, and the invoice is a cancellation"
    if pence.is_nan():
        return "the price is not a number"
    if pence <= 0:
        return "the price is not above zero"
    if pence != pence.to_integral_value():
        return "the price is not a whole number of pence"
    return ""
