"""Storing and reading products."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from stockward_server.application.context import MutationContext
from stockward_server.application.ports.pages import Page
from stockward_server.application.response_codec import M, R, ResponseCodec
from stockward_server.domain.product import Product, ProductState


class ProductSort(StrEnum):
    """Sort orders of a list of products; titles are sorted by `domain.folding.title_key`."""

    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"
    TITLE = "title"
    RELEVANCE = "relevance"
    """Match with the search, see `domain.search.Rank`; then newest first."""


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Every field that is set must match. `search` is in the syntax of web search engines."""

    states: Sequence[ProductState]
    vendor: str = ""
    product_type: str = ""
    tag: str = ""
    search: str = ""
    handle: str = ""
    sku: str = ""
    sort: ProductSort = ProductSort.CREATE_TIME
    descending: bool = True


class CatalogTransaction(Protocol):
    """One transaction at `now` (the database's clock). Every product that it returns is locked until its end."""

    @property
    def now(self) -> datetime: ...

    async def product(self, product_id: str) -> Product | None: ...

    async def product_by_handle(self, handle: str) -> Product | None: ...

    async def product_to_rename(self, sku: str) -> Product | None:
        """Returns the product with this SKU; no other SKU is renamed until the end of the transaction."""
        ...

    async def save_renamed(self, product: Product, sku: str, new_sku: str) -> Product:
        """Stores the product, whose variant `sku` was renamed to `new_sku`, renames its stock and claims, and records
        the events. Returns the product with its new version. Raises SkuTaken."""
        ...

    async def due_product(self, product_id: str) -> Product | None:
        """Returns the product when its scheduled time has come and no other transaction has locked it; else None."""
        ...

    async def free_handle(self, wanted: str) -> str:
        """Returns `wanted`, or the first of `wanted-2`, `wanted-3` … that is free; it stays reserved until the end of
        the transaction."""
        ...

    async def save(self, product: Product, event_type: str) -> Product:
        """Stores the product, records the event, and returns the product with its new version.

        Raises SkuTaken, HandleTaken, or VariantInUse when a removed variant still has stock.
        """
        ...


CatalogWork = Callable[[CatalogTransaction], Awaitable[R]]


class CatalogStore(Protocol):
    """Stores and reads products."""

    async def change(self, request: MutationContext, work: CatalogWork[R], codec: ResponseCodec[R, M]) -> M:
        """Runs the work and returns its response: once per request_id, with its events, or not at all."""
        ...

    async def change_unasked(self, work: CatalogWork[R]) -> R:
        """Runs work of the system, without a request_id, and returns its result."""
        ...

    async def rehearse(self, work: CatalogWork[R]) -> R:
        """Returns the result that `change` would have, without any effect."""
        ...

    async def product(self, product_id: str) -> Product | None: ...

    async def products(self, page: Page, wanted: ProductFilter) -> Sequence[Product]:
        """Returns at most `page.size` products after `page.after`, which is the `position` of one."""
        ...

    async def due_products(self, limit: int, without: Collection[str]) -> Sequence[str]:
        """Returns ids of products whose scheduled time has come, longest overdue first, except those in `without`."""
        ...
