"""`stockward import products`: files as people have them, on a running server."""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from stockward.catalog.v1.catalog_pb2 import (
    ListAvailableProductsRequest,
    ListProductsRequest,
    Product,
)

from stockward_server.embedded import free_port
from tests.shop import KEYS, Shop
from tests.terminal import Outcome, stockward

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
async def test_a_real_file(shop: Shop, importing: Import, shared_data: Path, name: str) -> None:
    file = shared_data / f"shopify-{name}.csv"
    with file.open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
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
            "hat Variant SKU empty; --make-skus would make it HAT",
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
        (b"Name,Price\nTee,5\n", "Handle, Title, Variant Price, this one has not"),
        ("Handle,Title,Variant Price\ncaf\xe9,Caf\xe9,5\n".encode("latin-1"), "line 2: this is not UTF-8"),
        (b'Handle,Title,Variant Price\ntee,"Tee,5\n', "a quotation mark too few or too many?"),
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
    assert "Nothing is running here: start it with `make run`" in nothing.err

    dead = await stockward(
        "import", "products", file, "--address", f"127.0.0.1:{free_port()}", "--key", "swk_pms_any", cwd=tmp_path
    )
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
