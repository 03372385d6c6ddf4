"""Renames a SKU with its stock, alerts and claims. See `former_skus` for rows that keep the former SKU."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.stock import StockLevel
from stockward_server.storage.database import Executor
from stockward_server.storage.write.lock import last_versions, lock_stock


async def begin_rename(connection: Executor) -> None:
    """Locks out other renames and the retention of the ledger, as both move the counts of a SKU.

    These locks come first in a rename.
    """
    await connection.execute("LOCK TABLE opening_balances IN ROW EXCLUSIVE MODE")
    await connection.execute("SELECT FROM sku_renames FOR UPDATE")


async def lock_goods(connection: Executor, sku: str) -> list[StockLevel]:
    """Locks and returns the stock rows of a SKU; no new one can appear until the end of the transaction.

    Stock rows are locked before the variant: a command that inserts one has locked some of the SKU's already and then
    waits for the variant. A row that was inserted in between is a lost race.
    """
    levels = await lock_stock(connection, [sku], "UPDATE")
    await connection.execute("SELECT FROM variants WHERE sku = $1 FOR UPDATE", sku)
    if await connection.fetchval("SELECT count(*) FROM stock WHERE sku = $1", sku) != len(levels):
        raise asyncpg.SerializationError(f"a stock row of {sku} was made meanwhile")
    return levels


async def rename_goods(
    connection: Executor, sku: str, new_sku: str, levels: Sequence[StockLevel], state: UnitOfWork
) -> list[int]:
    """Renames what `lock_goods` locked, and the claims on it; returns the new version of each stock row.

    The version follows the last one of the aggregate with the new SKU. That SKU may have belonged to other goods, and
    the versions of one aggregate have no gap.
    """
    last = await last_versions(connection, [(new_sku, level.location_id) for level in levels])
    versions = [state.version_after(version) for version in last]
    moment = await connection.fetchval("SELECT nextval('movements_movement_id_seq')")
    await connection.execute("UPDATE sku_renames SET count = count + 1")
    await connection.execute("UPDATE former_skus SET sku = $2 WHERE sku = $1", sku, new_sku)
    await connection.execute(
        """
        INSERT INTO former_skus (name, since, until, sku)
        SELECT $1, coalesce(max(until), 0), $3, $2 FROM former_skus WHERE name = $1
        """,
        sku,
        new_sku,
        moment,
    )
    await connection.execute(
        "UPDATE variants SET sku = $2, sku_since = $3, events_since = nextval('event_seq') WHERE sku = $1",
        sku,
        new_sku,
        moment,
    )
    await connection.execute(  # the foreign key has already renamed them
        """
        UPDATE stock s SET version = n.version, update_time = $2
        FROM unnest($3::text[], $4::bigint[]) AS n (location_id, version)
        WHERE s.sku = $1 AND s.location_id = n.location_id
        """,
        new_sku,
        state.now,
        [level.location_id for level in levels],
        versions,
    )
    await connection.execute(
        """
        WITH moved AS (DELETE FROM opening_balances WHERE sku = $1 RETURNING *)
        INSERT INTO opening_balances AS o (sku, location_id, on_hand, reserved, allocated)
        SELECT $2, location_id, on_hand, reserved, allocated FROM moved
        ON CONFLICT (sku, location_id) DO UPDATE SET on_hand = o.on_hand + excluded.on_hand,
            reserved = o.reserved + excluded.reserved, allocated = o.allocated + excluded.allocated
        """,
        sku,
        new_sku,
    )
    for table in ("allocations", "stock_alerts"):
        await connection.execute(f"UPDATE {table} SET sku = $2 WHERE sku = $1", sku, new_sku)
    return versions
