"""The Python client while its server is killed: what was asked for once is done once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from stockward.inventory.v1.inventory_pb2 import Availability, GetAvailabilityRequest
from stockward.order.v1.order_pb2 import CreateOrderRequest

from stockward_client import AsyncStockward, Stockward, Unavailable
from stockward_dev import free_port
from stockward_server.config import Settings
from stockward_server.storage.database import Pool
from tests.commands import counters, locked, orders, sell, verify, waiting_for_locks
from tests.events import until
from tests.faults.proxy import Proxy
from tests.server_process import ServerProcess
from tests.shop import KEYS, ensure_keys

MUG = [CreateOrderRequest.Line(sku="MUG", quantity=1)]


@pytest.fixture
async def server(settings: Settings, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    await ensure_keys(settings)
    async with ServerProcess(settings, tmp_path) as server:
        yield server


async def test_an_order_whose_answer_was_lost_is_made_once(server: ServerProcess, database: Pool) -> None:
    await sell(database, MUG=10)

    async with (
        Proxy(server.address) as proxy,
        AsyncStockward(proxy.address, KEYS["storefront"], timeout=30) as client,
    ):
        with Stockward(proxy.address, KEYS["storefront"], timeout=30) as synchronous:
            await client.inventory.get_availability(sku="MUG")  # both are connected
            await asyncio.to_thread(synchronous.inventory.get_availability, sku="MUG")
            proxy.deaf = True
            both = [
                asyncio.create_task(client.orders.create_order(lines=MUG)),
                asyncio.create_task(asyncio.to_thread(synchronous.orders.create_order, lines=MUG)),
            ]
            await until(lambda: made(database, 2))
            await server.kill()
            proxy.deaf = False
            await server.start()

            assert sorted([(await each).order_id for each in both]) == await orders(database)
    assert await counters(database, "MUG") == (10, 0, 2)
    await verify(database)


async def made(database: Pool, count: int) -> bool:
    return len(await orders(database)) == count


async def test_orders_under_way_while_the_server_dies_are_all_made_once(server: ServerProcess, database: Pool) -> None:
    await sell(database, MUG=100)
    async with AsyncStockward(server.address, KEYS["storefront"], timeout=30) as client:
        async with locked(database, "MUG"):
            waiting = [asyncio.create_task(client.orders.create_order(lines=MUG)) for _ in range(20)]
            await until(lambda: waiting_for_locks(database, 1))
            await server.kill()
        await server.start()

        assert sorted([(await each).order_id for each in waiting]) == await orders(database)
    assert await counters(database, "MUG") == (100, 0, 20)


async def test_a_server_that_stays_away_is_told_with_the_request_id(server: ServerProcess) -> None:
    await server.kill()
    async with AsyncStockward(server.address, KEYS["storefront"], timeout=60, retry_for=0.3) as client:
        with pytest.raises(Unavailable) as away:
            await client.orders.create_order(lines=MUG)
        assert away.value.request_id
        assert away.value.reason == ""


async def test_a_call_that_a_stopping_server_cancels_is_made_again() -> None:
    """gRPC answers CANCELLED to what it has not finished, or not begun, in the moment a server stops."""
    address = f"127.0.0.1:{free_port()}"
    begun = [asyncio.Event(), asyncio.Event()]

    async def hang(request: bytes, context: object) -> bytes:
        begun[0 if request == GetAvailabilityRequest(sku="A").SerializeToString() else 1].set()
        await asyncio.Event().wait()
        raise AssertionError

    async def tell(request: bytes, context: object) -> bytes:
        return Availability(available=3).SerializeToString()

    async with AsyncStockward(address, "key", timeout=30) as client:
        with Stockward(address, "key", timeout=30) as synchronous:
            first = await bare_server(address, hang)
            both = [
                asyncio.create_task(client.inventory.get_availability(sku="A")),
                asyncio.create_task(asyncio.to_thread(synchronous.inventory.get_availability, sku="B")),
            ]
            await asyncio.gather(*(each.wait() for each in begun))
            await first.stop(None)
            second = await bare_server(address, tell)
            assert [(await each).available for each in both] == [3, 3]
            await second.stop(None)


async def bare_server(address: str, answer: Any) -> grpc.aio.Server:
    """Answers GetAvailability."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: Any = {"GetAvailability": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("stockward.inventory.v1.InventoryService", handlers)]
    )
    server.add_insecure_port(address)
    await server.start()
    return server


async def test_a_watch_goes_on_over_a_crash_and_misses_nothing(server: ServerProcess, database: Pool) -> None:
    await sell(database, MUG=10)
    awaited: list[int] = []
    iterated: list[int] = []

    async def watch(staff: AsyncStockward) -> None:
        async for response in staff.inventory.watch_stock(skus=["MUG"]):
            awaited.extend(counters.version for counters in response.stock_levels)

    def watch_to_the_end() -> None:
        with Stockward(server.address, KEYS["pms"]) as staff:
            for response in staff.inventory.watch_stock(skus=["MUG"]):
                iterated.extend(counters.version for counters in response.stock_levels)
                if iterated and iterated[-1] == iterated[0] + 6:
                    return

    async with (
        AsyncStockward(server.address, KEYS["pms"]) as staff,
        AsyncStockward(server.address, KEYS["storefront"], timeout=30) as client,
    ):
        watching = asyncio.create_task(watch(staff))
        to_the_end = asyncio.create_task(asyncio.to_thread(watch_to_the_end))
        await until(lambda: awaited and iterated)
        for _ in range(2):
            for _ in range(3):
                await client.orders.create_order(lines=MUG)
            await server.kill()
            await server.start()
        await until(lambda: len(awaited) == 7)
        await asyncio.wait_for(to_the_end, 30)
        watching.cancel()
    assert awaited == iterated == list(range(awaited[0], awaited[0] + 7))


async def test_a_watch_ends_when_the_server_stays_away_for_too_long(server: ServerProcess, database: Pool) -> None:
    await sell(database, MUG=10)
    async with AsyncStockward(server.address, KEYS["pms"]) as client:
        watching = client.inventory.watch_availability(skus=["MUG"], timeout=0.3)
        while not (await anext(watching)).cursor:
            pass
        await server.kill()
        with pytest.raises(Unavailable):
            await anext(watching)
