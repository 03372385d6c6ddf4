"""Products in PostgreSQL: reads, and the transactions of changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from asyncpg import Record

from stockward_server.application.catalog import CatalogTransaction, ProductFilter, ProductSort
from stockward_server.application.locked_state import Cause, LockedState
from stockward_server.application.request import Clockwork, Request
from stockward_server.application.stock_views import Page
from stockward_server.domain.product import Product
from stockward_server.domain.search import Rank, search_query
from stockward_server.storage.database import Executor, Pool, read_snapshot, refusal_of
from stockward_server.storage.known_products import VERSION, KnownProducts
from stockward_server.storage.locked_products import LockedProducts
from stockward_server.storage.mutation import Mutations
from stockward_server.storage.product_rows import load_product
from stockward_server.storage.product_search import Condition, has_rank, matches, plan_search
from stockward_server.storage.statement import Parameters

SORT_KEYS = {
    ProductSort.CREATE_TIME: ("p.create_time", "timestamptz"),
    ProductSort.UPDATE_TIME: ("p.update_time", "timestamptz"),
    ProductSort.TITLE: ("p.title_key", "text"),
    ProductSort.RELEVANCE: ("p.create_time", "timestamptz"),
}
"""Column and type of each sort key; each has an index with the product id behind it. For relevance, within a rank."""


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

    def __init__(self, pool: Pool, mutations: Mutations, known: KnownProducts | None = None) -> None:
        """`known`: where products that were read are kept, when it is shared."""
        self._pool = pool
        self._mutations = mutations
        self._known = known or KnownProducts(pool)

    async def change(self, cause: Cause, work: Callable[[CatalogTransaction], Awaitable[bytes]]) -> bytes:
        async def run(connection: Executor, state: LockedState) -> bytes:
            return await work(LockedProducts(connection, state, cause))

        with refusals():
            if isinstance(cause, Request):
                return await self._mutations.run(cause, run)
            return await self._mutations.run_unasked(run)

    async def rehearse(self, work: Callable[[CatalogTransaction], Awaitable[bytes]]) -> bytes:
        async def run(connection: Executor, state: LockedState) -> bytes:
            return await work(LockedProducts(connection, state, Clockwork()))

        with refusals():
            return await self._mutations.rehearse(run)

    async def product(self, product_id: str) -> Product | None:
        async with self._pool.acquire() as connection:
            return await load_product(connection, product_id)

    async def products(self, page: Page, wanted: ProductFilter) -> Sequence[Product]:
        async def read(connection: Executor) -> Sequence[Product]:
            return await self._known.of_versions(connection, await _listed(connection, page, wanted))

        return await read_snapshot(self._pool, read)

    async def due_products(self, limit: int) -> Sequence[str]:
        rows = await self._pool.fetch(
            """
            SELECT product_id::text FROM products WHERE scheduled_publish_time <= now()
            ORDER BY scheduled_publish_time LIMIT $1
            """,
            limit,
        )
        return [row["product_id"] for row in rows]


async def _listed(connection: Executor, page: Page, wanted: ProductFilter) -> Sequence[Record]:
    """Rows of VERSION of those that meet the filter."""
    if not wanted.search:
        return await _page_of(connection, page, wanted)
    query = search_query(wanted.search)
    if wanted.sort is not ProductSort.RELEVANCE:
        return await _page_of(connection, page, wanted, partial(matches, query))
    first, *after = page.after or [Rank.EXACT]
    found: list[Record] = []
    for rank in list(Rank)[first:]:
        rest = Page(page.size - len(found), after if rank == first else None)
        if rest.size:
            found += await _page_of(connection, rest, wanted, partial(has_rank, query, rank))
    return found


async def _page_of(
    connection: Executor, page: Page, wanted: ProductFilter, found: Condition | None = None
) -> Sequence[Record]:
    """Those that meet the filter, but for its search, and the condition `found`, which needs a transaction."""
    many = await plan_search(connection, found) if found else False
    parameters = Parameters()
    bind = parameters.bind
    key, key_type = SORT_KEYS[wanted.sort]
    direction, beyond = ("DESC", "<") if wanted.descending else ("ASC", ">")
    conditions = [f"p.state = ANY({bind(list(wanted.states))}::smallint[])"]
    if wanted.handle:
        conditions.append(f"p.handle = {bind(wanted.handle)}")
    if wanted.sku:
        conditions.append(f"p.product_id = (SELECT v.product_id FROM variants v WHERE v.sku = {bind(wanted.sku)})")
    if wanted.vendor:
        conditions.append(f"p.vendor = {bind(wanted.vendor)}")
    if wanted.product_type:
        conditions.append(f"p.product_type = {bind(wanted.product_type)}")
    if wanted.tag:
        conditions.append(f"p.tags @> ARRAY[{bind(wanted.tag)}]")
    if found:
        conditions.append(found(bind, many))
    if page.after:
        last, product_id = page.after
        last = last if wanted.sort is ProductSort.TITLE else datetime.fromisoformat(last)
        conditions.append(f"({key}, p.product_id) {beyond} ({bind(last)}::{key_type}, {bind(product_id)}::uuid)")
    return await connection.fetch(
        f"SELECT {VERSION} FROM products p WHERE {' AND '.join(conditions)} "
        f"ORDER BY {key} {direction}, p.product_id {direction} LIMIT {bind(page.size)}",
        *parameters.values,
    )
