"""What is stored about one customer: found, and erased while the books stay true.

Personal data lies in `order_contacts` and, encoded, in the answers kept for request_ids. Everywhere else a customer is
a name that the shop made up (`customer_id`): in orders, reservations, and events about orders. Ledger, totals and
payments name orders only, so they need not change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from stockward_server.domain.order import Order, OrderState
from stockward_server.domain.reservation import ReservationState
from stockward_server.storage.database import Executor, Pool, transaction
from stockward_server.storage.order_rows import load_orders

BATCH = 500
"""Orders, or stored answers, of one transaction."""

OPEN = [int(state) for state in (OrderState.PENDING, OrderState.PROCESSING, OrderState.PARTIALLY_FULFILLED)]
"""States in which an order still has to find its customer."""


@dataclass(slots=True)
class Findings:
    """How much there is of a customer, or was."""

    orders: int = 0
    """That are over, with contact and addresses where they have any."""
    events: int = 0
    """About those orders, as far back as events are kept."""
    reservations: int = 0
    """That are over."""
    answers: int = 0
    """Kept for request_ids."""
    open_orders: list[str] = field(default_factory=list)
    """Ids of orders that keep their customer until they are over."""
    open_reservations: list[str] = field(default_factory=list)


class SqlCustomers:
    """Works on the database itself."""

    def __init__(
        self,
        pool: Pool,
        event_without: Callable[[str, bytes], bytes | None],
        answer_without: Callable[[str, str, bytes], bytes | None],
    ) -> None:
        """The two take a customer out of a payload, or out of the answer of a method; None where it has none."""
        self._pool = pool
        self._event_without = event_without
        self._answer_without = answer_without

    async def orders(self, customer_id: str) -> AsyncIterator[Order]:
        """Every order, oldest first."""
        last = "00000000-0000-0000-0000-000000000000"
        while ids := await self._order_ids("customer_id = $1 AND order_id > $2::uuid", customer_id, last):
            async with self._pool.acquire() as connection:
                found = await load_orders(connection, ids)
            for order_id in ids:
                if order_id in found:
                    yield found[order_id]
            last = ids[-1]

    async def look(self, customer_id: str) -> Findings:
        """What `erase` would find."""
        findings = await self._open(customer_id)
        row = await self._pool.fetchrow(
            """
            WITH over AS (SELECT order_id FROM orders WHERE customer_id = $1 AND state <> ALL($2::smallint[]))
            SELECT (SELECT count(*) FROM over),
                   (SELECT count(*) FROM events WHERE aggregate_id IN (SELECT order_id::text FROM over)),
                   (SELECT count(*) FROM reservations WHERE customer_id = $1 AND state <> $3)
            """,
            customer_id,
            OPEN,
            ReservationState.ACTIVE,
        )
        assert row is not None
        findings.orders, findings.events, findings.reservations = row
        async for answers in self._answers(customer_id):
            findings.answers += len(answers)
        return findings

    async def erase(self, customer_id: str, progress: Callable[[Findings], None] = lambda findings: None) -> Findings:
        """Takes the customer out of everything that is over, a batch a transaction. What was done stays done when it is
        broken off; the same call again goes on."""
        erased = await self._open(customer_id)
        over = "customer_id = $1 AND state <> ALL($2::smallint[])"
        while ids := await self._order_ids(over, customer_id, OPEN):
            async with transaction(self._pool) as connection:
                count = await self._erase_orders(connection, customer_id, ids)
            erased.orders += len(ids)
            erased.events += count
            progress(erased)
        gone = await self._pool.execute(
            "UPDATE reservations SET customer_id = '' WHERE customer_id = $1 AND state <> $2",
            customer_id,
            ReservationState.ACTIVE,
        )
        erased.reservations = int(gone.rpartition(" ")[2])
        async for answers in self._answers(customer_id):
            await self._pool.executemany(
                "UPDATE idempotency SET response = $3 WHERE actor = $1 AND request_id = $2", answers
            )
            erased.answers += len(answers)
            progress(erased)
        return erased

    async def _erase_orders(self, connection: Executor, customer_id: str, ids: Sequence[str]) -> int:
        """Their customer, contacts and addresses, and the customer in their events; answers how many events."""
        await connection.execute(
            "SELECT FROM orders WHERE order_id = ANY($1::uuid[]) ORDER BY order_id FOR NO KEY UPDATE", ids
        )
        await connection.execute("UPDATE orders SET customer_id = '' WHERE order_id = ANY($1::uuid[])", ids)
        await connection.execute("DELETE FROM order_contacts WHERE order_id = ANY($1::uuid[])", ids)
        events = await connection.fetch(
            "SELECT seq, create_time, payload FROM events WHERE aggregate_id = ANY($1::text[])", ids
        )
        emptied = [
            (row["seq"], row["create_time"], payload)
            for row in events
            if (payload := self._event_without(customer_id, row["payload"])) is not None
        ]
        await connection.executemany("UPDATE events SET payload = $3 WHERE seq = $1 AND create_time = $2", emptied)
        return len(events)

    async def _open(self, customer_id: str) -> Findings:
        orders = await self._pool.fetch(
            "SELECT order_id::text FROM orders WHERE customer_id = $1 AND state = ANY($2::smallint[]) ORDER BY 1",
            customer_id,
            OPEN,
        )
        reservations = await self._pool.fetch(
            "SELECT reservation_id::text FROM reservations WHERE customer_id = $1 AND state = $2 ORDER BY 1",
            customer_id,
            ReservationState.ACTIVE,
        )
        return Findings(
            open_orders=[row["order_id"] for row in orders],
            open_reservations=[row["reservation_id"] for row in reservations],
        )

    async def _order_ids(self, condition: str, *arguments: object) -> list[str]:
        rows = await self._pool.fetch(
            f"SELECT order_id::text FROM orders WHERE {condition} ORDER BY order_id LIMIT {BATCH}",
            *arguments,
        )
        return [row["order_id"] for row in rows]

    async def _answers(self, customer_id: str) -> AsyncIterator[list[tuple[str, str, bytes]]]:
        """Stored answers that speak of the customer, as (actor, request_id, the answer without them), in batches. One
        read goes through the whole table: nothing says whom an answer is about but its own bytes."""
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
