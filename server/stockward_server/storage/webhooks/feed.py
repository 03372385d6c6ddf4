"""The way of events from the stream into deliveries: one gateway at a time, each message once and in order.

How far it has come is written in the transaction of the deliveries. A position kept by the consumer in NATS could not
be: messages that were fetched but not acknowledged when a gateway died come again *after* newer ones, and two gateways
that fetch side by side may commit in any order. Both would turn an aggregate's events around.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from stockward_server.domain.endpoint import STOREFRONT
from stockward_server.storage.database import Connection
from stockward_server.storage.events.storefront_events import seen_by_storefronts
from stockward_server.storage.held_connection import held_connection
from stockward_server.storage.statement import execute

SEEN_BY_STOREFRONTS = seen_by_storefronts("m.type", "m.aggregate_id", "m.seq")

FEED_LOCK = 0x66656564  # any constant will do; it spells "feed"


@dataclass(frozen=True, slots=True)
class Position:
    """A message of the stream: its number there, and the event in it."""

    stream_seq: int
    event_id: str


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event as the stream has it; `seq` and `event_time` find it in the record."""

    event_id: str
    type: str
    aggregate_id: str
    seq: int
    event_time: datetime


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message that is no event of ours; `reason` says why, in words."""

    stream_seq: int
    subject: str
    reason: str


class WebhookFeed:
    """The feed of one stream, on a connection of its own."""

    def __init__(self, connection: Connection, stream: str) -> None:
        self._connection = connection
        self._stream = stream

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str, stream: str, on_lost: Callable[[str], None]) -> AsyncIterator[WebhookFeed]:
        """`on_lost` is called at once when the connection is gone, and the lead with it."""
        async with held_connection(dsn, "stockward webhook feed", on_lost) as connection:
            yield cls(connection, stream)

    async def lead(self) -> bool:
        """Whether this gateway is the one that feeds, from now on until its connection ends."""
        return bool(await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", FEED_LOCK))

    async def position(self) -> Position | None:
        """The last message that was fanned out; None before the first one."""
        row = await self._connection.fetchrow(
            "SELECT stream_seq, event_id FROM webhook_feed WHERE stream = $1", self._stream
        )
        return Position(*row.values()) if row else None

    async def fan_out(
        self, events: Sequence[FeedEvent], position: Position, set_aside: Sequence[SetAside] = ()
    ) -> None:
        """One delivery for every endpoint that wants the event and was there when it happened, and the lanes to claim.
        What is `set_aside` is written down.

        The storefront of the settings gets what a storefront may see. A ping is for its own endpoint alone. An event
        that has its delivery already changes nothing. Lanes are locked in the order of their key, as everywhere.
        """
        async with self._connection.transaction():
            await execute(
                self._connection,
                f"""
                WITH fresh AS (
                    INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time)
                    SELECT e.endpoint_id, m.event_id, m.aggregate_id, m.type, m.seq, m.event_time
                    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
                        AS m (event_id, type, aggregate_id, seq, event_time)
                    JOIN endpoints e ON e.enabled AND e.create_time <= m.event_time
                        AND CASE m.type WHEN 'endpoint.pinged' THEN e.endpoint_id = m.aggregate_id
                            ELSE e.types && ARRAY[m.type, split_part(m.type, '.', 1) || '.*', '*']
                                AND (e.endpoint_id <> '{STOREFRONT}' OR {SEEN_BY_STOREFRONTS}) END
                    ON CONFLICT (endpoint_id, event_id) DO NOTHING
                    RETURNING endpoint_id, aggregate_id
                )
                INSERT INTO lanes AS l (endpoint_id, aggregate_id, due_time)
                SELECT DISTINCT endpoint_id, aggregate_id, now() FROM fresh ORDER BY endpoint_id, aggregate_id
                ON CONFLICT (endpoint_id, aggregate_id) DO UPDATE SET due_time = l.due_time
                """,
                *zip(*((e.event_id, e.type, e.aggregate_id, e.seq, e.event_time) for e in events), strict=True)
                if events
                else [[]] * 5,
            )
            await self._connection.executemany(
                "INSERT INTO set_aside_messages (stream, stream_seq, subject, reason) VALUES ($1, $2, $3, $4)",
                [(self._stream, each.stream_seq, each.subject, each.reason) for each in set_aside],
            )
            await self._connection.execute(
                """
                INSERT INTO webhook_feed (stream, stream_seq, event_id) VALUES ($1, $2, $3)
                ON CONFLICT (stream) DO UPDATE SET stream_seq = $2, event_id = $3
                """,
                self._stream,
                position.stream_seq,
                position.event_id,
            )
