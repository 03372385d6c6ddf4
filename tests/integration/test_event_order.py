"""Events are read in the order of their seq, which is drawn under the lock of the aggregate's row. Times and ids are
not: servers have clocks of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from stockward.event.v1.event_pb2 import Event

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.ports.events import Cursor
from stockward_server.application.ports.webhooks import Batch, DeliveryFilter
from stockward_server.domain.delivery import DeliveryState
from stockward_server.storage.database import Pool
from stockward_server.storage.events.event_log import Selection, SqlEventLog, republish
from stockward_server.storage.events.outbox import OwnedOutbox
from stockward_server.storage.webhooks.claims import SqlWebhooks
from stockward_server.storage.webhooks.replay import SqlReplay
from stockward_server.storage.write.lock import last_versions
from stockward_server.storage.write.mutation import Mutations
from tests.commands import RESULT, request
from tests.endpoints import deliver, endpoint_of_settings
from tests.events import event, pending, record

COUNT = 25
"""More than a lane's deliveries in one claim."""

STEP = 4
"""Events that are read at once, where a reader can be distinguished."""

LARGE = 10_000
"""Bytes of an event that NATS does not take."""

AGGREGATE = "TEE@main"
ENDPOINT = "pms"


@pytest.fixture
async def backwards(database: Pool) -> Pool:
    """Has events of one aggregate: the later the seq, the earlier the time and the lower the id, as if each had been
    recorded by another server, with another clock. Before them there is one of another aggregate, which is large."""
    large = event("other", 1)
    large.actor = "x" * 2 * LARGE
    await record(database, large)
    events = [event(AGGREGATE, version, "stock.changed") for version in range(1, COUNT + 1)]
    ids = [each.event_id for each in events]
    now = datetime.now(UTC)
    for each, event_id in zip(events, reversed(ids), strict=True):
        each.event_id = event_id
        await record(database, each, time=now - timedelta(milliseconds=each.aggregate_version))
    return database


def versions(payloads: Sequence[bytes | None]) -> list[int]:
    events = [Event.FromString(payload or b"") for payload in payloads]
    return [each.aggregate_version for each in events if each.aggregate_id == AGGREGATE]


async def published(pool: Pool, url: str) -> list[int]:
    found: list[int] = []
    async with OwnedOutbox.open(url, lambda reason: None) as outbox:
        await outbox.share()
        while events := await outbox.pending(STEP, LARGE):
            found += versions([each.payload for each in events])
            await outbox.delete(events)
    return found


async def published_again(pool: Pool, url: str) -> list[int]:
    await pool.execute("DELETE FROM outbox")
    assert await republish(pool, Selection()) == await pending(pool)
    return await published(pool, url)


async def listed(pool: Pool, url: str) -> list[int]:
    log, found, after = SqlEventLog(pool), list[int](), Cursor(0, "")
    while not (page := await log.list_events(after, STEP)).caught_up:
        found, after = found + versions(page.payloads), page.next
    return found + versions(page.payloads)


async def followed(pool: Pool, url: str) -> list[int]:
    log, found, after = SqlEventLog(pool), list[int](), 0
    while (batch := await log.follow(after, STEP)).events:
        found, after = found + versions([each.payload for each in batch.events]), batch.proven
    return found


async def claimed(pool: Pool, url: str) -> list[int]:
    await deliver(pool, ENDPOINT, aggregate_id=AGGREGATE)
    return await claimed_first(pool) + await claimed_first(pool)


async def claimed_first(pool: Pool) -> list[int]:
    """The first deliveries of the lane, which are delivered then."""
    await pool.execute("UPDATE lanes SET due_time = now()")
    (lane,) = await SqlWebhooks(pool).claim({ENDPOINT: 1}, timedelta(minutes=1), {ENDPOINT: 1_000_000}, 1_000_000)
    ids = [each.event_id for each in lane.deliveries]
    await pool.execute("UPDATE deliveries SET state = 2 WHERE event_id = ANY($1::uuid[])", ids)
    return versions([each.payload for each in lane.deliveries])


async def recovered(pool: Pool, url: str) -> list[int]:
    """In small batches: one that is out of order would leave out what is before it."""
    await pool.execute("UPDATE deliveries SET state = $1", DeliveryState.DEAD)
    replay, after = SqlReplay(Mutations(pool, encode_event)), 0
    while after is not None:
        batch = Batch(STEP, after)
        after = (await replay.recover(request(), ENDPOINT, datetime.min.replace(tzinfo=UTC), batch, RESULT)).rest
    return await claimed_first(pool) + await claimed_first(pool)


async def replayed(pool: Pool, url: str) -> list[int]:
    await pool.execute("DELETE FROM deliveries")
    replay, after = SqlReplay(Mutations(pool, encode_event)), 0
    while after is not None:
        batch = Batch(STEP, after)
        wanted = DeliveryFilter(ENDPOINT, types=["*"], aggregate_id=AGGREGATE)
        after = (await replay.replay(request(), wanted, batch, RESULT)).rest
    return await claimed_first(pool) + await claimed_first(pool)


READERS = (listed, followed, published, published_again, claimed, recovered, replayed)
"""Each goes on from where the one before it leaves the database."""


async def test_events_are_read_by_seq(backwards: Pool, database_url: str) -> None:
    await endpoint_of_settings(backwards, ENDPOINT)
    found = {read.__name__: await read(backwards, database_url) for read in READERS}
    assert found == {read.__name__: list(range(1, COUNT + 1)) for read in READERS}
    async with backwards.acquire() as connection:
        assert await last_versions(connection, [("TEE", "main")]) == [COUNT]
