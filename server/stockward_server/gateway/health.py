"""`/healthz`: whether the gateway delivers, and its backlog."""

from __future__ import annotations

import asyncio

from aiohttp import web

from stockward_server.gateway.metrics import GatewayMetrics
from stockward_server.storage.database import Pool
from stockward_server.storage.events.backlog import read_backlog

ANSWER_SECONDS = 2.0
"""Time limit of a response: PostgreSQL may not respond at all."""


class Health:
    """Serves `/healthz`; `pool` is None while the gateway does not deliver."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self.pool: Pool | None = None
        self._metrics = metrics

    async def answer(self, _: web.Request) -> web.Response:
        """Returns the backlog as JSON; 503 when the gateway does not deliver or PostgreSQL does not respond."""
        if self.pool is None:
            return web.json_response({"status": "unavailable", "error": "not delivering"}, status=503)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                backlog = await read_backlog(self.pool)
        except Exception as error:
            return web.json_response({"status": "unavailable", "error": type(error).__name__}, status=503)
        return web.json_response(
            {
                "status": "ok",
                "pending": backlog.deliveries_pending,
                "oldest_due_seconds": round(backlog.deliveries_age, 3),
                "dead": backlog.dead,
                "failing": backlog.failing,
                "open_breakers": self._metrics.open_breakers(),
            }
        )
