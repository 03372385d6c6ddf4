"""Orders and reservations from their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from asyncpg import Record

from stockward_server.domain.order import (
    Address,
    Allocation,
    Charge,
    ChargeKind,
    Customer,
    Fulfillment,
    Order,
    OrderLine,
    OrderState,
    PaymentTerms,
)
from stockward_server.domain.payment import Payment
from stockward_server.domain.reservation import Reservation, ReservationState
from stockward_server.domain.stock import Portion
from stockward_server.storage.database import Executor
from stockward_server.storage.former_skus import renamed, sku_now

LOCK = "ORDER BY 1 FOR NO KEY UPDATE"
"""Appended to a query to lock its rows in the order of their ids, with the lock that a plain UPDATE takes."""


async def load_orders(connection: Executor, order_ids: Collection[str], *, lock: bool = False) -> dict[str, Order]:
    """The orders that exist, whole; their rows stay locked to the end of the transaction when `lock` is set."""
    ids = list(order_ids)
    heads = await connection.fetch(
        f"SELECT order_id::text AS id, * FROM orders WHERE order_id = ANY($1::uuid[]) {LOCK if lock else ''}", ids
    )
    if not heads:
        return {}
    lines = _by_order(
        await connection.fetch(
            f"""
            SELECT order_id::text AS id, line_number, {sku_now("l")} AS sku, title, quantity, unit_price,
                   price_override_reason, fulfilled, cancelled, returned, untracked
            FROM order_lines l {renamed("l", "sku_since")}
            WHERE order_id = ANY($1::uuid[]) ORDER BY order_id, line_number
            """,
            ids,
        )
    )
    allocations = _by_order(
        await connection.fetch(
            """
            SELECT order_id::text AS id, line_number, a.location_id, quantity
            FROM allocations a JOIN locations l USING (location_id)
            WHERE order_id = ANY($1::uuid[]) ORDER BY order_id, line_number, l.priority, a.location_id
            """,
            ids,
        )
    )
    fulfillments = _by_order(
        await connection.fetch(
            "SELECT order_id::text AS id, fulfillment_id::text, lines, tracking_number, carrier, create_time "
            "FROM fulfillments WHERE order_id = ANY($1::uuid[]) ORDER BY fulfillment_id",
            ids,
        )
    )
    contacts = _by_order(
        await connection.fetch(
            "SELECT order_id::text AS id, email, name, shipping_address, billing_address "
            "FROM order_contacts WHERE order_id = ANY($1::uuid[])",
            ids,
        )
    )
    return {
        head["id"]: _order(
            head, lines[head["id"]], allocations[head["id"]], fulfillments[head["id"]], contacts[head["id"]]
        )
        for head in heads
    }


async def load_reservations(
    connection: Executor, reservation_ids: Collection[str], *, lock: bool = False
) -> dict[str, Reservation]:
    """The reservations that exist; their rows stay locked to the end of the transaction when `lock` is set."""
    ids = list(reservation_ids)
    heads = await connection.fetch(
        "SELECT reservation_id::text AS id, order_id::text AS order, * FROM reservations "
        f"WHERE reservation_id = ANY($1::uuid[]) {LOCK if lock else ''}",
        ids,
    )
    if not heads:
        return {}
    lines = _by_order(
        await connection.fetch(
            f"""
            SELECT reservation_id::text AS id, {sku_now("l")} AS sku, location_id, quantity
            FROM reservation_lines l {renamed("l", "sku_since")}
            WHERE reservation_id = ANY($1::uuid[]) ORDER BY reservation_id, 2, location_id
            """,
            ids,
        )
    )
    return {
        head["id"]: Reservation(
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
        for head in heads
    }


def address_json(address: Address | None) -> dict[str, Any] | None:
    """An address as it is stored: without its empty fields."""
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
    contacts: list[Record],
) -> Order:
    customer = Customer(head["customer_id"])
    for contact in contacts:
        customer = Customer(
            head["customer_id"],
            contact["email"],
            contact["name"],
            _address(contact["shipping_address"]),
            _address(contact["billing_address"]),
        )
    return Order(
        order_id=head["id"],
        state=OrderState(head["state"]),
        currency=head["currency"],
        lines=tuple(OrderLine(*list(line.values())[1:]) for line in lines),
        allocations=tuple(Allocation(*list(row.values())[1:]) for row in allocations),
        create_time=head["create_time"],
        update_time=head["update_time"],
        payment_terms=PaymentTerms(head["payment_terms"]),
        payment_due_time=head["payment_due_time"],
        payment=Payment(head["authorized"], head["voided"], head["captured"], head["refunded"], head["payment_failed"]),
        charges=tuple(Charge(ChargeKind(kind), amount, text) for kind, amount, text in head["charges"] or ()),
        customer=customer,
        reference=head["reference"],
        reservation_id=str(head["reservation_id"]) if head["reservation_id"] else None,
        fulfillments=tuple(
            Fulfillment(
                row["fulfillment_id"],
                tuple(Allocation(*line) for line in row["lines"]),
                row["tracking_number"],
                row["carrier"],
                row["create_time"],
            )
            for row in fulfillments
        ),
        version=head["version"],
    )
