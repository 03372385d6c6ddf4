"""`python -m torture.process ROLE [BROKEN]`: a server, relay or gateway of the stack under torture.

They are the production processes with five differences: the gateway retries after moments instead of hours, failed
sessions restart after two seconds instead of fifteen, retention runs each minute instead of each hour, SIGUSR1 logs the
number of tasks, and a build may be broken on purpose.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta

import uvloop

from stockward_server import gateway as webhook_gateway
from stockward_server.api.events.encoder import encode_event
from stockward_server.bootstrap import server
from stockward_server.bootstrap.relay import relay
from stockward_server.config import Settings, load_settings
from stockward_server.gateway import LOOPBACK, Egress
from stockward_server.gateway.endpoint_limiter import BreakerPolicy
from stockward_server.runtime import supervision
from torture.broken import BUILDS

log = logging.getLogger("torture")

RETRY_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (0.05, 0.1, 0.2, 0.5, *[1.0] * 1000))
"""Retry delays of webhooks, so many that no delivery becomes a dead letter."""

BREAKER = BreakerPolicy(first_rest=0.1, longest_rest=1.0)
"""Short rests, so that receivers that work again are found soon."""

ENDPOINTS = ("storefront", "pms")


async def gateway(settings: Settings, stop: asyncio.Event) -> None:
    """Runs a gateway with a short lease, so that another one takes over its work during the run."""
    urls = (settings.storefront_webhook_url, settings.pms_webhook_url)
    await webhook_gateway.run(
        settings.database_url.get_secret_value(),
        settings.event_queue_url.get_secret_value(),
        settings.stream_name,
        address=settings.gateway_address,
        urls={name: url.get_secret_value() for name, url in zip(ENDPOINTS, urls, strict=True) if url},
        secrets=settings.signing_secrets,
        encode_event=encode_event,
        egress=Egress.of(LOOPBACK, require_https=False),
        breaker=BREAKER,
        stop=stop,
        grace_seconds=settings.shutdown_grace_seconds,
        retry_delays=RETRY_DELAYS,
        timeout_seconds=2.0,
        lease_seconds=6.0,
        poll_seconds=0.2,
    )


ROLES: dict[str, Callable[[Settings, asyncio.Event], Awaitable[None]]] = {
    "server": server.serve,
    "relay": relay,
    "gateway": gateway,
}


def main(role: str, broken: str = "") -> None:
    settings = load_settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    server.HOUSEKEEPING_SECONDS = 60.0
    supervision.MAX_PAUSE = 2.0
    if broken:
        BUILDS[broken].break_it(setattr)

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGUSR1, lambda: log.info("%d tasks", len(asyncio.all_tasks())))
        await ROLES[role](settings, stop)

    uvloop.run(until_stopped())


if __name__ == "__main__":
    main(*sys.argv[1:])
