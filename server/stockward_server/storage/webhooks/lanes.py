"""Lanes, from outside the gateway: made for deliveries that are to be sent, and woken before their time."""

from __future__ import annotations

from datetime import timedelta

from stockward_server.storage.database import Executor

LEASE = timedelta(seconds=60)
"""The longest that a gateway claims a lane for."""


async def lock_lane(connection: Executor, endpoint_id: str, aggregate_id: str) -> None:
    """Holds the lane, if there is one, as a gateway does before it looks at the lane's deliveries."""
    await connection.execute(
        "SELECT FROM lanes WHERE endpoint_id = $1 AND aggregate_id = $2 FOR UPDATE", endpoint_id, aggregate_id
    )


async def add_lane(connection: Executor, endpoint_id: str, aggregate_id: str) -> None:
    """For a delivery that is pending now; one that is there stays as it is, and is held so that nobody removes it."""
    await connection.execute(
        "INSERT INTO lanes AS l (endpoint_id, aggregate_id, due_time) VALUES ($1, $2, now()) "
        "ON CONFLICT (endpoint_id, aggregate_id) DO UPDATE SET due_time = l.due_time",
        endpoint_id,
        aggregate_id,
    )


async def wake_lanes(connection: Executor, endpoint_id: str, aggregate_id: str | None = None) -> None:
    """Lanes that wait for their next attempt are due now: all of the endpoint, or the one.

    While a lane is claimed, `due_time` is the end of the lease and must not be changed. That is never further away than
    LEASE: what is due earlier is left to come by itself.
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
