"""Events that were published and that the log lacks: its database was restored, or a standby that was behind took over.

They are found in the stream: by the gateway, which reads it anyway, and by `stockward events reconcile`. Each is
recorded until an operator settles it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from stockward_server.domain.delivery import DeliveryState
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.statement import execute

TYPE_PREFIX = "stockward.v1."
"""Prefix of an event's type in CloudEvents."""

BATCH = 5_000
"""Events of the former database that are read at once."""


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event as the stream has it; `seq` and `event_time` are its place in the event log."""

    event_id: str
    type: str
    aggregate_id: str
    version: int
    seq: int
    event_time: datetime

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> PublishedEvent:
        """Returns the event that a message with these headers is about. Raises LookupError or ValueError where it is
        about none."""
        return cls(
            headers["ce-id"],
            headers["ce-type"].removeprefix(TYPE_PREFIX),
            unquote(headers["ce-subject"]),
            int(headers["ce-sequence"]),
            int(headers["ce-recordseq"]),
            datetime.fromisoformat(headers["ce-time"]),
        )


@dataclass(frozen=True, slots=True)
class LostEvent:
    """A lost event. `endpoints` are those that subscribe to it and existed when it happened: what they were sent is
    recorded nowhere, as the record of deliveries was lost with it."""

    event_id: str
    type: str
    aggregate_id: str
    version: int
    seq: int
    event_time: datetime
    endpoints: Sequence[str]


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch of the event log that no operator has settled yet: events of the epoch before may be lost."""

    number: int
    begin_time: datetime
    kept_seq: int
    """Last seq up to which the log is the same as before."""
    kept_time: datetime | None
    """Time of that event; None when it is not in the log."""


PUBLISHED = """
    unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[])
        AS m (event_id, type, aggregate_id, version, seq, event_time)
"""
"""Events of the stream, as parameters: see `columns_of`."""

IS_LOST = """
    m.seq > (SELECT dropped_seq FROM event_retention) AND NOT EXISTS (
        SELECT FROM (SELECT event_id FROM events WHERE seq = m.seq AND create_time = m.event_time OFFSET 0) AS logged
        WHERE logged.event_id = m.event_id
    )
"""
"""Whether the log lacks an event of PUBLISHED, and has not dropped it by age. OFFSET 0 keeps the planner from anything
but one look into the index of one partition an event."""

SUBSCRIBES = """
    e.create_time <= m.event_time AND CASE m.type WHEN 'endpoint.pinged' THEN e.endpoint_id = m.aggregate_id
        ELSE e.types && ARRAY[m.type, split_part(m.type, '.', 1) || '.*', '*'] END
"""
"""Whether an endpoint `e` is sent an event `m`."""


def columns_of(events: Sequence[PublishedEvent]) -> list[list[object]]:
    """Returns the parameters of PUBLISHED."""
    rows = [(e.event_id, e.type, e.aggregate_id, e.version, e.seq, e.event_time) for e in events]
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * 6


async def record_lost(pool: Pool, events: Sequence[PublishedEvent]) -> None:
    """Records those of the events that the log lacks."""
    await execute(
        pool,
        f"""
        INSERT INTO lost_events (event_id, type, aggregate_id, aggregate_version, seq, event_time)
        SELECT * FROM {PUBLISHED} WHERE {IS_LOST}
        ON CONFLICT DO NOTHING
        """,
        *columns_of(events),
    )


async def unsettled_epochs(pool: Pool) -> Sequence[Epoch]:
    """Returns the epochs that are not settled, oldest first."""
    rows = await pool.fetch(
        """
        SELECT number, create_time, kept_seq, (SELECT create_time FROM events WHERE seq = kept_seq)
        FROM log_epochs WHERE settle_time IS NULL ORDER BY number
        """
    )
    return [Epoch(*row.values()) for row in rows]


async def unsettled_events(pool: Pool) -> Sequence[LostEvent]:
    """Returns the lost events that are not settled, oldest first."""
    rows = await pool.fetch(
        f"""
        SELECT event_id::text, type, aggregate_id, aggregate_version, seq, event_time,
               ARRAY(SELECT endpoint_id FROM endpoints e WHERE {SUBSCRIBES} ORDER BY 1)
        FROM lost_events m WHERE settle_time IS NULL ORDER BY seq, event_id
        """
    )
    return [LostEvent(*row.values()) for row in rows]


async def settle(pool: Pool, epochs: Sequence[Epoch], events: Sequence[LostEvent], note: str) -> None:
    """Records that these epochs and events were dealt with, and how."""
    async with transaction(pool) as connection:
        await connection.execute(
            "UPDATE log_epochs SET settle_time = now(), settle_note = $2 WHERE number = ANY($1::int[])",
            [each.number for each in epochs],
            note,
        )
        await execute(
            connection,
            "UPDATE lost_events SET settle_time = now(), settle_note = $2 WHERE event_id = ANY($1::uuid[])",
            [each.event_id for each in events],
            note,
        )


async def former_events(former: Pool, after_seq: int) -> AsyncIterator[Sequence[PublishedEvent]]:
    """Yields the events of the former database after a seq, published or not."""
    while True:
        rows = await former.fetch(
            """
            SELECT event_id::text, type, aggregate_id, aggregate_version, seq, create_time FROM events
            WHERE seq > $1 ORDER BY seq LIMIT $2
            """,
            after_seq,
            BATCH,
        )
        if not rows:
            return
        yield [PublishedEvent(*row.values()) for row in rows]
        after_seq = rows[-1]["seq"]


async def former_deliveries(former: Pool, events: Sequence[LostEvent]) -> Mapping[str, Sequence[str]]:
    """Returns, by event id, the endpoints that accepted an event according to the former database."""
    rows = await former.fetch(
        f"""
        SELECT event_id::text, array_agg(endpoint_id ORDER BY endpoint_id) AS endpoints FROM deliveries
        WHERE event_id = ANY($1::uuid[]) AND state = {DeliveryState.DELIVERED:d} GROUP BY event_id
        """,
        [each.event_id for each in events],
    )
    return {row["event_id"]: row["endpoints"] for row in rows}
