"""Reads stock from the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from asyncpg import Record

from stockward_server.application.alerts import Alert
from stockward_server.application.ports.pages import Page
from stockward_server.application.ports.stock import (
    AlertRow,
    AvailabilityRow,
    Claim,
    Claims,
    Discrepancy,
    Explanation,
    LevelFilter,
    LocationRow,
    MovementFilter,
    MovementRow,
    ReservationFilter,
    StockHistory,
)
from stockward_server.domain.event import Movement
from stockward_server.domain.product import ProductState
from stockward_server.domain.reservation import Reservation
from stockward_server.domain.stock import (
    AdjustmentReason,
    AlertLevel,
    MovementKind,
    StockLevel,
    obtainable,
    untracked_level,
)
from stockward_server.runtime.turns import Turns
from stockward_server.storage.any_of import ANY_TEXT
from stockward_server.storage.database import Executor, Pool, read_snapshot
from stockward_server.storage.former_skus import names_of, renamed, sku_now
from stockward_server.storage.order_rows import load_reservations
from stockward_server.storage.read.level_lists import list_levels
from stockward_server.storage.read.replicas import PrimaryReads, Reads
from stockward_server.storage.read.stock_history import stock_history
from stockward_server.storage.stock_rows import stock_level

MAX_CLAIMS = 1000
MAX_DISCREPANCIES = 1000

LIST_MOVEMENTS = f"""
    SELECT m.*, {sku_now("m")} AS sku_now FROM movements m {renamed("m", "movement_id")}
    WHERE ($1::bigint IS NULL OR movement_id < $1)
      AND ($2::text IS NULL OR m.sku = ANY({names_of("$2")}) AND {sku_now("m")} = $2)
      AND ($3::text IS NULL OR location_id = $3) AND ($4::smallint IS NULL OR kind = $4)
      AND ($5::text IS NULL OR reference = $5)
      AND ($6::timestamptz IS NULL OR create_time >= $6) AND ($7::timestamptz IS NULL OR create_time < $7)
    ORDER BY movement_id DESC LIMIT $8
"""

LEVELS_BY_PRIORITY = """
    SELECT s.*, l.priority, l.active FROM stock s JOIN locations l USING (location_id)
    WHERE s.sku = $1 ORDER BY l.priority, s.location_id
"""

CLAIMS = f"""
    SELECT *, count(*) OVER () AS count FROM (
        SELECT l.location_id, l.quantity, r.reservation_id::text, NULL AS order_id, r.expire_time, r.create_time
        FROM reservation_lines l {renamed("l", "sku_since")} JOIN reservations r USING (reservation_id)
        WHERE l.sku = ANY({names_of("$1")}) AND {sku_now("l")} = $1 AND l.location_id <> '' AND r.state = 1
        UNION ALL
        SELECT a.location_id, a.quantity, NULL, o.order_id::text, NULL, o.create_time
        FROM allocations a JOIN orders o USING (order_id) WHERE a.sku = $1
    ) AS claims ORDER BY create_time, reservation_id, order_id, location_id LIMIT $2
"""
"""Selects the claims on the units of a SKU, oldest first, and their number."""


class SqlStockViews:
    """The application's StockViews on PostgreSQL."""

    def __init__(self, pool: Pool, lists: Reads | None = None) -> None:
        """`lists` reads what may come from a replica; None: the pool."""
        self._pool = pool
        self._lists = lists or PrimaryReads(pool)

    async def availability(self, skus: Sequence[str]) -> Mapping[str, AvailabilityRow]:
        """Returns availability by SKU; a variant without a stock row has zero units."""
        rows = await self._pool.fetch(
            f"""
            SELECT v.sku AS variant, v.untracked, p.state = $2 AS published, clock_timestamp() AS read_time, s.*,
                   l.priority, l.active
            FROM variants v JOIN products p USING (product_id)
                LEFT JOIN stock s USING (sku) LEFT JOIN locations l USING (location_id)
            WHERE v.sku = {ANY_TEXT} ORDER BY v.sku
            """,
            list(skus),
            ProductState.PUBLISHED,
        )
        found: dict[str, AvailabilityRow] = {}
        turns = Turns(ahead=True)  # several callers may wait for the same load
        for sku, same_sku in groupby(rows, key=itemgetter("variant")):
            await turns.give()
            variant, *others = same_sku
            levels = [stock_level(row) for row in (variant, *others) if row["sku"] is not None]
            untracked = variant["untracked"]
            available = obtainable([untracked_level(sku)] if untracked else levels)
            found[sku] = AvailabilityRow(sku, available, variant["read_time"], variant["published"], untracked)
        return found

    async def levels(self, page: Page, skus: Sequence[str], location_id: str | None) -> Sequence[StockLevel]:
        """Returns a page of stock levels by (sku, location_id)."""
        after_sku, after_location = page.after or ("", "")
        rows = await self._lists.fetch(
            f"""
            SELECT s.*, l.priority, l.active FROM stock s JOIN locations l USING (location_id)
            WHERE (s.sku, s.location_id) > ($1, $2) AND ($3::text IS NULL OR s.location_id = $3)
              {"AND s.sku = ANY($5::text[])" if skus else ""}
            ORDER BY s.sku, s.location_id LIMIT $4
            """,
            after_sku,
            after_location,
            location_id,
            page.size,
            *([list(skus)] if skus else ()),
        )
        return [stock_level(row) for row in rows]

    async def list_levels(self, page: Page, wanted: LevelFilter) -> Sequence[StockLevel]:
        """Returns a page of the levels that match, in the filter's order."""
        return await self._lists.snapshot(lambda connection: list_levels(connection, page, wanted))

    async def alerts(self, page: Page, sku: str | None, include_cleared: bool) -> Sequence[AlertRow]:
        """Returns a page of alerts, newest first."""
        (before,) = page.after or (None,)
        rows = await self._lists.fetch(
            """
            SELECT * FROM stock_alerts
            WHERE ($1::bigint IS NULL OR alert_id < $1) AND ($2::text IS NULL OR sku = $2)
              AND ($3 OR clear_time IS NULL)
            ORDER BY alert_id DESC LIMIT $4
            """,
            before,
            sku,
            include_cleared,
            page.size,
        )
        return [
            AlertRow(
                row["alert_id"],
                Alert(
                    row["sku"],
                    row["location_id"],
                    AlertLevel(row["level"]),
                    row["available"],
                    row["reorder_point"],
                    row["raise_time"],
                    clear_time=row["clear_time"],
                ),
            )
            for row in rows
        ]

    async def movements(self, page: Page, wanted: MovementFilter) -> Sequence[MovementRow]:
        """Returns a page of movements, newest first."""
        (before,) = page.after or (None,)
        rows = await self._lists.fetch(
            LIST_MOVEMENTS,
            before,
            wanted.sku,
            wanted.location_id,
            wanted.kind,
            wanted.reference,
            wanted.start,
            wanted.end,
            page.size,
        )
        return [
            MovementRow(
                row["movement_id"],
                Movement(
                    row["sku_now"],
                    row["location_id"],
                    MovementKind(row["kind"]),
                    AdjustmentReason(row["reason"]),
                    row["on_hand_delta"],
                    row["reserved_delta"],
                    row["allocated_delta"],
                    row["on_hand"],
                    row["reserved"],
                    row["allocated"],
                    row["reference"],
                    row["note"],
                    row["actor"],
                ),
                row["create_time"],
            )
            for row in rows
        ]

    async def explain(self, sku: str) -> Explanation | None:
        """Returns levels, available units, and the claims, oldest first; None for an unknown SKU."""

        async def read(connection: Executor) -> tuple[bool | None, Sequence[Record], Sequence[Record]]:
            untracked = await connection.fetchval("SELECT untracked FROM variants WHERE sku = $1", sku)
            return (
                untracked,
                await connection.fetch(LEVELS_BY_PRIORITY, sku),
                await connection.fetch(CLAIMS, sku, MAX_CLAIMS),
            )

        untracked, rows, claims = await read_snapshot(self._pool, read)
        if untracked is None:
            return None
        levels = [stock_level(row) for row in rows]
        oldest = [
            Claim(row["location_id"], row["quantity"], row["reservation_id"], row["order_id"], row["expire_time"])
            for row in claims
        ]
        available = obtainable([untracked_level(sku)] if untracked else levels)
        return Explanation(levels, available, untracked, Claims(oldest, claims[0]["count"] if claims else 0))

    async def history(self, sku: str, location_id: str | None, moments: Sequence[datetime]) -> StockHistory | None:
        """Returns the counters at these moments; None for an unknown SKU."""
        return await self._lists.snapshot(lambda connection: stock_history(connection, sku, location_id, moments))

    async def verify(self, sku: str | None) -> tuple[int, Sequence[Discrepancy]]:
        """Returns the number of stock rows compared, and the discrepancies. It is one statement, so one snapshot."""
        rows = await self._lists.fetch(
            f"""
            WITH ledger AS (
                SELECT sku, location_id, sum(on_hand)::bigint AS on_hand, sum(reserved)::bigint AS reserved,
                       sum(allocated)::bigint AS allocated
                FROM (SELECT sku, location_id, on_hand, reserved, allocated FROM opening_balances
                      UNION ALL
                      SELECT {sku_now("m")}, location_id, on_hand_delta, reserved_delta, allocated_delta
                      FROM movements m {renamed("m", "movement_id")}
                      WHERE $1::text IS NULL OR m.sku = ANY({names_of("$1")})) entries
                WHERE $1::text IS NULL OR sku = $1 GROUP BY sku, location_id
            ), held AS (
                SELECT {sku_now("l")} AS sku, location_id, sum(quantity)::bigint AS quantity
                FROM reservation_lines l {renamed("l", "sku_since")} JOIN reservations USING (reservation_id)
                WHERE state = 1 AND location_id <> ''
                  AND ($1::text IS NULL OR l.sku = ANY({names_of("$1")}) AND {sku_now("l")} = $1)
                GROUP BY 1, 2
            ), owed AS (
                SELECT sku, location_id, sum(quantity)::bigint AS quantity
                FROM allocations WHERE $1::text IS NULL OR sku = $1 GROUP BY sku, location_id
            ), compared AS (
                SELECT sku, location_id, c.counter, coalesce(c.counted, 0) AS counted, coalesce(c.ledger, 0) AS ledger,
                       coalesce(c.claimed, 0) AS claimed
                FROM (SELECT * FROM stock WHERE $1::text IS NULL OR sku = $1) s
                FULL JOIN ledger l USING (sku, location_id)
                FULL JOIN held h USING (sku, location_id)
                FULL JOIN owed o USING (sku, location_id),
                LATERAL (VALUES ('on_hand', s.on_hand, l.on_hand, l.on_hand),
                                ('reserved', s.reserved, l.reserved, h.quantity),
                                ('allocated', s.allocated, l.allocated, o.quantity))
                    AS c (counter, counted, ledger, claimed)
            )
            SELECT *, count(*) OVER () / 3 AS checked FROM compared
            ORDER BY counted = ledger AND counted = claimed, sku, location_id, counter LIMIT $2
            """,
            sku,
            MAX_DISCREPANCIES,
            timeout=600.0,
        )
        found = [
            Discrepancy(row["sku"], row["location_id"], row["counter"], row["counted"], row["ledger"], row["claimed"])
            for row in rows
            if not row["counted"] == row["ledger"] == row["claimed"]
        ]
        return rows[0]["checked"] if rows else 0, found

    async def reservation(self, reservation_id: str) -> Reservation | None:
        async with self._pool.acquire() as connection:
            return (await load_reservations(connection, [reservation_id])).get(reservation_id.lower())

    async def reservations(self, page: Page, wanted: ReservationFilter) -> Sequence[Reservation]:
        """Returns a page of reservations, newest first, as their ids sort by time."""
        (before,) = page.after or (None,)

        async def read(connection: Executor) -> Sequence[Reservation]:
            ids = await connection.fetch(
                f"""
                SELECT reservation_id::text AS id FROM reservations
                WHERE ($1::uuid IS NULL OR reservation_id < $1) AND ($2::smallint IS NULL OR state = $2)
                  AND ($3::text IS NULL OR customer_id = $3)
                  AND ($4::text IS NULL OR EXISTS (SELECT FROM reservation_lines l {renamed("l", "sku_since")}
                       WHERE l.reservation_id = reservations.reservation_id AND {sku_now("l")} = $4))
                ORDER BY reservation_id DESC LIMIT $5
                """,
                before,
                wanted.state,
                wanted.customer_id,
                wanted.sku,
                page.size,
            )
            found = await load_reservations(connection, [row["id"] for row in ids])
            return [found[row["id"]] for row in ids]

        return await self._lists.snapshot(read)

    async def locations(self, page: Page) -> Sequence[LocationRow]:
        """Returns a page of locations by (priority, location_id)."""
        after_priority, after_location = page.after or (-1, "")
        rows = await self._pool.fetch(
            """
            SELECT location_id, name, priority, active, create_time FROM locations
            WHERE (priority, location_id) > ($1::integer, $2::text) ORDER BY priority, location_id LIMIT $3
            """,
            after_priority,
            after_location,
            page.size,
        )
        return [LocationRow(*row.values()) for row in rows]
