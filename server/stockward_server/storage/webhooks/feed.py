"""Fans events of the stream out to deliveries: one gateway at a time, each message once and in order.

The position is written in the transaction of the deliveries. A position kept by the NATS consumer would not do:
messages that were fetched but not acknowledged when a gateway died are redelivered *after* newer ones, and two gateways
that fetch concurrently may commit in any order. Both would reorder an aggregate's events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stockward_server.domain.endpoint import STOREFRONT
from stockward_server.storage.cluster import Address
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Connection
from stockward_server.storage.events.lost_events import IS_LOST, PUBLISHED, SUBSCRIBES, PublishedEvent, columns_of
from stockward_server.storage.events.storefront_events import seen_by_storefronts
from stockward_server.storage.held_connection import held_connection
from stockward_server.storage.statement import Statement

SEEN_BY_STOREFRONTS = seen_by_storefronts("m.type", "m.aggregate_id", "m.seq")

FEED_LOCK = 0x66656564  # any constant will do; it spells "feed"


@dataclass(frozen=True, slots=True)
class Position:
    """A message of the stream: its sequence number there, and the event in it."""

    stream_seq: int
    event_id: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message that is not a valid event; `reason` says why, in words."""

    stream_seq: int
    subject: str
    reason: str


class WebhookFeed:
    """The feed of one stream, on a separate connection."""

    def __init__(self, connection: Connection, stream: str) -> None:
        self._connection = connection
        self._stream = stream

    @classmethod
    @asynccontextmanager
    async def open(cls, address: Address, stream: str, on_lost: Callable[[str], None]) -> AsyncIterator[WebhookFeed]:
        """Opens the feed; `on_lost` is called at once when the connection breaks, which ends the lead."""
        async with held_connection(address, "stockward webhook feed", on_lost) as connection:
            # One plan for any number of events: making another for each batch took longer than fanning it out.
            await connection.execute("SET plan_cache_mode = force_generic_plan")
            yield cls(connection, stream)

    async def lead(self) -> bool:
        """Returns whether this gateway leads the feed; it then leads until its connection ends."""
        return bool(await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", FEED_LOCK))

    async def position(self) -> Position | None:
        """Returns the last message that was fanned out; None before the first one."""
        row = await self._connection.fetchrow(
            "SELECT stream_seq, event_id FROM webhook_feed WHERE stream = $1", self._stream
        )
        return Position(*row.values()) if row else None

    async def fan_out(
        self, events: Sequence[PublishedEvent], position: Position, set_aside: Sequence[SetAside] = ()
    ) -> int:
        """Inserts a delivery for every endpoint that subscribes to the event and existed when it happened, and their
        lanes. Records the messages in `set_aside`, and instead of deliveries the events that the log has lost; returns
        how many are lost.

        The storefront of the settings gets only events that a storefront may see. A ping goes only to its own endpoint.
        An event that already has its delivery changes nothing. Lanes are locked in the order of their key.
        All of it is one statement and its own transaction.
        """
        write = Statement()
        if events:
            write.add(
                f"SELECT m.*, {IS_LOST} AS is_lost FROM {PUBLISHED}",
                *columns_of(events),
                name="published",
            )
            write.add(
                f"""
                INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time)
                SELECT e.endpoint_id, m.event_id, m.aggregate_id, m.type, m.seq, m.event_time
                FROM published m JOIN endpoints e ON e.enabled AND {SUBSCRIBES}
                    AND (e.endpoint_id <> '{STOREFRONT}' OR m.type = 'endpoint.pinged' OR {SEEN_BY_STOREFRONTS})
                WHERE NOT is_lost
                ON CONFLICT (endpoint_id, event_id) DO NOTHING
                RETURNING endpoint_id, aggregate_id
                """,
                name="fresh",
            )
            write.add(
                """
                INSERT INTO lanes AS l (endpoint_id, aggregate_id, due_time)
                SELECT DISTINCT endpoint_id, aggregate_id, now() FROM fresh ORDER BY endpoint_id, aggregate_id
                ON CONFLICT (endpoint_id, aggregate_id) DO UPDATE SET due_time = l.due_time
                """
            )
            write.add(
                """
                INSERT INTO lost_events (event_id, type, aggregate_id, aggregate_version, seq, event_time)
                SELECT event_id, type, aggregate_id, version, seq, event_time FROM published WHERE is_lost
                ON CONFLICT DO NOTHING
                """
            )
        if set_aside:
            write.add(
                """
                INSERT INTO set_aside_messages (stream, stream_seq, subject, reason)
                SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[])
                """,
                self._stream,
                *columns((each.stream_seq, each.subject, each.reason) for each in set_aside),
            )
        write.add(
            """
            INSERT INTO webhook_feed (stream, stream_seq, event_id) VALUES ($1, $2, $3)
            ON CONFLICT (stream) DO UPDATE SET stream_seq = $2, event_id = $3
            """,
            self._stream,
            position.stream_seq,
            position.event_id,
        )
        if not events:
            await write.execute(self._connection)
            return 0
        first = await write.fetch_first(self._connection, "SELECT count(*) AS lost FROM published WHERE is_lost")
        return int(first["lost"])
