"""Claims lanes of webhook deliveries and records attempts in batches. See 0002_webhooks.sql and
0026_delivery_functions.sql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from stockward_server.domain.delivery import DeliveryState
from stockward_server.domain.endpoint_changes import REMOVED
from stockward_server.storage.columns import columns
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.statement import execute

LANE_LIMIT = 20
"""Maximum number of deliveries of one lane in one claim."""

SETTINGS = "settings"
"""Actor that creates and changes the endpoints of the settings."""

SECRET_OVERLAP = timedelta(days=1)
"""How long the previous secret also signs after the setting has changed."""


CLAIM = """
    SELECT claimed.* FROM (
        SELECT array_agg(endpoint_id) AS ids, array_agg(places) AS places, array_agg(room) AS rooms
        FROM unnest($1::text[], $2::int[], $4::bigint[]) AS free (endpoint_id, places, room)
            JOIN endpoints e USING (endpoint_id)
        WHERE e.enabled
    ) AS asked, claim_lanes(asked.ids, asked.places, $3, asked.rooms, $5, $6) AS claimed
"""
"""Looks at the endpoints themselves: a gateway reads them every few seconds, and one may have been deleted since."""


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


class Attempt(NamedTuple):
    """The result of one attempt, as it is stored. `attempt` counts from 1; `status` is None without a response."""

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
        """
        rows = await self._pool.fetch(
            CLAIM,
            list(slots),
            list(slots.values()),
            lease,
            [room[endpoint_id] for endpoint_id in slots],
            most_bytes,
            LANE_LIMIT,
        )
        lanes: dict[tuple[str, str], Lane] = {}
        for row in rows:
            lane = lanes.setdefault((row["endpoint_id"], row["aggregate_id"]), Lane(*row[:3]))
            if row["event_id"] is not None:
                lane.deliveries.append(PendingDelivery(*row[3:]))
        return list(lanes.values())

    async def record(self, attempts: Sequence[Attempt], releases: Sequence[Release]) -> None:
        """Records attempts and releases lanes, in one transaction."""
        await execute(
            self._pool,
            """
            SELECT record_deliveries($1::text[], $2::uuid[], $3::int[], $4::smallint[], $5::timestamptz[], $6::int[],
                                     $7::int[], $8::text[], $9::text[],
                                     $10::text[], $11::text[], $12::timestamptz[], $13::interval[])
            """,
            *_columns(9, attempts),
            *_columns(4, [(r.lane.endpoint_id, r.lane.aggregate_id, r.lane.lease_end, r.delay) for r in releases]),
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


def _columns(count: int, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """Returns the rows as columns, empty ones where there are no rows."""
    return columns(rows) or [()] * count
