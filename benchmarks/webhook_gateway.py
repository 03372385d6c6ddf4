"""Row 9. Does the gateway keep up with a fast receiver, how soon does a webhook arrive, and do dead endpoints delay
it?"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import median

import aiohttp
import asyncpg

from benchmarks.calls import CREATE_ORDER, Shape
from benchmarks.events import (
    ORDERS_A_SECOND,
    WAIT_SECONDS,
    an_event,
    delays_ms,
    flood,
    in_words,
    make_orders,
    until_stored,
)
from benchmarks.load import Sample, figures, interleave, ratio
from benchmarks.processes import cpu_used, pid_of
from benchmarks.report import Benchmark, Result, Run, at_least, at_most
from benchmarks.shop import Shop, one_answer
from stockward_dev import free_port
from stockward_server.domain.endpoint import MAX_IN_FLIGHT
from stockward_server.gateway.dispatcher import REFRESH_SECONDS
from stockward_server.gateway.message import body_of, headers_of
from stockward_server.runtime.probes import listens

EVENTS = 2_000
SHAPE = Shape(skus=1_000)
SECRET = "whsec_" + b64encode(b"a key of benchmarks only, 32 by.").decode()

STEADY_SECONDS = 8.0
"""Seconds for which the delay of single events is measured."""

DEAD_ENDPOINTS = 10


async def answer(run: Run) -> Sequence[Result]:
    events = run.size(EVENTS)
    async with Shop.open(run, SHAPE.skus) as shop, aiohttp.ClientSession() as http:
        nats_url = shop.services.nats.url
        server = await shop.server()
        await one_answer(server, CREATE_ORDER, SHAPE)
        like = await an_event(shop.database)
        async with delivering(shop, http) as (receiver, processes):
            await until_stored(nats_url, 1)

            async def deliver() -> Sample:
                await receiver.forget()
                await flood(shop.database, nats_url, like, events)
                with cpu_used(processes) as cpu:
                    await receiver.until(events)
                return _between_first_and_last(await receiver.forget(), cpu)

            async def post() -> Sample:
                await receiver.forget()
                payload = like.SerializeToString().hex()
                with cpu_used({"bare loop": shop.client.pid, "receiver": processes["receiver"]}) as cpu:
                    await shop.client.call(post_bare, url=receiver.url, count=events, payload=payload)
                return _between_first_and_last(await receiver.forget(), cpu)

            samples = await interleave(run, {"gateway": deliver, "bare loop": post})
            delivered, bare = samples.values()
            run.say("timing single events")
            seconds = run.seconds if run.options.quick else STEADY_SECONDS

            async def on_their_way() -> list[float]:
                """Returns how long each event of a steady shop takes to the receiver, in milliseconds."""
                await receiver.forget()
                orders = await make_orders(shop.client, server, SHAPE, seconds)
                await receiver.until(2 * orders)  # order.created and stock.changed
                return await delays_ms(shop.database, dict(await receiver.forget()))

            await _until_recorded(shop.database)
            alone = await on_their_way()
            async with hanging_endpoints(shop.database, DEAD_ENDPOINTS):
                await asyncio.sleep(REFRESH_SECONDS)
                beside = await on_their_way()
            await _until_recorded(shop.database)
        rates = ratio(delivered, bare)
        return [
            Result.compared(
                9,
                "Gateway to one fast receiver, signed and recorded, against a bare loop of the same HTTP client",
                rates.median,
                at_least(0.5),
                f"Ratio of the rates: {rates}. {events:,} events a time, {MAX_IN_FLIGHT} requests in flight.",
                figures("Gateway", delivered, "webhook"),
                figures("Bare loop", bare, "webhook"),
                f"From the change to the receiver at {ORDERS_A_SECOND:g} orders/s: {in_words(alone)}.",
                await shop.audit(server),
            ),
            Result.compared(
                9,
                f"A healthy endpoint beside {DEAD_ENDPOINTS} that hang, against it alone: median latency",
                median(beside) / median(alone),
                at_most(1.5),
                f"From the change to the receiver: alone {in_words(alone)}, beside them {in_words(beside)}.",
                f"Each of the {DEAD_ENDPOINTS} wants every event and answers none.",
            ),
        ]


@asynccontextmanager
async def delivering(shop: Shop, http: aiohttp.ClientSession) -> AsyncIterator[tuple[Receiver, dict[str, int]]]:
    """Runs a relay, a gateway and a receiver of all events; yields a client of the receiver, and the pids of all."""
    services = shop.services
    receiver = Receiver(f"127.0.0.1:{free_port()}", http)
    listener = services.module("benchmarks.receiver", receiver.address, ready=lambda: listens(receiver.address))
    health = f"127.0.0.1:{free_port()}"
    relay = services.program("relay", shop.database)
    gateway = services.program(
        "gateway",
        shop.database,
        ready=lambda: listens(health),
        STOCKWARD_GATEWAY_ADDRESS=health,
        STOREFRONT_WEBHOOK_URL=receiver.url,
        WEBHOOK_SECRET=SECRET,
    )
    async with listener, relay, gateway:
        yield (
            receiver,
            {
                "gateway": pid_of(gateway),
                "PostgreSQL": pid_of(services.postgres),
                "relay": pid_of(relay),
                "receiver": pid_of(listener),
            },
        )


@asynccontextmanager
async def hanging_endpoints(database_url: str, count: int) -> AsyncIterator[None]:
    """Creates endpoints that accept every request and never respond; deletes them and their deliveries at the end."""
    server = await asyncio.start_server(_hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            """
            WITH made AS (
                INSERT INTO endpoints (endpoint_id, url, description, types, max_in_flight, enabled, create_time,
                                       update_time)
                SELECT 'dead' || n, $1, '', '{*}', 32, true, now(), now() FROM generate_series(1, $2::int) n
                RETURNING endpoint_id
            )
            INSERT INTO endpoint_secrets (endpoint_id, secret, create_time) SELECT endpoint_id, $3, now() FROM made
            """,
            f"http://127.0.0.1:{port}/",
            count,
            SECRET,
        )
        yield
        await connection.execute("DELETE FROM endpoints WHERE endpoint_id LIKE 'dead%'")
        await connection.execute("DELETE FROM deliveries WHERE endpoint_id LIKE 'dead%'")
    finally:
        await connection.close()
        server.close()


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads without end and never responds."""
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        pass
    finally:
        writer.close()


class Receiver:
    """A client of the receiver's process."""

    def __init__(self, address: str, http: aiohttp.ClientSession) -> None:
        self.address = address
        self.url = f"http://{address}/"
        self._http = http

    async def until(self, count: int) -> None:
        """Waits until `count` webhooks arrived."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                async with self._http.get(self.url) as answer:
                    if await answer.json() >= count:
                        return
                await asyncio.sleep(0.02)

    async def forget(self) -> list[tuple[str, float]]:
        """Returns id and time of each webhook since the last call."""
        async with self._http.delete(self.url) as answer:
            return [(webhook_id, moment) for webhook_id, moment in await answer.json()]


def _between_first_and_last(arrivals: list[tuple[str, float]], cpu: dict[str, float]) -> Sample:
    times = sorted(moment for _, moment in arrivals)
    return Sample(len(times), times[-1] - times[0], times[0], cpu=cpu)


async def _until_recorded(database_url: str) -> None:
    """Waits until every delivery is recorded as delivered."""
    connection = await asyncpg.connect(database_url)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while await connection.fetchval(  # noqa: ASYNC110 (another process writes it)
                "SELECT EXISTS (SELECT FROM deliveries WHERE state <> 2)"
            ):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def post_bare(url: str, count: int, payload: str) -> float:
    """Runs in the client: posts the same body, signed once, with as many requests in flight. Returns the seconds that
    it took."""
    body = body_of(bytes.fromhex(payload))
    headers = headers_of("msg", body, [SECRET], datetime.now(UTC))
    numbers = iter(range(count))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as http:

        async def post_again_and_again() -> None:
            for _ in numbers:
                async with http.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                    await answer.read()
                    answer.raise_for_status()

        begin = time.perf_counter()
        await asyncio.gather(*(post_again_and_again() for _ in range(MAX_IN_FLIGHT)))
        return time.perf_counter() - begin


BENCHMARK = Benchmark(9, "Gateway to one fast receiver", answer, limit=150)
