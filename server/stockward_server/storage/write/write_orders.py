"""Writes orders, reservations and payments, any number in one statement with arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime

from stockward_server.domain.charge import NO_SHARES
from stockward_server.domain.order import Order, OrderLine
from stockward_server.domain.payment import PaymentEvent
from stockward_server.domain.reservation import Reservation
from stockward_server.domain.stock import Offer
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Executor
from stockward_server.storage.order_index import list_columns
from stockward_server.storage.order_rows import address_json, charge_columns
from stockward_server.storage.statement import Statement

INSERT_LINES = """
    INSERT INTO order_lines (order_id, line_number, sku, title, quantity, unit_price, price_override_reason,
                             untracked, sku_since, shares)
    SELECT order_id, line_number, sku, title, quantity, unit_price, price_override_reason, untracked, sku_since,
           shares::jsonb
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[],
                $8::boolean[], $9::bigint[], $10::text[])
        AS n (order_id, line_number, sku, title, quantity, unit_price, price_override_reason, untracked, sku_since,
              shares)
"""


def insert_reservations(write: Statement, reservations: Iterable[Reservation], offers: Mapping[str, Offer]) -> None:
    heads = [
        (
            r.reservation_id,
            r.state,
            r.customer_id,
            r.expire_time,
            r.create_time,
            r.update_time,
            r.order_id,
            r.version,
            r.actor,
        )
        for r in reservations
    ]
    write.add(
        """
        INSERT INTO reservations (reservation_id, state, customer_id, expire_time, create_time, update_time,
                                  order_id, version, actor)
        SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                             $6::timestamptz[], $7::uuid[], $8::bigint[], $9::text[])
        """,
        *columns(heads),
    )
    lines = [
        (r.reservation_id, line.sku, line.location_id, line.quantity, offers[line.sku].sku_since)
        for r in reservations
        for line in r.lines
    ]
    write.add(
        """
        INSERT INTO reservation_lines (reservation_id, sku, location_id, quantity, sku_since)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
        """,
        *columns(lines),
    )


def update_reservations(write: Statement, reservations: Iterable[Reservation]) -> None:
    write.add(
        """
        UPDATE reservations r SET state = n.state, expire_time = n.expire_time, update_time = n.update_time,
            order_id = n.order_id, version = n.version
        FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[], $4::timestamptz[], $5::uuid[], $6::bigint[])
            AS n (reservation_id, state, expire_time, update_time, order_id, version)
        WHERE r.reservation_id = n.reservation_id
        """,
        *columns(
            ((r.reservation_id, r.state, r.expire_time, r.update_time, r.order_id, r.version) for r in reservations),
        ),
    )


def insert_orders(write: Statement, orders: Sequence[Order], offers: Mapping[str, Offer]) -> None:
    write.add(
        """
        INSERT INTO orders (order_id, state, currency, payment_terms, payment_due_time, charges, charge_details,
                            customer_id, reference, reservation_id, create_time, update_time, version, actor,
                            created_by, indexed_version, payment_state, refund_required, held, net)
        SELECT order_id, state, currency, payment_terms, payment_due_time, charges::jsonb, charge_details::jsonb,
               customer_id, reference, reservation_id, create_time, update_time, version, actor, created_by,
               version, payment_state, refund_required, held, net
        FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::smallint[], $5::timestamptz[], $6::text[], $7::text[],
                    $8::text[], $9::text[], $10::uuid[], $11::timestamptz[], $12::timestamptz[], $13::bigint[],
                    $14::text[], $15::text[], $16::smallint[], $17::boolean[], $18::boolean[], $19::bigint[])
            AS n (order_id, state, currency, payment_terms, payment_due_time, charges, charge_details, customer_id,
                  reference, reservation_id, create_time, update_time, version, actor, created_by,
                  payment_state, refund_required, held, net)
        """,
        *columns(
            (
                (
                    o.order_id,
                    o.state,
                    o.currency,
                    o.payment_terms,
                    o.payment_due_time,
                    *charge_columns(o.charges),
                    o.customer.customer_id,
                    o.reference,
                    o.reservation_id,
                    o.create_time,
                    o.update_time,
                    o.version,
                    o.actor,
                    o.created_by,
                    *list_columns(o),
                )
                for o in orders
            ),
        ),
    )
    exchanges = [(o.order_id, o.exchange_of.order_id, o.exchange_of.return_id) for o in orders if o.exchange_of]
    if exchanges:
        write.add(
            """
            INSERT INTO order_exchanges (order_id, of_order_id, return_id)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[])
            """,
            *columns(exchanges),
        )
    write.add(INSERT_LINES, *columns(line_row(o, line, offers) for o in orders for line in o.lines))
    contacts = [
        (
            o.order_id,
            o.customer.email,
            o.customer.name,
            address_json(o.customer.shipping_address),
            address_json(o.customer.billing_address),
        )
        for o in orders
        if o.customer.has_contact
    ]
    if contacts:
        write.add(
            """
            INSERT INTO order_contacts (order_id, email, name, shipping_address, billing_address)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[])
            """,
            *columns(contacts),
        )


def line_row(order: Order, line: OrderLine, offers: Mapping[str, Offer]) -> tuple[object, ...]:
    """Returns the arguments of INSERT_LINES for one line."""
    return (
        order.order_id,
        line.line_number,
        line.sku,
        line.title,
        line.quantity,
        line.unit_price,
        line.price_override_reason,
        line.untracked,
        offers[line.sku].sku_since,
        _shares(line),
    )


async def update_orders(connection: Executor, orders: Sequence[Order]) -> None:
    """Updates existing orders: state, charges, line counters, new parcels. Open claims are deleted, to be inserted
    again.

    Servers of the previous release read the sums of the payments; this release computes them from the payments.
    """
    await connection.execute(
        """
        UPDATE orders o SET state = n.state, authorized = n.authorized, voided = n.voided, captured = n.captured,
            refunded = n.refunded, payment_failed = n.payment_failed, terms_met = n.terms_met,
            charges = n.charges::jsonb, charge_details = n.charge_details::jsonb, update_time = n.update_time,
            version = n.version, indexed_version = n.version, payment_state = n.payment_state,
            refund_required = n.refund_required, held = n.held, net = n.net
        FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[],
                    $8::boolean[], $9::text[], $10::text[], $11::timestamptz[], $12::bigint[], $13::smallint[],
                    $14::boolean[], $15::boolean[], $16::bigint[])
            AS n (order_id, state, authorized, voided, captured, refunded, payment_failed, terms_met, charges,
                  charge_details, update_time, version, payment_state, refund_required, held, net)
        WHERE o.order_id = n.order_id
        """,
        *columns(
            (
                (
                    o.order_id,
                    o.state,
                    sum(tender.authorizations for tender in o.payment.tenders),
                    sum(tender.voided for tender in o.payment.tenders),
                    o.payment.captured,
                    o.payment.refunded,
                    o.payment.failed,
                    o.terms_met_once,
                    *charge_columns(o.charges),
                    o.update_time,
                    o.version,
                    *list_columns(o),
                )
                for o in orders
            ),
        ),
    )
    await connection.execute(
        """
        UPDATE order_lines l SET fulfilled = n.fulfilled, cancelled = n.cancelled, returned = n.returned,
            untracked = n.untracked, shares = n.shares::jsonb
        FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::text[])
            AS n (order_id, line_number, fulfilled, cancelled, returned, untracked, shares)
        WHERE l.order_id = n.order_id AND l.line_number = n.line_number
          AND (l.fulfilled, l.cancelled, l.returned, l.untracked, l.shares)
              IS DISTINCT FROM (n.fulfilled, n.cancelled, n.returned, n.untracked, n.shares::jsonb)
        """,
        *columns(
            (
                (
                    o.order_id,
                    line.line_number,
                    line.fulfilled,
                    line.cancelled,
                    line.returned,
                    line.untracked,
                    _shares(line),
                )
                for o in orders
                for line in o.lines
            ),
        ),
    )
    await connection.execute("DELETE FROM allocations WHERE order_id = ANY($1::uuid[])", [o.order_id for o in orders])
    parcels = [
        (
            f.fulfillment_id,
            o.order_id,
            json.dumps([(line.line_number, line.location_id, line.quantity) for line in f.lines]),
            f.tracking_number,
            f.carrier,
            f.create_time,
        )
        for o in orders
        for f in o.fulfillments
    ]
    if parcels:
        await connection.execute(
            """
            INSERT INTO fulfillments (fulfillment_id, order_id, lines, tracking_number, carrier, create_time)
            SELECT fulfillment_id, order_id, lines::jsonb, tracking_number, carrier, create_time
            FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
                AS n (fulfillment_id, order_id, lines, tracking_number, carrier, create_time)
            ON CONFLICT (fulfillment_id) DO NOTHING
            """,
            *columns(parcels),
        )


def insert_allocations(write: Statement, orders: Iterable[Order]) -> None:
    rows = []
    for order in orders:
        skus = {line.line_number: line.sku for line in order.lines}
        rows += [
            (order.order_id, a.line_number, a.location_id, skus[a.line_number], a.quantity) for a in order.allocations
        ]
    if rows:
        write.add(
            """
            INSERT INTO allocations (order_id, line_number, location_id, sku, quantity)
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::bigint[])
            """,
            *columns(rows),
        )


def insert_payments(write: Statement, events: Sequence[PaymentEvent], now: datetime) -> None:
    write.add(
        """
        INSERT INTO payments (provider, provider_event_id, order_id, kind, amount, event_time, payment_reference,
                              running_total, create_time)
        SELECT *, $9 FROM unnest($1::text[], $2::text[], $3::uuid[], $4::smallint[], $5::bigint[], $6::timestamptz[],
                                 $7::text[], $8::boolean[])
        """,
        *columns(
            (
                e.provider,
                e.provider_event_id,
                e.order_id,
                e.kind,
                e.amount,
                e.event_time,
                e.payment_reference,
                e.running_total,
            )
            for e in events
        ),
        now,
    )


def _shares(line: OrderLine) -> str | None:
    return json.dumps(astuple(line.shares)) if line.shares is not NO_SHARES else None
