"""Lists of products, filtered, searched and sorted: which products are on a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from stockward_server.application.catalog import ProductFilter, ProductSort
from stockward_server.application.stock_views import Page
from stockward_server.domain.search import Rank, search_query
from stockward_server.storage.database import Executor
from stockward_server.storage.known_products import VERSION
from stockward_server.storage.product_search import VECTOR, Bind, SearchCondition, for_estimate
from stockward_server.storage.statement import Parameters

SORT_KEYS = {
    ProductSort.CREATE_TIME: ("create_time", "timestamptz"),
    ProductSort.UPDATE_TIME: ("update_time", "timestamptz"),
    ProductSort.TITLE: ("title_key", "text"),
    ProductSort.RELEVANCE: ("create_time", "timestamptz"),
}
"""Column and type of each sort key; each has an index with the product id behind it. For relevance, within a rank."""

FOUND_AT_ONCE = 10
"""Products that are read from the index in the time that a look at one search vector takes."""

GROWTH = 8
"""Times as many products that are looked at along the list when those before were not enough."""

ENOUGH = 4
"""Times as many products as a page has that are looked at first, when there are many: that spares sorting the rest."""


async def list_products(connection: Executor, page: Page, wanted: ProductFilter) -> Sequence[Record]:
    """Returns rows of VERSION of those that meet the filter. Needs a transaction, in which no table is scanned."""
    if not wanted.search:
        return await _plain(connection, page, wanted)
    await connection.execute("SET LOCAL enable_seqscan = off")  # it would look at every search vector
    query = search_query(wanted.search)
    if wanted.sort is not ProductSort.RELEVANCE:
        return await _searched(connection, page, wanted, SearchCondition(query))
    first, *after = page.after or [Rank.EXACT]
    found: list[Record] = []
    for rank in list(Rank)[first:] if query.alternatives else [Rank.EXACT]:
        rest = Page(page.size - len(found), after if rank == first else None)
        if rest.size:
            found += await _searched(connection, rest, wanted, SearchCondition(query, rank))
    return found


async def _searched(
    connection: Executor, page: Page, wanted: ProductFilter, search: SearchCondition
) -> Sequence[Record]:
    """Those that meet the filter, and the condition in place of its search."""
    if not search.is_indexed:
        return await _plain(connection, page, wanted, search)
    if search.rank is Rank.EXACT:
        return await _by_index(connection, page, wanted, search)
    found, products = await _estimate(connection, search)
    walked = 2 * page.size * products // found + page.size
    while walked * FOUND_AT_ONCE < found:
        rows = await _walk(connection, page, wanted, search, walked)
        if len(rows) == page.size:
            return rows
        walked *= GROWTH  # where the list begins there are fewer of them than elsewhere
    if found > 2 * ENOUGH * page.size:
        rows = await _by_index(connection, page, wanted, search, ENOUGH * page.size)
        if len(rows) == page.size:
            return rows
    return await _by_index(connection, page, wanted, search)


async def _estimate(connection: Executor, search: SearchCondition) -> tuple[int, int]:
    """Returns how many products are found, at least one, and how many there are, by statistics of the database."""
    parameters = Parameters()
    plan = await connection.fetchval(
        f"""
        EXPLAIN (FORMAT JSON)
        SELECT FROM product_search s WHERE s.search @@ ({search.question(parameters.bind, for_estimate)})
        UNION ALL SELECT FROM product_search s
        """,
        *parameters.values,
    )
    found, products = (max(1, each["Plan Rows"]) for each in json.loads(plan)[0]["Plan"]["Plans"])
    return found, products


async def _walk(
    connection: Executor, page: Page, wanted: ProductFilter, search: SearchCondition, walked: int
) -> Sequence[Record]:
    """Looks at the first `walked` products of the list."""
    parameters = Parameters()
    bind = parameters.bind
    key, _ = SORT_KEYS[wanted.sort]
    list_of = _conditions(wanted, bind) + _after(page, wanted, f"p.{key}, p.product_id", bind)
    return await connection.fetch(
        f"""
        SELECT {VERSION}
        FROM (SELECT * FROM products p WHERE {" AND ".join(list_of)} {_order("p", wanted)} LIMIT {bind(walked)}) p
        WHERE {VECTOR} @@ ({search.question(bind)}) AND {search.look(bind)}
        {_order("p", wanted)} LIMIT {bind(page.size)}
        """,
        *parameters.values,
    )


async def _by_index(
    connection: Executor, page: Page, wanted: ProductFilter, search: SearchCondition, first: int | None = None
) -> Sequence[Record]:
    """Sorts all that the index names by what it has of them, and looks at the `first`, or at as many as it takes, for a
    page of them."""
    parameters = Parameters()
    bind = parameters.bind
    key, _ = SORT_KEYS[wanted.sort]
    question = search.question(bind)
    source, indexed = "product_search s", f"s.{key}"
    if wanted.sort is ProductSort.UPDATE_TIME:
        source, indexed = f"{source} JOIN products u USING (product_id)", f"u.{key}"
    after = "".join(f" AND {each}" for each in _after(page, wanted, f"{indexed}, s.product_id", bind))
    late = "".join(f" AND {each}" for each in _after(page, wanted, f"p.{key}, p.product_id", bind))
    conditions = [*_conditions(wanted, bind), search.look(bind)]
    return await connection.fetch(
        f"""
        SELECT {VERSION}
        FROM (
            SELECT * FROM (
                SELECT s.product_id, {indexed}, false AS is_late FROM {source} WHERE s.search @@ ({question}){after}
                UNION ALL
                SELECT p.product_id, p.{key}, true FROM products p
                WHERE p.indexed_version <> p.version AND p.search @@ ({question}){late}
            ) f {_order("f", wanted)} LIMIT {bind(first)}
        ) f JOIN products p USING (product_id)
        WHERE (p.indexed_version <> p.version) = f.is_late AND {" AND ".join(conditions)}
        {_order("f", wanted)} LIMIT {bind(page.size)}
        """,
        *parameters.values,
    )


async def _plain(
    connection: Executor, page: Page, wanted: ProductFilter, search: SearchCondition | None = None
) -> Sequence[Record]:
    parameters = Parameters()
    bind = parameters.bind
    key, _ = SORT_KEYS[wanted.sort]
    conditions = _conditions(wanted, bind) + _after(page, wanted, f"p.{key}, p.product_id", bind)
    if search:
        conditions.append(search.look(bind))
    return await connection.fetch(
        f"SELECT {VERSION} FROM products p WHERE {' AND '.join(conditions)} "
        f"{_order('p', wanted)} LIMIT {bind(page.size)}",
        *parameters.values,
    )


def _conditions(wanted: ProductFilter, bind: Bind) -> list[str]:
    """What the filter asks of `products p`, but for its search."""
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
    return conditions


def _after(page: Page, wanted: ProductFilter, key: str, bind: Bind) -> list[str]:
    """That the columns `key` are beyond the position where the page begins, if it has one."""
    if not page.after:
        return []
    last, product_id = page.after
    last = last if wanted.sort is ProductSort.TITLE else datetime.fromisoformat(last)
    beyond = "<" if wanted.descending else ">"
    return [f"({key}) {beyond} ({bind(last)}::{SORT_KEYS[wanted.sort][1]}, {bind(product_id)}::uuid)"]


def _order(table: str, wanted: ProductFilter) -> str:
    key, _ = SORT_KEYS[wanted.sort]
    direction = "DESC" if wanted.descending else "ASC"
    return f"ORDER BY {table}.{key} {direction}, {table}.product_id {direction}"
