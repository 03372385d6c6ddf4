"""Sends many events to one endpoint again: its dead letters, or any part of the event log. One batch a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record

from stockward_server.application.context import MutationContext
from stockward_server.application.ports.webhooks import Batch, BatchDone, DeliveryFilter
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.endpoint import STOREFRONT
from stockward_server.domain.event import PINGED
from stockward_server.storage.database import Executor
from stockward_server.storage.events.storefront_events import seen_by_storefronts
from stockward_server.storage.webhooks.endpoints import hold_endpoint
from stockward_server.storage.write.mutation import Mutations

SEEN_BY_STOREFRONTS = seen_by_storefronts("e.type", "e.aggregate_id", "e.seq")


class SqlReplay:
    """Implements the changes of many deliveries of the application's DeliveryStore."""

    def __init__(self, mutations: Mutations) -> None:
        self._mutations = mutations

    async def recover(
        self,
        request: MutationContext,
        endpoint_id: str,
        start_time: datetime,
        batch: Batch,
        codec: ResponseCodec[BatchDone, M],
    ) -> M:
        """Retries dead letters; those whose event is no longer kept stay dead."""

        async def work(connection: Executor, state: UnitOfWork) -> BatchDone:
            await hold_endpoint(connection, endpoint_id)
            rows = await connection.fetch(
                """
                SELECT event_id, aggregate_id, type, seq, event_time FROM deliveries d
                WHERE endpoint_id = $1 AND state = 3 AND event_time >= $2 AND seq > $3
                  AND EXISTS (SELECT FROM events e WHERE e.seq = d.seq AND e.create_time = d.event_time)
                ORDER BY seq LIMIT $4
                """,
                endpoint_id,
                start_time,
                batch.after_seq,
                batch.limit,
            )
            return BatchDone(await _send(connection, endpoint_id, rows), _rest(rows, batch))

        return await self._mutations.run(request, work, codec)

    async def replay(
        self, request: MutationContext, wanted: DeliveryFilter, batch: Batch, codec: ResponseCodec[BatchDone, M]
    ) -> M:
        """Sends events of the log again. Events still in the outbox are left to the relay, which keeps their order. The
        storefront of the settings gets what a storefront may see now."""

        async def work(connection: Executor, state: UnitOfWork) -> BatchDone:
            own_types = await hold_endpoint(connection, wanted.endpoint_id)
            rows = await connection.fetch(
                f"""
                SELECT event_id, aggregate_id, type, seq, create_time AS event_time FROM events e
                WHERE seq > $1 -- days that are out of the question are not looked at
                  AND create_time >= coalesce($2::timestamptz, '-infinity')
                  AND create_time < coalesce($3::timestamptz, 'infinity')
                  AND $4::text[] && ARRAY[type, split_part(type, '.', 1) || '.*', '*']
                  AND ($5 = '' OR aggregate_id = $5) AND type <> $6
                  AND NOT EXISTS (SELECT FROM outbox o WHERE o.seq = e.seq)
                  {f"AND {SEEN_BY_STOREFRONTS}" if wanted.endpoint_id == STOREFRONT else ""}
                ORDER BY seq LIMIT $7
                """,
                batch.after_seq,
                wanted.start_time,
                wanted.end_time,
                list(wanted.types or own_types),
                wanted.aggregate_id,
                PINGED,
                batch.limit,
            )
            return BatchDone(await _send(connection, wanted.endpoint_id, rows), _rest(rows, batch))

        return await self._mutations.run(request, work, codec)


async def _send(connection: Executor, endpoint_id: str, rows: Sequence[Record]) -> int:
    """Makes deliveries pending that are not, and returns their number; inserts their lanes last, in the order of their
    key."""
    if not rows:
        return 0
    count: int = await connection.fetchval(
        """
        WITH fresh AS (
            INSERT INTO deliveries AS d (endpoint_id, event_id, aggregate_id, type, seq, event_time)
            SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[])
            ON CONFLICT (endpoint_id, event_id) DO UPDATE
                SET state = 1, past_attempts = d.attempts, finish_time = NULL WHERE d.state <> 1
            RETURNING aggregate_id
        ), lanes AS (
            INSERT INTO lanes AS l (endpoint_id, aggregate_id, due_time)
            SELECT DISTINCT $1, aggregate_id, now() FROM fresh ORDER BY aggregate_id
            ON CONFLICT (endpoint_id, aggregate_id) DO UPDATE SET due_time = l.due_time
        )
        SELECT count(*) FROM fresh
        """,
        endpoint_id,
        *zip(*(row.values() for row in rows), strict=True),
    )
    return count


def _rest(rows: Sequence[Record], batch: Batch) -> int | None:
    return rows[-1]["seq"] if len(rows) == batch.limit else None
