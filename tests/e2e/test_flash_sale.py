"""A flash sale over gRPC, with two server processes on one database: everything is sold, and nothing twice."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import grpc
import pytest
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2

from stockward_dev import Nats, free_port
from stockward_dev.worker import Worker
from stockward_server.bootstrap.database import ensure_key
from stockward_server.config import Settings, variable
from stockward_server.runtime.probes import grpc_serves
from stockward_server.storage import database as storage
from tests.shop import KEYS, Refused, Shop, all_callers

T = TypeVar("T")

LAMP: Any = {"sku": "LAMP", "quantity": 1}


@pytest.fixture(scope="module")
async def processes(
    module_database_url: str, nats: Nats, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Shop]]:
    """Two `stockward serve` on one database."""
    settings = Settings.model_validate({"database_url": module_database_url, "event_queue_url": nats.url})
    for role, key in KEYS.items():
        await ensure_key(settings, role, role, key)
    folder = tmp_path_factory.mktemp("flash_sale")
    async with AsyncExitStack() as stack:
        pool = await storage.open_pool(module_database_url, 4)
        stack.push_async_callback(pool.close)
        shops = []
        for name in ("one", "two"):
            address = f"127.0.0.1:{free_port()}"
            server = Worker(
                name,
                "serve",
                variables={
                    variable("database_url"): module_database_url,
                    variable("event_queue_url"): nats.url,
                    variable("grpc_address"): address,
                },
                stop_within=20.0,
                log=folder / f"{name}.log",
                lock=folder / f"{name}.lock",
            )
            await stack.enter_async_context(server)
            stubs = all_callers(address)
            for each in stubs.values():
                stack.push_async_callback(each.channel.close)
            shops.append(Shop(address, pool, stubs))
        assert all(await asyncio.gather(*(grpc_serves(shop.address, 60) for shop in shops)))
        yield shops


async def outcome(call: Awaitable[T]) -> T | Refused:
    """What came of it, yes or no."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return Refused(error)


async def test_a_hundred_units_go_to_exactly_a_hundred_of_five_hundred_buyers(processes: list[Shop]) -> None:
    one, two = processes
    await one.sell("LAMP", units=100)
    wanted = [order_pb2.CreateOrderRequest(lines=[LAMP], request_id=str(uuid.uuid4())) for _ in range(500)]

    outcomes = await asyncio.gather(
        *(outcome(processes[i % 2].storefront.orders.CreateOrder(order)) for i, order in enumerate(wanted))
    )

    sold = [each for each in outcomes if isinstance(each, order_pb2.Order)]
    refused = [each for each in outcomes if isinstance(each, Refused)]
    assert len({order.order_id for order in sold}) == 100
    assert Counter(each.reason for each in refused) == {"INSUFFICIENT_STOCK": 400}
    assert all(each.metadata == {"sku": "LAMP", "requested": "1", "available": "0"} for each in refused)
    assert await two.counters("LAMP") == (100, 0, 100)
    await two.verify()

    again = await asyncio.gather(  # each at the other process
        *(outcome(processes[1 - i % 2].storefront.orders.CreateOrder(order)) for i, order in enumerate(wanted))
    )
    assert [each.order_id for each in again if isinstance(each, order_pb2.Order)] == [order.order_id for order in sold]
    assert await one.counters("LAMP") == (100, 0, 100)


async def test_holds_and_orders_of_several_skus_share_what_there_is(processes: list[Shop]) -> None:
    skus = [f"LAMP-{number}" for number in range(5)]
    for sku in skus:
        await processes[0].sell(sku, units=40)
    dice = random.Random(7)

    async def buyer() -> order_pb2.Order | Refused | None:
        """Orders at once, or holds first and then orders or gives up; each call may go to another process."""
        at, then = dice.choices(processes, k=2)
        lines: Any = [{"sku": sku, "quantity": dice.randint(1, 2)} for sku in dice.sample(skus, k=2)]
        plan = dice.choice(["order", "hold and order", "hold and give up"])
        if plan == "order":
            return await outcome(at.storefront.orders.CreateOrder(order_pb2.CreateOrderRequest(lines=lines)))
        hold = await outcome(at.storefront.inventory.ReserveStock(inventory_pb2.ReserveStockRequest(lines=lines)))
        if isinstance(hold, Refused):
            return hold
        if plan == "hold and order":
            order = order_pb2.CreateOrderRequest(reservation_id=hold.reservation_id)
            placed: order_pb2.Order = await then.storefront.orders.CreateOrder(order)
            return placed
        release = inventory_pb2.ReleaseReservationRequest(reservation_id=hold.reservation_id)
        await then.storefront.inventory.ReleaseReservation(release)
        return None

    outcomes = await asyncio.gather(*(buyer() for _ in range(200)))

    assert {each.reason for each in outcomes if isinstance(each, Refused)} == {"INSUFFICIENT_STOCK"}
    sold = Counter[str]()
    for order in outcomes:
        if isinstance(order, order_pb2.Order):
            sold.update({line.sku: line.quantity for line in order.lines})
    for sku in skus:
        assert await processes[1].counters(sku) == (40, 0, sold[sku])
        rest = [outcome(dice.choice(processes).order(sku)) for _ in range(40)]
        assert sum(isinstance(each, order_pb2.Order) for each in await asyncio.gather(*rest)) == 40 - sold[sku]
        assert await processes[0].counters(sku) == (40, 0, 40)
    await processes[1].verify()
