"""Builds orders and reservations from their rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from asyncpg import Record

from stockward_server.domain.charge import NO_SHARES, Charge, ChargeKind, LineShares
from stockward_server.domain.order import (
    OPEN_STATES,
    Address,
    Allocation,
    Customer,
    Edit,
    Fulfillment,
    FulfillmentState,
    Hold,
    HoldReason,
    Order,
    OrderLine,
    OrderState,
    PaymentTerms,
)
from stockward_server.domain.payment import PaymentEvent, PaymentKind, payment_of
from stockward_server.domain.pricing import spread_charge
from stockward_server.domain.reservation import Reservation, ReservationState
from stockward_server.domain.returns import ExchangeOf, OrderReturn, ReturnLine, ReturnState
from stockward_server.domain.stock import Portion
from stockward_server.runtime.turns import Turns
from stockward_server.storage.any_of import ANY_ID
from stockward_server.storage.database import Executor
from stockward_server.storage.former_skus import renamed, sku_now

PAYMENT = """
    provider, provider_event_id, order_id::text, kind, amount, event_time, payment_reference, running_total, create_time
"""
"""Columns of a payment event."""

PARCEL = "fulfillment_id::text, lines, tracking_number, carrier, create_time, state, update_time"
"""Columns of a parcel."""

RETURN = (
    "return_id::text, state, lines, reason, note, tracking_number, carrier, label_url, actor, create_time, update_time"
)
"""Columns of a return."""

EXCHANGE = (
    "(SELECT ARRAY[of_order_id, return_id]::text[] FROM order_exchanges x WHERE x.order_id = o.order_id) AS exchange_of"
)
"""Column of the return for which an order is the exchange; it never changes, so it need not be locked."""

LOCK = "ORDER BY 1 FOR NO KEY UPDATE"
"""Appended to a query to lock its rows in the order of their ids, as strongly as a plain UPDATE."""


async def load_orders(connection: Executor, order_ids: Collection[str], *, lock: bool = False) -> dict[str, Order]:
    """Returns the existing orders, complete, by id; `lock` locks their rows until the end of the transaction."""
    ids = list(order_ids)
    heads = await connection.fetch(
        f"SELECT order_id::text AS id, *, {EXCHANGE} FROM orders o WHERE order_id = {ANY_ID} {LOCK if lock else ''}",
        ids,
    )
    if not heads:
        return {}
    lines = _by_order(
        await connection.fetch(
            f"""
            SELECT order_id::text AS id, line_number, {sku_now("l")} AS sku, title, quantity, unit_price,
                   price_override_reason, fulfilled, cancelled, returned, untracked, shares
            FROM order_lines l {renamed("l", "sku_since")}
            WHERE order_id = {ANY_ID} ORDER BY order_id, line_number
            """,
            ids,
        )
    )
    allocations = _by_order(
        await connection.fetch(
            f"""
            SELECT order_id::text AS id, line_number, a.location_id, quantity
            FROM allocations a JOIN locations l USING (location_id)
            WHERE order_id = {ANY_ID} ORDER BY order_id, line_number, l.priority, a.location_id
            """,
            ids,
        )
    )
    fulfillments = _by_order(
        await connection.fetch(
            f"SELECT order_id::text AS id, {PARCEL} FROM fulfillments "
            f"WHERE order_id = {ANY_ID} ORDER BY fulfillment_id",
            ids,
        )
    )
    returns = defaultdict[str, list[Record]](list)
    if fulfillments:  # only what was shipped comes back
        returns = _by_order(
            await connection.fetch(
                f"SELECT order_id::text AS id, {RETURN} FROM order_returns "
                f"WHERE order_id = {ANY_ID} ORDER BY return_id",
                list(fulfillments),
            )
        )
    payments = _by_order(
        await connection.fetch(f"SELECT order_id::text AS id, {PAYMENT} FROM payments WHERE order_id = {ANY_ID}", ids)
    )
    contacts = _by_order(
        await connection.fetch(
            "SELECT order_id::text AS id, email, name, shipping_address, billing_address, gift_note, line_gift_notes "
            f"FROM order_contacts WHERE order_id = {ANY_ID}",
            ids,
        )
    )
    orders: dict[str, Order] = {}
    turns = Turns()
    for head in heads:
        id = head["id"]
        orders[id] = _order(head, lines[id], allocations[id], fulfillments[id], returns[id], payments[id], contacts[id])
        await turns.give()
    return orders


async def load_reservations(
    connection: Executor, reservation_ids: Collection[str], *, lock: bool = False
) -> dict[str, Reservation]:
    """Returns the existing reservations by id; `lock` locks their rows until the end of the transaction."""
    ids = list(reservation_ids)
    heads = await connection.fetch(
        "SELECT reservation_id::text AS id, order_id::text AS order, * FROM reservations "
        f"WHERE reservation_id = {ANY_ID} {LOCK if lock else ''}",
        ids,
    )
    if not heads:
        return {}
    lines = _by_order(
        await connection.fetch(
            f"""
            SELECT reservation_id::text AS id, {sku_now("l")} AS sku, location_id, quantity
            FROM reservation_lines l {renamed("l", "sku_since")}
            WHERE reservation_id = {ANY_ID} ORDER BY reservation_id, 2, location_id
            """,
            ids,
        )
    )
    reservations: dict[str, Reservation] = {}
    turns = Turns()
    for head in heads:
        reservations[head["id"]] = Reservation(
            head["id"],
            ReservationState(head["state"]),
            tuple(Portion(line["sku"], line["location_id"], line["quantity"]) for line in lines[head["id"]]),
            head["customer_id"],
            head["expire_time"],
            head["create_time"],
            head["update_time"],
            head["order"],
            head["version"],
            head["actor"],
        )
        await turns.give()
    return reservations


def address_json(address: Address | None) -> dict[str, Any] | None:
    """Returns an address as it is stored: without its empty fields."""
    return {key: value for key, value in asdict(address).items() if value} if address else None


def _address(stored: dict[str, Any] | None) -> Address | None:
    return Address(**{**stored, "lines": tuple(stored.get("lines", ()))}) if stored else None


def _by_order(rows: list[Record]) -> defaultdict[str, list[Record]]:
    grouped: defaultdict[str, list[Record]] = defaultdict(list)
    for row in rows:
        grouped[row["id"]].append(row)
    return grouped


def _order(
    head: Record,
    lines: list[Record],
    allocations: list[Record],
    fulfillments: list[Record],
    returns: list[Record],
    payments: list[Record],
    contacts: list[Record],
) -> Order:
    customer = Customer(head["customer_id"])
    gift_note, line_gift_notes = "", dict[str, str]()
    for contact in contacts:
        gift_note, line_gift_notes = contact["gift_note"], contact["line_gift_notes"] or {}
        customer = Customer(
            head["customer_id"],
            contact["email"],
            contact["name"],
            _address(contact["shipping_address"]),
            _address(contact["billing_address"]),
        )
    state = OrderState(head["state"])
    charges = _charges(head)
    return Order(
        order_id=head["id"],
        state=state,
        currency=head["currency"],
        lines=_with_notes(_lines(lines, charges if state in OPEN_STATES else (), head["currency"]), line_gift_notes),
        allocations=tuple(Allocation(*list(row.values())[1:]) for row in allocations),
        create_time=head["create_time"],
        update_time=head["update_time"],
        payment_terms=PaymentTerms(head["payment_terms"]),
        payment_due_time=head["payment_due_time"],
        payment=payment_of(tuple(map(payment_event, payments))),
        charges=charges,
        customer=customer,
        reference=head["reference"],
        reservation_id=str(head["reservation_id"]) if head["reservation_id"] else None,
        fulfillments=tuple(map(parcel, fulfillments)),
        version=head["version"],
        staff_hold=_hold(head),
        tags=tuple(head["tags"] or ()),
        attributes=tuple((head["attributes"] or {}).items()),
        gift_note=gift_note,
        cancel_reason=head["cancel_reason"],
        returns=tuple(map(_return, returns)),
        exchange_of=ExchangeOf(*head["exchange_of"]) if head["exchange_of"] else None,
        created_by=head["created_by"],
        edits=tuple(Edit(datetime.fromisoformat(time), amount) for time, amount in head["edits"] or ()),
    )


def parcel(row: Record) -> Fulfillment:
    """Builds a parcel from the columns of PARCEL."""
    return Fulfillment(
        row["fulfillment_id"],
        tuple(Allocation(*line) for line in row["lines"]),
        row["tracking_number"],
        row["carrier"],
        row["create_time"],
        FulfillmentState(row["state"]),
        row["update_time"],
    )


def _return(row: Record) -> OrderReturn:
    """Builds a return from the columns of RETURN."""
    return OrderReturn(
        row["return_id"],
        ReturnState(row["state"]),
        tuple(ReturnLine(*line) for line in row["lines"]),
        row["create_time"],
        row["update_time"],
        row["reason"],
        row["note"],
        row["tracking_number"],
        row["carrier"],
        row["label_url"],
        row["actor"],
    )


def payment_event(row: Record) -> PaymentEvent:
    """Builds a payment event from the columns of PAYMENT."""
    return PaymentEvent(
        row["provider"],
        row["provider_event_id"],
        row["order_id"],
        PaymentKind(row["kind"]),
        row["amount"],
        row["event_time"],
        row["payment_reference"],
        row["running_total"],
        row["create_time"],
    )


def _with_notes(lines: tuple[OrderLine, ...], notes: Mapping[str, str]) -> tuple[OrderLine, ...]:
    """Returns the lines with their gift notes, which are stored by line number."""
    if not notes:
        return lines
    return tuple(replace(line, gift_note=notes.get(str(line.line_number), "")) for line in lines)


def _hold(head: Record) -> Hold | None:
    stored = head["hold"]
    return stored and Hold(
        HoldReason(stored["reason"]),
        stored.get("note", ""),
        head["hold_expire_time"],
        stored.get("actor", ""),
        datetime.fromisoformat(stored["time"]),
    )


def hold_columns(hold: Hold | None) -> tuple[str | None, datetime | None]:
    """Returns the hold by staff as stored: `hold` and `hold_expire_time`."""
    if hold is None:
        return None, None
    details = {
        "reason": hold.reason,
        "note": hold.note,
        "actor": hold.actor,
        "time": hold.create_time and hold.create_time.isoformat(),
    }
    return json.dumps({key: value for key, value in details.items() if value}), hold.expire_time


def _lines(rows: list[Record], charges: tuple[Charge, ...], currency: str) -> tuple[OrderLine, ...]:
    """Returns the lines with their shares of an open order's charges.

    Servers of the previous release stored no shares: such charges are spread over the remaining units, as they named no
    lines. That changes no current figure, only later steps. Closed orders stay as they were.
    """
    lines = tuple(
        OrderLine(*(*list(row.values())[1:-1], LineShares(*row["shares"]) if row["shares"] else NO_SHARES))
        for row in rows
    )
    if all(line.shares is NO_SHARES for line in lines):
        for charge in charges:
            lines = spread_charge(lines, charge, currency, "charges")
    return lines


def _charges(head: Record) -> tuple[Charge, ...]:
    charges = head["charges"] or ()
    details = head["charge_details"] or [{}] * len(charges)
    return tuple(
        Charge(
            ChargeKind(kind),
            amount,
            description,
            tuple(more.get("lines", ())),
            more.get("reason", ""),
            more.get("actor", ""),
            datetime.fromisoformat(more["added"]) if "added" in more else None,
            more.get("after_cancellation", False),
        )
        for (kind, amount, description), more in zip(charges, details, strict=True)
    )


def charge_columns(charges: Sequence[Charge]) -> tuple[str | None, str | None]:
    """Returns the charges as stored: `charges`, which servers of the previous release read, and `charge_details`."""
    if not charges:
        return None, None
    details = [_details(charge) for charge in charges]
    return (
        json.dumps([(charge.kind, charge.amount, charge.description) for charge in charges]),
        json.dumps(details) if any(details) else None,
    )


def _details(charge: Charge) -> dict[str, Any]:
    details = {
        "lines": charge.line_numbers,
        "reason": charge.reason,
        "actor": charge.actor,
        "added": charge.added and charge.added.isoformat(),
        "after_cancellation": charge.after_cancellation,
    }
    return {key: value for key, value in details.items() if value}
