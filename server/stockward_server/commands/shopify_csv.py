"""Shopify's product CSV, read into products of the contract; what cannot be taken is told by line and column.

The format: one row a variant, the rows of a product share its handle, and the first of them has what belongs to the
product as a whole. A row with nothing but a handle and an image adds a picture. A product without options is written as
the one option `Title` with the value `Default Title`.

A product is taken whole or not at all: one bad row keeps the others with its handle out. Columns that Stockward has no
field for are ignored. Rules of the contract (lengths, patterns, currencies) are left to the server;
`ShopifyProduct.origin` says which cell a complaint of it is about.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from google.type.money_pb2 import Money
from stockward.catalog.v1.catalog_pb2 import Image, Product, Variant

from stockward_server.commands.texts import PRICE, amount
from stockward_server.domain.names import MAX_SKU, MAX_SKU_BYTES, handle_from, normal_name, sku_fault

REQUIRED = ("Handle", "Title", "Variant Price")
"""Columns without which it is another format."""

_COLUMNS = {
    "handle": "Handle",
    "title": "Title",
    "description": "Body (HTML)",
    "vendor": "Vendor",
    "product_type": "Type",
    "tags": "Tags",
    "images": "Image Src",
    "images.alt_text": "Image Alt Text",
    "variants": "Variant Price",
    "variants.sku": "Variant SKU",
    "variants.title": "Option1 Value",
    "variants.options": "Option1 Value",
    "variants.compare_at_price": "Variant Compare At Price",
    "variants.cost": "Cost per item",
    "variants.barcode": "Variant Barcode",
    "variants.weight_grams": "Variant Grams",
    "variants.image_url": "Variant Image",
}
_PATH = re.compile(r"(?:product\.)?(?P<part>\w+)(?:\[(?P<index>\d+)\])?(?P<rest>\.\w+)?")
_NOT_FOR_SALE = {("Published", "false"), ("Status", "draft"), ("Status", "archived"), ("Status", "unlisted")}


class FileUnreadable(Exception):
    """The file as a whole cannot be taken; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not taken, and why."""

    line: int
    """Where the row begins; the header is line 1."""
    handle: str
    field: str
    """Column at fault; empty when it is the row as a whole."""
    reason: str
    """For scripts: SKU_MISSING, FIELD_INVALID, ROW_MALFORMED, or a reason of the contract."""
    message: str
    """For people."""


@dataclass(frozen=True, slots=True)
class ShopifyProduct:
    """One product of the file."""

    message: Product
    for_sale: bool
    """What the columns Published and Status say."""
    stock: Mapping[str, int]
    """Units by SKU, of the variants that state a quantity."""
    line: int
    variant_lines: Sequence[int]
    image_lines: Sequence[int]

    def line_of(self, sku: str) -> int:
        """Where the variant stands."""
        skus = [variant.sku for variant in self.message.variants]
        return self.variant_lines[skus.index(sku)]

    def origin(self, path: str) -> tuple[int, str]:
        """Line and column that a field of the contract came from, such as `product.variants[1].price`."""
        match = _PATH.match(path)
        if match is None:
            return self.line, ""
        part, index = match["part"], int(match["index"] or 0)
        lines = {"variants": self.variant_lines, "images": self.image_lines}.get(part, ())
        column = _COLUMNS.get(f"{part}{match['rest'] or ''}") or _COLUMNS.get(part, "")
        return (lines[index] if index < len(lines) else self.line), column


@dataclass(slots=True)
class Contents:
    """What a file holds."""

    rows: int = 0
    """Rows below the header; blank lines do not count."""
    products: list[ShopifyProduct] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    products_refused: int = 0


class _Refused(Exception):
    def __init__(self, field: str, message: str, reason: str = "FIELD_INVALID") -> None:
        self.field, self.message, self.reason = field, message, reason


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    values: Mapping[str, str]
    problem: str = ""

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "").strip()

    def number(self, column: str, pattern: str, example: str) -> str:
        """The cell when it looks like the example; empty when it is empty."""
        text = self[column]
        if text and not re.fullmatch(pattern, text, re.ASCII):
            raise _Refused(column, f"{text!r} is not a number such as {example}")
        return text

    def money(self, column: str, currency: str) -> Money | None:
        text = self.number(column, PRICE.pattern, "19.90")
        return amount(text, currency) if text else None

    def options(self, first: _Row) -> dict[str, str]:
        """Option values by name; the names are in the product's first row."""
        options: dict[str, str] = {}
        for number in (1, 2, 3):
            name, value = first[f"Option{number} Name"], self[f"Option{number} Value"]
            if (name, value) in (("", ""), ("Title", "Default Title")):
                continue
            if not name or name in options:
                raise _Refused(f"Option{number} Name", f"{name!r} names no option of its own for {value!r}")
            if not value:
                raise _Refused(f"Option{number} Value", f"empty, but the product has the option {name!r}")
            options[name] = value
        return options

    @property
    def has_variant(self) -> bool:
        return any(self[column] for column in ("Option1 Value", "Variant SKU", "Variant Price"))


def read_products(path: Path, currency: str, *, make_skus: bool = False, with_stock: bool = False) -> Contents:
    """Everything that the file holds; prices are in `currency` (ISO 4217).

    `make_skus` derives the SKUs that are empty; otherwise their rows are refused. `with_stock` reads the quantities.
    Raises FileUnreadable.
    """
    contents = Contents()
    groups: dict[str, list[_Row]] = {}
    for row in _rows(path):
        contents.rows += 1
        if handle := normal_name(row["Handle"]):
            groups.setdefault(handle, []).append(row)
        else:
            problem = row.problem or "empty, so it is not known which product the row belongs to"
            reason = "ROW_MALFORMED" if row.problem else "FIELD_INVALID"
            contents.refused.append(RefusedRow(row.line, "", "" if row.problem else "Handle", reason, problem))
    for handle, rows in groups.items():
        found = _product(handle, rows, currency, make_skus, with_stock)
        if isinstance(found, ShopifyProduct):
            contents.products.append(found)
        else:
            contents.refused += found
            contents.products_refused += 1
    if not contents.rows:
        raise FileUnreadable(f"{path}: there is no row below the header")
    return contents


def sku_from(handle: str, options: Sequence[str]) -> str:
    """HANDLE-OPTION-OPTION: always the same for the same variant, so that a file can be imported again."""
    sku = "-".join(map(_capitals, (handle, *options)))
    if not sku or sku_fault(sku) is None:
        return sku
    digest = blake2b(sku.encode(), digest_size=4).hexdigest().upper()
    kept = sku[: MAX_SKU - len(digest) - 1].encode()[: MAX_SKU_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{kept}-{digest}"


def _capitals(part: str) -> str:
    """The part in the letters A to Z and digits; where it is in another script, in that."""
    words = handle_from(part)
    return re.sub(r"[^A-Z0-9]+", "-", part.upper()).strip("-") if words.isascii() else normal_name(words.upper())


def _rows(path: Path) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    columns: list[str] = []
    while True:
        line = reader.line_num + 1  # a quoted cell may go over several lines: this is where the row begins
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise FileUnreadable(
                f"{path}, from line {line} on: {error} (a quotation mark too few or too many?)"
            ) from None
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if not columns:
            columns = _header(path, cells)
        elif len(cells) == len(columns):
            yield _Row(line, dict(zip(columns, cells, strict=True)))
        else:
            problem = f"the row has {len(cells)} cells, the header has {len(columns)}"
            yield _Row(line, dict(zip(columns, cells, strict=False)), problem)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise FileUnreadable(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileUnreadable(f"{path}, line {line}: this is not UTF-8; save the file as CSV in UTF-8") from None
    if not text.strip():
        raise FileUnreadable(f"{path}: the file is empty")
    return text


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    missing = [column for column in REQUIRED if column not in columns]
    if missing:
        hint = "; its cells must be separated by commas" if len(columns) == 1 and re.search("[;\t]", columns[0]) else ""
        raise FileUnreadable(
            f"{path}: the header of Shopify's product CSV has the column{'s' * (len(missing) > 1)} "
            f"{', '.join(missing)}, this one has not{hint}"
        )
    twice = [column for column in dict.fromkeys(columns) if column and columns.count(column) > 1]
    if twice:
        raise FileUnreadable(f"{path}: the header has the column {twice[0]} twice")
    return columns


def _product(
    handle: str, rows: Sequence[_Row], currency: str, make_skus: bool, with_stock: bool
) -> ShopifyProduct | list[RefusedRow]:
    first = rows[0]
    refused: list[RefusedRow] = []
    variants: list[Variant] = []
    variant_lines: list[int] = []
    images: dict[str, tuple[int, Image, int]] = {}
    stock: dict[str, int] = {}
    for row in rows:
        try:
            if row.problem:
                raise _Refused("", row.problem, "ROW_MALFORMED")
            if row is first and not row["Title"]:
                raise _Refused("Title", "empty in the product's first row")
            if row is first or row.has_variant:
                variant = _variant(row, row.options(first), currency, make_skus)
                variants.append(variant)
                variant_lines.append(row.line)
                if with_stock and (units := _units(row)) is not None:
                    stock[variant.sku] = units
            elif not row["Image Src"]:
                raise _Refused("", "the row has neither a variant nor an image", "ROW_MALFORMED")
            if url := row["Image Src"]:
                position = int(row.number("Image Position", r"\d{1,6}", "1") or 10**6)
                images.setdefault(url, (position, Image(url=url, alt_text=row["Image Alt Text"]), row.line))
        except _Refused as problem:
            refused.append(RefusedRow(row.line, handle, problem.field, problem.reason, problem.message))
    if refused:
        return refused
    pictures = sorted(images.values(), key=lambda image: image[0])
    return ShopifyProduct(
        Product(
            handle=handle,
            title=first["Title"],
            description=first["Body (HTML)"],
            vendor=first["Vendor"],
            product_type=first["Type"],
            tags=dict.fromkeys(tag.strip() for tag in first["Tags"].split(",") if tag.strip()),
            images=[image for _, image, _ in pictures],
            variants=variants,
        ),
        for_sale=not any((column, first[column].lower()) in _NOT_FOR_SALE for column in ("Published", "Status")),
        stock=stock,
        line=first.line,
        variant_lines=variant_lines,
        image_lines=[line for _, _, line in pictures],
    )


def _variant(row: _Row, options: Mapping[str, str], currency: str, make_skus: bool) -> Variant:
    price = row.money("Variant Price", currency)
    if price is None:
        raise _Refused("Variant Price", "empty")
    made = sku_from(row["Handle"], list(options.values()))
    sku = row["Variant SKU"] or (made if make_skus else "")
    if not sku:
        raise _Refused("Variant SKU", f"empty; --make-skus would make it {made}", "SKU_MISSING")
    return Variant(
        sku=normal_name(sku),
        title=" / ".join(options.values()),
        price=price,
        compare_at_price=row.money("Variant Compare At Price", currency),
        cost=row.money("Cost per item", currency),
        options=options,
        barcode=row["Variant Barcode"],
        weight_grams=round(float(row.number("Variant Grams", r"\d{1,9}(\.\d+)?", "250") or 0)),
        image_url=row["Variant Image"],
    )


def _units(row: _Row) -> int | None:
    text = row.number("Variant Inventory Qty", r"-?\d{1,9}", "12")
    if text.startswith("-"):
        raise _Refused(
            "Variant Inventory Qty", f"{text}: units on hand cannot be negative; what is owed belongs to orders"
        )
    return int(text) if text else None
