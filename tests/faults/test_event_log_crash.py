"""PostgreSQL crashes under those who read the record of events: what was not flushed is forgotten, and drawn again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from stockward.event.v1.event_pb2 import Event

from stockward_dev import Postgres
from stockward_server.application.ports.events import Cursor
from stockward_server.storage import database as storage
from stockward_server.storage.database import Pool, is_database_down, transaction
from stockward_server.storage.events.event_log import DRAWN_SEQ, SqlEventLog
from tests.events import event, insert, record, until

AHEAD = 100
"""Events of one transaction that is lost: more than the 32 seqs that PostgreSQL logs ahead."""


@pytest.fixture
async def durable() -> AsyncIterator[Postgres]:
    """A migrated server of our own where nothing but a COMMIT flushes."""
    async with Postgres.temporary({"wal_writer_delay": "10s"}) as postgres:
        await storage.migrate(postgres.url())
        yield postgres


@pytest.fixture
async def pool(durable: Postgres) -> AsyncIterator[Pool]:
    pool = await storage.open_pool(durable.url(), 12)
    yield pool
    pool.terminate()


async def crash(postgres: Postgres) -> None:
    await postgres.kill()
    await postgres.start()


async def answered(pool: Pool) -> None:
    """Connections of before the crash are found to be gone."""

    async def answers() -> bool:
        try:
            return bool(await pool.fetchval("SELECT true"))
        except Exception as error:
            if not is_database_down(error):
                raise
            return False

    await until(answers)


@pytest.mark.parametrize("under_way", [False, True], ids=["rolled back", "under way"])
async def test_seqs_that_a_crash_takes_back_are_not_below_the_horizon(
    durable: Postgres, pool: Pool, under_way: bool
) -> None:
    """A reader went up to seqs of a transaction that came to nothing. After the crash they are drawn again."""
    log = SqlEventLog(pool)
    await record(pool, event("before", 1))
    lost = await pool.acquire()
    attempt = lost.transaction()
    await attempt.start()
    await insert(lost, [event("lost", version) for version in range(AHEAD)])
    drawn = await pool.fetchval(DRAWN_SEQ)
    if not under_way:
        await attempt.rollback()
    page = await log.list_events(None, 100)
    await crash(durable)
    await answered(pool)
    for _ in range(20):  # ids of transactions go up to where they were
        await pool.execute("SELECT pg_current_xact_id()")

    seen = [Event.FromString(payload).aggregate_id for payload in page.payloads]
    async with transaction(pool) as late:
        await insert(late, [event("late", 1)])
        await record(pool, event("early", 1))
        page = await log.list_events(page.next, 100)
        seen += [Event.FromString(payload).aggregate_id for payload in page.payloads]
        assert "early" not in seen, "whoever went on from `early` would never see `late`"
    page = await log.list_events(page.next, 100)
    seen += [Event.FromString(payload).aggregate_id for payload in page.payloads]
    assert seen == ["before", "late", "early"]
    assert await pool.fetchval(DRAWN_SEQ) > drawn, "what a reader has seen drawn is never drawn again"


async def test_readers_miss_nothing_over_crashes_under_load(durable: Postgres, pool: Pool) -> None:
    """Writers of many lengths, half of which come to nothing; each reader has a process's memory of its own."""
    closing = asyncio.Event()
    committed = 0

    async def write(writer: int) -> None:
        nonlocal committed
        version = 0
        while not closing.is_set():
            version += 1
            try:
                async with transaction(pool) as connection:
                    await insert(connection, [event(f"w{writer}", version) for _ in range(1 + version * 7 % 40)])
                    await connection.execute("SELECT pg_sleep($1)", (writer + version) % 5 / 1000)
                    if version % 2:
                        raise ArithmeticError
                committed += 1
            except ArithmeticError:
                pass
            except Exception as error:
                if not is_database_down(error):
                    raise
                await asyncio.sleep(0.05)

    async def read(log: SqlEventLog, seen: list[str]) -> None:
        after: Cursor | None = None
        while True:
            last_look = closing.is_set() and all(task.done() for task in writing)
            try:
                page = await log.list_events(after, 50)
            except Exception as error:
                if not is_database_down(error):
                    raise
                await asyncio.sleep(0.05)
                continue
            seen += [Event.FromString(payload).event_id for payload in page.payloads]
            after = page.next
            if last_look and page.caught_up:
                return

    writing = [asyncio.create_task(write(number)) for number in range(5)]
    lists: list[list[str]] = [[], []]
    reading = [asyncio.create_task(read(SqlEventLog(pool), seen)) for seen in lists]

    async def more_committed() -> None:
        goal = committed + 60
        await until(lambda: committed >= goal)

    for _ in range(3):
        await more_committed()
        await crash(durable)
    await more_committed()
    closing.set()
    await asyncio.gather(*writing, *reading)

    rows = await pool.fetch("SELECT event_id::text AS id FROM events ORDER BY seq")
    assert lists == [[row["id"] for row in rows]] * 2
