"""Checks that the newest events of the stream are in the record: after a restore or a failover of PostgreSQL, some may
exist in the stream only."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from stockward_server.storage.database import Pool

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


async def unknown_events(pool: Pool, events: Sequence[tuple[int, UUID]]) -> int:
    """Returns how many of these events, as (sequence, id), are missing in the record within its retention."""
    count: int = await pool.fetchval(
        """
        SELECT count(*) FROM unnest($1::bigint[], $2::uuid[]) AS delivered (seq, id)
        WHERE seq > (SELECT dropped_seq FROM event_retention)
            AND NOT EXISTS (SELECT FROM events e WHERE e.seq = delivered.seq AND e.event_id = delivered.id)
        """,
        [seq for seq, _ in events],
        [event_id for _, event_id in events],
    )
    return count
