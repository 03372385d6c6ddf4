"""Products in PostgreSQL: reads, and the transactions of changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from stockward_server.application.catalog import CatalogTransaction, ProductFilter
from stockward_server.application.context import MutationContext, SystemCause
from stockward_server.application.stock_views import Page
from stockward_server.application.unit_of_work import Cause, UnitOfWork
from stockward_server.domain.product import Product
from stockward_server.storage.database import Executor, Pool, read_snapshot, refusal_of
from stockward_server.storage.product_rows import load_product
from stockward_server.storage.read.product_cache import ProductCache
from stockward_server.storage.read.product_lists import list_products
from stockward_server.storage.write.locked_products import LockedProducts
from stockward_server.storage.write.mutation import Mutations


@contextmanager
def refusals() -> Iterator[None]:
    """Raises the Refusal that a database error stands for."""
    try:
        yield
    except Exception as error:
        refusal = refusal_of(error)
        if refusal:
            raise refusal from error
        raise


class SqlCatalog:
    """The application's CatalogStore on PostgreSQL."""

    def __init__(self, pool: Pool, mutations: Mutations, known: ProductCache | None = None) -> None:
        """`known`: where products that were read are kept, when it is shared."""
        self._pool = pool
        self._mutations = mutations
        self._known = known or ProductCache(pool)

    async def change(self, cause: Cause, work: Callable[[CatalogTransaction], Awaitable[bytes]]) -> bytes:
        async def run(connection: Executor, state: UnitOfWork) -> bytes:
            return await work(LockedProducts(connection, state, cause))

        with refusals():
            if isinstance(cause, MutationContext):
                return await self._mutations.run(cause, run)
            return await self._mutations.run_unasked(run)

    async def rehearse(self, work: Callable[[CatalogTransaction], Awaitable[bytes]]) -> bytes:
        async def run(connection: Executor, state: UnitOfWork) -> bytes:
            return await work(LockedProducts(connection, state, SystemCause()))

        with refusals():
            return await self._mutations.rehearse(run)

    async def product(self, product_id: str) -> Product | None:
        async with self._pool.acquire() as connection:
            return await load_product(connection, product_id)

    async def products(self, page: Page, wanted: ProductFilter) -> Sequence[Product]:
        async def read(connection: Executor) -> Sequence[Product]:
            return await self._known.of_versions(connection, await list_products(connection, page, wanted))

        return await read_snapshot(self._pool, read)

    async def due_products(self, limit: int, without: Collection[str]) -> Sequence[str]:
        rows = await self._pool.fetch(
            """
            SELECT product_id::text FROM products
            WHERE scheduled_publish_time <= now() AND product_id <> ALL($2::uuid[])
            ORDER BY scheduled_publish_time LIMIT $1
            """,
            limit,
            without,
        )
        return [row["product_id"] for row in rows]
