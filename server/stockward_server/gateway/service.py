"""The webhook gateway: JetStream -> deliveries in PostgreSQL -> signed requests to endpoints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from aiohttp import web

from stockward_server.domain.event import Event
from stockward_server.gateway import feed
from stockward_server.gateway.defaults import put_default_endpoints
from stockward_server.gateway.dispatcher import DeliveryTracer, Dispatcher
from stockward_server.gateway.egress import Egress
from stockward_server.gateway.endpoint_limiter import BreakerPolicy
from stockward_server.gateway.failure_policy import FailurePolicy
from stockward_server.gateway.health import Health
from stockward_server.gateway.metrics import GatewayMetrics
from stockward_server.gateway.recorder import Recorder
from stockward_server.gateway.retry import RETRY_DELAYS
from stockward_server.gateway.sender import Sender
from stockward_server.runtime.admin_port import listening
from stockward_server.runtime.supervision import end, run_with_restarts
from stockward_server.storage.cluster import Address
from stockward_server.storage.database import is_database_down, opened_pool
from stockward_server.storage.webhooks.claims import SqlWebhooks
from stockward_server.storage.webhooks.endpoint_health import SqlEndpointHealth

log = logging.getLogger(__name__)

POOL_SIZE = 4
"""Database connections: for claims, for recording, for the endpoints' health and for /healthz."""

CLOSE_SECONDS = 3.0
"""Seconds, beyond the grace of requests under way, that releasing lanes and closing may take."""

BREAKER, FAILURES = BreakerPolicy(), FailurePolicy()


async def run(
    dsn: Address,
    nats_url: str,
    stream_name: str,
    *,
    address: str,
    urls: Mapping[str, str],
    secrets: Mapping[str, str],
    encode_event: Callable[[Event], bytes],
    egress: Egress,
    public_url: str = "",
    stop: asyncio.Event,
    grace_seconds: float = 10.0,
    retry_delays: Sequence[timedelta] = RETRY_DELAYS,
    breaker: BreakerPolicy = BREAKER,
    failure_policy: FailurePolicy = FAILURES,
    timeout_seconds: float = 15.0,
    lease_seconds: float = 60.0,
    poll_seconds: float = 1.0,
    metrics: GatewayMetrics | None = None,
    tracer: DeliveryTracer | None = None,
    routes: Iterable[web.AbstractRouteDef] = (),
) -> None:
    """Delivers webhooks until `stop` is set. Several gateways share the work.

    `address` is HOST:PORT of /healthz and `routes`; `urls` and `secrets`, by endpoint id, define the endpoints
    `storefront` and `pms`. `egress` decides where webhooks may go; `public_url` is the edge's public address, for the
    links of thin bodies (empty: not known). A request may take `timeout_seconds`; one under way at the stop gets
    `grace_seconds` more. Events are delivered from the moment that /healthz responds 200. `metrics` counts the work,
    `tracer` traces it.
    """
    metrics = metrics or GatewayMetrics()
    health = Health(metrics)

    async def session() -> None:
        async with opened_pool(dsn, POOL_SIZE) as pool:
            store = SqlWebhooks(pool)
            await put_default_endpoints(store, urls, secrets)
            async with Sender.open(egress, timeout_seconds=timeout_seconds, public_url=public_url) as sender:
                recorder = Recorder(store)
                dispatcher = Dispatcher(
                    store,
                    SqlEndpointHealth(pool, encode_event),
                    sender,
                    recorder,
                    retry_delays=retry_delays,
                    breaker=breaker,
                    failure_policy=failure_policy,
                    lease=timedelta(seconds=lease_seconds),
                    poll_seconds=poll_seconds,
                    metrics=metrics,
                    tracer=tracer,
                )
                background = [
                    asyncio.create_task(recorder.run(dispatcher.wake), name="recorder"),
                    asyncio.create_task(feed.run(dsn, nats_url, stream_name, dispatcher.wake, metrics), name="feed"),
                ]
                health.pool = pool
                log.info("delivering webhooks; health on http://%s/healthz", address)
                try:
                    await dispatcher.run(stop, grace_seconds)
                finally:
                    health.pool = None
                    await end(*background)

    async with listening(address, [web.get("/healthz", health.answer), *routes]):
        await run_with_restarts("gateway", session, stop, is_database_down, grace_seconds + CLOSE_SECONDS)
