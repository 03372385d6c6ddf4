"""Generates many events of orders, and measures the delay of events of real orders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

import asyncpg
import nats
import nats.js.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from stockward.event.v1.event_pb2 import Event

from benchmarks.calls import CREATE_ORDER, Shape
from benchmarks.load import drive_paced, percentiles
from benchmarks.processes import Server, Worker
from benchmarks.report import Failure
from stockward_server.domain.event import RecordedEvent
from stockward_server.domain.identifiers import new_id
from stockward_server.relay.wake import WAKE_SUBJECT
from stockward_server.storage.statement import Statement
from stockward_server.storage.write.write_state import insert_events

STREAM = "STOCKWARD"

WAIT_SECONDS = 60.0
"""Timeout for anything that must arrive, in seconds."""

ORDERS_A_SECOND = 100.0
"""Rate of the orders that are made while events are drained, and whose events are timed."""


async def an_event(database_url: str) -> Event:
    """Returns a recorded order.created event."""
    connection = await asyncpg.connect(database_url)
    try:
        return Event.FromString(
            await connection.fetchval("SELECT payload FROM events WHERE type = 'order.created' LIMIT 1")
        )
    finally:
        await connection.close()


async def flood(database_url: str, nats_url: str, like: Event, count: int) -> tuple[int, float]:
    """Commits `count` events of as many orders in one transaction, and notifies the relay.

    Returns the number of the stream's last message before the commit, and the time (perf_counter) of the commit.
    """
    rows = []
    for _ in range(count):
        like.event_id, like.aggregate_id = new_id(), new_id()
        rows.append(
            RecordedEvent(like.event_id, like.type, like.aggregate_type, like.aggregate_id, 1, like.SerializeToString())
        )
    connection, client = await asyncpg.connect(database_url), await nats.connect(nats_url)
    try:
        async with connection.transaction():
            write = Statement()
            insert_events(write, rows, datetime.now(UTC))
            await write.execute(connection)
            sequence = (await client.jetstream().stream_info(STREAM)).state.last_seq
        committed = time.perf_counter()
        await client.publish(WAKE_SUBJECT, b"")
    finally:
        await client.close()
        await connection.close()
    return int(sequence), committed


async def make_orders(customers: Worker, server: Server, shape: Shape, seconds: float) -> int:
    """Makes ORDERS_A_SECOND orders for `seconds`; returns their number."""
    made = await customers.call(
        drive_paced,
        addresses=[server.address],
        path=CREATE_ORDER.path,
        shape=asdict(shape),
        per_second=ORDERS_A_SECOND,
        seconds=seconds,
    )
    if made["refused"]:
        raise Failure(f"orders were refused: {made['refused']}")
    return int(made["answered"])


async def last_sequence(nats_url: str) -> int:
    """Returns the number of the last message in the stream."""
    client = await nats.connect(nats_url)
    try:
        return int((await client.jetstream().stream_info(STREAM)).state.last_seq)
    finally:
        await client.close()


async def until_stored(nats_url: str, sequence: int) -> int:
    """Waits until the stream has a message of this number; returns the number of its last one."""
    client = await nats.connect(nats_url)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                try:
                    last = (await client.jetstream().stream_info(STREAM)).state.last_seq
                except nats.js.errors.NotFoundError:
                    last = 0  # the relay creates it
                if last >= sequence:
                    return int(last)
                await asyncio.sleep(0.01)
    finally:
        await client.close()


async def stored_since(nats_url: str, sequence: int) -> Mapping[str, float]:
    """Returns when JetStream stored each event after that message: by event_id, in seconds since the epoch."""
    client = await nats.connect(nats_url)
    try:
        stream = client.jetstream()
        count = (await stream.stream_info(STREAM)).state.last_seq - sequence
        consumer = await stream.pull_subscribe(
            ">",
            stream=STREAM,
            config=ConsumerConfig(
                ack_policy=AckPolicy.NONE,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=sequence + 1,
            ),
        )
        times: dict[str, float] = {}
        while len(times) < count:
            for message in await consumer.fetch(500, timeout=5):
                times[(message.headers or {})["Nats-Msg-Id"]] = message.metadata.timestamp.timestamp()
        return times
    finally:
        await client.close()


async def delays(database_url: str, arrivals: Mapping[str, float]) -> str:
    """Returns the percentiles of `delays_ms` in words."""
    return in_words(await delays_ms(database_url, arrivals))


def in_words(milliseconds: list[float]) -> str:
    """Returns percentiles in words; needs at least one delay."""
    p50, p99 = percentiles(milliseconds) or (0.0, 0.0)
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms ({len(milliseconds):,} events)"


async def delays_ms(database_url: str, arrivals: Mapping[str, float]) -> list[float]:
    """Returns the time from the change to the arrival of each event, in milliseconds.

    The change counts from the start of its transaction, so the commit is included.
    """
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            """
            SELECT event_id::text, extract(epoch FROM create_time)::float
            FROM events WHERE event_id = ANY($1::uuid[])
            """,
            list(arrivals),
        )
    finally:
        await connection.close()
    if not rows:
        raise RuntimeError("no event arrived")
    return [1e3 * (arrivals[event_id] - time) for event_id, time in rows]
