"""Changes of lanes by other processes than the gateway: inserted for pending deliveries, and made due early."""

from __future__ import annotations

from datetime import timedelta

from stockward_server.storage.database import Executor

LEASE = timedelta(seconds=60)
"""Maximum length of a gateway's claim on a lane."""


async def lock_lane(connection: Executor, endpoint_id: str, aggregate_id: str) -> None:
    """Locks the lane, if it exists, as a gateway does before it reads the lane's deliveries."""
    await connection.execute(
        "SELECT FROM lanes WHERE endpoint_id = $1 AND aggregate_id = $2 FOR UPDATE", endpoint_id, aggregate_id
    )


async def add_lane(connection: Executor, endpoint_id: str, aggregate_id: str) -> None:
    """Inserts the lane of a pending delivery; an existing lane is not changed but locked, so that it is not removed."""
    await connection.execute(
        "INSERT INTO lanes AS l (endpoint_id, aggregate_id, due_time) VALUES ($1, $2, now()) "
        "ON CONFLICT (endpoint_id, aggregate_id) DO UPDATE SET due_time = l.due_time",
        endpoint_id,
        aggregate_id,
    )


async def wake_lanes(connection: Executor, endpoint_id: str, aggregate_id: str | None = None) -> None:
    """Makes lanes due now that wait for their next attempt: all of the endpoint, or one.

    While a lane is claimed, `due_time` is the end of the lease and must not be changed. It is at most LEASE away, so
    lanes that are due sooner are not changed.
    """
    await connection.execute(
        """
        UPDATE lanes SET due_time = now() WHERE (endpoint_id, aggregate_id) IN (
            SELECT endpoint_id, aggregate_id FROM lanes
            WHERE endpoint_id = $1 AND ($2::text IS NULL OR aggregate_id = $2)
              AND due_time > clock_timestamp() + $3::interval
            ORDER BY endpoint_id, aggregate_id FOR UPDATE)
        """,
        endpoint_id,
        aggregate_id,
        LEASE,
    )
