"""The admin port of a process: plain HTTP for probes and scrapers, apart from the ports of clients."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

log = logging.getLogger(__name__)


@asynccontextmanager
async def listening(address: str | None, routes: Iterable[web.AbstractRouteDef]) -> AsyncIterator[None]:
    """Serves `routes` on `address` (HOST:PORT) within the block; nothing for None.

    An address that cannot be used is logged and does not raise: a process works without its admin port.
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
