"""Writes what a batch changed: arrays in, one statement a table, whatever the number of commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from stockward_server.application.locked_state import Alert, LockedState
from stockward_server.domain.event import Movement, RecordedEvent
from stockward_server.domain.stock import StockLevel
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Executor
from stockward_server.storage.write_orders import (
    insert_orders,
    insert_payments,
    insert_reservations,
    update_orders,
    update_reservations,
)


async def write_state(connection: Executor, state: LockedState) -> None:
    """Everything that was saved into `state`. Events come last: their `seq` is drawn under all locks."""
    now = state.now
    if state.changed_levels:
        await update_stock(connection, state.changed_levels.values())
    if state.new_levels:
        await insert_stock(connection, state.new_levels.values())
    if state.new_reservations:
        await insert_reservations(connection, state.new_reservations.values())
    if state.changed_reservations:
        await update_reservations(connection, state.changed_reservations.values())
    if state.new_orders:
        await insert_orders(connection, list(state.new_orders.values()))
    if state.changed_orders:
        await update_orders(connection, list(state.changed_orders.values()))
    if state.new_payments:
        await insert_payments(connection, state.new_payments, now)
    if state.movements:
        await insert_movements(connection, state.movements, now)
    if state.alerts:
        await write_alerts(connection, state.alerts)
    if state.events:
        await insert_events(connection, state.events, now)


async def update_stock(connection: Executor, levels: Iterable[StockLevel]) -> None:
    await connection.execute(
        """
        UPDATE stock s SET on_hand = n.on_hand, reserved = n.reserved, allocated = n.allocated,
            safety_stock = n.safety_stock, reorder_point = n.reorder_point, backorder_limit = n.backorder_limit,
            alert_level = n.alert_level, version = n.version, update_time = n.update_time
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                    $8::bigint[], $9::smallint[], $10::bigint[], $11::timestamptz[])
            AS n (sku, location_id, on_hand, reserved, allocated, safety_stock, reorder_point, backorder_limit,
                  alert_level, version, update_time)
        WHERE s.sku = n.sku AND s.location_id = n.location_id
        """,
        *columns(map(_stock_row, levels)),
    )


async def insert_stock(connection: Executor, levels: Iterable[StockLevel]) -> None:
    await connection.execute(
        """
        INSERT INTO stock (sku, location_id, on_hand, reserved, allocated, safety_stock, reorder_point,
                           backorder_limit, alert_level, version, update_time)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                             $7::bigint[], $8::bigint[], $9::smallint[], $10::bigint[], $11::timestamptz[])
        """,
        *columns(sorted(map(_stock_row, levels))),
    )


def _stock_row(level: StockLevel) -> tuple[Any, ...]:
    return (
        level.sku,
        level.location_id,
        level.on_hand,
        level.reserved,
        level.allocated,
        level.safety_stock,
        level.reorder_point,
        level.backorder_limit,
        level.alert_level,
        level.version,
        level.update_time,
    )


async def insert_movements(connection: Executor, movements: Sequence[Movement], now: datetime) -> None:
    await connection.execute(
        """
        INSERT INTO movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta,
                               on_hand, reserved, allocated, reference, note, actor, create_time)
        SELECT *, $14 FROM unnest($1::text[], $2::text[], $3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[],
                                  $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
                                  $13::text[])
        """,
        *columns(
            (
                (
                    m.sku,
                    m.location_id,
                    m.kind,
                    m.reason,
                    m.on_hand_delta,
                    m.reserved_delta,
                    m.allocated_delta,
                    m.on_hand,
                    m.reserved,
                    m.allocated,
                    m.reference,
                    m.note,
                    m.actor,
                )
                for m in movements
            ),
        ),
        now,
    )


async def write_alerts(connection: Executor, alerts: Sequence[Alert]) -> None:
    """Alerts that stood before the batch are brought up to date first: only one may stand for a stock row."""
    known = [(a.sku, a.location_id, a.level, a.available, a.reorder_point, a.clear_time) for a in alerts if a.known]
    raised = [
        (a.sku, a.location_id, a.level, a.available, a.reorder_point, a.raise_time, a.clear_time)
        for a in alerts
        if not a.known
    ]
    if known:
        await connection.execute(
            """
            UPDATE stock_alerts a SET level = greatest(a.level, n.level), clear_time = n.clear_time,
                available = CASE WHEN n.level > a.level THEN n.available ELSE a.available END
            FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::timestamptz[])
                AS n (sku, location_id, level, available, reorder_point, clear_time)
            WHERE a.sku = n.sku AND a.location_id = n.location_id AND a.clear_time IS NULL
            """,
            *columns(known),
        )
    if raised:
        await connection.execute(
            """
            INSERT INTO stock_alerts (sku, location_id, level, available, reorder_point, raise_time, clear_time)
            SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[],
                                 $6::timestamptz[], $7::timestamptz[])
            """,
            *columns(raised),
        )


async def insert_events(connection: Executor, events: Sequence[RecordedEvent], now: datetime) -> None:
    """The events and, in the same statement, their outbox rows."""
    await connection.execute(
        """
        WITH recorded AS (
            INSERT INTO events (create_time, event_id, type, aggregate_type, aggregate_id, aggregate_version, payload)
            SELECT $8, event_id, type, aggregate_type, aggregate_id, version, payload
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[])
                WITH ORDINALITY AS n (event_id, type, aggregate_type, aggregate_id, version, payload, position)
            ORDER BY position
            RETURNING seq, event_id
        )
        INSERT INTO outbox (seq, shard, create_time)
        SELECT seq, shard, $8
        FROM recorded JOIN unnest($1::uuid[], $7::smallint[]) AS n (event_id, shard) USING (event_id)
        """,
        *columns(
            ((e.event_id, e.type, e.aggregate_type, e.aggregate_id, e.version, e.payload, e.shard) for e in events),
        ),
        now,
    )
