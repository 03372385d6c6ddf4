"""Lists, retries and skips deliveries for staff.

A change of one delivery locks its lane first, as a gateway does; a change of many (`replay`) inserts the lanes last, as
the fan-out does. A delivery is pending only while its lane exists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from asyncpg import Record

from stockward_server.application.context import MutationContext
from stockward_server.application.ports.pages import Page
from stockward_server.application.ports.webhooks import DeliveryFilter
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.delivery import Delivery, DeliveryState, LoggedAttempt
from stockward_server.domain.errors import DeliveryExpired, DeliveryNotFound, DeliveryStateInvalid
from stockward_server.domain.identifiers import first_id
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.statement import Parameters
from stockward_server.storage.webhooks.endpoints import hold_endpoint
from stockward_server.storage.webhooks.lanes import add_lane, lock_lane, wake_lanes
from stockward_server.storage.write.mutation import Mutations

CLOCK_SLACK = timedelta(hours=1)
"""Maximum difference between the clock that made an event's id and the database's. Ids narrow a search, times
decide."""

ATTEMPTS = "(attempt, start_time, latency_ms, status, error, excerpt)"
LOG = """
    FROM delivery_attempts a WHERE a.endpoint_id = d.endpoint_id AND a.event_id = d.event_id ORDER BY attempt
"""


class SqlDeliveries:
    """Implements the reads and the changes of single deliveries of the application's DeliveryStore."""

    def __init__(self, pool: Pool, mutations: Mutations) -> None:
        self._pool = pool
        self._mutations = mutations

    async def deliveries(self, page: Page, wanted: DeliveryFilter) -> Sequence[Delivery]:
        """Returns a page of deliveries. Each endpoint's part of the key is read backwards, so every page costs the
        same."""
        parameters = Parameters()
        bind = parameters.bind
        conditions = [f"d.state IN ({', '.join(str(int(state)) for state in wanted.states or DeliveryState)})"]
        if wanted.types and "*" not in wanted.types:
            types = bind(list(wanted.types))
            conditions.append(f"(d.type = ANY({types}) OR split_part(d.type, '.', 1) || '.*' = ANY({types}))")
        if wanted.aggregate_id:
            aggregate_id = bind(wanted.aggregate_id)
            conditions.append(f"d.aggregate_id = {aggregate_id}")
            conditions.append(f"d.event_id IN (SELECT event_id FROM events WHERE aggregate_id = {aggregate_id})")
        if wanted.start_time:
            conditions.append(f"d.event_time >= {bind(wanted.start_time)}")
            conditions.append(f"d.event_id >= {bind(first_id(wanted.start_time - CLOCK_SLACK))}")
        if wanted.end_time:
            conditions.append(f"d.event_time < {bind(wanted.end_time)}")
            conditions.append(f"d.event_id < {bind(first_id(wanted.end_time + CLOCK_SLACK))}")
        if page.after:
            event_id, endpoint_id = map(bind, page.after)
            conditions.append(f"d.event_id <= {event_id}::uuid")
            conditions.append(f"(d.event_id < {event_id}::uuid OR d.endpoint_id > {endpoint_id})")
        only = f"WHERE e.endpoint_id = {bind(wanted.endpoint_id)}" if wanted.endpoint_id else ""
        size = bind(page.size)
        async with self._pool.acquire() as connection:
            if wanted.endpoint_id:
                await hold_endpoint(connection, wanted.endpoint_id)
            rows = await connection.fetch(
                f"""
                SELECT d.*, l.due_time, ARRAY(SELECT {ATTEMPTS} {LOG} DESC LIMIT 1) AS log
                FROM (SELECT d.* FROM endpoints e, LATERAL (
                          SELECT d.* FROM deliveries d
                          WHERE d.endpoint_id = e.endpoint_id AND {" AND ".join(conditions)}
                          ORDER BY d.event_id DESC LIMIT {size}) d
                      {only} ORDER BY d.event_id DESC, d.endpoint_id LIMIT {size}) d
                LEFT JOIN lanes l ON l.endpoint_id = d.endpoint_id AND l.aggregate_id = d.aggregate_id
                ORDER BY d.event_id DESC, d.endpoint_id
                """,
                *parameters.values,
            )
        return [_delivery_of(row) for row in rows]

    async def delivery(self, endpoint_id: str, event_id: str) -> Delivery:
        async with self._pool.acquire() as connection:
            await hold_endpoint(connection, endpoint_id)
            return await _load(connection, endpoint_id, event_id)

    async def retry(
        self, request: MutationContext, endpoint_id: str, event_id: str, codec: ResponseCodec[Delivery, M]
    ) -> M:
        async def work(connection: Executor, delivery: Delivery) -> None:
            kept = await connection.fetchval(
                """
                SELECT EXISTS (SELECT FROM deliveries d JOIN events e ON e.seq = d.seq AND e.create_time = d.event_time
                               WHERE d.endpoint_id = $1 AND d.event_id = $2)
                """,
                endpoint_id,
                event_id,
            )
            if not kept:
                raise DeliveryExpired(endpoint_id, event_id)
            await connection.execute(
                "UPDATE deliveries SET state = 1, past_attempts = attempts, finish_time = NULL "
                "WHERE endpoint_id = $1 AND event_id = $2",
                endpoint_id,
                event_id,
            )
            await add_lane(connection, endpoint_id, delivery.aggregate_id)
            await wake_lanes(connection, endpoint_id, delivery.aggregate_id)

        return await self._change(request, endpoint_id, event_id, work, codec)

    async def skip(
        self, request: MutationContext, endpoint_id: str, event_id: str, codec: ResponseCodec[Delivery, M]
    ) -> M:
        async def work(connection: Executor, delivery: Delivery) -> None:
            if delivery.state is DeliveryState.DELIVERED:
                raise DeliveryStateInvalid(endpoint_id, event_id, delivery.state.name)
            await connection.execute(
                "UPDATE deliveries SET state = 4, finish_time = clock_timestamp() "
                "WHERE endpoint_id = $1 AND event_id = $2 AND state <> 4",
                endpoint_id,
                event_id,
            )
            await wake_lanes(connection, endpoint_id, delivery.aggregate_id)

        return await self._change(request, endpoint_id, event_id, work, codec)

    async def _change(
        self,
        request: MutationContext,
        endpoint_id: str,
        event_id: str,
        work: Callable[[Executor, Delivery], Any],
        codec: ResponseCodec[Delivery, M],
    ) -> M:
        """Runs `work` on the delivery, after locking its lane and then the delivery."""

        async def run(connection: Executor, state: UnitOfWork) -> Delivery:
            await hold_endpoint(connection, endpoint_id)
            aggregate_id = (await _load(connection, endpoint_id, event_id)).aggregate_id
            await lock_lane(connection, endpoint_id, aggregate_id)
            await connection.execute(
                "SELECT FROM deliveries WHERE endpoint_id = $1 AND event_id = $2 FOR NO KEY UPDATE",
                endpoint_id,
                event_id,
            )
            await work(connection, await _load(connection, endpoint_id, event_id))
            return await _load(connection, endpoint_id, event_id)

        return await self._mutations.run(request, run, codec)


async def _load(connection: Executor, endpoint_id: str, event_id: str) -> Delivery:
    row = await connection.fetchrow(
        f"""
        SELECT d.*, l.due_time, ARRAY(SELECT {ATTEMPTS} {LOG}) AS log
        FROM deliveries d LEFT JOIN lanes l ON l.endpoint_id = d.endpoint_id AND l.aggregate_id = d.aggregate_id
        WHERE d.endpoint_id = $1 AND d.event_id = $2
        """,
        endpoint_id,
        event_id,
    )
    if row is None:
        raise DeliveryNotFound(endpoint_id, event_id)
    return _delivery_of(row)


def _delivery_of(row: Record) -> Delivery:
    state = DeliveryState(row["state"])
    return Delivery(
        endpoint_id=row["endpoint_id"],
        event_id=str(row["event_id"]),
        type=row["type"],
        aggregate_id=row["aggregate_id"],
        event_time=row["event_time"],
        state=state,
        attempt_count=row["attempts"],
        due_time=row["due_time"] if state is DeliveryState.PENDING else None,
        finish_time=row["finish_time"],
        attempts=tuple(LoggedAttempt(*each) for each in row["log"]),
    )
