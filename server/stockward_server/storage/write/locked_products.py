"""Locks and writes products.

Locks are taken in the order product, variants, stock rows by (sku, location_id). The product is read only after its row
is locked: one statement that had to wait for the lock would show its variants as they were before.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import count

from stockward_server.application.unit_of_work import Cause, UnitOfWork
from stockward_server.domain.errors import HandleTaken, SkuTaken, VariantInUse
from stockward_server.domain.event import EventData, SkuRenamed, StockNews
from stockward_server.domain.product import Product, ProductEdit
from stockward_server.domain.search import searched
from stockward_server.domain.stock import StockLevel
from stockward_server.storage.database import Executor
from stockward_server.storage.product_rows import load_product, write_content, write_state, write_variants
from stockward_server.storage.write.lock import lock_stock
from stockward_server.storage.write.sku_rename import begin_rename, lock_goods, rename_goods


class LockedProducts:
    """Implements the application's CatalogTransaction: the products of one transaction."""

    def __init__(self, connection: Executor, state: UnitOfWork, cause: Cause) -> None:
        self._connection = connection
        self._state = state
        self._cause = cause
        self._products: dict[str, Product] = {}

    @property
    def now(self) -> datetime:
        return self._state.now

    async def product(self, product_id: str) -> Product | None:
        return await self._lock("product_id = $1 FOR NO KEY UPDATE", product_id)

    async def product_by_handle(self, handle: str) -> Product | None:
        return await self._lock("handle = $1 FOR NO KEY UPDATE", handle)

    async def product_to_rename(self, sku: str) -> Product | None:
        await begin_rename(self._connection)
        return await self._product_with(sku)

    async def _product_with(self, sku: str) -> Product | None:
        product_id = await self._connection.fetchval("SELECT product_id::text FROM variants WHERE sku = $1", sku)
        product = await self.product(product_id) if product_id else None
        if product is None or sku in _skus(product):
            return product
        return await self._product_with(sku)  # the edit that held the lock has dropped it

    async def due_product(self, product_id: str) -> Product | None:
        return await self._lock(
            "product_id = $1 AND scheduled_publish_time <= $2 FOR NO KEY UPDATE SKIP LOCKED", product_id, self.now
        )

    async def free_handle(self, wanted: str) -> str:
        await self._connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", wanted)
        rows = await self._connection.fetch(
            # In code points `.` follows `-`, so this is every handle that begins with `wanted-`.
            "SELECT handle FROM products WHERE handle = $1 OR (handle > $1 || '-' AND handle < $1 || '.')",
            wanted,
        )
        taken = {row["handle"] for row in rows}
        if wanted not in taken:
            return wanted
        return next(handle for n in count(2) if (handle := f"{wanted}-{n}") not in taken)

    async def save(self, product: Product, event_type: str) -> Product:
        before = self._products.get(product.product_id)
        product = replace(product, version=self._state.version_after(product.version))
        if before is not None and _content(before) == _content(product):
            await write_state(self._connection, product)
        else:
            await self._require_free_handle(product, before)
            await self._require_free_skus(product, before)
            await self._drop_variants(product, before)
            await self._track_variants(product, before)
            as_before = before is not None and searched(before) == searched(product)
            await write_content(self._connection, product, is_found_as_before=as_before)
            known = dict(enumerate(before.variants)) if before else {}
            changed = [(number, each) for number, each in enumerate(product.variants) if known.get(number) != each]
            await write_variants(self._connection, product.product_id, changed)
        self._record(event_type, "product", product.product_id, product.version, product)
        self._state.edited_products += [before, product] if before else [product]
        self._products[product.product_id] = product
        return product

    async def save_renamed(self, product: Product, sku: str, new_sku: str) -> Product:
        before = self._products[product.product_id]
        levels = await lock_goods(self._connection, sku)
        if owner := await self._connection.fetchval("SELECT product_id::text FROM variants WHERE sku = $1", new_sku):
            raise SkuTaken.by_product(new_sku, owner, "new_sku")
        versions = await rename_goods(self._connection, sku, new_sku, levels, self._state)
        product = replace(product, version=self._state.version_after(product.version) + 1)
        await write_content(self._connection, product)
        renamed = SkuRenamed(product, sku, new_sku)
        self._record("product.sku_renamed", "product", product.product_id, product.version - 1, renamed)
        self._record("product.updated", "product", product.product_id, product.version, product)
        for level, version in zip(levels, versions, strict=True):
            gone = StockNews(StockLevel(sku, level.location_id), renamed_to=new_sku)
            here = StockNews(replace(level, sku=new_sku, version=version), renamed_from=sku)
            self._record("stock.renamed", "stock", gone.aggregate_id, self._state.version_after(level.version), gone)
            self._record("stock.renamed", "stock", here.aggregate_id, version, here)
        self._state.edited_products += [before, product]
        self._products[product.product_id] = product
        return product

    def _record(self, event_type: str, aggregate_type: str, aggregate_id: str, version: int, data: EventData) -> None:
        self._state.record(event_type, aggregate_type, aggregate_id, version, data, self._cause)

    async def _lock(self, condition: str, *arguments: object) -> Product | None:
        product_id = await self._connection.fetchval(
            f"SELECT product_id::text FROM products WHERE {condition}", *arguments
        )
        product = await load_product(self._connection, product_id) if product_id else None
        if product:
            self._products[product.product_id] = product
        return product

    async def _require_free_handle(self, product: Product, before: Product | None) -> None:
        if before and before.handle == product.handle:
            return
        owner = await self._connection.fetchval(
            "SELECT product_id::text FROM products WHERE handle = $1", product.handle
        )
        if owner:
            raise HandleTaken(product.handle, owner)

    async def _require_free_skus(self, product: Product, before: Product | None) -> None:
        fresh = _skus(product) - _skus(before)
        rows = await self._connection.fetch(
            "SELECT sku, product_id::text FROM variants WHERE sku = ANY($1::text[])", list(fresh)
        )
        owners = {row["sku"]: row["product_id"] for row in rows}
        for index, variant in enumerate(product.variants):
            if variant.sku in owners:
                raise SkuTaken.by_product(variant.sku, owners[variant.sku], f"product.variants[{index}].sku")

    async def _drop_variants(self, product: Product, before: Product | None) -> None:
        """Deletes variants that the product no longer has, with their empty stock rows and alerts."""
        gone = sorted(_skus(before) - _skus(product))
        if not gone:
            return
        # FOR UPDATE blocks new stock rows: their foreign key needs the variant.
        await self._connection.execute("SELECT FROM variants WHERE sku = ANY($1::text[]) ORDER BY sku FOR UPDATE", gone)
        levels = await lock_stock(self._connection, gone, "UPDATE")
        if used := [level for level in levels if level.on_hand or level.reserved or level.allocated]:
            raise VariantInUse.when_removed(product.product_id, used)
        await self._connection.execute("DELETE FROM stock WHERE sku = ANY($1::text[])", gone)
        await self._connection.execute(
            "UPDATE stock_alerts SET clear_time = $2 WHERE sku = ANY($1::text[]) AND clear_time IS NULL", gone, self.now
        )
        await self._connection.execute("DELETE FROM variants WHERE sku = ANY($1::text[])", gone)

    async def _track_variants(self, product: Product, before: Product | None) -> None:
        """Ends the alerts of variants whose stock is no longer tracked, and raises those of variants tracked again."""
        was = {variant.sku: variant.untracked for variant in before.variants} if before else {}
        untracked = {each.sku: each.untracked for each in product.variants if each.untracked is not was.get(each.sku)}
        changed = sorted(untracked.keys() & was.keys())
        if not changed:
            return
        levels = await lock_stock(self._connection, changed)
        if used := [level for level in levels if untracked[level.sku] and (level.reserved or level.allocated)]:
            raise VariantInUse.when_untracked(product.product_id, used)
        self._state.load_levels(levels)
        for level in levels:
            self._state.set_tracked(level, not untracked[level.sku], self._cause)


def _content(product: Product) -> list[object]:
    return [getattr(product, name) for name in ProductEdit.__annotations__]


def _skus(product: Product | None) -> set[str]:
    return {variant.sku for variant in product.variants} if product else set()
