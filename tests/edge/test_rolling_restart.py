"""Servers that are restarted one after another under load: not one call fails, whichever way it comes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from stockward.inventory.v1.inventory_pb2 import GetAvailabilityRequest
from stockward.order.v1.order_pb2 import CreateOrderRequest

from stockward_client import AsyncStockward
from stockward_server.config import Settings, variable
from stockward_server.runtime.probes import grpc_serves
from tests.commands import locked, waiting_for_locks
from tests.edge.caller import Edge, load, more
from tests.edge.conftest import StartEdge
from tests.events import until
from tests.server_process import ServerProcess
from tests.shop import KEYS, Shop, callers, running_shop
from tests.watching import watch_stock

pytestmark = pytest.mark.long

NOTICE = 6.0
"""Seconds between NOT_SERVING and the end; the edge looks every second, and a busy machine is late."""


class Server(ServerProcess):
    """`stockward serve`, with so many workers."""

    def __init__(self, settings: Settings, directory: Path, workers: int) -> None:
        self._count = str(workers)
        variables = {variable("shutdown_notice_seconds"): str(NOTICE)}
        super().__init__(settings, directory, f"server-{workers}", variables=variables, stop_within=20.0)

    def command(self) -> list[str]:
        return [*super().command(), "--workers", self._count]


@pytest.fixture
async def servers(edge_settings: Settings, tmp_path: Path) -> AsyncIterator[tuple[Server, Server]]:
    """One process, and one with two workers."""
    async with Server(edge_settings, tmp_path, 1) as first, Server(edge_settings, tmp_path, 2) as second:
        yield first, second


async def test_a_rolling_restart_fails_no_call(
    servers: tuple[Server, Server], edge_shop: Shop, start_edge: StartEdge
) -> None:
    """Plain REST without any repetition, our client with a connection of its own, and a watch."""
    await edge_shop.sell("ROLL", 100_000)
    first, second = servers
    both = f"ipv4:{first.address},{second.address}"
    available: list[int] = []

    async def by_rest(edge: Edge) -> None:
        await edge.get("/api/storefront/stock/ROLL", by="storefront")
        body = {"lines": [{"sku": "ROLL", "quantity": 1}]}
        await edge.done("POST", "/api/storefront/orders/create", body, by="storefront")

    async def by_client(client: AsyncStockward) -> None:
        await client.inventory.get_availability(sku="ROLL")
        await client.orders.create_order(lines=[CreateOrderRequest.Line(sku="ROLL", quantity=1)])

    async def watch(client: AsyncStockward) -> None:
        async for response in client.inventory.watch_availability(skus=["ROLL"]):
            available.extend(each.available for each in response.availabilities)

    async with AsyncExitStack() as stack:
        edge = await stack.enter_async_context(start_edge(first.address, second.address))
        options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
        clients = [
            await stack.enter_async_context(AsyncStockward(both, KEYS["storefront"], plaintext=True, options=options))
            for _ in range(2)
        ]
        watching = asyncio.create_task(watch(clients[0]))
        turns = itertools.cycle(clients)
        async with load(lambda: by_rest(edge), 2) as rest, load(lambda: by_client(next(turns)), 2) as stubs:
            for server in servers:
                await more(rest, stubs)
                assert await server.stop(), "it had to be killed"
                await more(rest, stubs)
                await server.start()
        placed = len(rest) + len(stubs)
        await until(lambda: available and available[-1] == 100_000 - placed)
        assert available == sorted(available, reverse=True)
        watching.cancel()
    assert (await edge_shop.counters("ROLL"))[2] == placed
    assert "had to be killed" not in servers[1].log.read_text()


async def test_what_is_under_way_is_finished_and_streams_are_told_to_resume(
    edge_settings: Settings, edge_shop: Shop
) -> None:
    await edge_shop.sell("SLOW", 10)
    on_notice = edge_settings.model_copy(update={"shutdown_notice_seconds": 3.0})
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(running_shop(on_notice))
        staff = callers(other.address, KEYS["pms"])
        async with staff.channel, watch_stock(staff, "SLOW") as watch:
            await watch.begun()
            async with locked(edge_shop.pool, "SLOW"):
                line = CreateOrderRequest.Line(sku="SLOW", quantity=1)
                order = asyncio.ensure_future(staff.orders.CreateOrder(CreateOrderRequest(lines=[line])))
                await until(lambda: waiting_for_locks(edge_shop.pool, 1))
                stopping = asyncio.create_task(stack.aclose())
                await until(lambda: not_serving(other.address))
                answer = await staff.inventory.GetAvailability(GetAvailabilityRequest(sku="SLOW"))
                assert answer.available == 10, "it is on notice, not gone"
                told = await watch.end()
            assert (told.code.name, told.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
            assert told.retry_after > 0
            assert (await order).order_id
            await stopping
    async with watch_stock(edge_shop.pms, "SLOW", cursor=watch.cursor) as resumed:
        await resumed.until(lambda watch: watch.versions)


async def not_serving(address: str) -> bool:
    return not await grpc_serves(address, 0.5)
