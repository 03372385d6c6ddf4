"""The port that reports the state of a process: plain HTTP for probes and scrapers, apart from what customers reach."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

log = logging.getLogger(__name__)


@asynccontextmanager
async def listening(address: str | None, routes: Iterable[web.AbstractRouteDef]) -> AsyncIterator[None]:
    """Answers on `address` (HOST:PORT), nowhere without one.

    One that cannot be had is logged and done without: what reports the work must not keep it from being done.
    """
    if address is None:
        yield
        return
    application = web.Application()
    application.router.add_routes(routes)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        host, _, port = address.rpartition(":")
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
            log.info("health and metrics on http://%s/ (livez, readyz, metrics)", address)
        except OSError as error:
            log.warning("no health and no metrics: cannot listen on %s: %s", address, error.strerror or error)
        yield
    finally:
        await runner.cleanup()
