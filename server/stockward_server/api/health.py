"""grpc.health.v1: its callers need no key, so what it costs is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

MAX_WATCHES = 100
"""Watches of a process at the same time. Balancers that have more clients than that ask with Check."""

MAX_WATCH_SECONDS = 600.0
"""How long a watch lasts; the caller may open it again."""

LOOK_SECONDS = 1.0
"""Between two looks for a change."""


class HealthServicer(health.aio.HealthServicer):
    """The library's, but for Watch: there one caller that does not read keeps every change from all others, as changes
    are sent under a lock."""

    def __init__(self) -> None:
        super().__init__()
        self._watches = 0

    async def Watch(  # type: ignore[override]  # the library's writes to the context
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        if self._watches >= MAX_WATCHES:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_WATCHES} watches are open already: use Check"
            )
        self._watches += 1
        try:
            async with asyncio.timeout(MAX_WATCH_SECONDS):
                sent: int | None = None
                while True:
                    statuses = self._server_status  # type: ignore[attr-defined]  # the stub has only what is public
                    status = statuses.get(request.service, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
                    if status != sent:
                        yield health_pb2.HealthCheckResponse(status=status)
                        sent = status
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "watched for long enough: open it again")
        finally:
            self._watches -= 1
