"""Composes the relay."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from stockward_server import relay as event_relay
from stockward_server.bootstrap.tracing import tracing
from stockward_server.config import Settings
from stockward_server.observability import families
from stockward_server.observability.exposition import Families
from stockward_server.observability.monitor import watching
from stockward_server.relay import RelayMetrics
from stockward_server.runtime.admin_port import listening
from stockward_server.storage.cluster import Cluster


async def relay(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the relay until `stop` is set."""
    dsn, metrics = Cluster(settings.database_url.get_secret_value()), RelayMetrics()
    measured: Sequence[Families] = (
        lambda: families.relaying(metrics, settings.stream_name),
        lambda: families.certificates(settings.certificates),
    )
    async with (
        tracing(settings, "relay") as tracer,
        watching(dsn, measured) as exposition,
        listening(settings.relay_admin_address, exposition.routes()),
    ):
        await event_relay.run(
            dsn,
            settings.event_queue_url.get_secret_value(),
            settings.stream_name,
            max_age=timedelta(days=settings.event_retention_days),
            replicas=settings.stream_replicas,
            poll_seconds=settings.outbox_poll_seconds,
            stop=stop,
            metrics=metrics,
            tracer=tracer,
        )
