"""`/healthz`: whether the gateway does its work, and how far behind it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web

from stockward_server.storage.webhooks import SqlWebhooks


@asynccontextmanager
async def health_endpoint(
    address: str, store: SqlWebhooks, open_breakers: Callable[[], Sequence[str]]
) -> AsyncIterator[None]:
    """Listens on `address` (HOST:PORT); OSError when it cannot be had. `open_breakers` names endpoints."""

    async def healthz(_: web.Request) -> web.Response:
        try:
            backlog = await store.backlog()
        except Exception as error:
            return web.json_response({"status": "unavailable", "error": type(error).__name__}, status=503)
        age = (datetime.now(UTC) - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        return web.json_response(
            {
                "status": "ok",
                "pending": backlog.pending,
                "oldest_pending_seconds": max(0.0, round(age, 3)),
                "dead": backlog.dead,
                "failing": backlog.failing,
                "open_breakers": open_breakers(),
            }
        )

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        host, _, port = address.rpartition(":")
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        yield
    finally:
        await runner.cleanup()
