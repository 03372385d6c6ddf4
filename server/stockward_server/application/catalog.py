"""Use cases of the catalogue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from stockward_server.application.context import MutationContext
from stockward_server.application.ports.catalog import (
    CatalogStore,
    CatalogTransaction,
    CatalogWork,
    ProductFilter,
    ProductSort,
)
from stockward_server.application.ports.pages import Page, Position
from stockward_server.application.ports.positions import Part
from stockward_server.application.postponed import Postponed
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.domain.errors import DatabaseUnavailable, ProductNotFound, SkuUnknown
from stockward_server.domain.folding import title_key
from stockward_server.domain.identifiers import new_id
from stockward_server.domain.names import handle_from
from stockward_server.domain.product import Product, ProductEdit, ProductState
from stockward_server.domain.product_changes import (
    change_event,
    decide_creation,
    decide_due_publication,
    decide_renaming,
    decide_update,
    require_product_etag,
)
from stockward_server.domain.search import rank, search_query

log = logging.getLogger(__name__)

DUE_AT_ONCE = 500
"""Maximum number of scheduled products in one round of `publish_due`."""

Decision = Callable[[Product, datetime], Product]
"""Changes a product: one of the `decide_…` of `product_changes`."""


class ImportAction(IntEnum):
    """The effect of an imported row; the numbers are those of catalog.v1.ImportResult.Action."""

    CREATED = 1
    UPDATED = 2
    UNCHANGED = 3


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """The effect of a row, and the product after it."""

    action: ImportAction
    product: Product


class Catalog:
    """The operations on products."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store
        self._postponed = Postponed()

    async def create(self, request: MutationContext, edit: ProductEdit, codec: ResponseCodec[Product, M]) -> M:
        """Creates a draft; its handle is made from the title when the edit has none."""

        async def work(transaction: CatalogTransaction) -> Product:
            return await self._create(transaction, edit)

        return await self._store.change(request, work, codec)

    async def change(
        self,
        request: MutationContext,
        product_id: str,
        etag: str,
        decide: Decision,
        codec: ResponseCodec[Product, M],
    ) -> M:
        """Changes the product with `decide`. Raises ProductNotFound, EtagMismatch, and the errors of `decide`."""

        async def work(transaction: CatalogTransaction) -> Product:
            product = await transaction.product(product_id)
            if product is None:
                raise ProductNotFound(product_id)
            require_product_etag(product, etag)
            return await self._save(transaction, product, decide(product, transaction.now))

        return await self._store.change(request, work, codec)

    async def rename_sku(
        self, request: MutationContext, sku: str, new_sku: str, etag: str, codec: ResponseCodec[Product, M]
    ) -> M:
        """Renames the variant `sku` to `new_sku`. Raises SkuUnknown, SkuTaken or EtagMismatch."""

        async def work(transaction: CatalogTransaction) -> Product:
            product = await transaction.product_to_rename(sku)
            if product is None:
                raise SkuUnknown(sku)
            require_product_etag(product, etag)
            renamed = decide_renaming(product, sku, new_sku, transaction.now)
            return product if renamed is product else await transaction.save_renamed(renamed, sku, new_sku)

        return await self._store.change(request, work, codec)

    async def import_row(
        self,
        request: MutationContext,
        etag: str,
        edit: ProductEdit,
        codec: ResponseCodec[ImportedRow, M],
        *,
        validate_only: bool = False,
    ) -> M:
        """Creates or changes the product with the handle of the edit; without a handle it creates one.

        With `validate_only` the response is the same and nothing is changed.
        """

        async def work(transaction: CatalogTransaction) -> ImportedRow:
            handle = edit.get("handle")
            product = await transaction.product_by_handle(handle) if handle else None
            if product is None:
                return ImportedRow(ImportAction.CREATED, await self._create(transaction, edit))
            require_product_etag(product, etag)
            saved = await self._save(transaction, product, decide_update(product, edit, transaction.now))
            return ImportedRow(ImportAction.UNCHANGED if saved is product else ImportAction.UPDATED, saved)

        if validate_only:
            return codec.make(await self._store.rehearse(work))
        return await self._store.change(request, work, codec)

    async def publish_due(self) -> int:
        """Runs one round of scheduled publishing; returns how many products it handled.

        Each product has its own transaction, so one that fails is logged, delays no other, and is retried after a
        pause. Several processes may do this at once.
        """
        handled = 0
        for product_id in await self._store.due_products(DUE_AT_ONCE, self._postponed.ids()):
            outcome: object = None
            try:
                handled += await self._store.change_unasked(self._publish_if_due(product_id))
            except DatabaseUnavailable:
                raise
            except Exception as error:
                outcome = error
            self._postponed.note(product_id, outcome)
        return handled

    def _publish_if_due(self, product_id: str) -> CatalogWork[bool]:
        """Returns work that publishes the product and reports whether it was still due."""

        async def work(transaction: CatalogTransaction) -> bool:
            product = await transaction.due_product(product_id)
            if product is None:
                return False
            saved = await self._save(transaction, product, decide_due_publication(product, transaction.now))
            if saved.state is not ProductState.PUBLISHED:
                log.warning("product %s is no longer ready; its schedule was cleared", product_id)
            return True

        return work

    async def product(self, product_id: str) -> Product:
        """Returns the product in any state. Raises ProductNotFound."""
        product = await self._store.product(product_id)
        if product is None:
            raise ProductNotFound(product_id)
        return product

    async def products(self, page: Page, wanted: ProductFilter) -> Sequence[Product]:
        """Returns at most `page.size` products after `page.after`, which is the `position` of one."""
        return await self._store.products(page, wanted)

    async def _create(self, transaction: CatalogTransaction, edit: ProductEdit) -> Product:
        draft = decide_creation(new_id(), edit, transaction.now)
        if not draft.handle:
            draft = replace(draft, handle=await transaction.free_handle(handle_from(draft.title)))
        return await self._save(transaction, None, draft)

    async def _save(self, transaction: CatalogTransaction, before: Product | None, after: Product) -> Product:
        event_type = change_event(before, after)
        return after if event_type is None else await transaction.save(after, event_type)


def position(product: Product, wanted: ProductFilter) -> Position:
    """Returns the position of a product in a list with this filter."""
    if wanted.sort is ProductSort.TITLE:
        return [title_key(product.title), product.product_id]
    if wanted.sort is ProductSort.RELEVANCE:
        fit = rank(product, search_query(wanted.search))
        return [fit, product.create_time.isoformat(), product.product_id]
    return [getattr(product, wanted.sort).isoformat(), product.product_id]


def position_shape(wanted: ProductFilter) -> Sequence[Part]:
    """Returns the parts of `position` in a list with this filter."""
    if wanted.sort is ProductSort.TITLE:
        return [Part.TEXT, Part.ID]
    if wanted.sort is ProductSort.RELEVANCE:
        return [Part.NUMBER, Part.TIME, Part.ID]
    return [Part.TIME, Part.ID]
