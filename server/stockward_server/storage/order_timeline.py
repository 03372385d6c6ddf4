"""The rows of the timeline of orders."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from asyncpg import Record

from stockward_server.domain.charge import Charge, ChargeKind
from stockward_server.domain.order import Allocation, Fulfillment, FulfillmentState, Hold, HoldReason
from stockward_server.domain.payment import PaymentEvent
from stockward_server.domain.timeline import NOTHING, About, LineEdit, TimelineEntry
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.order_rows import PARCEL, PAYMENT, parcel, payment_event
from stockward_server.storage.statement import Statement

PAID = "payment.updated"
SHIPPED = ("order.partially_fulfilled", "order.fulfilled")
"""Types of entries whose payment or parcel is in a table of its own."""


def insert_timeline(write: Statement, entries: Iterable[TimelineEntry]) -> None:
    """Adds the entries."""
    write.add(
        """
        INSERT INTO order_timeline (order_id, version, create_time, type, actor, note, customer_visible, details)
        SELECT order_id, version, create_time, type, actor, note, customer_visible, details::jsonb
        FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::boolean[],
                    $8::text[])
            AS n (order_id, version, create_time, type, actor, note, customer_visible, details)
        """,
        *columns(
            (
                each.order_id,
                each.version,
                each.time,
                each.type,
                each.actor,
                each.about.note,
                each.about.customer_visible,
                None if each.about is NOTHING else _details(each.about),
            )
            for each in entries
        ),
    )


def timeline_entry(row: Record) -> TimelineEntry:
    """Builds an entry from its row."""
    return TimelineEntry(
        row["order_id"],
        row["version"],
        row["type"],
        row["create_time"],
        row["actor"],
        _about(row, row["details"] or {}),
    )


async def with_records(
    connection: Executor | Pool, order_id: str, entries: Sequence[TimelineEntry]
) -> Sequence[TimelineEntry]:
    """Returns the entries with their payments and new parcels, which have tables of their own: those of the same order
    and time."""
    times = [entry.time for entry in entries if entry.type == PAID or entry.type in SHIPPED]
    if not times:
        return entries
    payments = await connection.fetch(
        f"SELECT {PAYMENT} FROM payments WHERE order_id = $1 AND create_time = ANY($2) ORDER BY provider_event_id DESC",
        order_id,
        times,
    )
    parcels = await connection.fetch(
        f"SELECT {PARCEL} FROM fulfillments WHERE order_id = $1 AND create_time = ANY($2) ORDER BY fulfillment_id DESC",
        order_id,
        times,
    )
    paid, shipped = defaultdict[datetime, list[PaymentEvent]](list), defaultdict[datetime, list[Fulfillment]](list)
    for row in payments:
        paid[row["create_time"]].append(payment_event(row))
    for row in parcels:
        shipped[row["create_time"]].append(parcel(row))
    return [_with_record(entry, paid[entry.time], shipped[entry.time]) for entry in entries]


def _with_record(entry: TimelineEntry, paid: list[PaymentEvent], shipped: list[Fulfillment]) -> TimelineEntry:
    if entry.type == PAID and paid:
        return entry._replace(about=replace(entry.about, payment=paid.pop()))
    if entry.type in SHIPPED and shipped:
        return entry._replace(about=replace(entry.about, fulfillment=shipped.pop()))
    return entry


def _details(about: About) -> str | None:
    """Returns what is stored as JSON; None when there is nothing. Payments and new parcels are stored elsewhere."""
    details = {
        "lines": about.lines,
        "edits": about.edits,
        "fields": about.fields,
        "fulfillment": _fulfillment(about.fulfillment) if about.fulfillment and about.fulfillment.update_time else None,
        "charge": about.charge and _charge(about.charge),
        "hold": about.hold and _hold(about.hold),
        "return": about.return_id,
    }
    given = {key: value for key, value in details.items() if value}
    return json.dumps(given) if given else None


def _fulfillment(parcel: Fulfillment) -> list[Any]:
    lines = [(line.line_number, line.location_id, line.quantity) for line in parcel.lines]
    times = [time and time.isoformat() for time in (parcel.create_time, parcel.update_time)]
    return [parcel.fulfillment_id, lines, parcel.tracking_number, parcel.carrier, parcel.state, *times]


def _charge(charge: Charge) -> list[Any]:
    added = charge.added and charge.added.isoformat()
    return [charge.kind, charge.amount, charge.description, charge.line_numbers, charge.reason, charge.actor, added]


def _hold(hold: Hold) -> list[Any]:
    times = [time and time.isoformat() for time in (hold.expire_time, hold.create_time)]
    return [hold.reason, hold.note, hold.actor, *times]


def _about(row: Record, details: dict[str, Any]) -> About:
    fulfillment = charge = hold = None
    if "fulfillment" in details:
        fulfillment_id, lines, tracking, carrier, state, created, updated = details["fulfillment"]
        fulfillment = Fulfillment(
            *(fulfillment_id, tuple(Allocation(*line) for line in lines), tracking, carrier),
            *(datetime.fromisoformat(created), FulfillmentState(state), _moment(updated)),
        )
    if "charge" in details:
        kind, amount, description, numbers, reason, actor, added = details["charge"]
        charge = Charge(ChargeKind(kind), amount, description, tuple(numbers), reason, actor, _moment(added))
    if "hold" in details:
        reason, note, actor, expires, created = details["hold"]
        hold = Hold(HoldReason(reason), note, _moment(expires), actor, _moment(created))
    return About(
        row["note"],
        row["customer_visible"],
        tuple((number, units) for number, units in details.get("lines", ())),
        tuple(LineEdit(*edit) for edit in details.get("edits", ())),
        tuple(details.get("fields", ())),
        None,
        fulfillment,
        charge,
        hold,
        details.get("return", ""),
    )


def _moment(stored: str | None) -> datetime | None:
    return datetime.fromisoformat(stored) if stored else None
