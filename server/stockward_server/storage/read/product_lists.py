"""Selects the products of a page of a list that is filtered, searched and sorted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from stockward_server.application.ports.catalog import ProductFilter, ProductSort
from stockward_server.application.ports.pages import Page
from stockward_server.domain.search import Rank, search_query
from stockward_server.storage.database import Executor
from stockward_server.storage.read.product_cache import VERSION
from stockward_server.storage.read.product_search import Bind, SearchCondition, for_estimate
from stockward_server.storage.statement import Parameters

SORT_KEYS = {
    ProductSort.CREATE_TIME: ("create_time", "timestamptz"),
    ProductSort.UPDATE_TIME: ("update_time", "timestamptz"),
    ProductSort.TITLE: ("title_key", "text"),
    ProductSort.RELEVANCE: ("create_time", "timestamptz"),
}
"""Column and type of each sort key; each has an index that ends with the product id. Relevance sorts within a rank."""

LISTED_AT_ONCE = 1
"""Products of the list that are filtered in the time that it takes to read one product found in the index."""

SPREAD = 1.5
"""Factor over the number of products that a page needs if matching products are spread evenly over the list."""

GROWTH = 8
"""Factor by which more of the list is read when the previous part had too few matches."""

ENOUGH = 10
"""Factor over the size of a page: so many products are sorted first, as the rest is rarely needed."""


async def list_products(connection: Executor, page: Page, wanted: ProductFilter) -> Sequence[Record]:
    """Returns rows of VERSION for products that match the filter. Needs a transaction; disables sequential scans in
    it."""
    if not wanted.search:
        return await _plain(connection, page, wanted)
    await connection.execute("SET LOCAL enable_seqscan = off")  # a sequential scan reads every search vector
    query = search_query(wanted.search)
    if wanted.sort is not ProductSort.RELEVANCE:
        return await _searched(connection, page, wanted, SearchCondition(query))
    first, *after = page.after or [Rank.EXACT]
    found: list[Record] = []
    for rank in list(Rank)[first:] if query.alternatives else [Rank.EXACT]:
        rest = Page(page.size - len(found), after if rank == first else None)
        if rest.size:
            better = None if page.after else [row["product_id"] for row in found]
            found += await _searched(connection, rest, wanted, SearchCondition(query, rank, better))
    return found


async def _searched(
    connection: Executor, page: Page, wanted: ProductFilter, search: SearchCondition
) -> Sequence[Record]:
    """Returns rows of products that match the filter, with `search` in place of the filter's search."""
    if not search.is_indexed:
        return await _plain(connection, page, wanted, search)
    if search.rank is not Rank.EXACT:
        found, products = await _estimate(connection, search)
        part = int(SPREAD * page.size * products / found)
        while part < LISTED_AT_ONCE * found and (last := await _last_of(connection, page, wanted, part)) is not None:
            rows = await _by_index(connection, page, wanted, search, last)
            if len(rows) == page.size:
                return rows
            part *= GROWTH  # the beginning of the list has fewer matches than the rest
    return await _by_index(connection, page, wanted, search)


async def _estimate(connection: Executor, search: SearchCondition) -> tuple[int, int]:
    """Returns the estimated number of matches, at least one, and of all products, from the database's statistics."""
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


async def _last_of(connection: Executor, page: Page, wanted: ProductFilter, part: int) -> str | datetime | None:
    """Returns the sort key of the last of the next `part` products of the list, counted from the beginning of the page;
    None if there are fewer. From now on statements are planned with their values: the number of products before this
    key decides which index is used."""
    parameters = Parameters()
    key, _ = SORT_KEYS[wanted.sort]
    conditions = _after(page, wanted, f"p.{key}, p.product_id", parameters.bind)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    last: str | datetime | None = await connection.fetchval(
        f"""
        SELECT (SELECT p.{key} FROM products p {where} {_order("p", wanted)} OFFSET {parameters.bind(part)} LIMIT 1)
        FROM set_config('plan_cache_mode', 'force_custom_plan', true)
        """,
        *parameters.values,
    )
    return last


async def _by_index(
    connection: Executor,
    page: Page,
    wanted: ProductFilter,
    search: SearchCondition,
    last: str | datetime | None = None,
) -> Sequence[Record]:
    """Sorts all products that the index finds by the index's columns, and reads as many as the page needs. `last`: only
    products whose sort key is not after it."""
    rows = await _first_named(connection, page, wanted, search, last, ENOUGH * page.size)
    if len(rows) < page.size and not rows[0]["are_all"]:
        rows = await _first_named(connection, page, wanted, search, last, None)
    return [row for row in rows if row["product_id"]]


async def _first_named(
    connection: Executor,
    page: Page,
    wanted: ProductFilter,
    search: SearchCondition,
    last: str | datetime | None,
    enough: int | None,
) -> Sequence[Record]:
    """Returns the matches among the first `enough` products that the index finds, and whether the index finds no more;
    one row without a product when nothing matches."""
    parameters = Parameters()
    bind = parameters.bind
    key, sort_type = SORT_KEYS[wanted.sort]
    question = search.question(bind)
    source, indexed = "product_search s", f"s.{key}"
    if wanted.sort is ProductSort.UPDATE_TIME:
        source, indexed = f"{source} JOIN products u USING (product_id)", f"u.{key}"
    after = [f" AND {each}" for each in _after(page, wanted, f"{indexed}, s.product_id", bind)]
    late = [f" AND {each}" for each in _after(page, wanted, f"p.{key}, p.product_id", bind)]
    if last is not None:
        until = f"{'>=' if wanted.descending else '<='} {bind(last)}::{sort_type}"
        after.append(f" AND {indexed} {until}")
        late.append(f" AND p.{key} {until}")
    conditions = [*_conditions(wanted, bind), search.look(bind)]
    limit = bind(enough)
    in_order = _order("f", wanted, "sort_key")
    # The planner must not walk the list in order and read each product's vector to see whether it matches.
    return await connection.fetch(
        f"""
        WITH named AS MATERIALIZED (
            SELECT s.product_id, {indexed} AS sort_key, false AS is_late
            FROM {source} WHERE s.search @@ ({question}) AND {search.sieve(bind)}{"".join(after)}
            UNION ALL
            SELECT p.product_id, p.{key}, true FROM products p
            WHERE p.indexed_version <> p.version AND p.search @@ ({question}){"".join(late)}
        ), found AS (
            SELECT {VERSION}, f.sort_key FROM (SELECT * FROM named f {in_order} LIMIT {limit}) f
            JOIN products p USING (product_id)
            WHERE (p.indexed_version <> p.version) = f.is_late AND {" AND ".join(conditions)}
            {in_order} LIMIT {bind(page.size)}
        )
        SELECT f.product_id, f.version, f.update_time, n.count <= {limit} AS are_all
        FROM (SELECT count(*) FROM named) n LEFT JOIN found f ON true {in_order}
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
    """Returns the filter's conditions on `products p`, without its search."""
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
    """Returns the condition that the columns `key` are beyond the cursor of the page, if it has one."""
    if not page.after:
        return []
    last, product_id = page.after
    last = last if wanted.sort is ProductSort.TITLE else datetime.fromisoformat(last)
    beyond = "<" if wanted.descending else ">"
    return [f"({key}) {beyond} ({bind(last)}::{SORT_KEYS[wanted.sort][1]}, {bind(product_id)}::uuid)"]


def _order(table: str, wanted: ProductFilter, key: str = "") -> str:
    key = key or SORT_KEYS[wanted.sort][0]
    direction = "DESC" if wanted.descending else "ASC"
    return f"ORDER BY {table}.{key} {direction}, {table}.product_id {direction}"
