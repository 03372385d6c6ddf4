"""A client that abuses HTTP/2 costs the server something, and the other clients little."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated
from stockward.inventory.v1.inventory_pb2 import GetAvailabilityRequest

from stockward_server.config import Settings
from stockward_server.storage.database import Pool
from tests.commands import sell
from tests.events import until
from tests.http2 import Http2
from tests.server_process import ServerProcess
from tests.shop import KEYS, callers, ensure_keys

STREAMS = 2000
WEBHOOK = "/stockward.webhook.v1.IncomingWebhookService/ReceivePmsWebhook"
METHOD = "/stockward.inventory.v1.InventoryService/GetAvailability"


@pytest.fixture
async def server(settings: Settings, database: Pool, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server of its own."""
    await sell(database, MUG=10)
    await ensure_keys(settings)
    async with ServerProcess(settings, tmp_path) as server:
        yield server


class Abuser(Http2):
    """A server that closes its connection has every right to."""


async def rapid_reset(abuser: Abuser) -> None:
    for _ in range(STREAMS):
        abuser.http.reset_stream(abuser.begin(METHOD, KEYS["storefront"]))
        await abuser.flush()


async def slow_streams(abuser: Abuser) -> None:
    """Calls of which a byte comes now and then."""
    streams = [
        abuser.begin(METHOD, KEYS["storefront"]) for _ in range(90)
    ]  # 100 are allowed before the settings of the server are known
    await abuser.flush()
    for byte in b"\0\0\0\0\5\x0a":
        for stream in streams:
            abuser.http.send_data(stream, bytes([byte]))
        await abuser.flush()
        await asyncio.sleep(0.02)


async def silent_strangers(abuser: Abuser) -> None:
    """Calls without a key and a message, more than may wait for one."""
    first, *_ = await abuser.begin_silent(WEBHOOK, 600)
    await abuser.status(first)


async def silent_callers(abuser: Abuser) -> None:
    """Calls without a message, of several such connections more than there are slots."""
    first, *_ = await abuser.begin_silent(METHOD, 2100, KEYS["pms"])
    await abuser.status(first)


async def ping_flood(abuser: Abuser) -> None:
    for number in range(5 * STREAMS):
        abuser.http.ping(number.to_bytes(8, "big"))
        await abuser.flush()


async def settings_flood(abuser: Abuser) -> None:
    for number in range(STREAMS):
        abuser.http.update_settings({4: 65535 + number})
        await abuser.flush()


Abuse = Callable[[Abuser], Awaitable[None]]


@pytest.mark.parametrize("slowest", [30.0, pytest.param(2.0, marks=pytest.mark.timed)], ids="{:g} s".format)
@pytest.mark.parametrize(
    "abuse",
    [rapid_reset, slow_streams, silent_strangers, silent_callers, ping_flood, settings_flood],
    ids=lambda abuse: abuse.__name__,
)
async def test_others_are_served_meanwhile(server: ServerProcess, abuse: Abuse, slowest: float) -> None:
    """Within so many seconds each, while the abuse goes on."""
    customer = callers(server.address, KEYS["storefront"])
    wanted = GetAvailabilityRequest(sku="MUG")
    await customer.inventory.GetAvailability(wanted)
    descriptors = open_descriptors(server)

    served = asyncio.Event()
    times = 0

    async def misbehave() -> None:
        nonlocal times
        while not served.is_set():
            try:
                async with Abuser.connected(server.address) as abuser:
                    await abuse(abuser)
            except (ConnectionError, EOFError):
                pass  # it was thrown out, or not let in
            times += 1

    async with asyncio.TaskGroup() as abusers:
        for _ in range(3):
            abusers.create_task(misbehave())
        answers = 0
        while answers < 10 or times < 3:
            answer = await customer.inventory.GetAvailability(wanted, timeout=slowest)
            assert answer.available == 10
            answers += 1
        served.set()
    await until(lambda: open_descriptors(server) <= descriptors + 2)
    await customer.channel.close()


async def test_a_crowd_puts_nobody_else_out(server: ServerProcess) -> None:
    """Thousands of calls that come at once, on many connections, wait in gRPC's own queue."""
    customer = callers(server.address, KEYS["storefront"])
    wanted = GetAvailabilityRequest(sku="MUG")
    await customer.inventory.GetAvailability(wanted)
    async with AsyncExitStack() as connections:
        crowd = [await connections.enter_async_context(Abuser.connected(server.address)) for _ in range(50)]
        for each in crowd:
            for _ in range(90):
                each.begin(METHOD)
        flood = asyncio.gather(*(each.flush() for each in crowd))
        for _ in range(20):
            for answer in await asyncio.gather(*(customer.inventory.GetAvailability(wanted) for _ in range(20))):
                assert answer.available == 10
        await flood
    await customer.channel.close()


async def test_who_pings_too_often_is_told_to_calm_down(server: ServerProcess) -> None:
    async with Abuser.connected(server.address) as abuser:
        for number in range(10):
            abuser.http.ping(number.to_bytes(8, "big"))
        assert (await abuser.hear(ConnectionTerminated)).error_code == ErrorCodes.ENHANCE_YOUR_CALM


def open_descriptors(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
