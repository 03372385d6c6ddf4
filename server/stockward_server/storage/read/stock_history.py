"""Reads the counters of a SKU as they were, from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from stockward_server.application.ports.stock import Counters, StockHistory
from stockward_server.domain.errors import LocationUnknown
from stockward_server.storage.database import Executor
from stockward_server.storage.former_skus import names_of, renamed, sku_now

KNOWN_SINCE = r"""
    SELECT CASE WHEN bound LIKE '%MINVALUE%' THEN NULL
                ELSE substring(bound FROM $$FROM \('([^']+)'\)$$)::timestamptz END AS known_since
    FROM (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'movements'::regclass) AS months
    WHERE bound <> 'DEFAULT'
    ORDER BY 1 NULLS FIRST LIMIT 1
"""
"""Selects the first moment of the oldest month of the ledger; NULL when no month is gone."""

# The counters now, less what has happened since: months that are gone are not needed, and only movements after the
# first moment are read.
HISTORY = f"""
    WITH wanted AS (
        SELECT moment, lead(moment, 1, 'infinity') OVER (ORDER BY moment) AS next FROM unnest($3::timestamptz[]) moment
    ), later AS MATERIALIZED (
        SELECT m.create_time, on_hand_delta, reserved_delta, allocated_delta
        FROM movements m {renamed("m", "movement_id")}
        WHERE m.sku = ANY({names_of("$1")}) AND {sku_now("m")} = $1 AND ($2::text IS NULL OR location_id = $2)
          AND create_time >= $4
    ), changed AS (
        SELECT moment, coalesce(sum(on_hand_delta), 0) AS on_hand, coalesce(sum(reserved_delta), 0) AS reserved,
               coalesce(sum(allocated_delta), 0) AS allocated
        FROM wanted LEFT JOIN later ON create_time >= moment AND create_time < next GROUP BY moment
    )
    SELECT moment, (present.on_hand - sum(changed.on_hand) OVER since)::bigint AS on_hand,
           (present.reserved - sum(changed.reserved) OVER since)::bigint AS reserved,
           (present.allocated - sum(changed.allocated) OVER since)::bigint AS allocated
    FROM changed, (SELECT coalesce(sum(on_hand), 0) AS on_hand, coalesce(sum(reserved), 0) AS reserved,
                          coalesce(sum(allocated), 0) AS allocated
                   FROM stock WHERE sku = $1 AND ($2::text IS NULL OR location_id = $2)) AS present
    WINDOW since AS (ORDER BY moment DESC) ORDER BY moment
"""
"""Selects the counters of a SKU ($1) at a location ($2; NULL: at all) at moments ($3), the first of which is $4."""


async def stock_history(
    connection: Executor, sku: str, location_id: str | None, moments: Sequence[datetime]
) -> StockHistory | None:
    """Returns the counters at these moments, oldest first; None for an unknown SKU. Raises LocationUnknown. Needs a
    snapshot."""
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM variants WHERE sku = $1)", sku):
        return None
    if location_id and not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM locations WHERE location_id = $1)", location_id
    ):
        raise LocationUnknown(location_id)
    known_since: datetime | None = await connection.fetchval(KNOWN_SINCE)
    known = [moment for moment in moments if known_since is None or moment >= known_since]
    rows = await connection.fetch(HISTORY, sku, location_id, known, known[0]) if known else []
    return StockHistory([Counters(*row.values()) for row in rows], known_since)
