"""Shopify's product CSV: what is read out of it, and what is refused on which line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stockward_server.commands.csv_file import FileUnreadable
from stockward_server.commands.row_problems import RowProblem
from stockward_server.commands.shopify_csv import Contents, ShopifyProduct, read_products, sku_from
from stockward_server.domain.names import sku_fault

HEADER = (
    "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,"
    "Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,"
    "Variant Compare At Price,Variant Barcode,"
    "Image Src,Image Position,Image Alt Text,Variant Image,Cost per item,Status"
)
COLUMNS = HEADER.split(",")


def row(handle: str = "", **cells: str) -> str:
    """One line of the file; keyword `variant_price` is the column Variant Price."""
    named = {name.replace(" ", "_").replace("(", "").replace(")", "").lower(): name for name in COLUMNS}
    tracked = {"Variant Inventory Tracker": "shopify"}
    values = {"Handle": handle} | tracked | {named[name]: cell for name, cell in cells.items()}
    return ",".join(f'"{values[column]}"' if column in values else "" for column in COLUMNS)


def tee(size: str, **cells: str) -> str:
    """A variant of the product `tee`."""
    return row("tee", **{"option1_value": size, "variant_sku": f"TEE-{size}", "variant_price": "19.90"} | cells)


FIRST = tee("S", title="Tee", option1_name="Size")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "products.csv"


def read(file: Path, *lines: str, header: str = HEADER, end: str = "\n", make_skus: bool = False) -> Contents:
    file.write_bytes(end.join([header, *lines, ""]).encode())
    return read_products(file, "EUR", make_skus=make_skus, with_stock=True)


def refused(contents: Contents) -> list[tuple[int, str, str]]:
    return [(each.line, each.field, each.reason) for each in contents.refused]


def test_a_product_over_several_rows(file: Path) -> None:
    contents = read(
        file,
        tee(
            "S",
            title="Tee",
            body_html="<p>Soft</p>",
            vendor="Loom",
            type="Shirt",
            tags="summer, cotton,summer",
            option1_name="Size",
            option2_name="Colour",
            option2_value="Red",
            variant_grams="140.0",
            variant_inventory_qty="7",
            variant_compare_at_price="25",
            cost_per_item="6.505",
            variant_barcode="4006381333931",
            image_src="https://shop.example/2.jpg",
            image_position="2",
        ),
        tee("M", option2_value="Blue", variant_image="https://shop.example/m.jpg"),
        row("tee", image_src="https://shop.example/1.jpg", image_position="1", image_alt_text="Front"),
        row("tee", image_src="https://shop.example/2.jpg", image_position="3"),
    )

    assert not contents.refused
    assert contents.rows == 4
    (product,) = contents.products
    message = product.message
    assert (message.handle, message.title, message.vendor, message.product_type) == ("tee", "Tee", "Loom", "Shirt")
    assert message.description == "<p>Soft</p>"
    assert list(message.tags) == ["summer", "cotton"]
    assert [(image.url[-5:], image.alt_text) for image in message.images] == [("1.jpg", "Front"), ("2.jpg", "")]
    small, medium = message.variants
    assert (small.sku, small.title, dict(small.options)) == ("TEE-S", "S / Red", {"Size": "S", "Colour": "Red"})
    assert (small.price.currency_code, small.price.units, small.price.nanos) == ("EUR", 19, 900_000_000)
    assert (small.compare_at_price.units, small.cost.nanos) == (25, 505_000_000)
    assert (small.weight_grams, small.barcode) == (140, "4006381333931")
    assert (medium.sku, medium.image_url) == ("TEE-M", "https://shop.example/m.jpg")
    assert not medium.HasField("cost")
    assert not medium.HasField("compare_at_price")
    assert product.stock == {"TEE-S": 7}
    assert product.for_sale


PRESENT = {
    "Handle": "URL handle",
    "Body (HTML)": "Description",
    "Published": "Published on online store",
    "Option1 Name": "Option1 name",
    "Variant SKU": "SKU",
    "Variant Grams": "Weight value (grams)",
    "Variant Inventory Tracker": "Inventory tracker",
    "Variant Inventory Qty": "Inventory quantity",
    "Variant Inventory Policy": "Continue selling when out of stock",
    "Variant Price": "Price",
    "Variant Compare At Price": "Compare-at price",
    "Variant Barcode": "Barcode",
    "Image Src": "Product image URL",
    "Variant Image": "Variant image URL",
}


@pytest.mark.parametrize(
    "spelling",
    [
        lambda name: PRESENT.get(name, name),
        lambda name: PRESENT.get(name, name) if "Variant" in name else name,
        lambda name: f"  {PRESENT.get(name, str(name)).upper()} ",
        lambda name: name.lower().replace(" ", "_"),
    ],
    ids=["present", "mixed", "capitals and blanks", "underscores"],
)
def test_every_spelling_gives_the_same_products(file: Path, spelling: Callable[[str], str]) -> None:
    lines = [
        tee(
            "S",
            title="Tee",
            body_html="<p>Soft</p>",
            vendor="Loom",
            type="Shirt",
            tags="summer",
            published="TRUE",
            status="Active",
            option1_name="Size",
            variant_inventory_qty="7",
            variant_inventory_policy="CONTINUE",
            variant_grams="140",
            variant_compare_at_price="25",
            cost_per_item="6.50",
            variant_barcode="4006381333931",
            image_src="https://shop.example/1.jpg",
            image_position="1",
            image_alt_text="Front",
            variant_image="https://shop.example/s.jpg",
        ),
        tee("M", variant_inventory_tracker=""),
        row("tee", image_src="https://shop.example/2.jpg"),
    ]
    former = read(file, *lines)
    other = read(file, *lines, header=",".join(spelling(name) for name in COLUMNS))
    assert not former.refused + other.refused + former.ignored + other.ignored
    assert [facts(each) for each in other.products] == [facts(each) for each in former.products]


def facts(product: ShopifyProduct) -> object:
    return product.message, product.stock, product.backorders, product.for_sale


def test_two_columns_for_the_same_must_not_contradict_each_other(file: Path) -> None:
    rows = ("tee,tee,Tee,TEE,5,", "pot,,Pot,POT,,5.00", "mug,mug,Mug,MUG,5,6.00", "cap,hat,Cap,CAP,5,")
    contents = read(file, *rows, header="Handle,URL handle,Title,SKU,Price,Variant Price")
    assert [product.message.handle for product in contents.products] == ["tee", "pot"]
    assert [(each.line, each.field, each.value) for each in contents.refused] == [
        (4, "Price", "5 / 6.00"),
        (5, "Handle", "cap / hat"),
    ]


def test_columns_without_a_meaning_are_listed_when_something_is_in_them(file: Path) -> None:
    contents = read(file, "tee,Tee,TEE,5,FALSE,,x", header="Handle,Title,SKU,Price,Gift Card,SEO Title,Colour")
    assert contents.ignored == ["Gift Card", "Colour"]


def test_what_sells_on_when_it_is_out_of_stock(file: Path) -> None:
    policies = {"A": "continue", "B": "CONTINUE", "C": "TRUE", "D": "deny", "E": "Deny", "F": ""}
    contents = read(
        file,
        FIRST,
        *(tee(size, variant_inventory_policy=policy) for size, policy in policies.items()),
    )
    backorders = contents.products[0].backorders
    assert [sku for sku, on in backorders.items() if on] == ["TEE-A", "TEE-B", "TEE-C"]
    assert len(backorders) == 7
    silent = read(file, "tee,Tee,TEE,5", header="Handle,Title,SKU,Price")
    assert silent.products[0].backorders == {}, "a file without the column changes no policy"


@pytest.mark.parametrize(
    ("tracker", "untracked", "warning"),
    [
        ("shopify", False, ""),
        ("Shopify", False, ""),
        ("", True, ""),
        ("not tracked", True, ""),
        ("amazon_marketplace", False, "TRACKER_UNKNOWN"),
    ],
)
def test_what_is_not_tracked_never_runs_out(file: Path, tracker: str, untracked: bool, warning: str) -> None:
    contents = read(file, tee("S", title="Tee", option1_name="Size", variant_inventory_tracker=tracker))
    assert contents.products[0].message.variants[0].untracked is untracked
    assert [(each.reason, each.value) for each in contents.warnings] == ([(warning, tracker)] if warning else [])


def test_a_file_without_the_column_for_trackers_counts_everything(file: Path) -> None:
    contents = read(file, "tee,Tee,TEE,5,3", header="Handle,Title,SKU,Price,Inventory quantity")
    assert not contents.products[0].message.variants[0].untracked
    assert contents.products[0].stock == {"TEE": 3}


def test_quantities_of_what_is_not_tracked_are_not_used_and_this_is_said(file: Path) -> None:
    cells = {"variant_inventory_tracker": "", "variant_inventory_policy": "continue"}
    contents = read(
        file,
        tee("S", title="Tee", option1_name="Size", variant_inventory_qty="0", **cells),
        tee("M", variant_inventory_qty="4", **cells),
    )
    assert (contents.products[0].stock, contents.products[0].backorders) == ({}, {})
    assert [(each.line, each.reason) for each in contents.warnings] == [(3, "NOT_TRACKED")]


def test_a_quantity_below_zero_is_a_warning_and_the_stock_is_zero(file: Path) -> None:
    contents = read(file, tee("S", title="Tee", option1_name="Size", variant_inventory_qty="-3"), tee("M"))
    assert contents.products[0].stock == {"TEE-S": 0}
    (warning,) = contents.warnings
    assert (warning.line, warning.field, warning.reason) == (2, "Variant Inventory Qty", "QUANTITY_NEGATIVE")
    assert (warning.message, warning.value) == (
        "below zero: set to 0, as units on hand cannot be negative; what is owed belongs to orders",
        "-3",
    )


def test_a_refused_product_has_no_warnings(file: Path) -> None:
    contents = read(
        file, tee("S", title="Tee", option1_name="Size", variant_inventory_qty="-3"), tee("M", variant_price="x")
    )
    assert (len(contents.refused), contents.warnings) == (1, [])


@pytest.mark.parametrize(
    ("cells", "field", "message"),
    [
        ({"published": "maybe"}, "Published", "none of true, yes, false, no or an empty cell"),
        ({"status": "aktiv"}, "Status", "none of active, draft, archived, unlisted or an empty cell"),
        (
            {"variant_inventory_policy": "sometimes"},
            "Variant Inventory Policy",
            "none of continue, true, yes, deny, false, no or an empty cell",
        ),
    ],
)
def test_a_word_that_decides_whether_something_sells_is_understood_or_refused(
    file: Path, cells: dict[str, str], field: str, message: str
) -> None:
    contents = read(file, tee("S", title="Tee", option1_name="Size", **cells))
    assert [(each.field, each.message, each.value) for each in contents.refused] == [(field, message, *cells.values())]


def test_decimal_commas_of_a_column_are_understood_when_all_of_it_has_them(file: Path) -> None:
    header = "Handle;Title;SKU;Price;Compare-at price;Cost per item"
    rows = ("a;A;A;14,50;20.00;1,5", "b;B;B;7;18,00;", "c;C;C;1,299;;", "d;D;D;1.299,00;;")
    contents = read(file, *rows, header=header)
    (product,) = contents.products
    variant = product.message.variants[0]
    assert contents.decimal_commas == ["Price", "Cost per item"]
    assert (variant.price.units, variant.price.nanos, variant.cost.nanos) == (14, 500_000_000, 500_000_000)
    assert [(each.line, each.field, each.message) for each in contents.refused] == [
        (3, "Compare-at price", "a decimal comma, while other rows of this column have a point; write all one way"),
        (4, "Price", "not a number such as 19.90, without currency and thousands separator"),
        (5, "Price", "not a number such as 19.90, without currency and thousands separator"),
    ]


def test_names_are_the_same_in_any_normal_form(file: Path) -> None:
    rows = ("cafe\u0301,Café,CAFE\u0301,5", "café,,CAFÉ-2,5", "pot,Pot,CAFÉ,5")
    contents = read(file, *rows, header="Handle,Title,SKU,Price")
    assert [[each.sku for each in product.message.variants] for product in contents.products] == [["CAFÉ", "CAFÉ-2"]]
    assert [(each.line, each.reason) for each in contents.refused] == [(4, "SKU_TAKEN")]


def test_a_sku_that_the_file_has_twice_is_refused_where_it_comes_again(file: Path) -> None:
    contents = read(file, FIRST, row("pot", title="Pot", variant_price="5", variant_sku="TEE-S"), tee("S"))
    assert [(each.line, each.name, each.reason, each.message) for each in contents.refused] == [
        (4, "tee", "SKU_TAKEN", "line 2 has this SKU, too; each variant needs its own"),
        (3, "pot", "SKU_TAKEN", "line 2 has this SKU, too; each variant needs its own"),
    ]


def test_a_product_without_options(file: Path) -> None:
    line = row(
        "pot", title="Pot", option1_name="Title", option1_value="Default Title", variant_price="5", variant_sku="P"
    )
    (product,) = read(file, line).products
    assert product.message.variants[0].title == ""
    assert not product.message.variants[0].options


@pytest.mark.parametrize("cells", [{"published": "FALSE"}, {"published": "true", "status": "draft"}])
def test_what_the_file_keeps_off_the_storefront(file: Path, cells: dict[str, str]) -> None:
    (product,) = read(file, tee("S", title="Tee", option1_name="Size", **cells)).products
    assert not product.for_sale


def test_rows_of_a_product_need_not_stand_together(file: Path) -> None:
    contents = read(file, FIRST, row("pot", title="Pot", variant_price="5", variant_sku="P"), tee("M"))
    assert [len(product.message.variants) for product in contents.products] == [2, 1]


def test_byte_order_mark_crlf_quotes_and_lines_within_a_cell(file: Path) -> None:
    two_lines = tee("S", title="Tee", option1_name="Size", body_html='He said ""soft"",\r\nand smooth')
    contents = read(file, two_lines, "", tee("M"), tee("L", variant_price="?"), header="\ufeff" + HEADER, end="\r\n")
    assert refused(contents) == [(6, "Variant Price", "FIELD_INVALID")]  # the cell over two lines and a blank one count

    contents = read(file, two_lines, "", tee("M"), header="\ufeff" + HEADER, end="\r\n")
    assert contents.products[0].message.description == 'He said "soft",\r\nand smooth'
    assert contents.products[0].variant_lines == [2, 5]


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("product.variants[1].price", (3, "Variant Price")),
        ("variants[0].sku", (2, "Variant SKU")),
        ("product.variants[1]", (3, "Variant Price")),
        ('product.variants[1].options["Size"]', (3, "Option1 Value")),
        ("product.images[0].url", (4, "Image Src")),
        ("product.images[0].alt_text", (4, "Image Alt Text")),
        ("product.tags[7]", (2, "Tags")),
        ("product.handle", (2, "Handle")),
        ("product.variants", (2, "Variant Price")),
        ("", (2, "")),
        ("state", (2, "")),
    ],
)
def test_a_complaint_of_the_server_finds_its_cell(file: Path, path: str, origin: tuple[int, str]) -> None:
    (product,) = read(file, FIRST, tee("M"), row("tee", image_src="https://shop.example/1.jpg")).products
    assert product.origin(path) == origin


def test_empty_skus_are_refused_or_made(file: Path) -> None:
    lines = [tee("S", title="Tee", option1_name="Size"), tee("X L", variant_sku="")]

    contents = read(file, *lines)
    words = "empty; --make-skus makes it from handle and options"
    assert contents.refused == [RowProblem(3, "tee", "Variant SKU", "SKU_MISSING", words, "TEE-X-L")]
    assert (contents.products, contents.products_refused) == ([], 1)

    (product,) = read(file, *lines, make_skus=True).products
    assert [variant.sku for variant in product.message.variants] == ["TEE-S", "TEE-X-L"]


def test_made_skus_fit_and_stay_apart() -> None:
    assert sku_from("a" * 64, []) == "A" * 64
    long, other = sku_from("a" * 70, ["S"]), sku_from("a" * 70, ["M"])
    assert len(long) == len(other) == 64
    assert long != other
    assert long == sku_from("a" * 70, ["S"])


def test_skus_are_made_of_any_script() -> None:
    """Options that only differ in another script stay apart; what was made of Latin letters stays what it was."""
    assert sku_from("tシャツ", ["赤 L"]) == "Tシャツ-赤-L"
    assert sku_from("tee", ["Größe"]) == "TEE-GR-SSE"
    assert sku_from("tee", ["赤"]) != sku_from("tee", ["青"])
    long = sku_from("緑" * 60, ["赤"])
    assert sku_fault(long) is None
    assert long != sku_from("緑" * 60, ["青"])


def test_a_file_may_have_either_form_of_unicode(file: Path) -> None:
    """Rows whose handles differ in form only belong together."""
    first = row(
        "cafe\u0301", title="Café", option1_name="S", option1_value="1", variant_sku="GRU\u0308N", variant_price="1"
    )
    second = row("café", option1_value="2", variant_sku="緑", variant_price="1")
    (product,) = read(file, first, second).products
    assert product.message.handle == "café"
    assert [variant.sku for variant in product.message.variants] == ["GRÜN", "緑"]


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"variant_price": ""}, "Variant Price"),
        ({"variant_price": "1,299.00"}, "Variant Price"),
        ({"variant_price": "-1"}, "Variant Price"),
        ({"variant_price": "€ 5"}, "Variant Price"),
        ({"variant_price": "٣"}, "Variant Price"),
        ({"variant_price": "0.1234567891"}, "Variant Price"),
        ({"variant_compare_at_price": "n/a"}, "Variant Compare At Price"),
        ({"cost_per_item": "cheap"}, "Cost per item"),
        ({"variant_grams": "2 kg"}, "Variant Grams"),
        ({"variant_inventory_qty": "1.5"}, "Variant Inventory Qty"),
        ({"variant_inventory_policy": "maybe"}, "Variant Inventory Policy"),
        ({"variant_grams": "1,000"}, "Variant Grams"),
        ({"image_src": "https://shop.example/1.jpg", "image_position": "first"}, "Image Position"),
        ({"option1_value": ""}, "Option1 Value"),
        ({"option2_value": "Red"}, "Option2 Name"),
    ],
)
def test_a_bad_cell_is_refused_with_its_product(file: Path, cells: dict[str, str], field: str) -> None:
    contents = read(file, FIRST, tee("M", **cells))
    assert refused(contents) == [(3, field, "FIELD_INVALID")]
    assert not contents.products


def test_every_bad_row_is_told_and_other_products_go_on(file: Path) -> None:
    contents = read(
        file,
        row("untitled", variant_price="5", variant_sku="U"),
        row("", title="Whose?", variant_price="5"),
        FIRST,
        row("tee"),
        "tee,Tee",
        row("pot", title="Pot", variant_price="5", variant_sku="P"),
        f"{tee('M')},,",
    )
    assert refused(contents) == [
        (3, "Handle", "FIELD_INVALID"),
        (2, "Title", "FIELD_INVALID"),
        (5, "", "ROW_MALFORMED"),
        (6, "", "ROW_MALFORMED"),
        (8, "", "ROW_MALFORMED"),
    ]
    assert contents.refused[-1].message == "the row has 27 cells, the header has 25"
    assert [product.message.handle for product in contents.products] == ["pot"]
    assert (contents.rows, contents.products_refused) == (7, 2)


def test_quantities_and_policies_matter_only_when_stock_is_set(file: Path) -> None:
    read(file, tee("S", title="Tee", option1_name="Size", variant_inventory_qty="x", variant_inventory_policy="y"))
    contents = read_products(file, "EUR")
    assert not contents.refused
    assert (contents.products[0].stock, contents.products[0].backorders) == ({}, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\r\n\r\n", "the file is empty"),
        (HEADER.encode(), "there is no row below the header"),
        (
            b"Name,Cost\nTee,5\n",
            "URL handle (formerly Handle), Title, Price (formerly Variant price), this one has not",
        ),
        (b"Handle,Title,Cost\ntee,Tee,5\n", "has the column Price (formerly Variant price), this one has not"),
        (b"Handle:Title:Price\n", "are its cells separated otherwise? --delimiter says how"),
        (b"Handle,Title,Variant Price,Title\n", "has the column “Title” twice"),
    ],
)
def test_files_that_are_no_product_csv(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(FileUnreadable) as error:
        read_products(file, "EUR")
    assert str(error.value).startswith(str(file))
    assert message in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="no such file or directory"):
        read_products(tmp_path / "missing.csv", "EUR")
    with pytest.raises(FileUnreadable, match="is a directory"):
        read_products(tmp_path, "EUR")
