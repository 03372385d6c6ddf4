"""Products that are stored and searched for beside the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from hypothesis import HealthCheck, settings

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.catalog import position
from stockward_server.application.ports.catalog import ProductFilter, ProductSort
from stockward_server.application.ports.pages import Page
from stockward_server.domain.money import Money
from stockward_server.domain.product import Product, ProductState, Variant
from stockward_server.storage.catalog import SqlCatalog
from stockward_server.storage.database import Executor, Pool, opened_pool
from stockward_server.storage.product_rows import write_content, write_variants
from stockward_server.storage.write.mutation import Mutations

IN_SHORT = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def product(title: str, *skus: str, description: str = "", barcode: str = "") -> Product:
    now, product_id = datetime.now(UTC), uuid4()
    variants = tuple(Variant(sku, Money("EUR", 100), barcode=barcode) for sku in skus)
    return Product(
        str(product_id),
        str(product_id.int),
        title,
        ProductState.DRAFT,
        now,
        now,
        description,
        variants=variants,
        version=1,
    )


async def store(connection: Executor, *products: Product) -> None:
    for each in products:
        await write_content(connection, each)
        await write_variants(connection, each.product_id, list(enumerate(each.variants)))


@asynccontextmanager
async def stocked(database_url: str, *products: Product) -> AsyncIterator[Pool]:
    """A pool on a database that then has these products and no others."""
    async with opened_pool(database_url, 1) as pool:
        async with pool.acquire() as connection:
            await connection.execute("TRUNCATE products CASCADE")
            await store(connection, *products)
        yield pool


async def listed(
    pool: Pool, search: str, sort: ProductSort = ProductSort.RELEVANCE, page_size: int = 1000
) -> Sequence[Product]:
    """All that is found, read by pages."""
    wanted = ProductFilter([ProductState.DRAFT, ProductState.PUBLISHED], search=search, sort=sort, descending=True)
    catalog = SqlCatalog(pool, Mutations(pool, encode_event))
    found: list[Product] = []
    while True:
        after = position(found[-1], wanted) if found else None
        page = await catalog.products(Page(page_size, after), wanted)
        assert not {each.product_id for each in page} & {each.product_id for each in found}
        found += page
        if len(page) < page_size:
            return found


async def titles(pool: Pool, search: str) -> list[str]:
    return [each.title for each in await listed(pool, search)]
