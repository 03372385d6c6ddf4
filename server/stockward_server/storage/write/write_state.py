"""Writes what a batch changed, in one statement with arrays for any number of commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from stockward_server.application.alerts import Alert
from stockward_server.application.context import MutationContext
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.event import Movement, RecordedEvent
from stockward_server.domain.stock import StockLevel
from stockward_server.runtime.turns import at_once
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Executor
from stockward_server.storage.order_index import index_words
from stockward_server.storage.order_timeline import insert_timeline
from stockward_server.storage.statement import Statement
from stockward_server.storage.write.idempotency import insert_responses
from stockward_server.storage.write.write_order_edits import update_edits
from stockward_server.storage.write.write_orders import (
    insert_allocations,
    insert_orders,
    insert_payments,
    insert_reservations,
    update_orders,
    update_reservations,
)


async def write_state(
    connection: Executor,
    state: UnitOfWork,
    answers: Sequence[tuple[MutationContext, bytes]] = (),
    do: Callable[[Callable[[], Statement]], Awaitable[Statement]] = at_once,
) -> None:
    """Writes everything that was saved into `state`, and the responses to its requests.

    Existing rows are written first where one statement cannot both change and replace them; all else is one statement,
    which `do` has made. Every row that an event refers to is locked, or new, before its `seq` is drawn.
    """
    if changed_orders := list(state.orders.changed.values()):
        await update_edits(connection, changed_orders, state.orders.below, state.offers)
        await update_orders(connection, changed_orders)
    alerts = [alert for of_row in state.alerts.changes.values() for alert in of_row]
    await update_alerts(connection, [alert for alert in alerts if alert.known])
    write = await do(lambda: add_changes(Statement(), state, answers))
    await write.execute(connection)


def add_changes(
    write: Statement, state: UnitOfWork, answers: Sequence[tuple[MutationContext, bytes]] = ()
) -> Statement:
    """Adds to `write` what one statement can write of `state`, and returns it."""
    now = state.now
    alerts = [alert for of_row in state.alerts.changes.values() for alert in of_row if not alert.known]
    if changed_levels := state.levels.changed:
        update_stock(write, changed_levels.values())
    if new_levels := state.levels.added:
        insert_stock(write, new_levels.values())
    if new_reservations := state.reservations.added:
        insert_reservations(write, new_reservations.values(), state.offers)
    if changed_reservations := state.reservations.changed:
        update_reservations(write, changed_reservations.values())
    if new_orders := list(state.orders.added.values()):
        insert_orders(write, new_orders, state.offers)
    if state.orders.changes:
        insert_allocations(write, state.orders.changes.values())
        index_words(write, state.orders.changes.values(), state.orders.below)
    if state.payments.changes:
        insert_payments(write, list(state.payments.changes.values()), now)
    if state.timeline:
        insert_timeline(write, state.timeline)
    if state.movements:
        insert_movements(write, state.movements, now)
    insert_alerts(write, alerts)
    if state.events:
        insert_events(write, state.events, now)
    if answers:
        insert_responses(write, answers, now)
    return write


def update_stock(write: Statement, levels: Iterable[StockLevel]) -> None:
    write.add(
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


def insert_stock(write: Statement, levels: Iterable[StockLevel]) -> None:
    write.add(
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


def insert_movements(write: Statement, movements: Sequence[Movement], now: datetime) -> None:
    write.add(
        """
        INSERT INTO movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta,
                               on_hand, reserved, allocated, reference, note, actor, create_time)
        SELECT *, $14 FROM unnest($1::text[], $2::text[], $3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[],
                                  $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
                                  $13::text[])
        """,
        *columns(movements),
        now,
    )


async def update_alerts(connection: Executor, alerts: Sequence[Alert]) -> None:
    """Updates existing alerts; they are written first, as only one may be active for a stock row."""
    if not alerts:
        return
    await connection.execute(
        """
        UPDATE stock_alerts a SET level = n.level, clear_time = n.clear_time,
            available = CASE WHEN n.level <> a.level THEN n.available ELSE a.available END
        FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::timestamptz[])
            AS n (sku, location_id, level, available, clear_time)
        WHERE a.sku = n.sku AND a.location_id = n.location_id AND a.clear_time IS NULL
        """,
        *columns((a.sku, a.location_id, a.level, a.available, a.clear_time) for a in alerts),
    )


def insert_alerts(write: Statement, alerts: Sequence[Alert]) -> None:
    if not alerts:
        return
    write.add(
        """
        INSERT INTO stock_alerts (sku, location_id, level, available, reorder_point, raise_time, clear_time)
        SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[],
                             $6::timestamptz[], $7::timestamptz[])
        """,
        *columns(
            (a.sku, a.location_id, a.level, a.available, a.reorder_point, a.raise_time, a.clear_time) for a in alerts
        ),
    )


def insert_events(write: Statement, events: Sequence[RecordedEvent], now: datetime) -> None:
    """Inserts the events and their outbox rows."""
    write.add(
        """
        INSERT INTO events (create_time, event_id, type, aggregate_type, aggregate_id, aggregate_version, payload,
                            traceparent)
        SELECT $8, event_id, type, aggregate_type, aggregate_id, version, payload, traceparent
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::text[])
            WITH ORDINALITY
            AS n (event_id, type, aggregate_type, aggregate_id, version, payload, traceparent, position)
        ORDER BY position
        RETURNING seq, event_id
        """,
        *columns(events),
        now,
        name="recorded",
    )
    write.add(
        """
        INSERT INTO outbox (seq, shard, create_time)
        SELECT seq, shard, $3
        FROM recorded JOIN unnest($1::uuid[], $2::smallint[]) AS n (event_id, shard) USING (event_id)
        """,
        [event.event_id for event in events],
        [event.shard for event in events],
        now,
    )
