"""A batch takes its locks in one order, whatever order its commands name the rows in and the tables have them in."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from stockward_server.application.command import Command
from stockward_server.application.unit_of_work import Holder, UnitOfWork
from stockward_server.domain import hold_limits, unpaid_limits
from stockward_server.domain.hold_limits import HoldLimits
from stockward_server.domain.unpaid_limits import UnpaidLimits
from stockward_server.storage import database as storage
from stockward_server.storage.database import Executor, Pool, transaction
from stockward_server.storage.write.lock import BUYERS, HOLDERS, TENDERS
from tests.commands import adjust, buy, committing, request, reserve, sell, waiting_for_locks
from tests.events import until

SKUS = ("CAP", "MUG", "TEE")
PAIRS = (("ada", "web"), ("bob", "web"), ("cy", "app"))
"""Holders, buyers or tenders: a number is locked for each."""

KEYS = {"orders": "order_id", "reservations": "reservation_id", "stock": "sku, location_id"}
"""The tables in the order in which they are locked, and what their rows are sorted by."""


@dataclass(slots=True, kw_only=True)
class Touch(Command[None]):
    """Has locked what it names, and the stock of that, and changes nothing."""

    order_ids: Sequence[str] = ()
    reservation_ids: Sequence[str] = ()
    skus: Sequence[str] = ()
    holders: Mapping[Holder, HoldLimits] = field(default_factory=dict)
    buyers: Mapping[Holder, UnpaidLimits] = field(default_factory=dict)
    tenders: Sequence[Holder] = ()
    optimistic: bool = False

    def execute(self, uow: UnitOfWork) -> None:
        pass


async def unlocked(pool: Pool, numbers: Sequence[int]) -> list[str]:
    """The numbers and rows that nobody holds, in the order in which they are to be locked."""
    free = await pool.fetch(
        "SELECT number::text FROM unnest($1::bigint[]) number WHERE pg_try_advisory_xact_lock(number)", numbers
    )
    for table, key in KEYS.items():
        free += await pool.fetch(
            f"SELECT concat_ws('@', {key}) FROM {table} ORDER BY {key} FOR NO KEY UPDATE SKIP LOCKED"
        )
    return [row[0] for row in free]


async def hold(connection: Executor, name: str) -> None:
    """Locks the number or the row of this name."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(name::bigint) FROM unnest($1::text[]) name WHERE name ~ '^-?[0-9]+$'", [name]
    )
    for table, key in KEYS.items():
        await connection.execute(f"SELECT FROM {table} WHERE concat_ws('@', {key}) = $1 FOR NO KEY UPDATE", name)


@pytest.mark.parametrize("optimistic", [False, True])
async def test_locks_are_taken_in_one_order(database: Pool, database_url: str, optimistic: bool) -> None:
    await sell(database, **dict.fromkeys(SKUS, 100))
    await database.execute("INSERT INTO locations VALUES ('annex', 'Annex', 9, true)")
    # An index would have the rows in order by chance.
    pool = await storage.open_pool(f"{database_url}&enable_indexscan=off", 2)
    async with committing(pool) as committer:
        for sku in SKUS:
            await committer.submit(adjust(sku, 100, location_id="annex"))
        order_ids = [(await committer.submit(buy(*((sku, 1) for sku in SKUS)))).order_id for _ in range(4)]
        reservation_ids = [
            (await committer.submit(reserve(*((sku, 1) for sku in SKUS)))).reservation_id for _ in range(4)
        ]
        for table, key in KEYS.items():  # from the last row to the first
            backwards = key.replace(",", " DESC,") + " DESC"
            await database.execute(
                f"CREATE INDEX backwards ON {table} ({backwards}); CLUSTER {table} USING backwards; "
                "DROP INDEX backwards"
            )
        names = ["\x1f".join(pair) for pair in PAIRS]
        query = "SELECT hashtextextended(name, $2) FROM unnest($1::text[]) name ORDER BY 1"
        numbers = [row[0] for seed in (HOLDERS, BUYERS, TENDERS) for row in await database.fetch(query, names, seed)]
        order = await unlocked(database, numbers)
        assert len(order) == 3 * len(PAIRS) + len(order_ids) + len(reservation_ids) + 2 * len(SKUS)
        holders = dict.fromkeys(PAIRS, hold_limits.NO_LIMITS)
        buyers = dict.fromkeys(PAIRS[::-1], unpaid_limits.NO_LIMITS)
        taken, batches = order, committer.metrics.optimistic
        if optimistic:
            taken = [*order[: 2 * len(PAIRS)], *order[-2 * len(SKUS) :]]
        for place, name in enumerate(taken):
            async with transaction(database) as holder:
                await hold(holder, name)
                batch = [Touch(cause=request(), skus=SKUS[::-1], holders=holders, buyers=buyers, optimistic=optimistic)]
                if not optimistic:
                    batch.append(
                        Touch(
                            cause=request(), order_ids=order_ids[::-1], reservation_ids=reservation_ids, tenders=PAIRS
                        )
                    )
                touching = asyncio.gather(*map(committer.submit, batch))
                await until(lambda: waiting_for_locks(database, 1))
                left = [each for each in order if each not in taken[: place + 1]]
                assert await unlocked(database, numbers) == left
            await touching
        assert committer.metrics.optimistic - batches == (len(taken) if optimistic else 0)
    await pool.close()


async def test_rows_that_others_may_insert_are_inserted_in_one_order(database: Pool) -> None:
    """Who comes second waits for the first, as for a lock: for its answers, and for stock that is counted first."""
    await database.execute("TRUNCATE idempotency, stock CASCADE")  # rows come one behind the other then
    await sell(database, **dict.fromkeys(SKUS, 0))
    causes = [request(str(uuid.UUID(int=number))) for number in reversed(range(len(SKUS)))]
    counts = [adjust(sku, 1, cause=cause) for sku, cause in zip(reversed(SKUS), causes, strict=True)]
    async with committing(database) as committer:
        await asyncio.gather(*map(committer.submit, counts))
    for table, key in (("idempotency", "request_id::text"), ("stock", "sku")):
        rows = [row[0] for row in await database.fetch(f"SELECT {key} FROM {table} ORDER BY ctid")]
        assert len(rows) == len(SKUS)
        assert rows == sorted(rows)
