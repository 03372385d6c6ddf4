"""Claims lanes of webhook deliveries and records attempts in batches. See 0002_webhooks.sql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg

from stockward_server.domain.delivery import DeliveryState
from stockward_server.domain.endpoint_changes import REMOVED
from stockward_server.storage.database import Executor, Pool, transaction
from stockward_server.storage.statement import execute, fetch

LANE_LIMIT = 20
"""Maximum number of deliveries of one lane in one claim."""

SETTINGS = "settings"
"""Actor that creates and changes the endpoints of the settings."""

SECRET_OVERLAP = timedelta(days=1)
"""How long the previous secret also signs after the setting has changed."""

CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT next.*
        FROM unnest($1::text[], $2::int[]) AS free (endpoint_id, slots),
            LATERAL (SELECT endpoint_id, aggregate_id FROM lanes
                     WHERE endpoint_id = free.endpoint_id AND due_time <= now()
                     ORDER BY due_time LIMIT free.slots FOR UPDATE SKIP LOCKED) next
    )
    UPDATE lanes l SET due_time = clock_timestamp() + $3::interval
    FROM due WHERE l.endpoint_id = due.endpoint_id AND l.aggregate_id = due.aggregate_id
    RETURNING l.endpoint_id, l.aggregate_id, l.due_time
"""
"""Claims due lanes. Parameters: endpoints, free places of each, and the length of the lease."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An enabled endpoint. `types` are such as `order.created`, `order.*` or `*`; `secrets` are those that sign now."""

    endpoint_id: str
    version: int
    """Incremented by every change of the configuration or of `enabled`."""
    url: str
    types: Sequence[str]
    max_in_flight: int
    headers: Mapping[str, str]
    """Headers of every request, by name in lower case."""
    rate_limit: float | None
    """Requests per second of one gateway; None: unlimited."""
    max_body_bytes: int
    failing_since: datetime | None
    """Time of the first failure since the last accepted delivery; None: the last delivery was accepted."""
    warned: bool
    """Whether `endpoint.failing` was recorded."""
    secrets: Sequence[str]


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A delivery to be sent; `payload` is None when the event is no longer kept. `attempts` numbers the next attempt;
    the retry schedule counts only attempts after `past_attempts`, made before the last manual retry."""

    event_id: str
    attempts: int
    past_attempts: int
    payload: bytes | None
    traceparent: str = ""
    """W3C Trace Context of the request that caused the event."""


@dataclass(slots=True)
class Lane:
    """A claimed lane, leased until `lease_end` (the database's clock); `deliveries` are its next ones, in order."""

    endpoint_id: str
    aggregate_id: str
    lease_end: datetime
    deliveries: list[PendingDelivery] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of its encoded events."""
        return sum(len(each.payload or b"") for each in self.deliveries)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of one attempt. `attempt` counts from 1; `status` is None when there was no response."""

    endpoint_id: str
    event_id: str
    attempt: int
    state: DeliveryState
    start_time: datetime
    latency_ms: int
    status: int | None
    error: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Release:
    """Releases a lane; if deliveries are pending there it is due again after `delay`."""

    lane: Lane
    delay: timedelta


class SqlWebhooks:
    """Reads and writes the tables of the webhook gateway."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def endpoints(self) -> Sequence[Endpoint]:
        """Returns the enabled endpoints, each with its valid secrets, newest first."""
        rows = await self._pool.fetch(
            """
            SELECT endpoint_id, version, url, types, max_in_flight, headers, rate_limit, max_body_bytes, failing_since,
                   warn_time IS NOT NULL AS warned,
                   ARRAY(SELECT secret FROM endpoint_secrets s WHERE s.endpoint_id = e.endpoint_id
                         AND (expire_time IS NULL OR expire_time > now()) ORDER BY create_time DESC) AS secrets
            FROM endpoints e WHERE enabled
            """
        )
        return [Endpoint(*row.values()) for row in rows]

    async def claim(
        self, slots: Mapping[str, int], lease: timedelta, room: Mapping[str, int], most_bytes: int
    ) -> Sequence[Lane]:
        """Claims up to the given number of due lanes of each endpoint, longest due first, with their next deliveries.

        `room` and `most_bytes` limit the bytes of events of each endpoint and of all together; the last event may
        exceed them. The first event of every lane comes before the second of any; a lane without room has no deliveries
        and must be released.

        A separate statement reads the deliveries: a lane may have been released a moment ago, and the snapshot that
        found it due may not show what was recorded with the release.
        """
        rows = await self._pool.fetch(CLAIM, list(slots.keys()), list(slots.values()), lease)
        lanes = {(row["endpoint_id"], row["aggregate_id"]): Lane(*row.values()) for row in rows}
        if lanes:
            for row in await self._load(list(lanes), room, most_bytes):
                lane = lanes[row["endpoint_id"], row["aggregate_id"]]
                lane.deliveries.append(PendingDelivery(*list(row.values())[2:]))
        return list(lanes.values())

    async def _load(
        self, lanes: Sequence[tuple[str, str]], room: Mapping[str, int], most_bytes: int
    ) -> Sequence[asyncpg.Record]:
        return await fetch(
            self._pool,
            """
            SELECT endpoint_id, aggregate_id, event_id, attempts, past_attempts, payload, traceparent
            FROM (
                SELECT found.*, sum(size) OVER (ORDER BY place, seq, endpoint_id) - size AS before,
                       sum(size) OVER (PARTITION BY endpoint_id ORDER BY place, seq) - size AS before_of_endpoint
                FROM (
                    SELECT lane.*, d.event_id::text AS event_id, d.seq, d.attempts, d.past_attempts, d.place, e.payload,
                           coalesce(octet_length(e.payload), 0) AS size, coalesce(e.traceparent, '') AS traceparent
                    FROM unnest($1::text[], $2::text[], $4::bigint[]) AS lane (endpoint_id, aggregate_id, room),
                        LATERAL (SELECT event_id, seq, event_time, attempts, past_attempts,
                                        row_number() OVER (ORDER BY seq) AS place FROM deliveries
                                 WHERE endpoint_id = lane.endpoint_id AND aggregate_id = lane.aggregate_id AND state = 1
                                 ORDER BY seq LIMIT $3) d
                        LEFT JOIN LATERAL (SELECT payload, traceparent FROM events
                                           WHERE seq = d.seq AND create_time = d.event_time OFFSET 0) e ON true
                ) AS found
            ) AS measured
            WHERE before < $5 AND before_of_endpoint < room ORDER BY seq
            """,
            [endpoint_id for endpoint_id, _ in lanes],
            [aggregate_id for _, aggregate_id in lanes],
            LANE_LIMIT,
            [room[endpoint_id] for endpoint_id, _ in lanes],
            most_bytes,
        )

    async def record(self, attempts: Sequence[Attempt], releases: Sequence[Release]) -> None:
        """Records attempts and releases lanes, in one transaction.

        A lane is released only while the lease is valid. It is locked before its deliveries are read: a fan-out that
        adds one either has committed and is visible, or waits here and then inserts the lane again.
        """
        async with transaction(self._pool) as connection:
            lanes = [[r.lane.endpoint_id for r in releases], [r.lane.aggregate_id for r in releases]]
            leases = [r.lane.lease_end for r in releases]
            if releases:
                await execute(
                    connection,
                    """
                    SELECT FROM lanes l JOIN unnest($1::text[], $2::text[]) AS r (endpoint_id, aggregate_id)
                        USING (endpoint_id, aggregate_id)
                    ORDER BY l.endpoint_id, l.aggregate_id FOR UPDATE OF l
                    """,
                    *lanes,
                )
            if attempts:
                await _write_attempts(connection, attempts)
            if releases:
                await execute(
                    connection,
                    """
                    WITH released AS (
                        SELECT r.*, EXISTS (
                            SELECT FROM deliveries d WHERE d.endpoint_id = r.endpoint_id
                            AND d.aggregate_id = r.aggregate_id AND d.state = 1) AS has_more
                        FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::interval[])
                            AS r (endpoint_id, aggregate_id, lease_end, delay)
                    ), kept AS (
                        UPDATE lanes l SET due_time = clock_timestamp() + r.delay FROM released r
                        WHERE (l.endpoint_id, l.aggregate_id, l.due_time) = (r.endpoint_id, r.aggregate_id, r.lease_end)
                          AND r.has_more
                    )
                    DELETE FROM lanes l USING released r
                    WHERE (l.endpoint_id, l.aggregate_id, l.due_time) = (r.endpoint_id, r.aggregate_id, r.lease_end)
                      AND NOT r.has_more
                    """,
                    *lanes,
                    leases,
                    [r.delay for r in releases],
                )

    async def put_endpoint(
        self, endpoint_id: str, url: str, secret: str, *, description: str, types: Sequence[str], max_in_flight: int
    ) -> None:
        """Inserts or updates an endpoint of the settings with its URL and secret; the previous secret signs for another
        SECRET_OVERLAP. Types and limit apply only when the endpoint is created; later changes by staff stay.

        Another URL, or the return of a removed endpoint, makes a new version, whose failures count from zero: responses
        of the old URL, say to another gateway, must not disable it.
        """
        async with transaction(self._pool) as connection:
            await connection.execute(
                """
                INSERT INTO endpoints AS e (endpoint_id, url, description, types, max_in_flight, managed, enabled,
                                            create_time, update_time, created_by, updated_by)
                VALUES ($1, $2, $3, $4, $5, false, true, now(), now(), $7, $7)
                ON CONFLICT (endpoint_id) DO UPDATE SET url = $2, update_time = now(), version = e.version + 1,
                    updated_by = $7,
                    enabled = e.enabled OR e.disable_reason = $6,
                    disable_reason = CASE WHEN e.disable_reason = $6 THEN '' ELSE e.disable_reason END,
                    failing_since = NULL, warn_time = NULL
                WHERE e.url <> $2 OR e.disable_reason = $6
                """,
                endpoint_id,
                url,
                description,
                types,
                max_in_flight,
                REMOVED,
                SETTINGS,
            )
            await connection.execute(
                "UPDATE endpoint_secrets SET expire_time = now() + $3 "
                "WHERE endpoint_id = $1 AND secret <> $2 AND expire_time IS NULL",
                endpoint_id,
                secret,
                SECRET_OVERLAP,
            )
            await connection.execute(
                """
                INSERT INTO endpoint_secrets (endpoint_id, secret, create_time, created_by) VALUES ($1, $2, now(), $3)
                ON CONFLICT (endpoint_id, secret) DO UPDATE SET expire_time = NULL
                """,
                endpoint_id,
                secret,
                SETTINGS,
            )

    async def disable_removed(self, endpoint_id: str) -> None:
        """Disables an endpoint that is no longer in the settings. Its pending deliveries stay, in case it returns."""
        await self._pool.execute(
            "UPDATE endpoints SET enabled = false, disable_reason = $2, update_time = now(), version = version + 1, "
            "updated_by = $3 WHERE endpoint_id = $1 AND enabled",
            endpoint_id,
            REMOVED,
            SETTINGS,
        )


async def _write_attempts(connection: Executor, attempts: Sequence[Attempt]) -> None:
    await execute(
        connection,
        """
        WITH made AS (
            SELECT * FROM unnest($1::text[], $2::uuid[], $3::int[], $4::smallint[], $5::timestamptz[], $6::int[],
                                 $7::int[], $8::text[], $9::text[])
                AS a (endpoint_id, event_id, attempt, state, start_time, latency_ms, status, error, excerpt)
        ), logged AS (
            INSERT INTO delivery_attempts (endpoint_id, event_id, attempt, start_time, latency_ms, status, error,
                                           excerpt)
            SELECT endpoint_id, event_id, attempt, start_time, latency_ms, status, error, excerpt FROM made
            ON CONFLICT DO NOTHING
        )
        UPDATE deliveries d SET state = made.state, attempts = made.attempt,
            finish_time = CASE WHEN made.state > 1 THEN clock_timestamp() END
        FROM made WHERE d.endpoint_id = made.endpoint_id AND d.event_id = made.event_id AND d.state = 1
        """,
        *zip(
            *(
                (
                    a.endpoint_id,
                    a.event_id,
                    a.attempt,
                    a.state,
                    a.start_time,
                    a.latency_ms,
                    a.status,
                    a.error,
                    a.excerpt,
                )
                for a in attempts
            ),
            strict=True,
        ),
    )
