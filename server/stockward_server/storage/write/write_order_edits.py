"""Writes what changes in orders beside their steps: holds, details, parcels, returns and lines. Ordinary steps of
orders change none of it, so they cost no statement here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from stockward_server.domain.order import Fulfillment, Order, OrderLine
from stockward_server.domain.returns import OrderReturn
from stockward_server.domain.stock import Offer
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Executor
from stockward_server.storage.order_rows import address_json, hold_columns
from stockward_server.storage.statement import array_literal, execute
from stockward_server.storage.write.write_orders import INSERT_LINES, line_row

Change = tuple[Order, Order]
"""An order before and after a batch."""


async def update_edits(
    connection: Executor, orders: Iterable[Order], before: Mapping[str, Order], offers: Mapping[str, Offer]
) -> None:
    """Writes the holds, details, contacts, parcels, returns and lines that differ from `before`. The rows of the orders
    are locked."""
    changes = [(before[order.order_id], order) for order in orders]
    await _update_details(connection, [new for old, new in changes if _details(old) != _details(new)])
    await _replace_contacts(connection, [new for old, new in changes if _contact(old) != _contact(new)])
    await _update_parcels(connection, [each for old, new in changes for each in _changed_parcels(old, new)])
    await _write_returns(connection, [(new, each) for old, new in changes for each in _changed_returns(old, new)])
    edited = [(old, new) for old, new in changes if old.lines is not new.lines and _ordered(old) != _ordered(new)]
    if edited:
        await _replace_lines(connection, edited, offers)


def _details(order: Order) -> tuple[object, ...]:
    return order.staff_hold, order.reference, order.tags, order.attributes, order.edits, order.cancel_reason


def _contact(order: Order) -> tuple[object, ...]:
    return order.customer, order.gift_note, _notes(order)


def _notes(order: Order) -> dict[int, str]:
    return {line.line_number: line.gift_note for line in order.lines if line.gift_note}


def _ordered(order: Order) -> list[tuple[object, ...]]:
    return [(line.line_number, line.quantity, line.unit_price) for line in order.lines]


async def _update_details(connection: Executor, orders: Sequence[Order]) -> None:
    if not orders:
        return
    await connection.execute(
        """
        UPDATE orders o SET hold = n.hold::jsonb, hold_expire_time = n.hold_expire_time, reference = n.reference,
            tags = n.tags::text[], attributes = n.attributes::jsonb, edits = n.edits::jsonb,
            cancel_reason = n.cancel_reason
        FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::text[])
            AS n (order_id, hold, hold_expire_time, reference, tags, attributes, edits, cancel_reason)
        WHERE o.order_id = n.order_id
        """,
        *columns(
            (
                o.order_id,
                *hold_columns(o.staff_hold),
                o.reference,
                array_literal(o.tags) if o.tags else None,
                json.dumps(dict(o.attributes)) if o.attributes else None,
                json.dumps([(time.isoformat(), amount) for time, amount in o.edits]) if o.edits else None,
                o.cancel_reason,
            )
            for o in orders
        ),
    )


async def _replace_contacts(connection: Executor, orders: Sequence[Order]) -> None:
    """Contacts without anything in them have no row."""
    if not orders:
        return
    await connection.execute(
        "DELETE FROM order_contacts WHERE order_id = ANY($1::uuid[])", [order.order_id for order in orders]
    )
    rows = [
        (
            o.order_id,
            o.customer.email,
            o.customer.name,
            address_json(o.customer.shipping_address),
            address_json(o.customer.billing_address),
            o.gift_note,
            _notes(o) or None,
        )
        for o in orders
        if o.customer.has_contact or o.gift_note or _notes(o)
    ]
    if rows:
        await connection.execute(
            """
            INSERT INTO order_contacts (order_id, email, name, shipping_address, billing_address, gift_note,
                                        line_gift_notes)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::text[], $7::jsonb[])
            """,
            *columns(rows),
        )


def _changed_parcels(old: Order, new: Order) -> list[Fulfillment]:
    """Returns the parcels that were there before, and differ."""
    return [parcel for was, parcel in zip(old.fulfillments, new.fulfillments, strict=False) if was != parcel]


async def _update_parcels(connection: Executor, parcels: Sequence[Fulfillment]) -> None:
    if not parcels:
        return
    await connection.execute(
        """
        UPDATE fulfillments f SET tracking_number = n.tracking_number, carrier = n.carrier, state = n.state,
            update_time = n.update_time
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::timestamptz[])
            AS n (fulfillment_id, tracking_number, carrier, state, update_time)
        WHERE f.fulfillment_id = n.fulfillment_id
        """,
        *columns((p.fulfillment_id, p.tracking_number, p.carrier, p.state, p.update_time) for p in parcels),
    )


def _changed_returns(old: Order, new: Order) -> list[OrderReturn]:
    """Returns the returns that are new, or differ."""
    if new.returns is old.returns:
        return []
    was = set(old.returns)
    return [each for each in new.returns if each not in was]


async def _write_returns(connection: Executor, returns: Sequence[tuple[Order, OrderReturn]]) -> None:
    if not returns:
        return
    await connection.execute(
        """
        INSERT INTO order_returns (return_id, order_id, state, lines, reason, note, tracking_number, carrier, label_url,
                                   actor, create_time, update_time)
        SELECT return_id, order_id, state, lines::jsonb, reason, note, tracking_number, carrier, label_url, actor,
               create_time, update_time
        FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                    $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[])
            AS n (return_id, order_id, state, lines, reason, note, tracking_number, carrier, label_url, actor,
                  create_time, update_time)
        ON CONFLICT (return_id) DO UPDATE SET state = excluded.state, lines = excluded.lines, note = excluded.note,
            tracking_number = excluded.tracking_number, carrier = excluded.carrier, label_url = excluded.label_url,
            update_time = excluded.update_time
        """,
        *columns(
            (
                each.return_id,
                order.order_id,
                each.state,
                json.dumps([(line.line_number, line.quantity, line.received, line.damaged) for line in each.lines]),
                each.reason,
                each.note,
                each.tracking_number,
                each.carrier,
                each.label_url,
                each.actor,
                each.create_time,
                each.update_time,
            )
            for order, each in returns
        ),
    )


async def _replace_lines(connection: Executor, changes: Sequence[Change], offers: Mapping[str, Offer]) -> None:
    """Deletes lines that were removed, changes others, and inserts new ones. Their claims are written with the order's
    other changes."""
    gone, kept, new = list[tuple[str, int]](), list[tuple[object, ...]](), list[tuple[Order, OrderLine]]()
    for old, order in changes:
        known = {line.line_number for line in old.lines}
        left = {line.line_number for line in order.lines}
        gone += ((order.order_id, number) for number in known - left)
        kept += (
            (order.order_id, line.line_number, line.quantity, line.unit_price)
            for line in order.lines
            if line.line_number in known
        )
        new += ((order, line) for line in order.lines if line.line_number not in known)
    if gone:
        await connection.execute(
            """
            DELETE FROM order_lines l USING unnest($1::uuid[], $2::int[]) AS n (order_id, line_number)
            WHERE l.order_id = n.order_id AND l.line_number = n.line_number
            """,
            *columns(gone),
        )
    if kept:
        await connection.execute(
            """
            UPDATE order_lines l SET quantity = n.quantity, unit_price = n.unit_price
            FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::bigint[])
                AS n (order_id, line_number, quantity, unit_price)
            WHERE l.order_id = n.order_id AND l.line_number = n.line_number
              AND (l.quantity, l.unit_price) <> (n.quantity, n.unit_price)
            """,
            *columns(kept),
        )
    if new:
        await execute(connection, INSERT_LINES, *columns(line_row(order, line, offers) for order, line in new))
