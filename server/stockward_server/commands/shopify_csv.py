"""Shopify's product CSV, read into products of the contract; what is wrong is reported by line and column.

The format: one row a variant, the rows of a product share its handle, and the first of them has what belongs to the
product as a whole. A row with nothing but a handle and an image adds a picture. A product without options is written as
the one option `Title` with the value `Default Title`.

A product is imported whole or not at all: one bad row keeps the others with its handle out. A column that Stockward has
no field for is ignored, and listed. One that decides whether something sells (tracker, policy, quantity, status,
published) is understood, refused or warned about, never dropped. Rules of the contract (lengths, currencies) are left
to the server; `ShopifyProduct.origin` says which cell its refusal is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path

from google.type.money_pb2 import Money
from stockward.catalog.v1.catalog_pb2 import Image, Product, Variant

from stockward_server.commands.csv_file import CsvFile, FileUnreadable, read_csv
from stockward_server.commands.parsers import PRICE, amount
from stockward_server.commands.row_problems import RowProblem
from stockward_server.commands.shopify_columns import BY_SPELLING, COLUMNS, ORIGINS, REQUIRED, spelled, words
from stockward_server.domain.names import MAX_SKU, MAX_SKU_BYTES, handle_from, normal_name, sku_fault

NAMES = ("handle", "sku")
"""Columns with names, which are the same in any of Unicode's normal forms."""

NUMBERS = ("price", "compare_at_price", "cost", "grams")
"""Columns that may have decimals."""

PUBLISHED = {"true": True, "yes": True, "": True, "false": False, "no": False}
STATUSES = {"active": True, "": True, "draft": False, "archived": False, "unlisted": False}
"""Whether what is marked so is for sale; both columns must agree that it is. An empty cell means what it does to
Shopify."""

POLICIES = {"continue": True, "true": True, "yes": True, "deny": False, "false": False, "no": False, "": False}
"""Whether a variant sells on when it is out of stock."""

TRACKERS = {"shopify": True, "stockward": True, "": False, "not tracked": False}
"""Whether units are counted. What is not tracked never runs out. The tracker of another system counts as one."""

_PATH = re.compile(r"(?:product\.)?(?P<part>\w+)(?:\[(?P<index>\d+)\])?(?P<rest>\.\w+)?")


@dataclass(frozen=True, slots=True)
class ShopifyProduct:
    """One product of the file."""

    message: Product
    for_sale: bool
    """Whether the columns for publication and status say so."""
    stock: Mapping[str, int]
    """Units by SKU, of the tracked variants that state a quantity."""
    backorders: Mapping[str, bool]
    """Whether it sells on when it is out of stock, by SKU, of the tracked variants of a file that says so."""
    line: int
    variant_lines: Sequence[int]
    image_lines: Sequence[int]
    columns: Mapping[str, str]
    """How the file spells its columns, by what they are about."""

    def line_of(self, sku: str) -> int:
        """Returns the line of the variant."""
        skus = [variant.sku for variant in self.message.variants]
        return self.variant_lines[skus.index(sku)]

    def origin(self, path: str) -> tuple[int, str]:
        """Returns line and column that a field of the contract came from, such as `product.variants[1].price`."""
        match = _PATH.match(path)
        if match is None:
            return self.line, ""
        part, index = match["part"], int(match["index"] or 0)
        lines = {"variants": self.variant_lines, "images": self.image_lines}.get(part, ())
        about = ORIGINS.get(f"{part}{match['rest'] or ''}") or ORIGINS.get(part, "")
        return (lines[index] if index < len(lines) else self.line), self.columns.get(about, "")


@dataclass(slots=True)
class Contents:
    """What a file holds."""

    read_as: CsvFile
    rows: int = 0
    """Rows below the header; blank lines do not count."""
    products: list[ShopifyProduct] = field(default_factory=list)
    refused: list[RowProblem] = field(default_factory=list)
    products_refused: int = 0
    warnings: list[RowProblem] = field(default_factory=list)
    """What was understood otherwise than it is written; these rows are imported."""
    ignored: list[str] = field(default_factory=list)
    """Columns without a meaning here that have something in them."""
    decimal_commas: list[str] = field(default_factory=list)
    """Columns whose 14,50 was read as 14.50."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """How the file spells the columns that were understood, by what they are about."""


class _Refused(Exception):
    def __init__(self, about: str, message: str, value: str = "", reason: str = "FIELD_INVALID") -> None:
        self.about, self.message, self.value, self.reason = about, message, value, reason


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: Mapping[str, str]
    """By what the column is about."""
    problem: _Refused | None = None

    def __getitem__(self, about: str) -> str:
        return self.cells.get(about, "")

    def number(self, about: str, pattern: str, example: str) -> str:
        """Returns the cell when it looks like the example; empty when it is empty."""
        text = self[about]
        if not text or re.fullmatch(pattern, text, re.ASCII):
            return text
        if about in NUMBERS and re.fullmatch(r"\d+,\d{1,2}", text, re.ASCII):
            raise _Refused(
                about, "a decimal comma, while other rows of this column have a point; write all one way", text
            )
        raise _Refused(about, f"not a number such as {example}", text)

    def money(self, about: str, currency: str) -> Money | None:
        text = self.number(about, PRICE.pattern, "19.90, without currency and thousands separator")
        return amount(text, currency) if text else None

    def word(self, about: str, meanings: Mapping[str, bool]) -> bool:
        """Returns what the cell means."""
        meaning = meanings.get(self[about].casefold())
        if meaning is None:
            allowed = ", ".join(word for word in meanings if word)
            raise _Refused(about, f"none of {allowed} or an empty cell", self[about])
        return meaning

    def options(self, first: _Row) -> dict[str, str]:
        """Returns option values by name; the names are in the product's first row."""
        options: dict[str, str] = {}
        for number in (1, 2, 3):
            name, value = first[f"option{number}_name"], self[f"option{number}_value"]
            if (name, value) in (("", ""), ("Title", "Default Title")):
                continue
            if not name:
                raise _Refused(f"option{number}_name", "empty in the product's first row, but a row has a value for it")
            if name in options:
                raise _Refused(f"option{number}_name", "the product has this option twice", name)
            if not value:
                raise _Refused(f"option{number}_value", "empty, but the product has this option", name)
            options[name] = value
        return options

    @property
    def has_variant(self) -> bool:
        return any(self[about] for about in ("option1_value", "sku", "price"))


def read_products(
    file: Path,
    currency: str,
    *,
    make_skus: bool = False,
    with_stock: bool = False,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Contents:
    """Everything that the file holds; prices are in `currency` (ISO 4217).

    `make_skus` derives the SKUs that are empty; otherwise their rows are refused. `with_stock` reads quantities and
    policies. A delimiter or encoding that is None is found. Raises FileUnreadable.
    """
    table = read_csv(file, delimiter=delimiter, encoding=encoding)
    places, ignored = _header(file, table)
    columns = {about: table.columns[at[0]] for about, at in places.items()}
    rows = list(_rows(table, places))
    commas = [about for about in NUMBERS if _has_decimal_commas(rows, about)]
    contents = Contents(
        table,
        rows=len(rows),
        ignored=[
            table.columns[at] for at in ignored if any("".join(row.cells[at : at + 1]).strip() for row in table.rows)
        ],
        decimal_commas=[columns[about] for about in commas],
        columns=columns,
    )
    reader = _Reader(contents, currency, make_skus, with_stock)
    groups: dict[str, list[_Row]] = {}
    for row in (_with_points(row, commas) for row in rows):
        groups.setdefault(row["handle"], []).append(row)
    for row in groups.pop("", []):
        unknown = _Refused("handle", "empty, so it is not known which product the row belongs to")
        reader.refuse(row, row.problem or unknown)
    for group in groups.values():
        reader.read(group)
    if not rows:
        raise FileUnreadable(f"{file}: there is no row below the header")
    return contents


def sku_from(handle: str, options: Iterable[str]) -> str:
    """Returns HANDLE-OPTION-OPTION: always the same for the same variant, so that a file can be imported again."""
    sku = "-".join(map(_capitals, (handle, *options)))
    if not sku or sku_fault(sku) is None:
        return sku
    digest = blake2b(sku.encode(), digest_size=4).hexdigest().upper()
    kept = sku[: MAX_SKU - len(digest) - 1].encode()[: MAX_SKU_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{kept}-{digest}"


def _capitals(part: str) -> str:
    """Returns the part in the letters A to Z and digits; where it is in another script, in that."""
    words = handle_from(part)
    return re.sub(r"[^A-Z0-9]+", "-", part.upper()).strip("-") if words.isascii() else normal_name(words.upper())


def _header(file: Path, table: CsvFile) -> tuple[Mapping[str, Sequence[int]], Sequence[int]]:
    """Returns where each thing is, by what it is about, and the places of columns without a meaning."""
    places: dict[str, list[int]] = {}
    ignored: list[int] = []
    for at, name in enumerate(table.columns):
        about = BY_SPELLING.get(spelled(name))
        if about is None:
            ignored.append(at)
        elif any(spelled(table.columns[other]) == spelled(name) for other in places.get(about, ())):
            raise FileUnreadable(f"{file}: the header has the column “{name}” twice")
        else:
            places.setdefault(about, []).append(at)
    missing = [words(about) for about in REQUIRED if about not in places]
    if missing:
        hint = "; are its cells separated otherwise? --delimiter says how" if len(table.columns) == 1 else ""
        raise FileUnreadable(
            f"{file}: the header of Shopify's product CSV has the column{'s' * (len(missing) > 1)} "
            f"{', '.join(missing)}, this one has not ({table}){hint}"
        )
    return places, ignored


def _rows(table: CsvFile, places: Mapping[str, Sequence[int]]) -> Iterator[_Row]:
    width = len(table.columns)
    for row in table.rows:
        cells: dict[str, str] = {}
        problem = None
        if len(row.cells) != width:
            problem = _Refused(
                "", f"the row has {len(row.cells)} cells, the header has {width}", reason="ROW_MALFORMED"
            )
        for about, at in places.items():
            found = list(dict.fromkeys(filter(None, ("".join(row.cells[i : i + 1]).strip() for i in at))))
            if len(found) > 1:
                names = " and ".join(table.columns[i] for i in at)
                problem = problem or _Refused(about, f"{names} contradict each other", " / ".join(found))
            cells[about] = "".join(found[:1])
            if about in NAMES:
                cells[about] = normal_name(cells[about])
        yield _Row(row.line, cells, problem)


def _has_decimal_commas(rows: Sequence[_Row], about: str) -> bool:
    """Whether this column writes 14,50 and nowhere 14.50. One that writes both ways is read with points only."""

    def has(pattern: str) -> bool:
        return any(re.fullmatch(pattern, row[about], re.ASCII) for row in rows)

    return has(r"\d+,\d{1,2}") and not has(r"\d+\.\d+")


def _with_points(row: _Row, commas: Sequence[str]) -> _Row:
    """Returns the row with 14.50 for 14,50 in these columns. Three digits behind a comma are refused."""
    changed = {about: re.sub(r"^(\d+),(\d{1,2})$", r"\1.\2", row[about]) for about in commas}
    return _Row(row.line, {**row.cells, **changed}, row.problem)


class _Reader:
    """Makes products of rows."""

    def __init__(self, contents: Contents, currency: str, make_skus: bool, with_stock: bool) -> None:
        self._contents = contents
        self._currency = currency
        self._make_skus = make_skus
        self._with_stock = with_stock
        self._lines_of_skus: dict[str, int] = {}

    def refuse(self, row: _Row, problem: _Refused) -> None:
        self._contents.refused.append(self._problem(row, problem))

    def read(self, rows: Sequence[_Row]) -> None:
        """Returns one product, of the rows that have its handle."""
        first = rows[0]
        variants: list[Variant] = []
        variant_lines: list[int] = []
        images: dict[str, tuple[int, Image, int]] = {}
        stock: dict[str, int] = {}
        backorders: dict[str, bool] = {}
        warnings: list[RowProblem] = []
        for_sale = True
        problems: list[tuple[_Row, _Refused]] = []
        for row in rows:
            try:
                if row.problem:
                    raise row.problem
                if row is first:
                    if not row["title"]:
                        raise _Refused("title", "empty in the product's first row")
                    for_sale = row.word("published", PUBLISHED) & row.word("status", STATUSES)
                if row is first or row.has_variant:
                    variant = self._variant(row, row.options(first))
                    self._require_own(variant.sku, row)
                    variants.append(variant)
                    variant_lines.append(row.line)
                    warnings += self._about_stock(row, variant, stock, backorders)
                elif not row["image"]:
                    raise _Refused("", "the row has neither a variant nor an image", reason="ROW_MALFORMED")
                if url := row["image"]:
                    position = int(row.number("image_position", r"\d{1,6}", "1") or 10**6)
                    images.setdefault(url, (position, Image(url=url, alt_text=row["image_alt_text"]), row.line))
            except _Refused as problem:
                problems.append((row, problem))
        if problems:
            for row, wrong in problems:
                self.refuse(row, wrong)
            self._contents.products_refused += 1
            return
        pictures = sorted(images.values(), key=lambda image: image[0])
        product = Product(
            title=first["title"],
            handle=first["handle"],
            description=first["description"],
            vendor=first["vendor"],
            product_type=first["product_type"],
            tags=dict.fromkeys(tag.strip() for tag in first["tags"].split(",") if tag.strip()),
            images=[image for _, image, _ in pictures],
            variants=variants,
        )
        self._contents.warnings += warnings
        self._contents.products.append(
            ShopifyProduct(
                product,
                for_sale=for_sale,
                stock=stock,
                backorders=backorders,
                line=first.line,
                variant_lines=variant_lines,
                image_lines=[line for _, _, line in pictures],
                columns=self._contents.columns,
            )
        )

    def _variant(self, row: _Row, options: Mapping[str, str]) -> Variant:
        price = row.money("price", self._currency)
        if price is None:
            raise _Refused("price", "empty")
        sku = row["sku"]
        if not sku:
            made = sku_from(row["handle"], options.values())
            if not self._make_skus:
                raise _Refused("sku", "empty; --make-skus makes it from handle and options", made, "SKU_MISSING")
            sku = made
        tracked = "tracker" not in self._contents.columns or TRACKERS.get(row["tracker"].casefold(), True)
        return Variant(
            sku=sku,
            title=" / ".join(options.values()),
            price=price,
            compare_at_price=row.money("compare_at_price", self._currency),
            cost=row.money("cost", self._currency),
            options=options,
            barcode=row["barcode"],
            weight_grams=round(Decimal(row.number("grams", r"\d{1,9}(\.\d+)?", "250") or 0)),
            image_url=row["variant_image"],
            untracked=not tracked,
        )

    def _require_own(self, sku: str, row: _Row) -> None:
        """Refuses a SKU that the file has twice; the server would refuse the second, too."""
        first = self._lines_of_skus.setdefault(sku, row.line)
        if first != row.line:
            raise _Refused("sku", f"line {first} has this SKU, too; each variant needs its own", sku, "SKU_TAKEN")

    def _about_stock(
        self, row: _Row, variant: Variant, stock: dict[str, int], backorders: dict[str, bool]
    ) -> Iterator[RowProblem]:
        """Notes quantity and policy of the variant; yields warnings."""
        if row["tracker"].casefold() not in TRACKERS:
            yield self._problem(
                row,
                _Refused(
                    "tracker",
                    "another system's: counted here all the same; leave the cell empty for what never runs out",
                    row["tracker"],
                    "TRACKER_UNKNOWN",
                ),
            )
        if not self._with_stock:
            return
        text = row.number("quantity", r"-?\d{1,9}(\.0+)?", "12")
        units = int(text.partition(".")[0]) if text else None
        sells_on = row.word("policy", POLICIES)
        if variant.untracked:
            if units:
                message = (
                    "not used: the tracker is empty, so the variant never runs out; write shopify there to count it"
                )
                yield self._problem(row, _Refused("quantity", message, reason="NOT_TRACKED"))
            return
        if units is not None:
            stock[variant.sku] = max(units, 0)
            if units < 0:
                message = "below zero: set to 0, as units on hand cannot be negative; what is owed belongs to orders"
                yield self._problem(row, _Refused("quantity", message, text, "QUANTITY_NEGATIVE"))
        if "policy" in self._contents.columns:
            backorders[variant.sku] = sells_on

    def _problem(self, row: _Row, problem: _Refused) -> RowProblem:
        about = problem.about
        column = self._contents.columns.get(about) or (COLUMNS[about][0] if about else "")
        return RowProblem(row.line, row["handle"], column, problem.reason, problem.message, problem.value)
