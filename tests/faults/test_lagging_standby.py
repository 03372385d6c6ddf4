"""An asynchronous standby that was behind takes over: what it lacks was acknowledged, published and delivered."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import grpc
import pytest
from stockward.event.v1.event_pb2 import Event, ListEventsRequest

from stockward_dev import Nats, Postgres
from stockward_server.commands.reconcile import reconcile
from stockward_server.config import Settings
from stockward_server.storage import database as storage
from tests.events import drained, relaying, stored, until
from tests.receiver import Receiver, receiver
from tests.shop import Shop, refused, running_shop
from tests.webhooks import Stack

LOST_ORDERS = 10


class Standby(Postgres):
    """A copy of `primary` that follows it, until it is promoted."""

    def __init__(self, data_dir: Path, primary: Postgres) -> None:
        super().__init__(data_dir)
        self._primary = primary

    async def _initialize(self) -> None:
        owner = self._data.stat()
        process = await asyncio.create_subprocess_exec(
            *(str(self._programs / "pg_basebackup"), f"--pgdata={self._data}", f"--dbname={self._primary.url()}"),
            *("--write-recovery-conf", "--checkpoint=fast"),
            stderr=subprocess.PIPE,
            cwd="/",
            user=owner.st_uid if os.geteuid() == 0 else None,
            group=owner.st_gid if os.geteuid() == 0 else None,
        )
        _, error = await process.communicate()
        assert process.returncode == 0, error.decode()

    async def is_ready(self) -> bool:
        status = self._data / "postmaster.pid"
        return status.exists() and status.read_text().splitlines()[7:8] in (["ready   "], ["standby "])


async def ask(postgres: Postgres, statement: str) -> object:
    connection = await asyncpg.connect(postgres.url())
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@dataclass
class Pair:
    """A primary and its asynchronous standby."""

    primary: Postgres
    standby: Standby
    sender: int = 0
    """Process that sends changes to the standby, once it stands still."""

    @property
    def url(self) -> str:
        """Leads to the one that takes writes."""
        hosts, ports = zip(*(_place(each.url()) for each in (self.primary, self.standby)), strict=True)
        base = self.primary.url().partition("?")[0]
        return f"{base}?host={','.join(hosts)}&port={','.join(ports)}&target_session_attrs=read-write"

    async def in_step(self) -> bool:
        """Whether the standby has everything."""
        behind = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()"
        return bool(await ask(self.primary, behind))

    async def cut(self) -> None:
        """The standby gets nothing more, and nobody notices."""
        pid = await ask(self.primary, "SELECT pid FROM pg_stat_replication")
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGSTOP)
        self.sender = pid

    async def fail_over(self) -> None:
        """The primary is gone at once, and the standby is the primary as it is."""
        assert self.primary.pid
        os.kill(self.primary.pid, signal.SIGKILL)
        os.kill(self.sender, signal.SIGKILL)
        await self.primary.kill()
        await ask(self.standby, "SELECT pg_promote(true, 30)")

    def former(self) -> Postgres:
        """The primary that was killed, under another address: nobody but who asks for it may find it."""
        return Postgres(self.primary.data_dir.rename(self.primary.data_dir.with_name("former+")))


def _place(url: str) -> tuple[str, str]:
    query = parse_qs(urlsplit(url).query)
    return query["host"][0], query["port"][0]


@asynccontextmanager
async def replicated() -> AsyncIterator[Pair]:
    directory = Path(tempfile.mkdtemp(prefix="stockward-"))
    directory.chmod(0o711)  # PostgreSQL may run as another user, who must pass
    try:
        # The "+" keeps the socket out of the data, which the standby copies.
        async with Postgres(directory / "primary+") as primary:
            await storage.migrate(primary.url())
            async with Standby(directory / "standby", primary) as standby:
                yield Pair(primary, standby)
    finally:
        shutil.rmtree(directory)


@dataclass
class Scene:
    """A shop on a pair, with everything that reads its events."""

    pair: Pair
    shop: Shop
    settings: Settings
    nats: Nats
    hooks: Receiver

    async def published(self) -> list[Event]:
        return [Event.FromString(each.data) for each in await stored(self.nats.url)]

    async def answers(self) -> bool:
        with suppress(grpc.aio.AioRpcError):
            await self.shop.order("TEE")
            return True
        return False

    async def delivered(self) -> bool:
        """Whether the hooks have what was published of orders."""
        wanted = {each.event_id for each in await self.published() if each.aggregate_type == "order"}
        return wanted <= {each.event_id for each in self.hooks.taken}

    async def cursor(self) -> str:
        answer = await self.shop.pms.events.ListEvents(ListEventsRequest(page_size=1000))
        assert answer.caught_up
        return str(answer.next_cursor)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        pair = await stack.enter_async_context(replicated())
        nats = await stack.enter_async_context(Nats(tmp_path / "nats"))
        hooks, other = [await stack.enter_async_context(receiver()) for _ in range(2)]
        await stack.enter_async_context(relaying(pair.url, nats.url))
        pool = await storage.open_pool(pair.url, 2)
        stack.push_async_callback(pool.close)
        await Stack(pool, pair.url, nats, other, hooks, stack).start()
        settings = Settings.model_validate({"database_url": pair.url, "event_queue_url": nats.url})
        shop = await stack.enter_async_context(running_shop(settings))
        yield Scene(pair, shop, settings, nats, hooks)


async def lose(scene: Scene) -> tuple[str, str, set[str], set[str]]:
    """Goods and orders that the standby never gets, then the failover. Returns a cursor before and one behind the loss,
    and the ids of the events before it and of those that are lost."""
    await scene.shop.sell("TEE", 1000)
    for _ in range(5):
        await scene.shop.order("TEE")
    await until(lambda: drained(scene.shop.pool))
    await until(scene.delivered)
    await until(scene.pair.in_step)
    common = await scene.cursor()
    before = {each.event_id for each in await scene.published()}
    await scene.pair.cut()
    for _ in range(LOST_ORDERS):
        await scene.shop.pay(await scene.shop.order("TEE"))
    await until(lambda: drained(scene.shop.pool))
    await until(scene.delivered)
    ghost = await scene.cursor()
    lost = {each.event_id for each in await scene.published()} - before
    await scene.pair.fail_over()
    await until(scene.answers)
    return common, ghost, before, lost


async def test_nothing_is_silent_and_nothing_stands_twice(scene: Scene) -> None:
    common, ghost, before, lost = await lose(scene)
    for _ in range(20):
        await scene.shop.pay(await scene.shop.order("TEE"))
    await until(lambda: drained(scene.shop.pool))
    published = await scene.published()
    recorded = [str(row[0]) for row in await scene.shop.pool.fetch("SELECT event_id FROM events ORDER BY seq")]
    assert lost
    assert lost == {each.event_id for each in published} - set(recorded)

    contents = Counter((each.aggregate_id, each.aggregate_version) for each in published)
    assert not [each for each, count in contents.items() if count > 1], "no version stands for two events"
    versions = defaultdict[str, list[int]](list)
    for each in published:
        versions[each.aggregate_id].append(each.aggregate_version)
    assert all(each == sorted(each) for each in versions.values()), "subscribers ignore nothing"
    seqs = [int((each.headers or {})["ce-recordseq"]) for each in await stored(scene.nats.url)]
    assert len(set(seqs)) == len(published), "no seq stands for two events"

    refusal = await refused(scene.shop.pms.events.ListEvents(ListEventsRequest(cursor=ghost)))
    assert (refusal.reason, refusal.metadata["common"]) == ("CURSOR_LOST", "true")
    request = ListEventsRequest(cursor=common, page_size=1000)
    after = await scene.shop.pms.events.ListEvents(request)
    request.cursor = refusal.metadata["cursor"]
    assert after == await scene.shop.pms.events.ListEvents(request)
    assert [each.event_id for each in after.events] == [each for each in recorded if each not in before]
    rare = await scene.shop.pms.events.ListEvents(ListEventsRequest(cursor=common, types=["product.*"]))
    assert (list(rare.events), rare.caught_up) == ([], True), "a filter gets over the numbers that were skipped"

    await until(scene.delivered)
    taken = defaultdict[str, list[int]](list)
    for hook in scene.hooks.taken:
        taken[hook.aggregate_id].append(hook.version)
    assert all(each == sorted(each) for each in taken.values())
    assert await scene.shop.pool.fetchval("SELECT count(*) FROM deliveries WHERE state = 3") == 0
    await scene.shop.verify()

    account = await reconcile(scene.settings, "", None)
    assert {each.event_id for each in account.events} == lost
    async with scene.pair.former() as former:
        account = await reconcile(scene.settings, former.url(), "told everybody")
    of_orders = {each.event_id for each in published if each.event_id in lost and each.aggregate_type == "order"}
    assert {each for each, endpoints in account.delivered.items() if "pms" in endpoints} == of_orders
    orders = [each for each, is_whole in account.aggregates.items() if is_whole]
    assert len(orders) == LOST_ORDERS
    assert (await reconcile(scene.settings, "", None)).events == []
