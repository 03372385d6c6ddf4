"""Locks and reads the rows that a batch of commands needs.

The order is the same everywhere, so that no two processes deadlock: holders, buyers, tenders, references, orders by
id, reservations by id, then stock rows by (sku, location_id).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import asyncpg

from stockward_server.application.command import Command
from stockward_server.application.overlay import Overlay
from stockward_server.application.unit_of_work import Holder, PaymentKey, ReferenceKey, StockKey, UnitOfWork
from stockward_server.domain.hold_limits import Held
from stockward_server.domain.identifiers import first_id
from stockward_server.domain.money import Money
from stockward_server.domain.payment import PaymentEvent, TenderKey
from stockward_server.domain.product import ProductState
from stockward_server.domain.stock import Offer, StockLevel
from stockward_server.domain.unpaid_limits import Unpaid
from stockward_server.runtime.turns import Turns
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Executor
from stockward_server.storage.order_rows import PAYMENT, load_orders, load_reservations, payment_event
from stockward_server.storage.stock_rows import stock_level

HOLDERS = 0x686F6C64657273
"""Seed that separates the advisory locks of holders from others; it spells "holders"."""

BUYERS = 0x627579657273
"""Seed of the advisory locks of buyers; it spells "buyers"."""

OLDEST_UNPAID = timedelta(days=31)
"""Maximum age of an order that is not past due: a day more than the settings allow."""

TENDERS = 0x74656E64657273
"""Seed of the advisory locks of tenders; it spells "tenders"."""

REFERENCES = 0x6E756D62657273
"""Seed of the advisory locks of references; it spells "numbers"."""


async def lock_state(connection: Executor, commands: Sequence[Command[Any]], state: UnitOfWork, renames: int) -> None:
    """Fills `state` with every row that the commands named, locked until the end of the transaction.

    The SKUs of orders and reservations are read before their stock can be locked. Raises an error of a lost race when
    one was renamed in between, as the SKU may mean other goods by now. `renames` is the number of renames before
    anything was read.
    """
    order_ids = {order_id for command in commands for order_id in command.order_ids}
    reservation_ids = {each for command in commands for each in command.reservation_ids}
    payment_keys = {key for command in commands for key in command.payment_keys}
    skus = {sku for command in commands for sku in command.skus}
    references = {reference for command in commands for reference in command.references}
    holders = {holder for command in commands for holder in command.holders}
    tenders = {tender for command in commands for tender in command.tenders}
    if holders:
        state.held = Overlay(await _lock_holders(connection, holders, state.now))
    buyers = {buyer for command in commands for buyer in command.buyers}
    if buyers:
        state.unpaid = Overlay(await _lock_buyers(connection, buyers, state.now))
    if tenders:
        state.tenders = Overlay(await _lock_tenders(connection, tenders))
    if references:
        state.references = Overlay(await _lock_references(connection, references))
    if order_ids:
        state.orders = Overlay(await load_orders(connection, order_ids, lock=True))
        skus.update(line.sku for order in state.orders.values() for line in order.lines)
    if reservation_ids:
        state.reservations = Overlay(await load_reservations(connection, reservation_ids, lock=True))
        skus.update(line.sku for held in state.reservations.values() for line in held.lines)
    if payment_keys:
        state.payments = Overlay(await _load_payments(connection, payment_keys))
    if skus:
        state.load_levels(await lock_stock(connection, skus))
        state.offers, renames_since = await load_offers(connection, skus)
        if renames_since != renames:
            raise asyncpg.SerializationError("a SKU was renamed meanwhile")
    if any(command.needs_locations for command in commands):
        state.locations = await load_locations(connection)
    again = [offer.sku for offer in state.offers.values() if offer.name_reused]
    rows_to_come = [key for key in product(again, state.locations) if key not in state.levels]
    if rows_to_come:
        last = await last_versions(connection, rows_to_come)
        state.last_versions = dict(zip(rows_to_come, last, strict=True))


async def _lock_holders(connection: Executor, holders: Collection[Holder], now: datetime) -> dict[Holder, Held]:
    """Locks the holders until the end of the transaction; returns what each holds."""
    rows = await connection.fetch("SELECT * FROM lock_holders($1, $2, $3, $4)", *columns(holders), HOLDERS, now)
    held = {(row["customer_id"], row["actor"]): Held(row["holds"], row["units"]) for row in rows}
    return {holder: held.get(holder, Held()) for holder in holders}


async def _lock_buyers(connection: Executor, buyers: Collection[Holder], now: datetime) -> dict[Holder, Unpaid]:
    """Locks the buyers until the end of the transaction; returns each one's unpaid orders."""
    rows = await connection.fetch(
        "SELECT * FROM lock_buyers($1, $2, $3, $4, $5)", *columns(buyers), BUYERS, first_id(now - OLDEST_UNPAID), now
    )
    unpaid = {(row["customer_id"], row["actor"]): Unpaid(row["orders"], row["units"]) for row in rows}
    return {buyer: unpaid.get(buyer, Unpaid()) for buyer in buyers}


async def _lock_tenders(connection: Executor, tenders: Collection[TenderKey]) -> dict[TenderKey, str]:
    """Locks the tenders until the end of the transaction; returns the order of each that has one."""
    await _lock_pairs(connection, tenders, TENDERS)
    rows = await connection.fetch(
        """
        SELECT DISTINCT provider, payment_reference, order_id::text
        FROM unnest($1::text[], $2::text[]) AS tender (provider, payment_reference)
        JOIN payments USING (provider, payment_reference) WHERE payment_reference <> ''
        """,
        *columns(tenders),
    )
    return {(row["provider"], row["payment_reference"]): row["order_id"] for row in rows}


async def _lock_references(connection: Executor, references: Collection[str]) -> dict[ReferenceKey, str]:
    """Locks the references until the end of the transaction; returns an order of each that has one."""
    rows = await connection.fetch("SELECT * FROM lock_references($1, $2)", list(references), REFERENCES)
    return {(row["channel"], row["reference"]): str(row["order_id"]) for row in rows}


async def _lock_pairs(connection: Executor, pairs: Collection[tuple[str, str]], seed: int) -> None:
    """Takes an advisory lock for each pair, in the order of the lock numbers, until the end of the transaction."""
    await connection.execute(
        """
        SELECT pg_advisory_xact_lock(number) FROM (
            SELECT DISTINCT hashtextextended(first || chr(31) || second, $3) AS number
            FROM unnest($1::text[], $2::text[]) AS pair (first, second) ORDER BY number
        ) AS sorted
        """,
        *columns(pairs),
        seed,
    )


async def lock_stock(connection: Executor, skus: Collection[str], strength: str = "NO KEY UPDATE") -> list[StockLevel]:
    """Locks and returns the stock rows of these SKUs at every location, in the global order. The strength UPDATE
    permits deleting and renaming them."""
    return await load_stock(connection, skus, f"FOR {strength} OF s")


async def load_stock(connection: Executor, skus: Collection[str], locking: str = "") -> list[StockLevel]:
    """Returns the stock rows of these SKUs at every location."""
    rows = await connection.fetch(
        f"""
        SELECT s.*, l.priority, l.active FROM stock s JOIN locations l USING (location_id)
        WHERE s.sku = ANY($1::text[]) ORDER BY s.sku, s.location_id {locking}
        """,
        sorted(skus),
    )
    levels, turns = [], Turns(ahead=True)
    for row in rows:
        levels.append(stock_level(row))
        await turns.give()
    return levels


async def load_locations(connection: Executor) -> dict[str, tuple[int, bool]]:
    """Returns the priority of each location, and whether it is active."""
    rows = await connection.fetch("SELECT location_id, priority, active FROM locations")
    return {row["location_id"]: (row["priority"], row["active"]) for row in rows}


async def last_versions(connection: Executor, keys: Collection[StockKey]) -> list[int]:
    """Returns the version of the last kept event of each stock row, 0 where there is none. Locks nothing."""
    rows = await connection.fetch(
        """
        SELECT coalesce((SELECT aggregate_version FROM events WHERE aggregate_id = sku || '@' || location_id
                         ORDER BY seq DESC LIMIT 1), 0) AS version
        FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS key (sku, location_id, place) ORDER BY place
        """,
        [sku for sku, _ in keys],
        [location_id for _, location_id in keys],
    )
    return [row["version"] for row in rows]


async def load_offers(connection: Executor, skus: Collection[str]) -> tuple[dict[str, Offer], int]:
    """Returns the catalogue's data on these SKUs, without those that have no variant, and the number of renames by
    now."""
    rows = await connection.fetch(
        """
        SELECT r.count AS renames, v.sku, p.title, v.title AS variant, v.currency, v.price, p.state, v.untracked,
               v.sku_since, EXISTS (SELECT FROM former_skus WHERE name = v.sku) AS name_reused,
               offer_fingerprint(v, p) AS fingerprint
        FROM sku_renames r LEFT JOIN (variants v JOIN products p USING (product_id)) ON v.sku = ANY($1::text[])
        """,
        list(skus),
    )
    offers, turns = dict[str, Offer](), Turns(ahead=True)
    for row in rows:
        if row["sku"] is not None:
            offers[row["sku"]] = Offer(
                row["sku"],
                f"{row['title']} – {row['variant']}" if row["variant"] else row["title"],
                Money(row["currency"], row["price"]),
                row["state"] == ProductState.PUBLISHED,
                row["untracked"],
                row["sku_since"],
                row["name_reused"],
                row["fingerprint"],
            )
        await turns.give()
    return offers, rows[0]["renames"]


async def _load_payments(connection: Executor, keys: Collection[PaymentKey]) -> dict[PaymentKey, PaymentEvent]:
    rows = await connection.fetch(
        f"""
        SELECT {PAYMENT} FROM payments JOIN unnest($1::text[], $2::text[]) AS k (provider, provider_event_id)
            USING (provider, provider_event_id)
        """,
        *columns(keys),
    )
    return {(row["provider"], row["provider_event_id"]): payment_event(row) for row in rows}
