"""`/healthz`: whether the gateway does its work, and how far behind it is."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from stockward_server.gateway.tally import GatewayTally
from stockward_server.storage.webhooks import SqlWebhooks


class Health:
    """What there is to tell; `store` is None while nothing is delivered."""

    def __init__(self, tally: GatewayTally) -> None:
        self.store: SqlWebhooks | None = None
        self._tally = tally

    async def answer(self, _: web.Request) -> web.Response:
        if self.store is None:
            return web.json_response({"status": "unavailable", "error": "not delivering"}, status=503)
        try:
            backlog = await self.store.backlog()
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
                "open_breakers": self._tally.open_breakers(),
            }
        )
