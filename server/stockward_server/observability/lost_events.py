"""Checks that the newest events of the stream are in the record: after a restore or a failover of PostgreSQL, some may
exist in the stream only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo

from stockward_server.storage.database import Pool
from stockward_server.storage.events.lost_events import PublishedEvent

FETCHED, FETCH_SECONDS = 1000, 10.0
"""Messages that are fetched at once, and how long to wait for the first of them."""

NEWEST = 20
"""Number of messages that are checked, with one request each."""


async def newest_events(stream: JetStreamContext, info: StreamInfo) -> Sequence[tuple[int, UUID]] | None:
    """Returns record sequence and id of the newest events of a stream; None for a user who may not read it, to whom
    NATS does not respond."""
    found = []
    last = info.state.last_seq
    for number in range(max(info.state.first_seq, last - NEWEST + 1, 1), last + 1):
        try:
            headers = (await stream.get_msg(info.config.name or "", number)).headers or {}
            found.append((int(headers["ce-recordseq"]), UUID(headers["ce-id"])))
        except (nats.errors.TimeoutError, nats.js.errors.ServiceUnavailableError):
            return None
        except (nats.js.errors.NotFoundError, LookupError, ValueError):  # deleted, or not an event of Stockward
            continue
    return found


async def published_since(
    stream: JetStreamContext, name: str, since: datetime
) -> AsyncIterator[Sequence[PublishedEvent]]:
    """Yields the events that the stream received from a time on, up to its present end."""
    last = (await stream.stream_info(name)).state.last_seq
    consumer = await stream.add_consumer(
        name,
        ConsumerConfig(
            description="stockward events reconcile",
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=since,
            ack_policy=AckPolicy.NONE,
            headers_only=True,
            inactive_threshold=60,
            mem_storage=True,
            num_replicas=1,
        ),
    )
    waiting = consumer.num_pending or 0
    subscription = await stream.pull_subscribe_bind(consumer=consumer.name, stream=name)
    while waiting > 0:
        messages = await subscription.fetch(FETCHED, timeout=FETCH_SECONDS)
        found = []
        for message in messages:
            with suppress(LookupError, ValueError):  # not an event of Stockward
                found.append(PublishedEvent.of(message.headers or {}))
        yield found
        if messages[-1].metadata.sequence.stream >= last:
            return
        waiting = messages[-1].metadata.num_pending


async def unknown_events(pool: Pool, events: Sequence[tuple[int, UUID]]) -> int:
    """Returns how many of these events, as (sequence, id), are missing in the record within its retention, and not
    settled."""
    count: int = await pool.fetchval(
        """
        SELECT count(*) FROM unnest($1::bigint[], $2::uuid[]) AS delivered (seq, id)
        WHERE seq > (SELECT dropped_seq FROM event_retention)
            AND NOT EXISTS (SELECT FROM events e WHERE e.seq = delivered.seq AND e.event_id = delivered.id)
            AND NOT EXISTS (SELECT FROM lost_events l WHERE l.event_id = delivered.id AND l.settle_time IS NOT NULL)
        """,
        [seq for seq, _ in events],
        [event_id for _, event_id in events],
    )
    return count
