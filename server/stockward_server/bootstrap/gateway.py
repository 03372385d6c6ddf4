"""Composes the webhook gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from stockward_server import gateway as webhook_gateway
from stockward_server.api.events.encoder import encode_event
from stockward_server.bootstrap.tracing import tracing
from stockward_server.bootstrap.webhook_secrets import warn_of_shared_secret
from stockward_server.config import Environment, Settings
from stockward_server.gateway import LOOPBACK, Egress, FailurePolicy, GatewayMetrics
from stockward_server.observability import families
from stockward_server.observability.exposition import Families
from stockward_server.observability.monitor import watching
from stockward_server.storage.cluster import Cluster


async def gateway(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the webhook gateway until `stop` is set."""
    production = settings.environment is Environment.PRODUCTION
    urls = {"storefront": settings.storefront_webhook_url, "pms": settings.pms_webhook_url}
    failure_policy = FailurePolicy(
        timedelta(days=settings.webhook_warn_days), timedelta(days=settings.webhook_disable_days)
    )
    own = [f"{name}_webhook_secret" for name, url in urls.items() if url]
    warn_of_shared_secret(settings, [field for field in own if getattr(settings, field) is None])
    dsn, metrics = Cluster(settings.database_url.get_secret_value()), GatewayMetrics()
    measured: Sequence[Families] = (
        lambda: families.delivering(metrics, settings.stream_name),
        lambda: families.certificates(settings.certificates),
    )
    async with tracing(settings, "gateway") as tracer, watching(dsn, measured) as exposition:
        await webhook_gateway.run(
            dsn,
            settings.event_queue_url.get_secret_value(),
            settings.stream_name,
            address=settings.gateway_address,
            urls={name: url.get_secret_value() for name, url in urls.items() if url},
            secrets=settings.signing_secrets,
            encode_event=encode_event,
            egress=Egress.of(
                [*settings.webhook_allowed_networks, *(() if production else LOOPBACK)], require_https=production
            ),
            public_url=settings.public_url or "",
            stop=stop,
            grace_seconds=settings.shutdown_grace_seconds,
            timeout_seconds=settings.webhook_timeout_seconds,
            failure_policy=failure_policy,
            metrics=metrics,
            tracer=tracer,
            routes=exposition.routes(),
        )
