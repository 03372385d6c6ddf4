"""Row 8. Does the relay keep up with what JetStream accepts, and how soon does an event arrive?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import nats
from nats.js.api import StorageType, StreamConfig

from benchmarks.calls import CREATE_ORDER, Shape
from benchmarks.events import (
    ORDERS_A_SECOND,
    an_event,
    delays,
    flood,
    last_sequence,
    make_orders,
    stored_since,
    until_stored,
)
from benchmarks.load import Sample, figures, interleave, measure, ratio
from benchmarks.processes import Server, Worker, cpu_used, pid_of
from benchmarks.report import Benchmark, Result, Run, at_least
from benchmarks.shop import Shop, one_answer
from stockward_server.domain.identifiers import new_id
from stockward_server.relay.cloud_event import headers_of
from stockward_server.relay.publisher import ACK_SECONDS, BATCH_LIMIT
from stockward_server.relay.stream import DUPLICATE_WINDOW
from stockward_server.storage.events.outbox import PendingEvent

EVENTS = 20_000
SHAPE = Shape(skus=1_000)
BARE_STREAM = "BARE"

STEADY_SECONDS = 10.0
"""Seconds for which the delay of single events is measured."""


async def answer(run: Run) -> Sequence[Result]:
    events = run.size(EVENTS)
    async with Shop.open(run, SHAPE.skus) as shop:
        server = await shop.server()
        await one_answer(server, CREATE_ORDER, SHAPE)
        like = await an_event(shop.database)
        relay = shop.services.program("relay", shop.database)
        nats_url = shop.services.nats.url
        async with relay:
            await until_stored(nats_url, 1)
            customers = await shop.services.worker()
            processes = {
                "relay": pid_of(relay),
                "PostgreSQL": pid_of(shop.services.postgres),
                "NATS": pid_of(shop.services.nats),
            }

            async def drain() -> Sample:
                start = time.time()
                sequence, begin = await flood(shop.database, nats_url, like, events)
                with cpu_used(processes) as cpu:
                    published = await until_stored(nats_url, sequence + events) - sequence
                    seconds = time.perf_counter() - begin
                return Sample(published, seconds, start, cpu=cpu)

            orders = asyncio.create_task(_orders_all_the_time(customers, server))
            try:
                samples = await interleave(
                    run,
                    {
                        "relay": drain,
                        "bare loop": lambda: measure(
                            shop.client,
                            publish_bare,
                            events,
                            {"bare loop": shop.client.pid, "NATS": processes["NATS"]},
                            nats_url=nats_url,
                            events=events,
                            payload=like.SerializeToString().hex(),
                        ),
                    },
                )
                relayed, bare = samples.values()
                run.say("timing single events")
                sequence = await last_sequence(nats_url)
                await asyncio.sleep(run.seconds if run.options.quick else STEADY_SECONDS)
                on_their_way = await delays(shop.database, await stored_since(nats_url, sequence))
            finally:
                orders.cancel()
                (ended,) = await asyncio.gather(orders, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended
        rates = ratio(relayed, bare)
        return [
            Result.compared(
                8,
                "Relay draining the outbox against a bare loop of atomic batch publishes",
                rates.median,
                at_least(0.6),
                f"Ratio of the rates: {rates}. {events:,} events a time, {ORDERS_A_SECOND:g} orders/s beside both.",
                figures("Relay", relayed, "event"),
                figures("Bare loop", bare, "event"),
                f"From the change to JetStream at {ORDERS_A_SECOND:g} orders/s: {on_their_way}.",
                await shop.audit(server),
            )
        ]


async def _orders_all_the_time(customers: Worker, server: Server) -> None:
    while True:
        await make_orders(customers, server, SHAPE, seconds=1.0)


async def publish_bare(nats_url: str, events: int, payload: str) -> float:
    """Runs in the client: publishes the same messages, made beforehand, in batches of the same size to a stream of the
    same kind.

    Returns the seconds that it took.
    """
    data = bytes.fromhex(payload)
    messages = []
    for number in range(events):
        event = PendingEvent(number, datetime.now(UTC), new_id(), "order.created", new_id(), 1, data)
        messages.append((f"bare.{event.aggregate_id}", headers_of(event)))
    client = await nats.connect(nats_url)
    try:
        await client.jetstream().add_stream(
            StreamConfig(name=BARE_STREAM, subjects=["bare.>"], storage=StorageType.FILE),
            duplicate_window=DUPLICATE_WINDOW.total_seconds(),
            allow_atomic=True,
            allow_direct=True,
        )
        begin = time.perf_counter()
        for start in range(0, events, BATCH_LIMIT):
            batch = messages[start : start + BATCH_LIMIT]
            batch_id = new_id()
            for number, (subject, headers) in enumerate(batch, start=1):
                headers |= {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
                if number < len(batch):
                    await client.publish(subject, data, headers=headers)
            headers["Nats-Batch-Commit"] = "1"
            ack = json.loads((await client.request(subject, data, ACK_SECONDS, headers=headers)).data)
            if ack.get("count") != len(batch):
                raise RuntimeError(f"a batch was not taken: {ack}")
        return time.perf_counter() - begin
    finally:
        await client.close()


BENCHMARK = Benchmark(8, "Relay draining while orders keep coming", answer, limit=120)
