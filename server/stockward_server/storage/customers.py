"""Finds and erases the personal data of one customer without changing counters, ledger or totals.

Personal data is stored in `order_contacts`, as words in `order_search` and, encoded, in the responses kept for
request_ids. All other tables hold only `customer_id`, a name that the shop chose: orders, reservations, and events
about orders. Ledger, totals and payments refer to orders only, so they need no change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from stockward_server.domain.order import OPEN_STATES, Order
from stockward_server.domain.reservation import Reservation, ReservationState
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.order_rows import load_orders, load_reservations

T = TypeVar("T")

NOTED = ["order.noted", "order.return_announced", "order.return_withdrawn"]
"""Types of entries of a timeline whose text may be about the customer, or by them."""

BATCH = 500
"""Orders, or stored responses, changed in one transaction."""


@dataclass(slots=True)
class Findings:
    """Numbers of records of a customer, found or erased."""

    orders: int = 0
    """Closed orders, with contact and addresses where they have any."""
    events: int = 0
    """Events of those orders that are still kept."""
    reservations: int = 0
    """Closed reservations."""
    answers: int = 0
    """Responses stored for request_ids."""
    open_orders: list[str] = field(default_factory=list)
    """Ids of open orders, which keep their customer until they are closed."""
    open_reservations: list[str] = field(default_factory=list)


class SqlCustomers:
    """Reads and erases a customer's data in PostgreSQL."""

    def __init__(
        self,
        pool: Pool,
        event_without: Callable[[str, bytes], bytes | None],
        answer_without: Callable[[str, str, bytes], bytes | None],
    ) -> None:
        """Receives two functions that remove a customer from a payload and from the response of a method; they return
        None where there is no customer."""
        self._pool = pool
        self._event_without = event_without
        self._answer_without = answer_without

    async def orders(self, customer_id: str) -> AsyncIterator[Order]:
        """Yields every order, oldest first."""
        async for order in self._each("orders", "order_id", load_orders, customer_id):
            yield order

    async def reservations(self, customer_id: str) -> AsyncIterator[Reservation]:
        """Yields every reservation, oldest first."""
        async for reservation in self._each("reservations", "reservation_id", load_reservations, customer_id):
            yield reservation

    async def _each(
        self, table: str, key: str, load: Callable[..., Awaitable[Mapping[str, T]]], customer_id: str
    ) -> AsyncIterator[T]:
        after = "00000000-0000-0000-0000-000000000000"
        while True:
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(
                    f"SELECT {key}::text FROM {table} WHERE customer_id = $1 AND {key} > $2::uuid "
                    f"ORDER BY {table}.{key} LIMIT {BATCH}",
                    customer_id,
                    after,
                )
                ids = [row[0] for row in rows]
                found = await load(connection, ids)
            for each in ids:
                if each in found:
                    yield found[each]
            if len(ids) < BATCH:
                return
            after = ids[-1]

    async def look(self, customer_id: str) -> Findings:
        """Returns what `erase` would erase."""
        findings = Findings(
            open_orders=await self._ids("orders", "order_id", customer_id, "state = ANY($2::smallint[])", OPEN_STATES),
            open_reservations=await self._ids(
                "reservations", "reservation_id", customer_id, "state = $2", ReservationState.ACTIVE
            ),
        )
        row = await self._pool.fetchrow(
            """
            WITH over AS (SELECT order_id FROM orders WHERE customer_id = $1 AND state <> ALL($2::smallint[]))
            SELECT (SELECT count(*) FROM over),
                   (SELECT count(*) FROM events WHERE aggregate_id IN (SELECT order_id::text FROM over)),
                   (SELECT count(*) FROM reservations WHERE customer_id = $1 AND state <> $3)
            """,
            customer_id,
            OPEN_STATES,
            ReservationState.ACTIVE,
        )
        assert row is not None
        findings.orders, findings.events, findings.reservations = row
        async for answers in self._stored_responses(customer_id):
            findings.answers += len(answers)
        return findings

    async def erase(self, customer_id: str, progress: Callable[[Findings], None] = lambda findings: None) -> Findings:
        """Removes the customer from all closed records, one batch a transaction, and returns the counts and the open
        orders. An interrupted call keeps the batches that were committed; the same call continues with the rest."""
        erased = Findings()
        while await self._erase_orders(customer_id, erased):
            progress(erased)
        gone = await self._pool.execute(
            """
            UPDATE reservations SET customer_id = '' WHERE reservation_id IN (
                SELECT reservation_id FROM reservations WHERE customer_id = $1 AND state <> $2
                ORDER BY reservation_id FOR NO KEY UPDATE
            )
            """,
            customer_id,
            ReservationState.ACTIVE,
        )
        erased.reservations = int(gone.rpartition(" ")[2])
        async for answers in self._stored_responses(customer_id):
            await self._pool.executemany(
                "UPDATE idempotency SET response = $3 WHERE actor = $1 AND request_id = $2", answers
            )
            erased.answers += len(answers)
            progress(erased)
        erased.open_orders = await self._ids("orders", "order_id", customer_id)
        erased.open_reservations = await self._ids("reservations", "reservation_id", customer_id)
        return erased

    async def _erase_orders(self, customer_id: str, erased: Findings) -> bool:
        """Removes customer, contacts and addresses from a batch of orders, and the customer from their events. Returns
        whether there was a batch.

        A late payment may reopen a closed order, so the statement that locks an order also selects it.
        """
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(
                """
                SELECT order_id FROM orders WHERE customer_id = $1 AND state <> ALL($2::smallint[])
                ORDER BY order_id LIMIT $3 FOR NO KEY UPDATE
                """,
                customer_id,
                OPEN_STATES,
                BATCH,
            )
            ids = [row["order_id"] for row in rows]
            await connection.execute(
                "UPDATE orders SET customer_id = '', indexed_version = 0 WHERE order_id = ANY($1::uuid[])", ids
            )
            for table in ("order_contacts", "order_search"):  # servers index the rest of the words again
                await connection.execute(f"DELETE FROM {table} WHERE order_id = ANY($1::uuid[])", ids)
            await connection.execute(
                "UPDATE order_timeline SET note = '' WHERE order_id = ANY($1::uuid[]) AND type = ANY($2::text[])",
                ids,
                NOTED,
            )
            await connection.execute(
                "UPDATE order_returns SET reason = '', note = '', label_url = '' WHERE order_id = ANY($1::uuid[])", ids
            )
            events = await connection.fetch(
                "SELECT seq, create_time, payload FROM events WHERE aggregate_id = ANY($1::uuid[]::text[])", ids
            )
            emptied = [
                (row["seq"], row["create_time"], payload)
                for row in events
                if (payload := self._event_without(customer_id, row["payload"])) is not None
            ]
            await connection.executemany("UPDATE events SET payload = $3 WHERE seq = $1 AND create_time = $2", emptied)
        erased.orders += len(ids)
        erased.events += len(events)
        return bool(ids)

    async def _ids(
        self, table: str, key: str, customer_id: str, condition: str = "true", *arguments: object
    ) -> list[str]:
        rows = await self._pool.fetch(
            f"SELECT {key}::text FROM {table} WHERE customer_id = $1 AND {condition} ORDER BY 1",
            customer_id,
            *arguments,
        )
        return [row[0] for row in rows]

    async def _stored_responses(self, customer_id: str) -> AsyncIterator[list[tuple[str, str, bytes]]]:
        """Yields the stored responses that name the customer, as (actor, request_id, response without the customer), in
        batches. It reads the whole table once: only the encoded response shows which customer it names."""
        async with transaction(self._pool, readonly=True) as reader:
            rows = await reader.cursor(
                """
                SELECT actor, request_id::text AS request_id, method, response FROM idempotency
                WHERE position(convert_to($1, 'UTF8') IN response) > 0
                """,
                customer_id,
            )
            while batch := await rows.fetch(BATCH, timeout=600):
                yield [
                    (row["actor"], row["request_id"], answer)
                    for row in batch
                    if (answer := self._answer_without(customer_id, row["method"], row["response"])) is not None
                ]
