"""`/healthz`: whether the gateway does its work, and how far behind it is."""

from __future__ import annotations

from aiohttp import web

from stockward_server.gateway.metrics import GatewayMetrics
from stockward_server.storage.database import Pool
from stockward_server.storage.events.backlog import read_backlog


class Health:
    """What there is to tell; `pool` is None while nothing is delivered."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self.pool: Pool | None = None
        self._metrics = metrics

    async def answer(self, _: web.Request) -> web.Response:
        if self.pool is None:
            return web.json_response({"status": "unavailable", "error": "not delivering"}, status=503)
        try:
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
