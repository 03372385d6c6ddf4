"""Events to test with: recorded as the committer does, counted in JetStream, and what to wait for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from inspect import isawaitable

import nats
from google.protobuf.timestamp_pb2 import Timestamp
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from stockward.event.v1.event_pb2 import Event

from stockward_server import relay
from stockward_server.domain.event import RecordedEvent
from stockward_server.domain.identifiers import new_id
from stockward_server.storage.database import Executor, Pool, transaction
from stockward_server.storage.statement import Statement
from stockward_server.storage.write.write_state import insert_events

STREAM = "STOCKWARD"


def event(aggregate_id: str, version: int, event_type: str = "order.created", time: datetime | None = None) -> Event:
    """The `version`th event of an aggregate."""
    moment = Timestamp()
    moment.FromDatetime(time or datetime.now(UTC))
    return Event(
        event_id=new_id(),
        type=event_type,
        aggregate_type=event_type.partition(".")[0],
        aggregate_id=aggregate_id,
        aggregate_version=version,
        time=moment,
        actor="tests",
    )


async def insert(connection: Executor, events: Sequence[Event], time: datetime | None = None) -> None:
    """Inside a transaction, which gets its id first, as that of every writer does."""
    await connection.execute("SELECT pg_current_xact_id()")
    rows = [
        RecordedEvent(
            each.event_id,
            each.type,
            each.aggregate_type,
            each.aggregate_id,
            each.aggregate_version,
            each.SerializeToString(),
        )
        for each in events
    ]
    write = Statement()
    insert_events(write, rows, time or datetime.now(UTC))
    await write.execute(connection)


async def record(pool: Pool, *events: Event, time: datetime | None = None) -> None:
    """Commits events, with their outbox rows."""
    async with transaction(pool) as connection:
        await insert(connection, events, time)


async def record_many(pool: Pool, aggregates: int, versions: int, event_type: str = "order.created") -> None:
    """`versions` events of each of the aggregates `a0`, `a1` and so on, version by version, 1,000 a transaction."""
    events = [event(f"a{i}", version, event_type) for version in range(1, versions + 1) for i in range(aggregates)]
    for start in range(0, len(events), 1000):
        await record(pool, *events[start : start + 1000])


async def pending(pool: Pool) -> int:
    """Rows in the outbox."""
    return int(await pool.fetchval("SELECT count(*) FROM outbox"))


async def stored(nats_url: str, stream: str = STREAM, api: str = "$JS.API") -> list[Msg]:
    """Every message of the stream, in order."""
    client = await nats.connect(nats_url)
    try:
        js = client.jetstream(prefix=api)
        count = (await js.stream_info(stream)).state.messages
        consumer = await js.pull_subscribe(">", stream=stream, config=ConsumerConfig(ack_policy=None))
        messages: list[Msg] = []
        while len(messages) < count:
            messages += await consumer.fetch(500, timeout=5)
        return messages
    finally:
        await client.close()


def versions(events: Sequence[Event]) -> dict[str, list[int]]:
    """The versions of each aggregate in the order in which they came."""
    found: dict[str, list[int]] = {}
    for each in events:
        found.setdefault(each.aggregate_id, []).append(each.aggregate_version)
    return found


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits until the condition holds, awaited where it has to be; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if await found if isawaitable(found) else found:
            return
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.02)


async def drained(pool: Pool) -> bool:
    """Whether everything is published."""
    return await pending(pool) == 0


@asynccontextmanager
async def running(start: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[asyncio.Task[None]]:
    """A process of ours as a task: stopped at the end as a signal would, and its failure raised."""
    stop = asyncio.Event()

    async def run() -> None:
        await start(stop)

    task = asyncio.create_task(run())
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


def relaying(
    database_url: str, nats_url: str, poll_seconds: float = 0.05
) -> AbstractAsyncContextManager[asyncio.Task[None]]:
    """A relay, which publishes what is committed."""
    return running(
        lambda stop: relay.run(
            database_url, nats_url, STREAM, max_age=timedelta(days=1), poll_seconds=poll_seconds, stop=stop
        )
    )
