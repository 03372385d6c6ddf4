"""Products in PostgreSQL: reads, and the transactions of changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from stockward_server.application.context import MutationContext, SystemCause
from stockward_server.application.ports.catalog import CatalogWork, ProductFilter
from stockward_server.application.ports.pages import Page
from stockward_server.application.response_codec import M, R, ResponseCodec
from stockward_server.application.unit_of_work import Cause, UnitOfWork
from stockward_server.domain.product import Product
from stockward_server.storage.database import Executor, Pool, refusal_of
from stockward_server.storage.product_rows import load_product
from stockward_server.storage.read.product_cache import ProductCache
from stockward_server.storage.read.product_lists import list_products
from stockward_server.storage.read.replicas import PrimaryReads, Reads
from stockward_server.storage.write.locked_products import LockedProducts
from stockward_server.storage.write.mutation import Mutations, Work


@contextmanager
def refusals() -> Iterator[None]:
    """Translates database errors into the Refusal that is documented for them."""
    try:
        yield
    except Exception as error:
        refusal = refusal_of(error)
        if refusal:
            raise refusal from error
        raise


class SqlCatalog:
    """The application's CatalogStore on PostgreSQL."""

    def __init__(
        self, pool: Pool, mutations: Mutations, known: ProductCache | None = None, lists: Reads | None = None
    ) -> None:
        """`known` is a shared cache of products; None makes a separate one. `lists` reads what may come from a replica;
        None: the pool."""
        self._pool = pool
        self._lists = lists or PrimaryReads(pool)
        self._mutations = mutations
        self._known = known or ProductCache(pool)

    async def change(self, request: MutationContext, work: CatalogWork[R], codec: ResponseCodec[R, M]) -> M:
        with refusals():
            return await self._mutations.run(request, _on_products(work, request), codec)

    async def change_unasked(self, work: CatalogWork[R]) -> R:
        with refusals():
            return await self._mutations.run_unasked(_on_products(work, SystemCause()))

    async def rehearse(self, work: CatalogWork[R]) -> R:
        with refusals():
            return await self._mutations.rehearse(_on_products(work, SystemCause()))

    async def product(self, product_id: str) -> Product | None:
        async with self._pool.acquire() as connection:
            return await load_product(connection, product_id)

    async def products(self, page: Page, wanted: ProductFilter) -> Sequence[Product]:
        async def read(connection: Executor) -> Sequence[Product]:
            return await self._known.of_versions(connection, await list_products(connection, page, wanted))

        return await self._lists.snapshot(read)

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


def _on_products(work: CatalogWork[R], cause: Cause) -> Work[R]:
    async def run(connection: Executor, state: UnitOfWork) -> R:
        return await work(LockedProducts(connection, state, cause))

    return run
