"""The health of endpoints: since when one fails, and the events about it, each written with the change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import asyncpg

from stockward_server.domain.event import SYSTEM, EndpointNews, EndpointState, Event, RecordedEvent
from stockward_server.domain.identifiers import new_id
from stockward_server.storage.database import Executor, Pool, transaction
from stockward_server.storage.log_epoch import FIRST_VERSION
from stockward_server.storage.statement import Statement
from stockward_server.storage.write.write_state import insert_events


class SqlEndpointHealth:
    """Records the health of endpoints. Several gateways may report the same; it is recorded once."""

    def __init__(self, pool: Pool, encode_event: Callable[[Event], bytes]) -> None:
        self._pool = pool
        self._encode_event = encode_event

    async def failing(self, endpoint_id: str, since: datetime) -> None:
        """Records that deliveries have failed since `since`, with none accepted after it."""
        await self._pool.execute(
            "UPDATE endpoints SET failing_since = $2 WHERE endpoint_id = $1 AND failing_since IS NULL",
            endpoint_id,
            since,
        )

    async def recovered(self, endpoint_id: str) -> None:
        """Records that a delivery was accepted."""
        await self._pool.execute(
            "UPDATE endpoints SET failing_since = NULL, warn_time = NULL "
            "WHERE endpoint_id = $1 AND failing_since IS NOT NULL",
            endpoint_id,
        )

    async def warn(self, endpoint_id: str, reason: str, after: timedelta) -> bool:
        """Records `endpoint.failing` once; returns whether this call did."""
        async with transaction(self._pool) as connection:
            row = await connection.fetchrow(
                f"""
                UPDATE endpoints SET warn_time = now(), event_version = greatest(event_version + 1, {FIRST_VERSION})
                WHERE endpoint_id = $1 AND enabled AND warn_time IS NULL AND failing_since <= now() - $2::interval
                RETURNING endpoint_id, url, failing_since, event_version, now() AS now
                """,
                endpoint_id,
                after,
            )
            if row is not None:
                await self._record_event(connection, "endpoint.failing", EndpointState.ENABLED, reason, row)
        return row is not None

    async def disable(self, endpoint_id: str, version: int, reason: str, after: timedelta | None = None) -> bool:
        """Disables the endpoint and records `endpoint.disabled` once; returns whether this call did. Does nothing when
        the endpoint has changed since `version`, as when staff enabled it or changed its URL, or, with `after`, unless
        it has failed for that long. Pending deliveries stay, and continue when the endpoint is enabled."""
        async with transaction(self._pool) as connection:
            row = await connection.fetchrow(
                f"""
                UPDATE endpoints SET enabled = false, disable_reason = $2, update_time = now(), version = version + 1,
                    event_version = greatest(event_version + 1, {FIRST_VERSION}), updated_by = $5
                WHERE endpoint_id = $1 AND enabled AND ($3::interval IS NULL OR failing_since <= now() - $3)
                    AND version = $4
                RETURNING endpoint_id, url, failing_since, event_version, now() AS now
                """,
                endpoint_id,
                reason,
                after,
                version,
                SYSTEM,
            )
            if row is not None:
                await self._record_event(connection, "endpoint.disabled", EndpointState.DISABLED, reason, row)
        return row is not None

    async def _record_event(
        self, connection: Executor, event_type: str, state: EndpointState, reason: str, row: asyncpg.Record
    ) -> None:
        """Records the event. The endpoint's row is locked, as every aggregate's row is when its event gets its
        `seq`."""
        endpoint_id = row["endpoint_id"]
        news = EndpointNews(endpoint_id, row["url"], state, reason, row["failing_since"])
        event = Event(new_id(), event_type, "endpoint", endpoint_id, row["event_version"], row["now"], SYSTEM, "", news)
        recorded = RecordedEvent(*event[:5], self._encode_event(event))
        write = Statement()
        insert_events(write, [recorded], row["now"])
        await write.execute(connection)
