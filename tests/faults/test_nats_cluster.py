"""Three NATS servers, every event on each of them: one is killed under load, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import nats
import pytest
from nats.js.api import StreamInfo
from stockward.event.v1.event_pb2 import Event

from stockward_dev import Nats, free_port
from stockward_dev.files import write_private
from stockward_server.config import Settings
from stockward_server.storage.database import Pool
from tests.events import STREAM, drained, relaying, stored, until, versions
from tests.receiver import receiver
from tests.shop import running_shop
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


@pytest.mark.timed
async def test_the_leader_is_killed_under_load_and_nothing_is_lost(
    cluster: dict[str, Node], settings: Settings, database: Pool, database_url: str
) -> None:
    nodes = list(cluster.values())
    urls = ",".join(node.url for node in nodes)
    stop = asyncio.Event()

    async with AsyncExitStack() as stack:
        hooks, other = [await stack.enter_async_context(receiver()) for _ in range(2)]
        await stack.enter_async_context(relaying(database_url, urls))
        await Stack(database, database_url, nodes[0], hooks, other, stack).start(nats_url=urls)
        shop = await stack.enter_async_context(
            running_shop(Settings.model_validate({**settings.model_dump(), "event_queue_url": urls}))
        )
        await shop.sell("TEE", 100_000)
        await until(lambda: in_sync(nodes[0].url))

        async def buy() -> None:
            while not stop.is_set():
                await shop.order("TEE")

        buyers = [asyncio.create_task(buy()) for _ in range(4)]
        await until(lambda: len(hooks.taken) > 50)
        info = await stream_at(nodes[0].url)
        assert info is not None
        assert info.cluster is not None
        assert info.config.num_replicas == 3
        await cluster.pop(str(info.cluster.leader)).kill()
        heard = len(hooks.taken)
        await until(lambda: len(hooks.taken) > heard + 200)  # it goes on without it
        stop.set()
        await asyncio.gather(*buyers)

        await until(lambda: drained(database))
        rows = await database.fetch("SELECT payload FROM events ORDER BY seq")
        happened = versions([Event.FromString(row["payload"]) for row in rows])
        assert len(happened) > 100
        survivor = next(iter(cluster.values()))
        assert versions([Event.FromString(each.data) for each in await stored(survivor.url)]) == happened
        await until(lambda: len(hooks.taken) >= len(rows))
        assert hooks.versions() == happened
        await shop.verify()
