"""Three NATS servers, every event on each of them: they are killed, stand still or lose their store under load, and
nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import grpc
import nats
import nats.errors
import pytest
from nats.js.api import StreamInfo
from stockward.event.v1.event_pb2 import Event

from stockward_dev import Nats, free_port
from stockward_dev.files import write_private
from stockward_server import relay
from stockward_server.config import Settings
from stockward_server.observability.diagnostics import Subject, check_stream
from stockward_server.runtime.supervision import Unavailable
from stockward_server.storage.database import Pool
from tests.events import STREAM, drained, event, record, relaying, running, stored, until, versions
from tests.receiver import Receiver, receiver
from tests.shop import Shop, running_shop
from tests.webhooks import Stack


class Node(Nats):
    """One of several that keep the same streams."""

    def __init__(self, directory: Path, number: int, cluster_ports: list[int]) -> None:
        super().__init__(directory / f"node-{number}", durable=True)
        self.server = f"node-{number}"
        self._cluster = {
            "name": "shop",
            "listen": f"127.0.0.1:{cluster_ports[number]}",
            "routes": [f"nats-route://127.0.0.1:{port}" for port in cluster_ports],
        }

    async def prepare(self) -> None:
        await super().prepare()
        configuration = json.loads(self._configuration.read_text())
        write_private(
            self._configuration, json.dumps({**configuration, "server_name": self.server, "cluster": self._cluster})
        )

    def send(self, number: signal.Signals) -> None:
        """Stops the process where it is, or lets it go on; its connections stay open."""
        assert self.pid
        os.kill(self.pid, number)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[dict[str, Node]]:
    ports = [free_port() for _ in range(3)]
    nodes = [Node(tmp_path, number, ports) for number in range(3)]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(node) for node in nodes))
        yield {node.server: node for node in nodes}


async def stream_at(url: str) -> StreamInfo | None:
    """The stream as this server knows it; None while it cannot tell."""
    client = await nats.connect(url, allow_reconnect=False, error_cb=_ignore)
    try:
        return await client.jetstream().stream_info(STREAM)
    except nats.errors.Error:
        return None
    finally:
        await client.close()


async def _ignore(_: Exception) -> None:
    """A server that cannot answer yet is asked again."""


async def in_sync(url: str) -> bool:
    info = await stream_at(url)
    replicas = info and info.cluster and info.cluster.replicas
    return bool(replicas and len(replicas) == 2 and all(each.current for each in replicas))


@dataclass
class Scene:
    """A shop whose processes know all servers of the cluster, with buyers."""

    nodes: dict[str, Node]
    pool: Pool
    database_url: str
    shop: Shop
    hooks: Receiver
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    orders: int = 0

    @property
    def urls(self) -> str:
        return ",".join(node.url for node in self.nodes.values())

    async def buy(self) -> None:
        while not self.stop.is_set():
            await self.shop.order("TEE")
            self.orders += 1

    async def leader(self) -> Node:
        """The server that leads the stream."""
        info = await stream_at(next(iter(self.nodes.values())).url)
        assert info
        assert info.cluster
        return self.nodes[str(info.cluster.leader)]

    async def goes_on(self, hooks: int = 100) -> None:
        """Waits until so many webhooks more were received."""
        taken = len(self.hooks.taken)
        await until(lambda: len(self.hooks.taken) > taken + hooks, 90)

    async def sells(self, orders: int = 50) -> None:
        """Waits until so many orders more were acknowledged."""
        sold = self.orders
        await until(lambda: self.orders > sold + orders)

    async def judge(self, node: Node) -> None:
        """Everything that happened is in the stream of this server, and was received, once and in order."""
        await until(lambda: drained(self.pool), 90)
        rows = await self.pool.fetch("SELECT payload FROM events ORDER BY seq")
        events = [Event.FromString(row["payload"]) for row in rows]
        assert len(events) > 100

        async def has_all() -> bool:
            try:
                messages = await stored(node.url)
            except nats.errors.Error:
                return False  # it has just come back, or a leader is being elected
            return versions([Event.FromString(each.data) for each in messages]) == versions(events)

        await until(has_all, 90)
        of_orders = versions([each for each in events if each.type == "order.created"])
        await until(lambda: set(of_orders) <= set(self.hooks.versions()), 90)
        received = self.hooks.versions()
        assert {each: received[each] for each in of_orders} == of_orders
        await self.shop.verify()


@pytest.fixture
async def scene(
    cluster: dict[str, Node], settings: Settings, database: Pool, database_url: str
) -> AsyncIterator[Scene]:
    urls = ",".join(node.url for node in cluster.values())
    async with AsyncExitStack() as stack:
        hooks, other = [await stack.enter_async_context(receiver()) for _ in range(2)]
        await stack.enter_async_context(relaying(database_url, urls))
        await Stack(database, database_url, next(iter(cluster.values())), other, hooks, stack).start(nats_url=urls)
        shop = await stack.enter_async_context(
            running_shop(Settings.model_validate({**settings.model_dump(), "event_queue_url": urls}))
        )
        scene = Scene(cluster, database, database_url, shop, hooks)
        await shop.sell("TEE", 100_000)
        await until(lambda: in_sync(next(iter(cluster.values())).url))
        buyers = [asyncio.create_task(scene.buy()) for _ in range(4)]
        await scene.goes_on(50)
        yield scene
        scene.stop.set()
        await asyncio.gather(*buyers)


async def end(scene: Scene) -> None:
    """Lets the buyers finish."""
    scene.stop.set()
    await until(lambda: in_sync(next(iter(scene.nodes.values())).url), 90)


@pytest.mark.timed
async def test_the_leader_is_killed_under_load_and_nothing_is_lost(scene: Scene) -> None:
    info = await stream_at(next(iter(scene.nodes.values())).url)
    assert info
    assert info.config.num_replicas == 3
    leader = await scene.leader()
    await leader.kill()
    await scene.goes_on()  # without it
    scene.stop.set()
    await scene.judge(next(node for node in scene.nodes.values() if node is not leader))


@pytest.mark.timed
async def test_two_of_three_are_killed_and_come_back(scene: Scene) -> None:
    leader = await scene.leader()
    other = next(node for node in scene.nodes.values() if node is not leader)
    await asyncio.gather(leader.kill(), other.kill())
    await scene.sells()
    pending = int(await scene.pool.fetchval("SELECT count(*) FROM outbox"))
    assert pending > 50, "events wait in the outbox"
    await asyncio.gather(leader.start(), other.start())
    await scene.goes_on()
    await end(scene)
    await scene.judge(other)


@pytest.mark.timed
async def test_the_leader_stands_still(scene: Scene) -> None:
    leader = await scene.leader()
    leader.send(signal.SIGSTOP)
    try:
        await scene.sells()
        await scene.goes_on()
    finally:
        leader.send(signal.SIGCONT)
    await end(scene)
    await scene.judge(leader)


@pytest.mark.timed
async def test_a_store_that_is_lost_is_filled_again(scene: Scene) -> None:
    leader = await scene.leader()
    others = [node for node in scene.nodes.values() if node is not leader]
    await leader.kill()
    shutil.rmtree(leader.store_dir)
    await until(lambda: is_found(scene.database_url, scene.urls, "does not have all of the stream"))
    await leader.start()
    await until(lambda: in_sync(leader.url), 90)
    await until(lambda: is_found(scene.database_url, scene.urls, "3 servers have all of the stream"))
    await others[0].kill()  # from now on nothing is acknowledged without the one that was filled
    await scene.goes_on()
    scene.stop.set()
    await scene.judge(leader)


@pytest.mark.timed
async def test_a_stream_is_spread_over_the_cluster_once_it_is_asked_for(
    cluster: dict[str, Node], database: Pool, database_url: str
) -> None:
    node = next(iter(cluster.values()))
    urls = ",".join(each.url for each in cluster.values())
    await until(lambda: has_stream(node.url))

    def relaying_with(replicas: int) -> AbstractAsyncContextManager[asyncio.Task[None]]:
        day = timedelta(days=1)
        return running(
            lambda stop: relay.run(
                database_url, urls, STREAM, max_age=day, replicas=replicas, poll_seconds=0.05, stop=stop
            )
        )

    async with relaying_with(0):
        await record(database, event("a", 1))
        await until(lambda: drained(database))
    await until(lambda: is_found(database_url, urls, "one of 3 servers alone"))
    async with relaying_with(3):
        await until(lambda: in_sync(node.url))
    await until(lambda: is_found(database_url, urls, "3 servers have all of the stream"))


async def has_stream(url: str) -> bool:
    """Makes a stream on one server, once the cluster has elected who decides that."""
    client = await nats.connect(url, allow_reconnect=False, error_cb=_ignore)
    try:
        await client.jetstream(timeout=1).add_stream(name=STREAM, subjects=["stockward.v1.>"])
    except nats.errors.Error:
        return False
    finally:
        await client.close()
    return True


async def is_found(database_url: str, urls: str, text: str) -> bool:
    """Whether doctor says so of the replicas."""
    subject = Subject(
        database_url=database_url,
        nats_url=urls,
        nats_api="$JS.API",
        stream_name=STREAM,
        stream_age=timedelta(days=1),
        stream_replicas=0,
        grpc_address="",
        channel_to=grpc.aio.insecure_channel,
        certificates={},
    )
    try:
        findings = await check_stream(subject)
    except Unavailable:
        return False  # no leader is elected yet
    return any(each.check == "replicas" and text in each.found for each in findings)
