"""A file of products on its way into the running system, and the report of what became of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from stockward.catalog.v1.catalog_pb2 import ImportProductsRequest, ImportResult
from stockward.inventory.v1.inventory_pb2 import (
    ADJUSTMENT_REASON_COUNTED,
    SyncStockRequest,
)

from stockward_client import AsyncStockward, FieldViolation, StockwardError, error_of
from stockward_server.commands.connection import NO_ANSWER, connected, faults
from stockward_server.commands.output import note
from stockward_server.commands.row_problems import RowProblem, table_of
from stockward_server.commands.shopify_csv import Contents, ShopifyProduct

PRODUCTS_AT_ONCE = 100
"""Products a call: few enough that the bar moves."""

CALLS_AT_ONCE = 16
"""Calls about one product or SKU that are under way side by side."""

ROWS_AT_ONCE = 1000
"""Stock rows a message, the most that the contract takes."""

NO_LIMIT = 1_000_000_000
"""Backorder limit of what sells on when it is out of stock: the largest that the contract takes."""

MAIN = "main"
"""The location whose stock a file states."""

ACTIONS = ("created", "updated", "unchanged", "refused")
"""What becomes of a product."""

Item = TypeVar("Item")


class ProductImport:
    """Sends what was read from a file, and counts. A dry run has the server check everything and changes nothing."""

    def __init__(self, file: Path, contents: Contents, *, publish: bool, stock: bool, dry_run: bool = False) -> None:
        self.refused: list[RowProblem] = list(contents.refused)
        self._file = file
        self._contents = contents
        self._publishes = publish
        self._sets_stock = stock
        self._dry_run = dry_run
        self._products = Counter(refused=contents.products_refused)
        self._done = Counter[str]()

    async def run(self, address: str | None, key: str | None) -> None:
        """Sends products, then stock and policies, then publishes. Raises StockwardError where the server cannot
        go on."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        terminal = Console(stderr=True)
        async with connected(address, key) as client:
            with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
                imported = [each async for each in self._import(client, progress)]
                products = [product for product, _ in imported]
                if self._sets_stock:
                    await self._set_stock(client, progress, products)
                    await self._set_policies(client, progress, products)
                if self._publishes:
                    await self._publish(client, progress, [each for each in imported if each[0].for_sale])
        self.refused.sort(key=lambda row: row.line)

    async def _import(
        self, client: AsyncStockward, progress: Progress
    ) -> AsyncIterator[tuple[ShopifyProduct, ImportResult]]:
        """Yields the products that were imported, each with its result."""
        bar = progress.add_task("Products", total=len(self._contents.products))
        for part in _parts(self._contents.products, PRODUCTS_AT_ONCE):
            requests = (ImportProductsRequest(product=product.message, validate_only=self._dry_run) for product in part)
            answer = await client.catalog.import_products(requests)
            for product, result in zip(part, answer.results, strict=True):
                self._products[ImportResult.Action.Name(result.action).removeprefix("ACTION_").lower()] += 1
                if result.action == ImportResult.ACTION_REFUSED:
                    self._refuse(product, error_of(result.error))
                else:
                    yield product, result
            progress.advance(bar, len(part))

    async def _set_stock(self, client: AsyncStockward, progress: Progress, products: Iterable[ShopifyProduct]) -> None:
        rows = [(product, sku, units) for product in products for sku, units in product.stock.items()]
        if self._dry_run:
            self._done["stock_rows"] = len(rows)
            return
        bar = progress.add_task("Stock", total=len(rows))
        parts = list(_parts(rows, ROWS_AT_ONCE))
        requests = (
            SyncStockRequest(
                rows=[SyncStockRequest.Row(sku=sku, on_hand=units) for _, sku, units in part],
                reason=ADJUSTMENT_REASON_COUNTED,
                reference=self._file.name[:200],
            )
            for part in parts
        )
        number = 0
        async for response in client.inventory.sync_stock(requests):
            for (product, sku, _), result in zip(parts[number], response.results, strict=True):
                if result.HasField("error"):
                    self._refuse(product, error_of(result.error), "quantity", product.line_of(sku))
                else:
                    self._done["stock_rows"] += 1
            progress.advance(bar, len(parts[number]))
            number += 1

    async def _set_policies(
        self, client: AsyncStockward, progress: Progress, products: Iterable[ShopifyProduct]
    ) -> None:
        """Sets the backorder limits that are not as the file says."""

        async def set_one(product: ShopifyProduct, sku: str, sells_on: bool) -> None:
            levels = [each async for each in client.inventory.list_stock_levels(sku=sku, location_id=MAIN)]
            limit = NO_LIMIT if sells_on else 0
            if limit == sum(level.backorder_limit for level in levels):
                return
            if not self._dry_run:
                await client.inventory.set_stock_policy(
                    sku=sku, backorder_limit=limit, update_mask=FieldMask(paths=["backorder_limit"])
                )
            self._done["backorders_allowed" if sells_on else "backorders_removed"] += 1

        def refuse(error: StockwardError, product: ShopifyProduct, sku: str, _: bool) -> None:
            self._refuse(product, error, "policy", product.line_of(sku))

        wanted = [(product, sku, on) for product in products for sku, on in product.backorders.items()]
        await _side_by_side(progress, "Policies", wanted, set_one, refuse)

    async def _publish(
        self, client: AsyncStockward, progress: Progress, products: Sequence[tuple[ShopifyProduct, ImportResult]]
    ) -> None:
        async def publish(product: ShopifyProduct, result: ImportResult) -> None:
            if self._dry_run:
                self._check_publication(product, result)
                return
            await client.catalog.publish_product(product_id=result.product_id)
            self._done["published"] += 1

        def refuse(error: StockwardError, product: ShopifyProduct, _: ImportResult) -> None:
            self._refuse(product, error, note="imported, not published: ")

        await _side_by_side(progress, "Published", products, publish, refuse)

    def _check_publication(self, product: ShopifyProduct, result: ImportResult) -> None:
        if not result.blocking:
            self._done["published"] += 1
            return
        archived = any(issue.code == "ARCHIVED" for issue in result.blocking)
        reason = "PRODUCT_STATE_INVALID" if archived else "PRODUCT_NOT_READY"
        violations = [FieldViolation(issue.field, issue.message) for issue in result.blocking]
        error = StockwardError("", reason=reason, violations=violations)
        self._refuse(product, error, note="would be imported, not published: ")

    def _refuse(
        self, product: ShopifyProduct, error: StockwardError, about: str = "", line: int = 0, note: str = ""
    ) -> None:
        """Adds a row to the report for each field at fault."""
        for path, message in faults(error) or [("", error.message)]:
            from_line, from_column = product.origin(path)
            column = product.columns.get(about, "") or from_column
            self.refused.append(
                RowProblem(line or from_line, product.message.handle, column, error.reason, note + message)
            )

    def report(self, as_json: bool) -> None:
        """Prints what became of the file: the answer on stdout, how it was understood on stderr."""
        if as_json:
            typer.echo(json.dumps(self._summary(), indent=2))
            return
        console = Console()
        for each in self._notes():
            note(each)
        if self._contents.warnings:
            console.print(table_of(self._contents.warnings, "Handle", "Warning; the rest of the row is imported"))
        if self.refused:
            console.print(table_of(self.refused, "Handle", "Why it was refused"))
        words = _PLANNED if self._dry_run else _DONE
        products = ", ".join(f"{self._products[each]} {words[each]}" for each in ACTIONS if self._products[each])
        done = "".join(f", {self._done[each]} {words[each]}" for each in words if self._done[each])
        warnings = len(self._contents.warnings)
        mark, style = ("✗", "bold red") if self.refused else ("✓", "green")
        said = f"{mark} {self._file}: {self._contents.rows} rows; products: {products or 'none'}{done}"
        said += f"; {warnings} warning{'s' * (warnings > 1)}" * bool(warnings)
        said += "; nothing was written, this was a dry run" * self._dry_run
        console.print(said, style=style, markup=False, highlight=False, soft_wrap=True)

    def _summary(self) -> dict[str, object]:
        return {
            "file": str(self._file),
            "dry_run": self._dry_run,
            "encoding": self._contents.read_as.encoding,
            "delimiter": self._contents.read_as.delimiter,
            "decimal_commas": self._contents.decimal_commas,
            "ignored_columns": self._contents.ignored,
            "rows": self._contents.rows,
            "products": {action: self._products[action] for action in ACTIONS},
            "not_tracked": self._not_tracked,
            **{each: self._done[each] for each in _DONE if each not in ACTIONS},
            "notes": list(self._notes()),
            "warnings": [each.document("handle") for each in self._contents.warnings],
            "refused": [each.document("handle") for each in self.refused],
        }

    @property
    def _not_tracked(self) -> int:
        return sum(variant.untracked for product in self._contents.products for variant in product.message.variants)

    def _notes(self) -> Iterator[str]:
        """Yields how the file was understood."""
        contents = self._contents
        yield f"{self._file}: {contents.read_as}"
        for column in contents.decimal_commas:
            yield f"{column}: written with decimal commas, so 14,50 was read as 14.50"
        if contents.ignored:
            yield f"Ignored columns: {', '.join(contents.ignored)}"
        if self._not_tracked:
            column = contents.columns["tracker"]
            yield f"Variants that never run out, as they are not tracked (by {column}): {self._not_tracked}"
        decisive = [contents.columns[about] for about in ("quantity", "policy") if about in contents.columns]
        if decisive and not self._sets_stock:
            yield f"Not used without --stock: {', '.join(decisive)}"
        off = sum(not product.for_sale for product in contents.products)
        if off and self._publishes:
            yield f"Products that are not published, as the file does not have them for sale: {off}"
        if not self._publishes:
            yield "Nothing is published without --publish"


_DONE = {
    **{action: action for action in ACTIONS},
    "published": "published",
    "stock_rows": "stock levels set",
    "backorders_allowed": "now sold when out of stock",
    "backorders_removed": "no longer sold when out of stock",
}
_PLANNED = {
    "created": "to create",
    "updated": "to update",
    "unchanged": "unchanged",
    "refused": "refused",
    "published": "to publish",
    "stock_rows": "stock levels to set",
    "backorders_allowed": "to be sold when out of stock",
    "backorders_removed": "no longer to be sold when out of stock",
}
"""What the report says of each count, after an import and after a dry run."""


async def _side_by_side(
    progress: Progress,
    what: str,
    items: Sequence[tuple[Any, ...]],
    work: Callable[..., Coroutine[Any, Any, None]],
    refuse: Callable[..., None],
) -> None:
    """Calls `work` with each item, CALLS_AT_ONCE at a time; what the server refuses goes to `refuse`."""
    bar = progress.add_task(what, total=len(items))
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(item: tuple[Any, ...]) -> None:
        async with places:
            try:
                await work(*item)
            except StockwardError as error:
                if isinstance(error, NO_ANSWER) or not error.reason:
                    raise
                refuse(error, *item)
        progress.advance(bar)

    await asyncio.gather(*(one(item) for item in items))


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
