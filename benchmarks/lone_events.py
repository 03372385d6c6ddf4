"""Row 14. How soon does a webhook arrive in a quiet shop, where one order comes at a time?"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Sequence

import aiohttp

from benchmarks.calls import CREATE_ORDER, Shape
from benchmarks.events import delays_ms, until_stored
from benchmarks.report import Benchmark, Result, Run, at_most
from benchmarks.shop import Shop, one_answer
from benchmarks.webhook_gateway import delivering

QUESTION = "A lone event, from the change to the receiver: median, in ms"

GAP_SECONDS = 3.0
"""Longest time between two orders; each gap is random."""

SECONDS = 240.0


async def answer(run: Run) -> Sequence[Result]:
    shape = Shape()
    async with Shop.open(run) as shop, aiohttp.ClientSession() as http:
        server = await shop.server()
        async with delivering(shop, http) as (receiver, _):
            await one_answer(server, CREATE_ORDER, shape)
            await until_stored(shop.services.nats.url, 2)
            await receiver.until(2)
            await receiver.forget()
            loop, orders = asyncio.get_running_loop(), 0
            end = loop.time() + run.size(int(SECONDS))
            while loop.time() < end:
                run.say(f"{orders} orders")
                await asyncio.sleep(random.uniform(0, GAP_SECONDS))
                await one_answer(server, CREATE_ORDER, shape)
                orders += 1
            await receiver.until(2 * orders)  # order.created and stock.changed
            delays = sorted(await delays_ms(shop.database, dict(await receiver.forget())))
        median = statistics.median(delays)
        parts = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
        shown = ", ".join(f"{name} {delays[int(part * len(delays))]:.1f} ms" for name, part in parts.items())
        return [
            Result.compared(
                14,
                QUESTION,
                median,
                at_most(15),
                f"{orders} orders of two events, at random gaps of up to {GAP_SECONDS:g} s: {shown}, "
                f"latest {delays[-1]:.1f} ms.",
                await shop.audit(server),
            )
        ]


BENCHMARK = Benchmark(14, QUESTION, answer, limit=300)
