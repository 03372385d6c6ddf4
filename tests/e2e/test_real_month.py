"""A month of a real shop, dirt included: counters, ledger and a count straight from the file agree to the unit."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from stockward.order.v1.order_pb2 import CreateOrderRequest

from examples.online_retail.agreement import agreements
from examples.online_retail.month import Month, NotOnlineRetail, read_month
from examples.online_retail.replay import OPENING, Replay
from stockward_server.commands.connection import calling
from tests.shop import KEYS, Shop, refused
from tests.snapshot import nothing_written

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


@pytest.fixture
def december(shared_data: Path) -> Path:
    return shared_data / "online-retail-2010-12.csv.gz"


async def test_the_first_days_balance(shop: Shop, december: Path, tmp_path: Path) -> None:
    first_days = tmp_path / "first-days.csv.gz"
    with gzip.open(december) as source, gzip.open(first_days, "wb") as part:
        part.writelines(islice(source, 8_000))
    month = read_month(first_days)

    async with calling(shop.address, KEYS["pms"]) as (staff,):
        played = await Replay(staff, month, lambda *_: None).run()
        found = await agreements(staff, month, first_days)

    assert all(found), [each for each in found if not each]
    assert played.orders > 200
    assert played.cancellations > 20
    await a_dirty_invoice_is_refused_whole(shop, first_days)


@pytest.mark.timed
@pytest.mark.timeout(600)  # a month of a shop
async def test_the_month_balances(shop: Shop, december: Path) -> None:
    month = read_month(december)
    steps: list[str] = []

    async with calling(shop.address, KEYS["pms"]) as (staff,):
        played = await Replay(staff, month, lambda what, done, total: steps.append(f"{what} {done}/{total}")).run()
        found = await agreements(staff, month, december)

    assert all(found), [each for each in found if not each]
    assert len(found) == 7
    assert (played.orders, played.cancellations, played.longest_order) == (1550, 301, 673)
    assert steps[-1] == "Invoices 1851/1851"
    on_hand = next(each.counts["counters"] for each in found if each.what == "units on hand")
    came_back = played.units_returned + played.units_without_order
    assert on_hand == OPENING * len(month.prices) - played.units_sold + came_back


async def a_dirty_invoice_is_refused_whole(shop: Shop, december: Path) -> None:
    """Sent as it is in the file: goods and a row that is none."""
    with gzip.open(december, "rt", encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    postage = next(row["InvoiceNo"] for row in rows if row["StockCode"] == "POST" and int(row["Quantity"]) > 0)
    sent = [row for row in rows if row["InvoiceNo"] == postage]
    lines = [CreateOrderRequest.Line(sku=row["StockCode"].upper(), quantity=int(row["Quantity"])) for row in sent]
    assert len(lines) > 1

    async with nothing_written(shop.pool):
        refusal = await refused(shop.pms.orders.CreateOrder(CreateOrderRequest(lines=lines)))
        assert (refusal.reason, refusal.metadata["sku"]) == ("SKU_UNKNOWN", "POST")

        lines[0].quantity = -lines[0].quantity
        refusal = await refused(shop.pms.orders.CreateOrder(CreateOrderRequest(lines=lines)))
        assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["lines[0].quantity"])


async def test_an_interrupted_month_is_started_again(shop: Shop, december: Path) -> None:
    part = read_month(december)
    customer = first_to_return_something(part)
    part.invoices = [invoice for invoice in part.invoices if invoice.customer == customer]
    part.prices = {line.sku: part.prices[line.sku] for invoice in part.invoices for line in invoice.lines}

    async with calling(shop.address, KEYS["pms"]) as (staff,):
        first = await Replay(staff, part, lambda *_: None).run()
        assert first.orders
        assert first.units_returned
        async with nothing_written(shop.pool):
            assert await Replay(staff, part, lambda *_: None).run() == first


def first_to_return_something(month: Month) -> str:
    """A customer who brought back what they had bought in the same month."""
    bought: set[tuple[str, str]] = set()
    for invoice in month.invoices:
        goods = {(invoice.customer, line.sku) for line in invoice.lines}
        if invoice.is_cancellation and invoice.customer and goods & bought:
            return invoice.customer
        if not invoice.is_cancellation:
            bought |= goods
    raise AssertionError("nobody did")


def test_every_refused_row_says_why(december: Path) -> None:
    month = read_month(december)
    with gzip.open(december, "rt", encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))

    assert month.rows == len(rows) == 42_481
    assert sum(len(invoice.lines) for invoice in month.invoices) + len(month.refused) == month.rows
    assert Counter(row.reason for row in month.refused) == {
        "the price is not above zero": 203,
        "the quantity is negative, and the invoice is no cancellation": 70,
        "POST is postage, not goods": 69,
        "DOT is postage, not goods": 54,
        "M is a manual entry, not goods": 40,
        "C2 is carriage, not goods": 10,
        "D is a discount, not goods": 8,
        "AMAZONFEE is a marketplace's fee, not goods": 7,
        "BANK CHARGES is a bank's fee, not goods": 3,
        "S is samples, not goods": 2,
    }
    for each in month.refused:
        assert rows[each.line - 2]["InvoiceNo"] == each.invoice
        assert rows[each.line - 2]["StockCode"] == each.code


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"a,b\n1,2\n"), "there is no column InvoiceNo"),
        (gzip.compress(f"{HEADER}\n1,2,TEE,x,2010-12-01,5,,\n".encode()), "line 2: invalid literal for int"),
        (gzip.compress(f"{HEADER}\n".encode()), "there is no sale in it"),
        (gzip.compress(f"{HEADER}\n".encode())[:-9], "Compressed file ended before"),
        (b"InvoiceNo,StockCode\n", "Not a gzipped file"),
        (None, "No such file"),
    ],
    ids=["columns", "number", "empty", "torn", "not packed", "missing"],
)
def test_another_file_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "month.csv.gz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(NotOnlineRetail, match=message):
        read_month(file)
