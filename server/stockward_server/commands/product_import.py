"""A file of products on its way into the running system, and the report of what became of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import grpc
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from stockward.catalog.v1.catalog_pb2 import ImportProductsRequest, ImportResult, PublishProductRequest
from stockward.inventory.v1.inventory_pb2 import ADJUSTMENT_REASON_COUNTED, SyncStockRequest

from stockward_server.commands.connection import Answer, Callers, connected
from stockward_server.commands.shopify_csv import Contents, RefusedRow, ShopifyProduct

PRODUCTS_AT_ONCE = 100
"""Products a call: few enough that the bar moves."""

PUBLISHED_AT_ONCE = 16
"""Publications under way side by side."""

ROWS_AT_ONCE = 1000
"""Stock rows a message, the most that the contract takes."""

ACTIONS = ("created", "updated", "unchanged", "refused")
"""What becomes of a product."""

Item = TypeVar("Item")


class ProductImport:
    """Sends what was read from a file, and counts."""

    def __init__(self, file: Path, contents: Contents) -> None:
        self.refused: list[RefusedRow] = list(contents.refused)
        self._file = file
        self._contents = contents
        self._products = Counter(refused=contents.products_refused)
        self._done = Counter[str]()

    async def run(self, address: str | None, key: str | None, *, publish: bool, stock: bool) -> None:
        """Send products, then stock, then publish. Raises grpc.aio.AioRpcError where the server cannot go on."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        terminal = Console(stderr=True)
        async with connected(address, key) as staff:
            with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
                taken = [each async for each in self._import(staff, progress)]
                if stock:
                    await self._set_stock(staff, progress, [product for product, _ in taken])
                if publish:
                    await self._publish(staff, progress, [each for each in taken if each[0].for_sale])
        self.refused.sort(key=lambda row: row.line)

    async def _import(self, staff: Callers, progress: Progress) -> AsyncIterator[tuple[ShopifyProduct, str]]:
        """Those that went in, each with its id."""
        bar = progress.add_task("Products", total=len(self._contents.products))
        for part in _parts(self._contents.products, PRODUCTS_AT_ONCE):
            requests = (ImportProductsRequest(product=product.message) for product in part)
            answer = await staff.catalog.ImportProducts(requests)
            for product, result in zip(part, answer.results, strict=True):
                self._products[ImportResult.Action.Name(result.action).removeprefix("ACTION_").lower()] += 1
                if result.action == ImportResult.ACTION_REFUSED:
                    self._refuse(product, Answer.of(result.error))
                else:
                    yield product, result.product_id
            progress.advance(bar, len(part))

    async def _set_stock(self, staff: Callers, progress: Progress, products: Iterable[ShopifyProduct]) -> None:
        rows = [(product, sku, units) for product in products for sku, units in product.stock.items()]
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
        async for response in staff.inventory.SyncStock(requests):
            for (product, sku, _), result in zip(parts[number], response.results, strict=True):
                if result.HasField("error"):
                    self._refuse(product, Answer.of(result.error), "Variant Inventory Qty", product.line_of(sku))
                else:
                    self._done["stock"] += 1
            progress.advance(bar, len(parts[number]))
            number += 1

    async def _publish(
        self, staff: Callers, progress: Progress, products: Sequence[tuple[ShopifyProduct, str]]
    ) -> None:
        bar = progress.add_task("Published", total=len(products))
        places = asyncio.Semaphore(PUBLISHED_AT_ONCE)

        async def publish(product: ShopifyProduct, product_id: str) -> None:
            async with places:
                try:
                    await staff.catalog.PublishProduct(PublishProductRequest(product_id=product_id))
                    self._done["published"] += 1
                except grpc.aio.AioRpcError as error:
                    answer = Answer.of_error(error)
                    if not answer.reason:
                        raise
                    self._refuse(product, answer, note="imported, not published: ")
            progress.advance(bar)

        await asyncio.gather(*(publish(*each) for each in products))

    def _refuse(self, product: ShopifyProduct, answer: Answer, column: str = "", line: int = 0, note: str = "") -> None:
        """One row of the report for each field at fault."""
        for path, message in answer.fields or [("", answer.message)]:
            from_line, from_column = product.origin(path)
            handle = product.message.handle
            row = RefusedRow(line or from_line, handle, column or from_column, answer.reason, note + message)
            self.refused.append(row)

    def report(self, as_json: bool) -> None:
        """What became of the file, on stdout."""
        if as_json:
            typer.echo(json.dumps(self._summary() | {"refused": [asdict(row) for row in self.refused]}, indent=2))
            return
        console = Console()
        if self.refused:
            table = Table("Line", "Handle", "Column", "Why it was refused", box=SIMPLE)
            table.columns[0].justify = "right"
            for row in self.refused:
                table.add_row(str(row.line), row.handle, row.field, row.message)
            for column in table.columns[1:]:
                column.overflow = "fold"
            console.print(table)
        products = ", ".join(f"{self._products[action]} {action}" for action in ACTIONS if self._products[action])
        done = "".join(f", {self._done[what]} {words}" for what, words in _DONE.items() if self._done[what])
        mark, style = ("✗", "bold red") if self.refused else ("✓", "green")
        said = f"{mark} {self._file}: {self._contents.rows} rows; products: {products}{done}"
        console.print(said, style=style, markup=False, highlight=False, soft_wrap=True)

    def _summary(self) -> dict[str, object]:
        return {
            "file": str(self._file),
            "rows": self._contents.rows,
            "products": {action: self._products[action] for action in ACTIONS},
            "published": self._done["published"],
            "stock_rows": self._done["stock"],
        }


_DONE = {"published": "published", "stock": "stock levels set"}


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
