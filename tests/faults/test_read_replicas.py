"""Lists come from a standby that is fresh enough and shows the caller's own changes, and from the primary otherwise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

import pytest
from stockward.catalog.v1.catalog_pb2 import Product
from stockward.order.v1.order_pb2 import CreateOrderRequest, ListOrdersRequest

from stockward_client import AsyncStockward
from stockward_dev import Nats
from stockward_server.application.consistency import CommitPoint, begin_call
from stockward_server.application.ports.pages import Page
from stockward_server.application.ports.status import Verdict
from stockward_server.config import Settings
from stockward_server.observability import families
from stockward_server.observability.replica_check import check_replicas
from stockward_server.storage import database as storage
from stockward_server.storage.cluster import Cluster
from stockward_server.storage.database import Executor, opened_pool
from stockward_server.storage.read.replicas import ReplicaReads, opened_replicas
from stockward_server.storage.read.stock_views import SqlStockViews
from stockward_server.wire.consistency_token import HEADER, decode
from tests.commands import adjust, committing, sell
from tests.events import until
from tests.replication import Member, replicated, several
from tests.shop import KEYS, Shop, running_shop

BOUND = 2.0
"""Seconds that a standby may be behind here."""

PATIENCE = 10.0
"""Seconds within which all of a test's reads have to be answered: they take three, and twenty if they wait for the
standby."""

IN_RECOVERY = "SELECT pg_is_in_recovery()"


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[tuple[Member, Member]]:
    async with replicated(synchronous=False) as (primary, standby):
        await storage.migrate(primary.tcp_url)
        async with opened_pool(primary.tcp_url, 2) as pool:
            await sell(pool, MUG=1000)
        yield primary, standby


@asynccontextmanager
async def opened(pair: tuple[Member, Member], url: str | None = None) -> AsyncIterator[ReplicaReads]:
    """Reads that have begun to come from the standby; with `url` those of other servers."""
    primary, standby = pair
    cluster = Cluster(primary.tcp_url)
    async with (
        opened_pool(cluster, 5) as pool,
        opened_replicas(url or standby.tcp_url, cluster, pool, 5, BOUND) as reads,
    ):
        if url is None:
            await until(lambda: from_standby(reads))
        yield reads


async def from_standby(reads: ReplicaReads) -> bool:
    """Whether a read comes from the standby now."""
    (row,) = await reads.fetch(IN_RECOVERY)
    return bool(row[0])


@asynccontextmanager
async def paused(standby: Member) -> AsyncIterator[None]:
    """Nothing more is replayed on the standby."""
    await standby.run("SELECT pg_wal_replay_pause()")
    try:
        await until(lambda: standby.run("SELECT pg_get_wal_replay_pause_state() = 'paused'"))
        yield
    finally:
        await standby.run("SELECT pg_wal_replay_resume()")


async def changed(member: Member) -> CommitPoint:
    """Changes stock; returns what a read must show to show that."""
    async with opened_pool(member.tcp_url, 2) as pool, committing(pool) as committer:
        points = begin_call(None)
        await committer.submit(adjust("MUG", 1))
        assert points.written
        return points.written


@asynccontextmanager
async def held_back(member: Member) -> AsyncIterator[None]:
    """A transaction that has changed something, and is open for long."""
    async with opened_pool(member.tcp_url, 1) as pool, pool.acquire() as connection:
        attempt = connection.transaction()
        await attempt.start()
        await connection.execute("INSERT INTO set_aside_messages VALUES ('LONG', 1, 'subject', 'reason')")
        yield
        await attempt.rollback()


async def test_a_standby_is_read_while_the_primary_is_idle(pair: tuple[Member, Member]) -> None:
    """Its last transaction gets older and older, and it is not late."""
    async with opened(pair) as reads:
        end = time.monotonic() + 2.5 * BOUND
        while time.monotonic() < end:
            assert await from_standby(reads)
            assert reads.replicas[0].age < BOUND
            await asyncio.sleep(0.05)


async def test_a_standby_that_replays_nothing_is_read_until_it_is_too_old(pair: tuple[Member, Member]) -> None:
    primary, standby = pair
    async with opened(pair) as reads, paused(standby):
        assert await from_standby(reads)
        await changed(primary)
        await until(lambda: late(reads))
        assert reads.served["primary", "late"] + reads.served["primary", "no_replica"]
        await until(lambda: not reads.replicas[0].usable)
        assert reads.replicas[0].age > BOUND
    async with opened(pair):
        pass


async def late(reads: ReplicaReads) -> bool:
    return not await from_standby(reads)


async def test_a_caller_sees_its_own_change(pair: tuple[Member, Member]) -> None:
    primary, standby = pair
    async with opened(pair) as reads:
        async with paused(standby):
            point = await changed(primary)
            begin_call(point)
            assert not await from_standby(reads)
            assert reads.served["primary", "own_write"] == 1
            begin_call(None)
            assert await from_standby(reads), "others may see what is a little older"
        begin_call(point)
        await until(lambda: from_standby(reads))


async def test_an_older_change_that_has_not_ended_holds_own_changes_back(pair: tuple[Member, Member]) -> None:
    """Of two changes the one that began first may commit last, and a caller keeps the larger token only."""
    primary, _ = pair
    async with opened(pair) as reads:
        async with held_back(primary):
            point = await changed(primary)
            begin_call(point)
            for _ in range(10):
                assert not await from_standby(reads)
            begin_call(None)
            assert await from_standby(reads)
        begin_call(point)
        await changed(primary)
        await until(lambda: from_standby(reads))


async def test_a_standby_that_receives_nothing_more_becomes_late(pair: tuple[Member, Member]) -> None:
    """It has replayed all that it received, so it does not look late by itself."""
    primary, standby = pair
    way = await standby.run("SELECT quote_literal(current_setting('primary_conninfo'))")
    async with opened(pair) as reads:
        await standby.run("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
        try:
            await standby.run("SELECT pg_reload_conf()")
            await until(lambda: primary.run("SELECT count(*) = 0 FROM pg_stat_replication"))
            await changed(primary)
            assert await standby.run("SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()")
            await until(lambda: late(reads))
        finally:
            await standby.run(f"ALTER SYSTEM SET primary_conninfo = {way}")
            await standby.run("SELECT pg_reload_conf()")
        await until(lambda: from_standby(reads))


@pytest.mark.parametrize("fate", ["dead", "silent"])
async def test_a_standby_that_is_away_costs_nobody_an_error(pair: tuple[Member, Member], fate: str) -> None:
    _, standby = pair
    async with opened(pair) as reads:
        waiting = asyncio.create_task(reads.snapshot(sleep_on_standby))
        await until(lambda: standby.run("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
        await (standby.stop() if fate == "dead" else standby.stand_still())
        try:
            async with asyncio.timeout(PATIENCE):
                for _ in range(20):
                    assert not await from_standby(reads)
                assert await waiting == "primary", "the read that had begun there goes to the primary as well"
        finally:
            await (standby.start() if fate == "dead" else standby.go_on())
        await until(lambda: from_standby(reads))


async def sleep_on_standby(connection: Executor) -> str:
    if not await connection.fetchval(IN_RECOVERY):
        return "primary"
    await connection.execute("SELECT pg_sleep(60)")
    return "standby"


async def test_a_read_that_the_standby_cancels_is_done_on_the_primary(pair: tuple[Member, Member]) -> None:
    """As it does when the primary has removed rows that the read needs."""

    async def cancelled_on_standby(connection: Executor) -> str:
        if await connection.fetchval(IN_RECOVERY):
            await connection.execute("DO $$ BEGIN RAISE serialization_failure; END $$")
        return "primary"

    async with opened(pair) as reads:
        assert await reads.snapshot(cancelled_on_standby) == "primary"
        assert await from_standby(reads), "it is not taken for broken"


async def test_what_is_no_standby_of_this_database_is_never_read(pair: tuple[Member, Member]) -> None:
    """Not the primary itself either: once it is replaced it would look like one that is always fresh."""
    primary, standby = pair
    for url in (primary.tcp_url, f"{standby.tcp_url.rpartition('/')[0]}/template1"):
        async with opened(pair, url) as reads:
            await until(lambda: reads._marks._marks)
            for _ in range(10):
                await reads.fetch(IN_RECOVERY)
                await asyncio.sleep(0.05)
            assert not reads.served["replica", ""]


async def test_of_several_standbys_one_that_is_away_is_passed_over(pair: tuple[Member, Member]) -> None:
    _, standby = pair
    away = standby.tcp_url.replace(f"127.0.0.1:{standby.port}", f"127.0.0.1:1,127.0.0.1:{standby.port}")
    async with opened(pair, away) as reads:
        await until(lambda: from_standby(reads))
        for _ in range(20):
            assert await from_standby(reads)


async def test_a_view_reads_its_lists_there(pair: tuple[Member, Member]) -> None:
    async with opened(pair) as reads, opened_pool(pair[0].tcp_url, 2) as pool:
        before = reads.served["replica", ""]
        (level,) = await SqlStockViews(pool, reads).levels(Page(10, None), ["MUG"], None)
        assert level.on_hand >= 1000
        assert reads.served["replica", ""] == before + 1


async def test_doctor_and_metrics_say_how_standbys_are(pair: tuple[Member, Member]) -> None:
    primary, standby = pair
    url = several(primary, standby).replace("/postgres", "/postgres?target_session_attrs=standby")
    async with opened(pair) as reads, opened_pool(primary.tcp_url, 2) as pool:

        async def found() -> list[tuple[Verdict, str]]:
            return [(each.verdict, each.found) async for each in check_replicas(pool, url, 0.5)]

        no_standby, well = await found()
        assert no_standby[0] is Verdict.PROBLEM
        assert "is no standby of the database" in no_standby[1]
        assert (well[0], f"127.0.0.1:{standby.port} has what was committed" in well[1]) == (Verdict.OK, True)
        async with paused(standby):
            await changed(primary)
            assert (await found())[1] == (Verdict.WARNING, f"127.0.0.1:{standby.port} is more than 0.5 s behind")
        await standby.stop()
        try:
            (_, away) = await found()
            assert (away[0], "does not answer" in away[1]) == (Verdict.WARNING, True)
            await until(lambda: not reads.replicas[0].usable)
        finally:
            await standby.start()
        assert {sample.name: sample.value for family in families.replicas(reads) for sample in family.samples} == {
            "stockward_list_reads_total": reads.served["replica", ""],
            "stockward_replica_lag_seconds": inf,
            "stockward_replica_usable": 0,
        }


@pytest.fixture
async def shop(pair: tuple[Member, Member], nats: Nats) -> AsyncIterator[Shop]:
    primary, standby = pair
    settings = Settings.model_validate(
        {
            "database_url": primary.tcp_url,
            "database_read_url": several(standby) + "?target_session_attrs=prefer-standby",
            "event_queue_url": nats.url,
            "replica_max_lag_seconds": 30.0,
        }
    )
    async with running_shop(settings) as shop:
        yield shop


async def test_clients_see_their_own_changes_and_others_within_the_bound(
    pair: tuple[Member, Member], shop: Shop
) -> None:
    primary, standby = pair
    lines = [CreateOrderRequest.Line(sku="MUG", quantity=1)]
    async with (
        AsyncStockward(shop.address, KEYS["storefront"]) as buyer,
        AsyncStockward(shop.address, KEYS["pms"]) as staff,
        AsyncStockward(shop.address, KEYS["pms"]) as others,
    ):

        async def listed(client: AsyncStockward) -> int:
            return len([order async for order in client.orders.list_orders()])

        async def reads_on_standby() -> bool:
            """Whether the server has a connection there beside that of its probes."""
            await listed(others)
            connections = "SELECT count(*) > 1 FROM pg_stat_activity WHERE application_name = 'stockward'"
            return bool(await standby.run(connections))

        await until(reads_on_standby)
        async with paused(standby):
            before = await listed(others)
            assert not buyer.consistency_token
            await buyer.orders.create_order(lines=lines)
            assert await listed(others) == before, "not the standby's"
            staff.consistency_token = buyer.consistency_token  # handed on, as to the next process of one user
            assert await listed(staff) == before + 1

            # Changes that are no commands of the committer, and repetitions.
            token = staff.consistency_token
            product = await staff.catalog.create_product(product=Product(title="A cup", handle="a-cup"))
            assert staff.consistency_token > token
            assert [each.product_id async for each in staff.catalog.list_products()] == [product.product_id] + [
                each.product_id async for each in others.catalog.list_products()
            ]
        await until(lambda: primary.run("SELECT count(*) = 1 FROM pg_stat_replication"))


async def test_a_repeated_request_has_a_token_that_covers_its_effect(pair: tuple[Member, Member], shop: Shop) -> None:
    request = CreateOrderRequest(
        lines=[CreateOrderRequest.Line(sku="MUG", quantity=1)], request_id="6e7fb9cb-0cf6-4c6e-9b0e-3a4bb4b9a0c1"
    )
    tokens = []
    for _ in range(2):
        call = shop.storefront.orders.CreateOrder(request)
        await call
        tokens.append(dict(await call.trailing_metadata())[HEADER])
    first, second = map(decode, tokens)
    assert second > first

    call = shop.pms.orders.ListOrders(ListOrdersRequest())
    await call
    assert HEADER not in dict(await call.trailing_metadata() or ())
