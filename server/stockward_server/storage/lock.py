"""Locks what a batch of commands needs, and reads it.

The order is the same everywhere, so that two processes can never wait for each other: holders, orders by id,
reservations by id, then stock rows by (sku, location_id).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from asyncpg import Record

from stockward_server.application.command import Command
from stockward_server.application.locked_state import Holder, LockedState
from stockward_server.domain.hold_limits import Held
from stockward_server.domain.money import Money
from stockward_server.domain.payment import PaymentEvent, PaymentKind
from stockward_server.domain.product import ProductState
from stockward_server.domain.stock import AlertLevel, Offer, StockLevel
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Executor
from stockward_server.storage.order_rows import load_orders, load_reservations

HOLDERS = 0x686F6C64657273
"""Keeps the numbers of holders apart from other advisory locks; it spells "holders"."""


async def lock_state(connection: Executor, commands: Sequence[Command], state: LockedState) -> None:
    """Fills `state` with every row that the commands named, locked to the end of the transaction."""
    order_ids = {order_id for command in commands for order_id in command.order_ids}
    reservation_ids = {each for command in commands for each in command.reservation_ids}
    payment_keys = {key for command in commands for key in command.payment_keys}
    skus = {sku for command in commands for sku in command.skus}
    holders = {holder for command in commands for holder in command.holders}
    if holders:
        state.held = await lock_holders(connection, holders, state.now)
    if order_ids:
        state.orders = await load_orders(connection, order_ids, lock=True)
        skus.update(line.sku for order in state.orders.values() for line in order.lines)
    if reservation_ids:
        state.reservations = await load_reservations(connection, reservation_ids, lock=True)
        skus.update(line.sku for held in state.reservations.values() for line in held.lines)
    if payment_keys:
        state.payments = await _load_payments(connection, payment_keys)
    if skus:
        state.add_levels(await lock_stock(connection, skus))
        state.offers = await load_offers(connection, skus)
    if any(command.needs_locations for command in commands):
        rows = await connection.fetch("SELECT location_id, priority, active FROM locations")
        state.locations = {row["location_id"]: (row["priority"], row["active"]) for row in rows}


async def lock_holders(connection: Executor, holders: Collection[Holder], now: datetime) -> dict[Holder, Held]:
    """What each holds. Whoever makes a hold for one of them waits until this transaction ends.

    There may be no row to lock, so a number stands for each. What is counted is read by a statement of its own, which
    sees what was committed before the lock was had.
    """
    await connection.execute(
        """
        SELECT pg_advisory_xact_lock(number) FROM (
            SELECT DISTINCT hashtextextended(customer_id || chr(31) || actor, $3) AS number
            FROM unnest($1::text[], $2::text[]) AS holder (customer_id, actor) ORDER BY number
        ) AS sorted
        """,
        *columns(holders),
        HOLDERS,
    )
    rows = await connection.fetch(
        """
        SELECT customer_id, actor, count(DISTINCT reservation_id) AS holds, sum(quantity)::bigint AS units
        FROM unnest($1::text[], $2::text[]) AS holder (customer_id, actor)
        JOIN reservations USING (customer_id, actor) JOIN reservation_lines USING (reservation_id)
        WHERE state = 1 AND expire_time > $3 GROUP BY customer_id, actor
        """,
        *columns(holders),
        now,
    )
    held = {(row["customer_id"], row["actor"]): Held(row["holds"], row["units"]) for row in rows}
    return {holder: held.get(holder, Held()) for holder in holders}


async def lock_stock(connection: Executor, skus: Collection[str]) -> list[StockLevel]:
    """The stock rows of these SKUs at every location, locked in the global order."""
    rows = await connection.fetch(
        """
        SELECT s.*, l.priority, l.active FROM stock s JOIN locations l USING (location_id)
        WHERE s.sku = ANY($1::text[]) ORDER BY s.sku, s.location_id FOR NO KEY UPDATE OF s
        """,
        sorted(skus),
    )
    return [stock_level(row) for row in rows]


async def load_offers(connection: Executor, skus: Collection[str]) -> dict[str, Offer]:
    """What the catalogue says of these SKUs; those without a variant are left out."""
    rows = await connection.fetch(
        """
        SELECT v.sku, p.title, v.title AS variant, v.currency, v.price, p.state
        FROM variants v JOIN products p USING (product_id) WHERE v.sku = ANY($1::text[])
        """,
        list(skus),
    )
    return {
        row["sku"]: Offer(
            row["sku"],
            f"{row['title']} – {row['variant']}" if row["variant"] else row["title"],
            Money(row["currency"], row["price"]),
            row["state"] == ProductState.PUBLISHED,
        )
        for row in rows
    }


def stock_level(row: Record) -> StockLevel:
    """A stock row joined with its location's priority and activity."""
    return StockLevel(
        row["sku"],
        row["location_id"],
        row["on_hand"],
        row["reserved"],
        row["allocated"],
        row["safety_stock"],
        row["reorder_point"],
        row["backorder_limit"],
        AlertLevel(row["alert_level"]),
        row["version"],
        row["update_time"],
        row["priority"],
        row["active"],
    )


async def _load_payments(
    connection: Executor, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], PaymentEvent]:
    rows = await connection.fetch(
        """
        SELECT provider, provider_event_id, order_id::text, kind, amount, event_time, payment_reference,
               running_total
        FROM payments JOIN unnest($1::text[], $2::text[]) AS k (provider, provider_event_id)
            USING (provider, provider_event_id)
        """,
        [provider for provider, _ in keys],
        [event_id for _, event_id in keys],
    )
    return {
        (row["provider"], row["provider_event_id"]): PaymentEvent(
            row["provider"],
            row["provider_event_id"],
            row["order_id"],
            PaymentKind(row["kind"]),
            row["amount"],
            row["event_time"],
            row["payment_reference"],
            row["running_total"],
        )
        for row in rows
    }
