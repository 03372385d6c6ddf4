"""The metrics of a process in the text format of Prometheus, and the routes of probes and metrics."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from time import monotonic

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, Metric, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from stockward_server import __version__
from stockward_server.observability.families import gauge, gauges, histogram
from stockward_server.observability.readiness import Readiness
from stockward_server.runtime.build import commit
from stockward_server.runtime.distribution import Distribution

log = logging.getLogger(__name__)

Families = Callable[[], Iterable[Metric]]
"""Converts counters in memory to metrics."""

Reading = Callable[[], Awaitable[Iterable[Metric]]]
"""Reads metrics from the database."""

READ_SECONDS, FRESH_SECONDS = 3.0, 1.0
"""Timeout of a reading, and seconds for which it is reused, so that many scrapers do not load the database."""

LAG_SECONDS = 0.25
"""Seconds between two measurements of the event loop's lag."""


class Exposition(Collector):
    """All metrics of one process. The parts count; this class converts their counters at each scrape."""

    def __init__(self, readiness: Readiness, families: Sequence[Families], reading: Reading) -> None:
        self.readiness = readiness
        self._families = families
        self._reading = reading
        self._read: Iterable[Metric] = ()
        self._read_time = float("-inf")
        self._lag = Distribution()
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Returns nothing, so that registering reads no metrics."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics; those of the database as they were read last."""
        build: dict[Sequence[str], float] = {(__version__, commit(), platform.python_version()): 1.0}
        labels = ("version", "commit", "python")
        yield gauges("stockward_build_info", "What runs here; the value is 1.", labels, build)
        yield gauge("stockward_ready", "Whether work may be sent here.", self.readiness.ready)
        yield gauge("stockward_database_up", "Whether PostgreSQL answers and is migrated.", self.readiness.database)
        yield histogram("stockward_event_loop_lag_seconds", "How late the event loop is.", self._lag)
        for families in self._families:
            yield from families()
        yield from self._read

    async def text(self, accept: str) -> tuple[bytes, str]:
        """Returns the metrics and their content type, in the format that `accept` (an HTTP header) requests."""
        if monotonic() - self._read_time > FRESH_SECONDS:
            self._read_time = monotonic()
            try:
                async with asyncio.timeout(READ_SECONDS):
                    self._read = await self._reading()
            except Exception as error:
                self._read = ()  # no metrics are better than outdated ones
                log.debug("the backlog cannot be read: %r", error)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    async def watch(self) -> None:
        """Measures the event loop's lag until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._lag.add(max(0.0, loop.time() - due))

    def routes(self) -> Sequence[web.RouteDef]:
        """Returns the routes /livez (the process runs), /readyz (it accepts work) and /metrics."""
        return [web.get("/livez", _live), web.get("/readyz", self._ready), web.get("/metrics", self._metrics)]

    async def _ready(self, _: web.Request) -> web.Response:
        found = {
            "status": "ready" if self.readiness.ready else "not ready",
            "database": "up" if self.readiness.database else "down",
            "stopping": self.readiness.stopping,
        }
        return web.json_response(found, status=200 if self.readiness.ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = await self.text(request.headers.get("accept", ""))
        return web.Response(body=body, headers={"content-type": content_type})


async def _live(_: web.Request) -> web.Response:
    """Responds 200: a process that responds is alive."""
    return web.json_response({"status": "alive"})
