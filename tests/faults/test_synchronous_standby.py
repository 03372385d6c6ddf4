"""What is acknowledged is on the synchronous standby, whatever becomes of the wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stockward_server.application.ports.status import Verdict
from stockward_server.domain.errors import DatabaseUnavailable
from stockward_server.observability.diagnostics import check_database
from stockward_server.storage import database as storage
from stockward_server.storage.connection import CommitUnconfirmed
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.events.outbox import OwnedOutbox
from stockward_server.storage.write import committer as committer_module
from tests.commands import acknowledged, buy, committing, orders, sell
from tests.events import until
from tests.replication import Member, in_step, replicated

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

PATIENCE = 0.3
"""Seconds that a statement may take here."""


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[tuple[Member, Member]]:
    async with replicated() as (primary, standby):
        await until(lambda: in_step(primary))
        await storage.migrate(primary.url())
        async with opened(primary) as pool:
            await sell(pool, MUG=1000)
        yield primary, standby


@pytest.fixture(autouse=True)
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer_module, "MAX_TRIES", 2)


@asynccontextmanager
async def opened(member: Member, seconds: float = PATIENCE) -> AsyncIterator[Pool]:
    pool = await storage.open_pool(member.url(), 5, command_timeout=seconds)
    try:
        yield pool
    finally:
        pool.terminate()


@asynccontextmanager
async def alone(pair: tuple[Member, Member]) -> AsyncIterator[None]:
    """The primary without its standby, which comes back afterwards."""
    primary, standby = pair
    await standby.stop()
    try:
        yield
    finally:
        await standby.start()
        await until(lambda: in_step(primary))


async def sold(member: Member) -> object:
    return await member.run("SELECT count(*) FROM orders")


@pytest.mark.parametrize("optimistic", [False, True])
async def test_a_commit_that_takes_too_long_stays_invisible(pair: tuple[Member, Member], optimistic: bool) -> None:
    """The request to cancel that a driver sends then would make it visible, and durable on the primary alone.

    An optimistic batch has no COMMIT: its statement commits by itself.
    """
    primary, standby = pair
    async with opened(primary) as pool, committing(pool) as committer:
        if optimistic:  # on stock that the committer remembers
            await committer.submit(buy(("MUG", 1)))
        order = buy(("MUG", 1))
        before = await sold(primary)
        async with alone(pair):
            with pytest.raises(DatabaseUnavailable):
                await committer.submit(order)
            assert await sold(primary) == before
            assert await primary.run(WAITING)
            (finding,) = await check_database(pool)
            assert (finding.verdict, "none is connected" in finding.found) == (Verdict.PROBLEM, True)
        result = await acknowledged(committer, order)
        assert result.order_id in await orders(pool)
        assert [finding.verdict for finding in await check_database(pool)] == [Verdict.OK]
    assert await sold(standby) == await sold(primary)


async def test_a_commit_whose_caller_leaves_stays_invisible(pair: tuple[Member, Member]) -> None:
    primary, _ = pair

    async def write(pool: Pool) -> None:
        async with transaction(pool) as connection:
            await connection.execute("INSERT INTO set_aside_messages VALUES ('LEFT', 1, 'subject', 'reason')")

    written = "SELECT count(*) FROM set_aside_messages WHERE stream = 'LEFT'"
    async with opened(primary, 30) as pool:
        async with alone(pair):
            caller = asyncio.create_task(write(pool))
            await until(lambda: primary.run(WAITING))
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            await until(lambda: not pool.get_size())
            assert not await primary.run(written)
            assert await primary.run(WAITING)
        await until(lambda: primary.run(written))


async def test_a_repeated_request_waits_for_the_standby(pair: tuple[Member, Member]) -> None:
    """After a restart the primary shows what it had written, whether the standby has it or not."""
    primary, standby = pair
    order = buy(("MUG", 1))
    before = await sold(standby)
    async with alone(pair):
        async with opened(primary) as pool, committing(pool) as committer:
            with pytest.raises(DatabaseUnavailable):
                await committer.submit(order)
        await primary.kill()
        await primary.start()
        assert await sold(primary) != before, "the primary has it, alone"
        async with opened(primary) as pool, committing(pool) as committer:
            with pytest.raises(DatabaseUnavailable):
                await committer.submit(order)
        with pytest.raises(TimeoutError):  # nor is its event published
            async with asyncio.timeout(PATIENCE), OwnedOutbox.open(primary.url(), lambda _: None):
                pass
    async with opened(primary) as pool, committing(pool) as committer:
        result = await acknowledged(committer, order)
        assert result.order_id in await orders(pool)
    await until(lambda: standby.run(f"SELECT count(*) FROM orders WHERE order_id = '{result.order_id}'"))


async def test_a_wait_that_an_administrator_cancels_is_no_acknowledgement(pair: tuple[Member, Member]) -> None:
    primary, _ = pair
    async with opened(primary, 30) as pool, alone(pair):

        async def write() -> None:
            async with transaction(pool) as connection:
                await connection.execute("INSERT INTO set_aside_messages VALUES ('CANCELLED', 1, 'subject', 'reason')")

        writer = asyncio.create_task(write())
        await until(lambda: primary.run(WAITING))
        await primary.run("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        with pytest.raises(CommitUnconfirmed, match="synchronous replication"):
            await writer
