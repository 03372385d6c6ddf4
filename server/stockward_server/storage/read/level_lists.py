"""Selects the stock levels of a page of a list that is filtered, searched and sorted."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpg import Record

from stockward_server.application.ports.pages import Page
from stockward_server.application.ports.stock import LevelFilter, LevelSort
from stockward_server.domain.search import search_query
from stockward_server.domain.stock import StockLevel
from stockward_server.storage.database import Executor
from stockward_server.storage.read.product_search import Bind, SearchCondition
from stockward_server.storage.statement import Parameters
from stockward_server.storage.stock_rows import available_of, stock_level


async def list_levels(connection: Executor, page: Page, wanted: LevelFilter) -> Sequence[StockLevel]:
    """Returns a page of the levels that match the filter, in its order. Needs a transaction; disables sequential scans
    in it when the list is searched."""
    if wanted.search:
        await connection.execute("SET LOCAL enable_seqscan = off")  # a sequential scan reads every search vector
    parameters = Parameters()
    rows = await connection.fetch(_statement(page, wanted, parameters.bind), *parameters.values)
    return [_level(row) for row in rows]


def _level(row: Record) -> StockLevel:
    if row["sku"] is not None:
        return stock_level(row)
    return StockLevel(row["variant"], row["place"], priority=row["priority"] or 0, active=row["active"] is not False)


def _statement(page: Page, wanted: LevelFilter, bind: Bind) -> str:
    source, variant, place, conditions = _source(wanted, bind)
    # No index has the units, as every sale would have to write it: a list by them reads all levels that match.
    available = f"coalesce({available_of('s')}, 0)"
    conditions += _conditions(wanted, variant, available, bind)
    if wanted.location_id:
        conditions.append(f"{place} = {bind(wanted.location_id)}")
    keys = [(variant, "text"), (place, "text")]
    if wanted.sort is LevelSort.AVAILABLE:
        keys.insert(0, (available, "bigint"))
    if page.after:
        beyond = "<" if wanted.descending else ">"
        last = [f"{bind(value)}::{kind}" for value, (_, kind) in zip(page.after, keys, strict=True)]
        conditions.append(f"({', '.join(key for key, _ in keys)}) {beyond} ({', '.join(last)})")
        if wanted.sort is LevelSort.SKU:  # what the index of variants alone can use
            conditions.append(f"{variant} {beyond}= {last[0]}")
    direction = "DESC" if wanted.descending else "ASC"
    return f"""
        {_matching(wanted, bind)}
        SELECT {variant} AS variant, {place} AS place, s.*, l.priority, l.active FROM {source}
        {f"WHERE {' AND '.join(conditions)}" if conditions else ""}
        ORDER BY {", ".join(f"{key} {direction}" for key, _ in keys)} LIMIT {bind(page.size)}
    """


def _source(wanted: LevelFilter, bind: Bind) -> tuple[str, str, str, list[str]]:
    """Returns what is selected from, its SKU and location, and the conditions that belong to it."""
    if not wanted.include_unstocked:
        variants = "variants v JOIN stock s USING (sku)" if _names_products(wanted) else "stock s"
        return f"{variants} JOIN locations l USING (location_id)", "s.sku", "s.location_id", []
    tracked = ["(s.sku IS NOT NULL OR NOT v.untracked)"]
    if wanted.location_id:
        places = "JOIN locations l ON true LEFT JOIN stock s ON s.sku = v.sku AND s.location_id = l.location_id"
        return f"variants v {places}", "v.sku", "l.location_id", tracked
    places = "LEFT JOIN stock s ON s.sku = v.sku LEFT JOIN locations l ON l.location_id = s.location_id"
    return f"variants v {places}", "v.sku", "coalesce(s.location_id, '')", tracked


def _names_products(wanted: LevelFilter) -> bool:
    return bool(wanted.search or wanted.vendor or wanted.tag)


def _conditions(wanted: LevelFilter, variant: str, available: str, bind: Bind) -> list[str]:
    conditions = []
    if wanted.sku:
        conditions.append(f"{variant} = {bind(wanted.sku)}")
    if wanted.available_below is not None:
        conditions.append(f"{available} < {bind(wanted.available_below)}")
    if wanted.alert_levels:
        levels = f"{bind(list(wanted.alert_levels))}::smallint[]"
        # The standing alerts have an index, the level in the row of stock has none.
        standing = f"SELECT a.sku, a.location_id FROM stock_alerts a WHERE clear_time IS NULL AND level = ANY({levels})"
        conditions.append(f"(s.sku, s.location_id) IN ({standing})")
    if _names_products(wanted):
        conditions.append("v.product_id IN (SELECT product_id FROM matching)")
    return conditions


def _matching(wanted: LevelFilter, bind: Bind) -> str:
    """Returns the WITH of the products that the filter names, if it names any."""
    if not _names_products(wanted):
        return ""
    named = []
    if wanted.vendor:
        named.append(f"p.vendor = {bind(wanted.vendor)}")
    if wanted.tag:
        named.append(f"p.tags @> ARRAY[{bind(wanted.tag)}]")
    search = SearchCondition(search_query(wanted.search)) if wanted.search else None
    if search:
        named.append(search.look(bind))
    where = " AND ".join(named)
    if not search or not search.is_indexed:
        return f"WITH matching AS MATERIALIZED (SELECT p.product_id FROM products p WHERE {where})"
    question = search.question(bind)
    return f"""
        WITH matching AS MATERIALIZED (
            SELECT p.product_id FROM product_search s JOIN products p USING (product_id)
            WHERE s.search @@ ({question}) AND {search.sieve(bind)} AND p.indexed_version = p.version AND {where}
            UNION
            SELECT p.product_id FROM products p
            WHERE p.indexed_version <> p.version AND p.search @@ ({question}) AND {where}
        )
    """
