"""Webhook endpoints and deliveries to test with, on a server without a gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stockward.webhook.v1 import webhook_pb2 as webhooks

from stockward_server.domain.delivery import DeliveryState
from stockward_server.storage.database import Pool
from tests.shop import Shop

URL = "https://hooks.shop.example/in"


def create_endpoint(url: str = URL, **fields: Any) -> webhooks.CreateEndpointRequest:
    """The request for an endpoint that wants everything, unless `types` say otherwise."""
    return webhooks.CreateEndpointRequest(endpoint=webhooks.Endpoint(**{"url": url, "types": ["*"], **fields}))


async def endpoint_of(shop: Shop, url: str = URL, **fields: Any) -> str:
    """A new endpoint; its id."""
    answer = await shop.pms.webhooks.CreateEndpoint(create_endpoint(url, **fields))
    return str(answer.endpoint.endpoint_id)


async def endpoint_of_settings(pool: Pool, endpoint_id: str = "pms") -> str:
    """As a gateway makes it from the settings."""
    url = "https://user:password@pms.example/in?token=1"
    await pool.execute(
        "INSERT INTO endpoints (endpoint_id, url, description, types, max_in_flight, enabled, managed, create_time, "
        "update_time) VALUES ($1, $2, '', '{order.*}', 32, true, false, now(), now())",
        endpoint_id,
        url,
    )
    await pool.execute(
        "INSERT INTO endpoint_secrets VALUES ($1, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', now())", endpoint_id
    )
    return endpoint_id


async def deliver(
    pool: Pool,
    endpoint_id: str,
    state: DeliveryState = DeliveryState.PENDING,
    types: Sequence[str] = ("%",),
    aggregate_id: str = "%",
) -> list[str]:
    """A delivery of each event of these types and this aggregate (LIKE) so far, in this state, as a gateway leaves
    them, but that the lanes are due in an hour; the event ids, oldest first."""
    rows = await pool.fetch(
        """
        INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time, state, attempts,
                                finish_time)
        SELECT $1, event_id, aggregate_id, type, seq, create_time, $2::smallint,
               CASE WHEN $2 > 1 THEN 2 ELSE 0 END, CASE WHEN $2 > 1 THEN now() END
        FROM events WHERE type LIKE ANY($3::text[]) AND aggregate_id LIKE $4 ORDER BY seq
        RETURNING event_id::text, aggregate_id
        """,
        endpoint_id,
        state,
        list(types),
        aggregate_id,
    )
    ids = [row["event_id"] for row in rows]
    if state is DeliveryState.PENDING:
        await pool.execute(
            "INSERT INTO lanes SELECT DISTINCT $1, aggregate_id, now() + interval '1 hour' FROM unnest($2::text[]) AS "
            "n (aggregate_id) ON CONFLICT DO NOTHING",
            endpoint_id,
            [row["aggregate_id"] for row in rows],
        )
    else:
        await pool.execute(
            "INSERT INTO delivery_attempts SELECT $1, event_id, attempt, now(), 7 * attempt, 500, 'HTTP 500', 'no' "
            "FROM unnest($2::uuid[]) AS n (event_id), generate_series(1, 2) attempt",
            endpoint_id,
            ids,
        )
    return ids
