"""The part of the outbox that one relay owns: its shards, their pending events, and the removal of published events.

A relay owns a shard while its session holds the shard's advisory lock, so a relay that dies or loses its connection
loses its shards. Relays share the shards evenly: each announces itself by a shared lock, and releases shards beyond its
share.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from stockward_server.domain.event import SHARDS
from stockward_server.storage.cluster import Address
from stockward_server.storage.connection import WAIT_FOR_STANDBY
from stockward_server.storage.database import Connection
from stockward_server.storage.held_connection import held_connection

log = logging.getLogger(__name__)

LOCK_CLASS = 0x6F757462
"""First key of the advisory locks (it spells "outb"); the second key is the shard."""

PRESENCE = SHARDS
"""Second key of the lock that all relays hold in shared mode."""

BATCH_BYTES = 4 * 1024 * 1024
"""Approximate limit of the payloads of one batch; large events make smaller batches, not larger messages."""


_PENDING = """
    SELECT seq, create_time, event_id::text AS event_id, type, aggregate_id, aggregate_version, payload, traceparent
    FROM (
        SELECT e.*, sum(octet_length(e.payload)) OVER (ORDER BY o.seq) - octet_length(e.payload) AS bytes_before
        FROM ({outbox}) o,
            -- OFFSET 0 keeps the planner from anything but one look into the index of one partition a row.
            LATERAL (SELECT * FROM events WHERE seq = o.seq AND create_time = o.create_time OFFSET 0) e
    ) batch
    WHERE bytes_before < $3 ORDER BY seq
    """

_OWNED = "SELECT seq, create_time FROM outbox o WHERE shard = ANY($1::smallint[])"

PENDING = _PENDING.format(outbox=f"{_OWNED} ORDER BY seq LIMIT $2")

PENDING_OF_OTHERS = _PENDING.format(
    outbox=f"""
        {_OWNED} AND (SELECT aggregate_id FROM events e WHERE e.seq = o.seq AND e.create_time = o.create_time)
            <> ALL($4::text[])
        ORDER BY seq LIMIT $2
    """
)
"""Selects pending events of aggregates that are not held back."""


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event to be published; `payload` is a serialized stockward.event.v1.Event."""

    seq: int
    create_time: datetime
    event_id: str
    type: str
    aggregate_id: str
    version: int
    payload: bytes
    traceparent: str = ""


class OwnedOutbox:
    """The shards of the outbox that this session owns. All statements use the connection that holds the locks: one that
    succeeds proves that the locks are still held."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.shards: frozenset[int] = frozenset()
        """The shards that this session owns."""
        self._held: set[str] = set()
        """Aggregates with an event larger than NATS's max_payload; a new session checks again."""

    @classmethod
    @asynccontextmanager
    async def open(cls, address: Address, on_lost: Callable[[str], None]) -> AsyncIterator[OwnedOutbox]:
        """Opens a separate connection; `on_lost` is called at once when it breaks, which releases the shards."""
        # A cached plan must not scan today's partition because the partition was empty when the plan was made.
        settings = {"enable_seqscan": "off"}
        async with held_connection(address, "stockward relay", on_lost, settings) as connection:
            # A primary that was restarted shows what its synchronous standby lacks: it must not be published before.
            await connection.execute(WAIT_FOR_STANDBY)
            await connection.execute("SELECT pg_advisory_lock_shared($1, $2)", LOCK_CLASS, PRESENCE)
            yield cls(connection)

    async def share(self) -> None:
        """Locks free shards, or releases some, so that every relay has its share. Call it with no publication in
        flight: the next owner of a shard starts from what is in the table."""
        relays = await self._connection.fetchval(
            """
            SELECT count(*) FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND classid = $1 AND objid = $2 AND objsubid = 2
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            LOCK_CLASS,
            PRESENCE,
        )
        part = ceil(SHARDS / max(1, relays))
        surplus = sorted(self.shards)[part:]
        if surplus:
            await self._connection.execute(
                "SELECT pg_advisory_unlock($1, shard) FROM unnest($2::int[]) AS shard", LOCK_CLASS, surplus
            )
            self.shards -= set(surplus)
        elif len(self.shards) < part:
            taken = await self._connection.fetch(
                "SELECT shard FROM unnest($2::int[]) AS shard WHERE pg_try_advisory_lock($1, shard) LIMIT $3",
                LOCK_CLASS,
                sorted(set(range(SHARDS)) - self.shards),
                part - len(self.shards),
            )
            self.shards |= {row["shard"] for row in taken}

    async def pending(self, limit: int, max_bytes: int) -> Sequence[PendingEvent]:
        """Returns the first events of the owned shards by `seq`, up to `limit` and roughly BATCH_BYTES.

        There is no cursor, so an event that commits late is not missed. As `seq` is drawn under the lock of the
        aggregate's row, the events found of an aggregate are always its next ones. The join includes the time, so that
        PostgreSQL reads only the partition of that day.

        An event of more than `max_bytes` is held back with later events of its aggregate; all other events are
        returned.
        """
        events = []
        for row in await self._connection.fetch(
            PENDING_OF_OTHERS if self._held else PENDING,
            *(list(self.shards), limit, BATCH_BYTES),
            *((list(self._held),) if self._held else ()),
        ):
            event = PendingEvent(*row.values())
            if len(event.payload) > max_bytes and event.aggregate_id not in self._held:
                self._held.add(event.aggregate_id)
                log.error(
                    "event %s (%d bytes) exceeds what NATS accepts (%d): it and later events of %s wait; "
                    "raise max_payload of the NATS server",
                    *(event.event_id, len(event.payload), max_bytes, event.aggregate_id),
                )
            if event.aggregate_id not in self._held:
                events.append(event)
        return events

    async def delete(self, events: Collection[PendingEvent]) -> None:
        """Deletes events that JetStream has acknowledged."""
        await self._connection.execute(
            "DELETE FROM outbox WHERE seq = ANY($1::bigint[])", [event.seq for event in events]
        )
