"""A stack for webhooks: a relay, receivers, as many gateways as a test starts, and what a test looks at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from stockward_dev import Nats, free_port
from stockward_server import gateway, relay
from stockward_server.api.events.encoder import encode_event
from stockward_server.gateway import LOOPBACK, Egress
from stockward_server.storage.database import Pool
from stockward_server.storage.events.backlog import read_backlog
from tests.events import STREAM, pending, running, until
from tests.receiver import SECRET, Hook, Receiver, receiver

WHO = ("storefront", "pms")
"""The endpoints of the settings."""

QUICK = tuple(timedelta(seconds=seconds) for seconds in (0.05, 0.05, 0.1, 0.2, 0.3))
SLOW = (timedelta(minutes=5),)


@dataclass
class Stack:
    """A database and NATS with a relay between them, two receivers, and as many gateways as a test starts."""

    pool: Pool
    database_url: str
    nats: Nats
    storefront: Receiver
    pms: Receiver
    running: AsyncExitStack

    def arguments(self, **settings: Any) -> dict[str, Any]:
        """Of gateway.run, but for `stop`."""
        return {
            "dsn": self.database_url,
            "nats_url": self.nats.url,
            "stream_name": STREAM,
            "address": f"127.0.0.1:{free_port()}",
            "urls": {"storefront": self.storefront.url, "pms": self.pms.url},
            "secrets": dict.fromkeys(WHO, SECRET),
            "encode_event": encode_event,
            "egress": Egress.of(LOOPBACK, require_https=False),
            "poll_seconds": 0.05,
            **settings,
        }

    async def start(self, stack: AsyncExitStack | None = None, **settings: Any) -> str:
        """A gateway in this process, until the test (or `stack`) ends; answers its address once it delivers."""
        arguments = self.arguments(**{"retry_delays": QUICK, "grace_seconds": 0.2, **settings})
        await (stack or self.running).enter_async_context(running(lambda stop: gateway.run(**arguments, stop=stop)))
        await until(lambda: is_up(arguments["address"]))
        return str(arguments["address"])

    async def pending(self) -> int:
        return (await read_backlog(self.pool)).deliveries_pending

    async def attempts(self, endpoint_id: str = "storefront") -> list[Any]:
        """Every attempt, in order."""
        return await self.pool.fetch(
            "SELECT * FROM delivery_attempts WHERE endpoint_id = $1 ORDER BY start_time", endpoint_id
        )


async def is_up(address: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://{address}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def in_order(aggregates: int, versions: int) -> dict[str, list[int]]:
    return {f"a{i}": list(range(1, versions + 1)) for i in range(aggregates)}


def ids(hooks: Sequence[Hook]) -> list[str]:
    return [hook.event_id for hook in hooks]


@asynccontextmanager
async def webhook_stack(pool: Pool, database_url: str, directory: Path) -> AsyncIterator[Stack]:
    """Everything but a gateway."""
    async with AsyncExitStack() as running_:
        server = await running_.enter_async_context(Nats(directory / "nats", durable=False))
        storefront = await running_.enter_async_context(receiver())
        pms = await running_.enter_async_context(receiver())
        await running_.enter_async_context(
            running(
                lambda stop: relay.run(
                    database_url, server.url, STREAM, max_age=timedelta(days=1), poll_seconds=0.02, stop=stop
                )
            )
        )
        yield Stack(pool, database_url, server, storefront, pms, running_)


async def refuse(_: Hook) -> web.Response:
    return web.Response(status=500, text="no\0t today" + "!" * 5000)


async def redirect(_: Hook) -> web.Response:
    return web.Response(status=302, headers={"location": "/hook"})


async def created(_: Hook) -> web.Response:
    return web.Response(status=201)


async def make_due(stack: Stack) -> None:
    await stack.pool.execute("UPDATE lanes SET due_time = now()")


async def is_done(stack: Stack, endpoint_id: str, events: int = 1) -> bool:
    """Whether so many events became deliveries, each accepted or dead. They come to the gateway in several batches."""
    return bool(
        await stack.pool.fetchval(
            "SELECT count(*) >= $2 AND bool_and(state > 1) FROM deliveries WHERE endpoint_id = $1", endpoint_id, events
        )
    )


async def has_attempts(stack: Stack, count: int) -> bool:
    return len(await stack.attempts()) >= count


async def outbox_is_empty(stack: Stack) -> bool:
    return await pending(stack.pool) == 0


async def no_lanes(stack: Stack) -> bool:
    return not await stack.pool.fetchval("SELECT count(*) FROM lanes")


async def health(address: str) -> dict[str, Any]:
    """What /healthz of a gateway answers."""
    async with aiohttp.ClientSession() as http, http.get(f"http://{address}/healthz") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def failing_since(stack: Stack) -> Any:
    """Since when the storefront's endpoint fails; None if it does not."""
    return await stack.pool.fetchval("SELECT failing_since FROM endpoints WHERE endpoint_id = 'storefront'")
