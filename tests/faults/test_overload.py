"""Five times as many orders as can be made: as many are made as ever, and the others are sent away at once.

The database is made slow by a proxy, so that what is too much for the server is little for the machine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from stockward.order.v1.order_pb2 import CreateOrderRequest

from stockward_server.config import Settings
from stockward_server.storage.database import Pool
from tests.commands import sell
from tests.faults.proxy import PostgresProxy
from tests.shop import Refused, Shop, running_shop

QUEUE = 40
BATCH = 10
PATIENCE = 5.0
ORDER = CreateOrderRequest(lines=[CreateOrderRequest.Line(sku="MUG", quantity=1)])


@pytest.fixture
async def slow(settings: Settings, database: Pool, database_url: str) -> AsyncIterator[Shop]:
    """A server that can make some hundred orders a second, and lets few wait."""
    await sell(database, MUG=1_000_000)
    async with PostgresProxy(database_url) as proxy:
        changes = {"database_url": proxy.url, "committer_queue_limit": QUEUE, "committer_batch_limit": BATCH}
        async with running_shop(Settings.model_validate({**settings.model_dump(), **changes})) as shop:
            await order(shop)
            proxy.delay = 0.004
            yield shop


async def order(shop: Shop) -> tuple[str, float, float]:
    """The code, the seconds it took, and the seconds after which to come back."""
    loop = asyncio.get_running_loop()
    start, code, retry_after = loop.time(), "OK", 0.0
    try:
        await shop.storefront.orders.CreateOrder(ORDER, timeout=PATIENCE)
    except grpc.aio.AioRpcError as error:
        refusal = Refused(error)
        code, retry_after = f"{refusal.code.name} {refusal.reason}", refusal.retry_after
    return code, loop.time() - start, retry_after


async def best_rate(shop: Shop, seconds: float) -> float:
    """Orders a second of just so many callers that none is sent away."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    async def caller() -> int:
        made = 0
        while loop.time() < end:
            made += (await order(shop))[0] == "OK"
        return made

    return sum(await asyncio.gather(*(caller() for _ in range(QUEUE)))) / seconds


@pytest.mark.timed
async def test_goodput_stays_and_the_rest_is_sent_away_at_once(slow: Shop) -> None:
    best = await best_rate(slow, 1.5)
    memory = resident()
    seconds, calls = 2.0, []
    for _ in range(int(seconds * 20)):
        calls += [asyncio.create_task(order(slow)) for _ in range(round(5 * best / 20))]
        await asyncio.sleep(0.05)
    answers = await asyncio.gather(*calls)
    made = [took for code, took, _ in answers if code == "OK"]
    away = [(took, retry_after) for code, took, retry_after in answers if code != "OK"]

    assert {code for code, _, _ in answers} == {"OK", "RESOURCE_EXHAUSTED OVERLOADED"}
    assert len(made) >= 0.8 * best * seconds
    assert max(made) < 3.0, "whoever is let in is served soon"
    assert sorted(took for took, _ in away)[len(away) // 2] < 1.0, "at once, for a process that is client and server"
    assert all(retry_after > 0 for _, retry_after in away)
    assert resident() < memory + 64 * 1024 * 1024
    code, took, _ = await order(slow)
    assert code == "OK", "the storm is over"
    assert took < 1.0
    await slow.verify()


def resident() -> int:
    """Bytes of this process, in which the server runs."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
