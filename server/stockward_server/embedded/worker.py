"""Stockward's own processes as children: `stockward serve`, `relay` and `gateway`."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import grpc
from grpc_health.v1 import health_pb2

from stockward_server.embedded.service import Service


class Worker(Service):
    """`stockward COMMAND` with ``variables`` in its environment; ``ready`` asks it whether it can be used."""

    ready_within = 60.0

    def __init__(
        self,
        name: str,
        command: str,
        *,
        variables: Mapping[str, str],
        ready: Callable[[], Awaitable[bool]] | None = None,
        stop_within: float,
        log: Path,
        lock: Path,
    ) -> None:
        super().__init__(name, log=log, lock=lock)
        self._command = command
        self._variables = variables
        self._ready = ready
        self.stop_within = stop_within

    def command(self) -> list[str]:
        return [sys.executable, "-P", "-m", "stockward_server.cli", self._command]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONUNBUFFERED": "1", **self._variables}

    async def is_ready(self) -> bool:
        return await self._ready() if self._ready else True


async def grpc_serves(address: str, seconds: float = 1.0) -> bool:
    """Whether the gRPC server at ``address`` says SERVING (grpc.health.v1), given ``seconds`` to come up."""
    options = (("grpc.enable_http_proxy", 0), ("grpc.initial_reconnect_backoff_ms", 50))
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=seconds, wait_for_ready=True)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def answers(url: str, seconds: float = 1.0, tls: ssl.SSLContext | bool = True) -> bool:
    """Whether ``url`` is answered with 200 within ``seconds``."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
            session.get(url, ssl=tls) as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


async def listens(address: str) -> bool:
    """Whether something takes TCP connections at ``address``."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:
        return False
    writer.close()
    return True
