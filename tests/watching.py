"""A watch to test with: what it received, and what to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from stockward.inventory.v1.inventory_pb2 import WatchAvailabilityRequest, WatchStockRequest
from stockward.order.v1.order_pb2 import WatchOrdersRequest

from tests.shop import Callers, Refused


class Watch:
    """Reads a watch in the background. Use it as a context: leaving cancels the call."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.responses: list[Any] = []
        self.told = asyncio.Condition()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> Refused:
        try:
            async for response in self._call:
                async with self.told:
                    self.responses.append(response)
                    self.told.notify_all()
        except grpc.aio.AioRpcError as error:
            async with self.told:
                self.told.notify_all()
            return Refused(error)
        raise AssertionError("a watch ended without an error")

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._task.cancel()
        self._call.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, condition: Callable[[Watch], object], seconds: float = 20.0) -> None:
        """Waits until what was received fulfils the condition."""
        async with asyncio.timeout(seconds), self.told:
            await self.told.wait_for(lambda: condition(self) or self._task.done())
        assert condition(self), f"it ended: {self._task}"

    async def begun(self) -> Watch:
        """Waits until the present state is complete."""
        await self.until(lambda watch: watch.cursor)
        return self

    async def end(self, seconds: float = 20.0) -> Refused:
        """What it was ended with."""
        async with asyncio.timeout(seconds):
            return await asyncio.shield(self._task)

    @property
    def ended(self) -> bool:
        return self._task.done()

    @property
    def cursor(self) -> str:
        """The last cursor that came."""
        return next((each.cursor for each in reversed(self.responses) if each.cursor), "")

    @property
    def available(self) -> dict[str, int]:
        """The newest availability of each SKU that is for sale."""
        return {sku: each.available for sku, each in self._newest.items() if each is not None}

    @property
    def unknown(self) -> set[str]:
        """The SKUs that were last reported not to be for sale."""
        return {sku for sku, each in self._newest.items() if each is None}

    @property
    def _newest(self) -> dict[str, Any]:
        newest: dict[str, Any] = {}
        for response in self.responses:
            newest |= {each.sku: each for each in response.availabilities} | dict.fromkeys(response.unknown_skus)
        return newest

    @property
    def versions(self) -> dict[str, list[int]]:
        """Of each stock row or order, in the order in which they came."""
        found: dict[str, list[int]] = {}
        for response in self.responses:
            if hasattr(response, "stock_levels"):
                rows = [(f"{each.sku}@{each.location_id}", each.version) for each in response.stock_levels]
            else:
                rows = [(each.order.order_id, each.order.version) for each in response.changes]
            for key, version in rows:
                found.setdefault(key, []).append(version)
        return found


def watch_availability(callers: Callers, *skus: str, **fields: Any) -> Watch:
    return Watch(callers.inventory.WatchAvailability(WatchAvailabilityRequest(skus=skus, **fields)))


def watch_stock(callers: Callers, *skus: str, **fields: Any) -> Watch:
    return Watch(callers.inventory.WatchStock(WatchStockRequest(skus=skus, **fields)))


def watch_orders(callers: Callers, **fields: Any) -> Watch:
    return Watch(callers.orders.WatchOrders(WatchOrdersRequest(**fields)))


async def timed(call: Awaitable[Any]) -> float:
    """Seconds that the call took."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    await call
    return loop.time() - start
