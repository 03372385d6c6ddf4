"""`stockward import products`: files as people have them, on a running server."""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from stockward.catalog.v1.catalog_pb2 import (
    ArchiveProductRequest,
    ListAvailableProductsRequest,
    ListProductsRequest,
    Product,
)
from stockward.inventory.v1.inventory_pb2 import ListStockLevelsRequest, StockLevel

from tests.shop import KEYS, Shop
from tests.snapshot import nothing_written
from tests.terminal import Outcome, stockward

pytestmark = pytest.mark.long

SHOPS = ("apparel", "home-and-garden", "jewelery")
COLUMNS = "Handle,Title,Published,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty,Image Src"

Import = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def importing(shop: Shop, tmp_path: Path) -> Import:
    """Run the command with staff's key; the file comes first."""

    async def run(file: Path, *options: str) -> Outcome:
        where = ("--address", shop.address)
        return await stockward("import", "products", file, *where, *options, cwd=tmp_path, STOCKWARD_KEY=KEYS["pms"])

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "products.csv"


def write(file: Path, *rows: tuple[str, ...]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as target:
        columns = COLUMNS.split(",")
        csv.writer(target).writerows([columns, *(row + ("",) * (len(columns) - len(row)) for row in rows)])
    return file


async def products(shop: Shop) -> dict[str, Product]:
    answer = await shop.pms.catalog.ListProducts(ListProductsRequest(page_size=1000))
    return {product.handle: product for product in answer.products}


@pytest.mark.parametrize("name", SHOPS)
async def test_a_real_file(shop: Shop, importing: Import, shared_data: Path, file: Path, name: str) -> None:
    """As it is, but for the tracker: the files say that nothing is tracked."""
    with (shared_data / f"shopify-{name}.csv").open(newline="", encoding="utf-8") as source:
        rows = [row | {"Variant Inventory Tracker": "shopify"} for row in csv.DictReader(source)]
    with file.open("w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    variants = [row for row in rows if row["Variant Price"]]
    pictures = {(row["Handle"], row["Image Src"]) for row in rows if row["Image Src"]}

    refused = await importing(file, "--json")

    assert refused.code == 1
    assert refused.json["products"] == {"created": 0, "updated": 0, "unchanged": 0, "refused": 20}
    assert len(refused.json["refused"]) == len(variants)
    assert {row["reason"] for row in refused.json["refused"]} == {"SKU_MISSING"}
    assert not await products(shop)

    taken = await importing(file, "--make-skus", "--publish", "--stock", "--json")

    assert (taken.code, taken.json["refused"]) == (0, [])
    assert (taken.json["products"]["created"], taken.json["published"]) == (20, 20)
    assert taken.json["stock_rows"] == len(variants)
    offered = (await shop.storefront.catalog.ListAvailableProducts(ListAvailableProductsRequest(page_size=50))).products
    assert {product.title for product in offered} == {row["Title"] for row in rows if row["Title"]}
    assert sum(len(product.images) for product in offered) == len(pictures)
    units = sum(variant.available for product in offered for variant in product.variants)
    assert units == sum(int(row["Variant Inventory Qty"]) for row in variants)
    prices = sorted(v.price.units * 100 + v.price.nanos // 10**7 for product in offered for v in product.variants)
    assert prices == sorted(round(float(row["Variant Price"]) * 100) for row in variants)
    await shop.verify()

    again = await importing(file, "--make-skus", "--publish", "--stock", "--json")

    assert (again.code, again.json["products"]["unchanged"]) == (0, 20)
    assert {p.product_id for p in (await products(shop)).values()} == {p.product_id for p in offered}


async def test_a_table_tells_what_was_refused_and_the_rest_is_in(shop: Shop, importing: Import, file: Path) -> None:
    long_sku = "X" * 65
    outcome = await importing(
        write(
            file,
            ("tee", "Tee", "true", "Size", "S", "TEE-S", "19.90", "5"),
            ("tee", "", "", "", "M", "TEE-M", "19.90", "2"),
            ("Bad Handle", "Bad", "true", "", "", "BAD", "5"),
            ("long", "Long", "true", "Size", "S", "SHORT", "5"),
            ("long", "", "", "", "M", long_sku, "5"),
            ("fine", "Fine", "true", "", "", "FINE", "5.001"),
            ("cap", "Cap", "true", "", "", "TEE-M", "5"),
            ("free", "Free", "true", "", "", "FREE", "0", "3"),
            ("draft", "Draft", "false", "", "", "DRAFT", "5"),
            ("hat", "Hat", "true", "", "", "", "5"),
            ("mug", "Mug", "true", "", "", "MUG", "5", "", "ftp://shop.example/mug.jpg"),
        ),
        "--publish",
        "--stock",
    )

    assert outcome.code == 1
    told = [line.split() for line in outcome.out.splitlines() if line.strip()[:1].isdigit()]
    assert [words[0] for words in told] == ["4", "6", "7", "8", "9", "11", "12"]
    for words, expected in zip(
        told,
        (
            "Bad Handle Handle",
            "long Variant SKU",
            "fine Variant Price EUR has 2 decimals",
            "cap Variant SKU",
            "free Variant Price imported, not published: the price of FREE is zero",
            "hat Variant SKU empty; --make-skus makes it from handle and options: “HAT”",
            "mug Image Src",
        ),
        strict=True,
    ):
        assert " ".join(words[1:]).startswith(expected)
    assert outcome.out.splitlines()[-1] == (
        f"✗ {file}: 11 rows; products: 3 created, 6 refused, 1 published, 3 stock levels set"
    )
    states = {handle: Product.State.Name(product.state) for handle, product in (await products(shop)).items()}
    assert states == {"tee": "STATE_PUBLISHED", "free": "STATE_DRAFT", "draft": "STATE_DRAFT"}
    assert await shop.counters("TEE-S") == (5, 0, 0)
    assert await shop.counters("FREE") == (3, 0, 0)


async def test_a_changed_file_updates_and_never_by_half(shop: Shop, importing: Import, file: Path) -> None:
    await importing(
        write(file, ("tee", "Tee", "", "Size", "S", "TEE-S", "19.90"), ("tee", "", "", "", "M", "TEE-M", "20"))
    )
    before = (await products(shop))["tee"]

    changed = ("tee", "Better tee", "", "Size", "S", "TEE-S", "21.90")
    outcome = await importing(write(file, changed, ("tee", "", "", "", "M", "TEE-M", "dear")))
    assert outcome.code == 1
    assert (await products(shop))["tee"] == before

    outcome = await importing(write(file, changed, ("tee", "", "", "", "M", "TEE-M", "20")))
    assert (outcome.code, outcome.out) == (0, f"✓ {file}: 2 rows; products: 1 updated\n")
    after = (await products(shop))["tee"]
    assert (after.title, after.product_id) == ("Better tee", before.product_id)


STOCK_COLUMNS = (
    "URL handle,Title,SKU,Price,Inventory tracker,Inventory quantity,Continue selling when out of stock,Status"
)


def write_stock(file: Path, *lines: str) -> Path:
    file.write_text("\n".join([STOCK_COLUMNS, *lines, ""]), encoding="utf-8")
    return file


async def level_of(shop: Shop, sku: str) -> StockLevel | None:
    levels = (await shop.pms.inventory.ListStockLevels(ListStockLevelsRequest(sku=sku))).stock_levels
    return levels[0] if levels else None


async def test_policies_of_a_file_become_backorders_and_go_again(shop: Shop, importing: Import, file: Path) -> None:
    line = "print,Print,PRINT,39.00,shopify,0,continue,active"
    outcome = await importing(write_stock(file, line), "--publish", "--stock", "--json")
    assert (outcome.code, outcome.json["backorders_allowed"], outcome.json["published"]) == (0, 1, 1)
    level = await level_of(shop, "PRINT")
    assert level is not None
    assert level.backorder_limit == 1_000_000_000
    await shop.order("PRINT", 5)
    level = await level_of(shop, "PRINT")

    again = await importing(file, "--stock", "--json")
    assert (again.json["backorders_allowed"], again.json["backorders_removed"]) == (0, 0), "it is so already"

    await importing(write_stock(file, line.replace("continue", "deny")))
    assert await level_of(shop, "PRINT") == level, "nothing about stock without --stock"
    denied = await importing(file, "--stock", "--json")
    assert denied.json["backorders_removed"] == 1
    level = await level_of(shop, "PRINT")
    assert level is not None
    assert (level.backorder_limit, level.on_hand, level.allocated) == (0, 0, 5)
    await shop.verify()


async def test_what_is_not_tracked_gets_no_stock_and_no_policy(shop: Shop, importing: Import, file: Path) -> None:
    outcome = await importing(
        write_stock(file, "pattern,Pattern,PATTERN,7.50,,0,deny,active", "card,Card,CARD,2.00,,9,continue,active"),
        "--stock",
        "--json",
    )
    assert (outcome.code, outcome.json["stock_rows"], outcome.json["not_tracked"]) == (0, 0, 2)
    assert [(row["line"], row["reason"]) for row in outcome.json["warnings"]] == [(3, "NOT_TRACKED")]
    assert await level_of(shop, "PATTERN") is None
    assert await level_of(shop, "CARD") is None


async def test_a_warning_is_printed_apart_and_is_no_failure(shop: Shop, importing: Import, file: Path) -> None:
    lines = ("cap,Cap,CAP,24.00,shopify,-3,deny,active", "hat,Hat,HAT,24.00,shopify,-1,deny,active")
    outcome = await importing(write_stock(file, *lines), "--stock")
    assert outcome.code == 0
    assert "2-3 (2 rows)" in outcome.out
    assert outcome.out.count("below zero: set to 0") == 1
    assert outcome.out.splitlines()[-1] == (f"✓ {file}: 2 rows; products: 2 created, 2 stock levels set; 2 warnings")
    assert "read as UTF-8 with cells separated by comma" in outcome.err


async def test_another_delimiter_and_encoding(shop: Shop, importing: Import, file: Path) -> None:
    content = "Handle;Title;SKU;Price\ncafe;Café;CAFE;14,50\n"
    file.write_bytes(content.encode("cp1252"))
    outcome = await importing(file, "--json")
    assert (outcome.code, outcome.json["encoding"], outcome.json["delimiter"]) == (0, "windows-1252", "semicolon")
    assert outcome.json["decimal_commas"] == ["Price"]
    product = (await products(shop))["cafe"]
    assert (product.title, product.variants[0].price.nanos) == ("Café", 500_000_000)

    wrong = await importing(file, "--encoding", "utf-8")
    assert (wrong.code, wrong.out) == (2, "")
    assert "line 2: the byte 0xE9 is not UTF-8" in wrong.err
    unknown = await importing(file, "--delimiter", "dot")
    assert unknown.code == 2
    assert "“dot” is not one of comma, semicolon, tab, pipe" in unknown.err


async def test_a_dry_run_says_what_would_become_of_each_and_writes_nothing(
    shop: Shop, importing: Import, file: Path
) -> None:
    await importing(
        write_stock(
            file,
            "same,Same,SAME,5,shopify,1,deny,active",
            "other,Other,OTHER,5,shopify,1,deny,active",
            "gone,Gone,GONE,5,shopify,,deny,active",
        ),
        "--stock",
    )
    gone = (await products(shop))["gone"]
    await shop.pms.catalog.ArchiveProduct(ArchiveProductRequest(product_id=gone.product_id))
    write_stock(
        file,
        "same,Same,SAME,5,shopify,1,deny,active",
        "other,Other,OTHER,6,shopify,2,continue,active",
        "gone,Gone,GONE,5,shopify,,deny,active",
        "new,New,NEW,5,shopify,7,continue,active",
        "draft,Draft,DRAFT,5,shopify,,deny,draft",
        "free,Free,FREE,0,shopify,,deny,active",
        "taken,Taken,SAME-2,5.001,shopify,,deny,active",
    )

    async with nothing_written(shop.pool):
        outcome = await importing(file, "--publish", "--stock", "--dry-run", "--json")
        printed = await importing(file, "--publish", "--stock", "--dry-run")

    assert (outcome.code, outcome.json["dry_run"]) == (1, True)
    assert outcome.json["products"] == {"created": 3, "updated": 1, "unchanged": 2, "refused": 1}
    planned = {name: outcome.json[name] for name in ("published", "stock_rows", "backorders_allowed")}
    assert planned == {"published": 3, "stock_rows": 3, "backorders_allowed": 2}
    assert [(row["line"], row["handle"], row["reason"]) for row in outcome.json["refused"]] == [
        (4, "gone", "PRODUCT_STATE_INVALID"),
        (7, "free", "PRODUCT_NOT_READY"),
        (8, "taken", "MONEY_INVALID"),
    ]
    assert "would be imported, not published: the product is ARCHIVED; restore it first" in printed.out
    assert printed.out.endswith("nothing was written, this was a dry run\n")
    assert "3 to create, 1 to update, 2 unchanged, 1 refused, 3 to publish" in printed.out

    done = await importing(file, "--publish", "--stock", "--json")
    assert done.json["products"] == outcome.json["products"]
    assert [(row["line"], row["reason"]) for row in done.json["refused"]] == [
        (row["line"], row["reason"]) for row in outcome.json["refused"]
    ]
    assert {name: done.json[name] for name in planned} == planned


async def test_more_products_than_one_call_takes(shop: Shop, importing: Import, file: Path) -> None:
    rows = [(f"p-{n}", f"Product {n}", "", "", "", f"SKU-{n}", "5", "1") for n in range(250)]
    outcome = await importing(write(file, *rows), "--stock", "--json")
    assert outcome.code == 0
    assert (outcome.json["products"]["created"], outcome.json["stock_rows"]) == (250, 250)
    assert await shop.counters("SKU-249") == (1, 0, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"Name,Cost\nTee,5\n", "Title, Price (formerly Variant price), this one has not"),
        (b"Handle,Title,Variant Price\n\xc3\xa9,\xe9,5\n", "line 2: the byte 0xE9 is not UTF-8"),
        (b'Handle,Title,Variant Price\ntee,"Tee,5\n', "a quotation mark opens a cell and none closes it"),
        (None, "no such file or directory"),
    ],
)
async def test_a_file_that_cannot_be_used(
    shop: Shop, importing: Import, file: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        file.write_bytes(content)
    outcome = await importing(file)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"✗ {file}")
    assert message in outcome.err
    assert not await products(shop)


async def test_a_wrong_currency_is_told_for_every_price(importing: Import, file: Path) -> None:
    outcome = await importing(write(file, ("tee", "Tee", "", "", "", "TEE", "19.90")), "--currency", "XXY", "--json")
    assert outcome.code == 1
    (row,) = outcome.json["refused"]
    assert (row["line"], row["field"], row["reason"]) == (2, "Variant Price", "MONEY_INVALID")
    assert "'XXY' is not an ISO 4217 currency code" in row["message"]


async def test_keys_that_may_not(shop: Shop, file: Path, tmp_path: Path) -> None:
    write(file, ("tee", "Tee", "", "", "", "TEE", "19.90"))
    command = ("import", "products", file, "--address", shop.address)

    wrong = await stockward(*command, "--key", "swk_pms_wrong", cwd=tmp_path)
    assert (wrong.code, wrong.out) == (1, "")
    assert "CREDENTIALS_INVALID" in wrong.err

    storefront = await stockward(*command, cwd=tmp_path, STOCKWARD_KEY=KEYS["storefront"])
    assert (storefront.code, storefront.out) == (1, "")
    assert "ROLE_NOT_ALLOWED" in storefront.err

    none = await stockward(*command, cwd=tmp_path)
    assert (none.code, none.err) == (2, f"✗ {shop.address} asks for an API key: give it as --key or in STOCKWARD_KEY\n")


async def test_nobody_to_talk_to(file: Path, tmp_path: Path) -> None:
    write(file, ("tee", "Tee", "", "", "", "TEE", "19.90"))
    nothing = await stockward("import", "products", file, cwd=tmp_path)
    assert (nothing.code, nothing.out) == (3, "")
    assert "No stack was found" in nothing.err

    dead = await stockward("import", "products", file, "--address", "127.0.0.1:1", "--key", "swk_pms_any", cwd=tmp_path)
    assert (dead.code, dead.out) == (3, "")
    assert "The server cannot be reached" in dead.err


async def test_audit(shop: Shop, tmp_path: Path) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("POT", 3)
    await shop.order("TEE", 2)
    command = ("audit", "--address", shop.address, "--key", KEYS["pms"])

    well = await stockward(*command, cwd=tmp_path)
    assert (well.code, well.out) == (0, "✓ 2 stock rows: counters, ledger and open claims agree\n")
    assert (await stockward(*command, "--json", cwd=tmp_path)).json == {"checked": 2, "discrepancies": []}

    await shop.pool.execute("UPDATE stock SET allocated = allocated + 1 WHERE sku = 'TEE'")

    wrong = await stockward(*command, cwd=tmp_path)
    assert wrong.code == 1
    assert "TEE main allocated 3 2 2" in " ".join(wrong.out.split())
    assert "1 counters of 2 stock rows are wrong" in wrong.out
    assert (await stockward(*command, "--sku", "POT", cwd=tmp_path)).code == 0
    as_json = await stockward(*command, "--json", cwd=tmp_path)
    assert as_json.code == 1
    assert [each["counter"] for each in as_json.json["discrepancies"]] == ["allocated"]
