"""One primary among several servers: a silent one keeps nobody away, and a former one is not written to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from stockward_server.observability.readiness import Readiness
from stockward_server.storage import database as storage
from stockward_server.storage.cluster import Cluster, FormerPrimary
from stockward_server.storage.database import opened_pool
from stockward_server.storage.events.outbox import OwnedOutbox
from stockward_server.storage.log_epoch import OnStandby
from tests.events import until
from tests.replication import Member, in_step, replicated, several


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Member, Member]]:
    async with replicated() as (primary, standby):
        await until(lambda: in_step(primary))
        await storage.migrate(primary.url())
        yield primary, standby


async def where(cluster: Cluster) -> str:
    """The port of the server that a new connection leads to."""
    connection = await cluster.connect()
    try:
        return str(await connection.fetchval("SHOW port"))
    finally:
        connection.terminate()


async def test_the_primary_is_found_wherever_it_is(pair: tuple[Member, Member]) -> None:
    primary, standby = pair
    for form in ("address", "query"):
        for order in (pair, pair[::-1]):
            assert await where(Cluster(several(*order, form=form))) == primary.port
    assert await storage.migrate(several(*pair[::-1])) == []

    # Only a standby: no locks are taken there, and nobody becomes ready.
    alone = Cluster(several(standby))
    with pytest.raises(OnStandby):
        await alone.connect()
    with pytest.raises(OnStandby):
        async with OwnedOutbox.open(alone, lambda _: None):
            pass
    async with opened_pool(alone, 1, read_only=True) as pool:
        readiness = Readiness(pool)
        await readiness.look()
        await readiness.look()
        assert not readiness.ready

    # The primary stands still and its standby is promoted.
    cluster, fresh = (Cluster(several(*pair)) for _ in range(2))
    async with opened_pool(cluster, 2) as pool, opened_pool(cluster, 1, 2.0, read_only=True) as looks:
        readiness = Readiness(looks)
        watch = asyncio.create_task(readiness.watch())
        try:
            assert await pool.fetchval("SHOW port") == primary.port
            await primary.stand_still()
            stuck = asyncio.create_task(pool.fetchval("SELECT 1"))
            since = time.monotonic()
            await until(lambda: not readiness.ready)
            assert time.monotonic() - since < 10
            assert not stuck.done()
            await standby.promote()
            since = time.monotonic()
            with pytest.raises(asyncpg.ConnectionDoesNotExistError):
                await stuck
            await until(lambda: readiness.ready)
            assert await pool.fetchval("SHOW port") == standby.port
            assert time.monotonic() - since < 10
            assert await where(fresh) == standby.port

            # It wakes up, does not know it, and can be written to: nobody goes back.
            await primary.go_on()
            assert await where(Cluster(several(primary))) == primary.port
            for _ in range(10):
                assert await where(Cluster(several(*pair))) == standby.port
            await standby.stop()
            with pytest.raises(FormerPrimary):
                await cluster.connect()
        finally:
            watch.cancel()
