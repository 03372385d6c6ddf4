"""Row 12. Does a server process grow with the work that it has done?"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
from stockward.inventory.v1 import inventory_pb2, inventory_pb2_grpc

from benchmarks.calls import CREATE_ORDER, PMS_KEY, STOREFRONT_KEY, sku
from benchmarks.load import Load, Sample, figures
from benchmarks.processes import Server, pid_of, resident_bytes
from benchmarks.report import Benchmark, Result, Run
from benchmarks.shop import Shop

SECONDS = 120.0
"""Seconds for which orders are made by default."""

STEPS = 20
"""Number of measurements of the memory."""

SMALLEST = 50
"""Threshold in bytes. Anything kept for an order would need more: an id alone is a string of 85 bytes."""

WATCHES = 1000
"""Concurrent watches."""

CHANNELS = 4
"""Connections of the watches."""

CHANGES = 10
"""Changes sent to each watch."""

MIB = 2**20


async def answer(run: Run) -> Sequence[Result]:
    wanted = run.options.orders
    async with Shop.open(run) as shop:
        server = await shop.server()
        pid = pid_of(server)
        at_start = resident_bytes(pid)
        seconds = run.seconds if run.options.quick else SECONDS / STEPS
        load = Load([server], CREATE_ORDER)
        samples: list[Sample] = []
        made: list[int] = []
        memory: list[int] = []
        while len(samples) < STEPS or (wanted and made[-1] < wanted):
            samples.append(await load.measure(shop.client, seconds, shop.processes(server)))
            made.append(sum(sample.units for sample in samples))
            memory.append(resident_bytes(pid))
            run.say(f"{made[-1]:,} orders, {memory[-1] / MIB:.0f} MiB")
        # The first half fills caches, pools and arenas.
        half = len(made) // 2
        slope = statistics.linear_regression(made[half:], memory[half:]).slope
        millionth = memory[-1] + max(0.0, slope) * max(0, 1_000_000 - made[-1])
        extrapolated = "" if made[-1] >= 1_000_000 else f" At that pace {millionth / MIB:.0f} MiB after 1,000,000."
        return [
            Result(
                12,
                "Memory of a server process after many orders, against its start",
                round(memory[-1] / at_start, 4),
                f"< {SMALLEST} bytes an order",
                slope < SMALLEST,
                f"{at_start / MIB:.1f} MiB at the start, {memory[half] / MIB:.1f} MiB after {made[half]:,} orders, "
                f"{memory[-1] / MIB:.1f} MiB after {made[-1]:,}.\n"
                f"Growth in the second half: {slope:+.1f} bytes an order.{extrapolated}\n"
                + "\n".join([figures("CreateOrder", samples), await shop.audit(server)]),
            ),
            await _watches(run, shop, server),
        ]


async def _watches(run: Run, shop: Shop, server: Server) -> Result:
    """Measures the memory of watches of one SKU on a few connections, before and after each was sent some changes."""
    wanted = run.size(WATCHES)
    pid = pid_of(server)
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(_channel(server)) for _ in range(CHANNELS)]
        before = resident_bytes(pid)
        run.say(f"{wanted:,} watches")
        watches = [_watch(channels[number % CHANNELS]) for number in range(wanted)]
        await asyncio.gather(*(anext(watch) for watch in watches))
        opened = resident_bytes(pid)
        pms = inventory_pb2_grpc.InventoryServiceStub(channels[0])
        for _ in range(CHANGES):
            await pms.AdjustStock(
                inventory_pb2.AdjustStockRequest(sku=sku(0), delta=1, reason=inventory_pb2.ADJUSTMENT_REASON_FOUND),
                metadata=_key(PMS_KEY),
            )
            await asyncio.gather(*(anext(watch) for watch in watches))
        after = resident_bytes(pid)
        for watch in watches:
            await watch.aclose()
    return Result.reported(
        12,
        f"Memory of a server process with {wanted:,} open watches, against none",
        after / before,
        f"{before / MIB:.1f} MiB before, {opened / MIB:.1f} MiB with them open, {after / MIB:.1f} MiB after {CHANGES} "
        f"changes: {(after - before) / wanted / 1024:.1f} KiB a watch.",
    )


def _channel(server: Server) -> grpc.aio.Channel:
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(server.address, options=options)


async def _watch(channel: grpc.aio.Channel) -> AsyncGenerator[None, None]:
    """Opens a watch; each step waits for the next change."""
    stub = inventory_pb2_grpc.InventoryServiceStub(channel)
    call: Any = stub.WatchAvailability(
        inventory_pb2.WatchAvailabilityRequest(skus=[sku(0)]), metadata=_key(STOREFRONT_KEY)
    )
    async for response in call:
        if response.availabilities:
            yield


def _key(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


BENCHMARK = Benchmark(12, "Memory of a server process after many orders", answer, limit=240)
