"""The relay: publishes pending events of the outbox to JetStream, in order per aggregate and at least once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Protocol

from stockward_server.relay.metrics import RelayMetrics
from stockward_server.relay.publisher import BATCH_LIMIT, Publisher
from stockward_server.relay.stream import LARGEST_MESSAGE, ensure_stream
from stockward_server.relay.wake import WAKE_SUBJECT
from stockward_server.runtime.linger import Linger
from stockward_server.runtime.nats import nats_errors, open_nats
from stockward_server.runtime.supervision import cancel_on_loss, raise_if_cancelled, run_with_restarts, wait_for_any
from stockward_server.storage.cluster import Address
from stockward_server.storage.database import is_database_down
from stockward_server.storage.events.outbox import OwnedOutbox, PendingEvent

log = logging.getLogger(__name__)

SHARE_SECONDS = 1.0
"""Seconds between two checks for free shards and for other relays."""


class EventTracer(Protocol):
    """Creates a span for each event that is published."""

    def publishing(self, events: Sequence[PendingEvent]) -> AbstractContextManager[Sequence[PendingEvent]]:
        """Yields the same events, each with the traceparent of its span."""
        ...


async def run(
    dsn: Address,
    nats_url: str,
    stream_name: str,
    *,
    max_age: timedelta,
    replicas: int = 0,
    poll_seconds: float,
    stop: asyncio.Event,
    metrics: RelayMetrics | None = None,
    tracer: EventTracer | None = None,
) -> None:
    """Publishes events until `stop` is set. `max_age` is how long the stream keeps events, `replicas` on how many
    servers (0: as it is), `poll_seconds` the interval at which the outbox is read without a hint. `metrics` counts the
    work, `tracer` traces it.

    A session ends when NATS or PostgreSQL is lost; the next session starts from the rows in the outbox. Several relays
    share the work.
    """

    metrics = metrics or RelayMetrics()

    async def session() -> None:
        try:
            await relay()
        except Exception as error:
            metrics.errors[type(error).__name__] += 1
            raise
        finally:
            metrics.connected, metrics.shards = False, 0

    async def relay() -> None:
        async with cancel_on_loss() as lost, open_nats(nats_url, "stockward relay", lost) as client:
            stream = await ensure_stream(client, stream_name, max_age, replicas)
            if client.max_payload < LARGEST_MESSAGE:
                log.warning(
                    "NATS takes messages of %d bytes, and the largest order makes one of %d: raise its max_payload",
                    client.max_payload,
                    LARGEST_MESSAGE,
                )
            async with OwnedOutbox.open(dsn, lost) as outbox:
                hint = asyncio.Event()

                async def on_hint(_: object) -> None:
                    hint.set()

                with nats_errors("hints cannot be received"):
                    await client.subscribe(WAKE_SUBJECT, cb=on_hint)
                log.info("relaying events to the stream %s", stream_name)
                metrics.connected = True
                metrics.stream_sequence = stream.state.last_seq
                await _relay(outbox, Publisher(client, stream), hint, poll_seconds, stop, metrics, tracer)

    await run_with_restarts("relay", session, stop, is_database_down)


async def _relay(
    outbox: OwnedOutbox,
    publisher: Publisher,
    hint: asyncio.Event,
    poll_seconds: float,
    stop: asyncio.Event,
    metrics: RelayMetrics,
    tracer: EventTracer | None,
) -> None:
    """Reads, publishes and deletes one batch after another. After a crash the remaining rows are published again."""
    loop = asyncio.get_running_loop()
    share_time = loop.time()
    linger = Linger()
    while not stop.is_set():
        raise_if_cancelled()
        if loop.time() >= share_time:
            share_time = loop.time() + SHARE_SECONDS
            before = outbox.shards
            await outbox.share()
            if outbox.shards != before:
                log.info("%d shards are ours", len(outbox.shards))
                metrics.shards = len(outbox.shards)
        hint.clear()
        events = await outbox.pending(BATCH_LIMIT, publisher.max_bytes) if outbox.shards else ()
        if events:
            since = time.perf_counter()
            with tracer.publishing(events) if tracer else nullcontext(events) as traced:
                await publisher.publish(traced)
            metrics.seconds.add(time.perf_counter() - since)
            metrics.published += len(events)
            metrics.stream_sequence = publisher.last_sequence
            await outbox.delete(events)
            await linger.pause()
        else:
            await wait_for_any(poll_seconds, hint, stop)
