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
from examples.online_retail.count import count_month
from examples.online_retail.month import Month, NotOnlineRetail, read_month
from examples.online_retail.replay import OPENING, Replay
from stockward_client import AsyncStockward
from tests.shop import KEYS, Shop, refused
from tests.snapshot import nothing_written

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


@pytest.fixture
def december(shared_data: Path) -> Path:
    return shared_data / "online-retail-2010-12.csv.gz"


@pytest.mark.long
async def test_the_first_days_balance(shop: Shop, december: Path, tmp_path: Path) -> None:
    first_days = tmp_path / "first-days.csv.gz"
    with gzip.open(december) as source, gzip.open(first_days, "wb") as part:
        part.writelines(islice(source, 8_000))
    month = read_month(first_days)

    async with AsyncStockward(shop.address, KEYS["pms"], timeout=60) as client:
        played = await Replay(client, month, lambda *_: None).run()
        found = await agreements(client, month, first_days)

    assert all(found), [each for each in found if not each]
    assert played.orders > 200
    assert played.cancellations > 20
    assert played.edits > 10
    assert played.returns > 5
    back = next(each.counts["returns"] for each in found if each.what == "units that came back to their order")
    assert back == played.units_returned
    await a_dirty_invoice_is_refused_whole(shop, first_days)


@pytest.mark.timed
@pytest.mark.timeout(600)  # a month of a shop
@pytest.mark.parametrize(
    ("name", "orders", "cancellations", "longest"), [("2010-12", 1550, 301, 673), ("2011-09", 1818, 299, 418)]
)
async def test_the_month_balances(
    shop: Shop, shared_data: Path, name: str, orders: int, cancellations: int, longest: int
) -> None:
    file = shared_data / f"online-retail-{name}.csv.gz"
    month = read_month(file)
    steps: list[str] = []

    async with AsyncStockward(shop.address, KEYS["pms"], timeout=60) as client:
        played = await Replay(client, month, lambda what, done, total: steps.append(f"{what} {done}/{total}")).run()
        found = await agreements(client, month, file)

    assert all(found), [each for each in found if not each]
    assert len(found) == 9
    assert (played.orders, played.cancellations, played.longest_order) == (orders, cancellations, longest)
    invoices = orders + cancellations
    assert steps[-1] == f"Invoices {invoices}/{invoices}"
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

    async with AsyncStockward(shop.address, KEYS["pms"], timeout=60) as client:
        first = await Replay(client, part, lambda *_: None).run()
        assert first.orders
        assert first.units_returned
        async with nothing_written(shop.pool):
            assert await Replay(client, part, lambda *_: None).run() == first


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


GOOD = "536365,TEE,White tee,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom".replace("TEE", "85123A")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,CRUK,Commission,1,2010-12-01,5,,", "CRUK is a charity's commission, not goods"),
        ("1,m,Manual,1,2010-12-01,5,,", "M is a manual entry, not goods"),
        ("A1,B,Adjust,1,2010-12-01,5,,", "B is a bad debt, not goods"),
        ("1,XYZ,Thing,1,2010-12-01,5,,", "XYZ is no known code of goods"),
        ("1,,Thing,1,2010-12-01,5,,", "there is no stock code"),
        ("A1,22423,Tee,1,2010-12-01,5,,", "the invoice number is neither that of a sale nor of a cancellation"),
        ("CC1,22423,Tee,-1,2010-12-01,5,,", "the invoice number is neither that of a sale nor of a cancellation"),
        (",22423,Tee,1,2010-12-01,5,,", "the invoice number is neither that of a sale nor of a cancellation"),
        ("1,22423,Tee,0,2010-12-01,5,,", "the quantity is zero"),
        ("1,22423,Tee,-1,2010-12-01,5,,", "the quantity is negative, and the invoice is no cancellation"),
        ("c1,22423,Tee,1,2010-12-01,5,,", "the quantity is positive, and the invoice is a cancellation"),
        ("1,22423,Tee,,2010-12-01,5,,", "the quantity is not a whole number"),
        ("1,22423,Tee,many,2010-12-01,5,,", "the quantity is not a whole number"),
        ("1,22423,Tee,5 kg,2010-12-01,5,,", "the quantity is not a whole number"),
        ("1,22423,Tee,1.5,2010-12-01,5,,", "the quantity is not a whole number"),
        ("1,22423,Tee,1.0.0,2010-12-01,5,,", "the quantity is not a whole number"),
        ("1,22423,Tee,1,2010-12-01,.5,,", "the price is not a number"),
        ("1,22423,Tee,1,2010-12-01,,,", "the price is not a number"),
        ("1,22423,Tee,1,2010-12-01,dear,,", "the price is not a number"),
        ("1,22423,Tee,1,2010-12-01,0.00,,", "the price is not above zero"),
        ("1,22423,Tee,1,2010-12-01,-5,,", "the price is not above zero"),
        ("1,PADS,Pads,1,2010-12-01,0.001,,", "the price is not a whole number of pence"),
        ("1,22423,Tee,1,2010-12-01,4.161,,", "the price is not a whole number of pence"),
        ("1,22423,Tee,1,2010-12-01,5", "the row has more or fewer cells than the header"),
        ("1,22423,Tee,1,2010-12-01,5,,UK,", "the row has more or fewer cells than the header"),
    ],
)
def test_dirt_is_left_out_by_both_and_reported_with_its_reason(tmp_path: Path, row: str, reason: str) -> None:
    file = packed(tmp_path, GOOD, row)
    month = read_month(file)
    assert [(each.line, each.reason) for each in month.refused] == [(3, reason)]
    assert count_month(file, 10) == ({"85123A": 4}, 1, 1530)
    assert by_the_replay(month, 10) == count_month(file, 10)


@pytest.mark.parametrize(
    "row",
    [
        " 536365 , 85123a ,Tee, 2 ,2010-12-01, 2.50 ,,",
        "c536365,85123a,Tee,-2,2010-12-01,2.50,,",
        "536366,gift_0001_40,Voucher,2,2010-12-01,2.50,,",
        "536366,DCGSSBOY,Bag,2,2010-12-01,2.50,,",
        "536366,pads,Pads,2,2010-12-01,2.50,,",
        "536366,47503J ,Set,2.0,2010-12-01,2.5,,",
        '536366,22423,"Two\nlines",2,2010-12-01,0.07,,',
    ],
)
def test_goods_count_however_they_are_written(tmp_path: Path, row: str) -> None:
    file = packed(tmp_path, row, "", GOOD, "1,S,Samples,1,2010-12-01,5,,")
    month = read_month(file)
    assert [each.line for each in month.refused] == [5 + row.count("\n")]
    assert by_the_replay(month, 10) == count_month(file, 10)
    assert sum(len(invoice.lines) for invoice in month.invoices) == 2


def test_an_invoice_longer_than_an_order_is_several_orders(tmp_path: Path) -> None:
    file = packed(tmp_path, *(f"573585,{10_000 + n % 700},Tee,1,2011-10-31,1.00,," for n in range(2001)))
    month = read_month(file)
    assert [(invoice.number, len(invoice.lines)) for invoice in month.invoices] == [
        ("573585", 1000),
        ("573585-2", 1000),
        ("573585-3", 1),
    ]
    assert by_the_replay(month, 10) == count_month(file, 10)


@pytest.mark.parametrize("name", ["2010-12", "2011-09"])
def test_both_read_the_same_out_of_a_month(shared_data: Path, name: str) -> None:
    file = shared_data / f"online-retail-{name}.csv.gz"
    month = read_month(file)
    assert by_the_replay(month, OPENING) == count_month(file, OPENING)
    assert sum(len(invoice.lines) for invoice in month.invoices) + len(month.refused) == month.rows


def packed(folder: Path, *rows: str) -> Path:
    """A month with these rows."""
    file = folder / "month.csv.gz"
    file.write_bytes(gzip.compress("\n".join([HEADER, *rows, ""]).encode()))
    return file


def by_the_replay(month: Month, opening: int) -> tuple[dict[str, int], int, int]:
    """What the replay will bring about: as `count_month`."""
    on_hand = dict.fromkeys(month.prices, opening)
    sales = [invoice for invoice in month.invoices if not invoice.is_cancellation]
    for invoice in month.invoices:
        for line in invoice.lines:
            on_hand[line.sku] += line.units if invoice.is_cancellation else -line.units
    return on_hand, len(sales), sum(line.units * line.pence for invoice in sales for line in invoice.lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"a,b\n1,2\n"), "there is no column InvoiceNo"),
        (gzip.compress(f"{HEADER}\n1,22423,Tee,x,2010-12-01,5,,\n".encode()), "there is no sale in it"),
        (gzip.compress(f"{HEADER}\n1,22423,Caf\xe9,1,,5,,\n".encode("latin-1")), "this is not UTF-8"),
        (gzip.compress(f"{HEADER}\n".encode()), "there is no sale in it"),
        (gzip.compress(f"{HEADER}\n".encode())[:-9], "Compressed file ended before"),
        (b"InvoiceNo,StockCode\n", "Not a gzipped file"),
        (None, "No such file"),
    ],
    ids=["columns", "number", "encoding", "empty", "torn", "not packed", "missing"],
)
def test_another_file_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "month.csv.gz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(NotOnlineRetail, match=message):
        read_month(file)
