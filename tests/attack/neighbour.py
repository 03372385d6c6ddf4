"""The caller who behaves: asks for stock, orders, and asks through the edge, and notes how long each answer takes."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from stockward.inventory.v1.inventory_pb2 import GetAvailabilityRequest
from stockward.order.v1 import order_pb2 as orders

from tests.shop import KEYS, callers

PAUSE = 0.02
"""Seconds between an answer and the next call, as a quiet shop's page would make them."""

PATIENCE = 10.0
"""Seconds after which it gives up; counted as that long."""


class Waits:
    """Seconds that each answer took, by what was asked."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.failures: list[str] = []

    def worst(self, since: dict[str, int] | None = None) -> float:
        """The longest one, of all or of those after a `mark`."""
        return max((max(waits[(since or {}).get(kind, 0) :], default=0.0)) for kind, waits in self.seconds.items())

    def worst_kind(self, since: dict[str, int]) -> str:
        """What took the longest."""
        return max(self.seconds, key=lambda kind: max(self.seconds[kind][since.get(kind, 0) :], default=0.0))

    def count(self, since: dict[str, int]) -> int:
        return sum(len(waits) - since.get(kind, 0) for kind, waits in self.seconds.items())

    async def settled(self) -> None:
        """Returns once every call that is under way is answered, or abandoned, so that it counts."""
        before = self.mark()
        while any(len(waits) == before[kind] for kind, waits in self.seconds.items()):
            await asyncio.sleep(0.02)

    def mark(self) -> dict[str, int]:
        """How many there are by now."""
        return {kind: len(waits) for kind, waits in self.seconds.items()}


@asynccontextmanager
async def neighbour(grpc_address: str, edge_address: str) -> AsyncIterator[Waits]:
    """Calls, one at a time of each kind, as long as the block lasts."""
    waits = Waits()
    shop = callers(grpc_address, KEYS["storefront"])
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {KEYS['storefront']}"}) as http:

        async def look() -> None:
            await shop.inventory.GetAvailability(GetAvailabilityRequest(sku="HOT"), timeout=PATIENCE)

        async def order() -> None:
            line = orders.CreateOrderRequest.Line(sku="HOT", quantity=1)
            request = orders.CreateOrderRequest(lines=[line], request_id=str(uuid.uuid4()))
            await shop.orders.CreateOrder(request, timeout=PATIENCE)

        async def look_through_edge() -> None:
            async with http.get(
                f"http://{edge_address}/api/storefront/stock/HOT", timeout=aiohttp.ClientTimeout(PATIENCE)
            ) as answer:
                await answer.read()
                answer.raise_for_status()

        kinds: dict[str, Callable[[], Awaitable[Any]]] = {
            "stock, gRPC": look,
            "order, gRPC": order,
            "stock, edge": look_through_edge,
        }

        async def keep_calling(kind: str, call: Callable[[], Awaitable[Any]]) -> None:
            seconds = waits.seconds.setdefault(kind, [])
            while True:
                since = time.perf_counter()
                try:
                    await call()
                except Exception as error:
                    waits.failures.append(f"{kind}: {error!r}")
                    seconds.append(max(PATIENCE, time.perf_counter() - since))
                else:
                    seconds.append(time.perf_counter() - since)
                await asyncio.sleep(PAUSE)

        tasks = [asyncio.create_task(keep_calling(kind, call)) for kind, call in kinds.items()]
        try:
            yield waits
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await shop.channel.close()
