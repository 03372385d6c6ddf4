"""Probes of processes from outside."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import grpc
from grpc_health.v1 import health_pb2


async def grpc_serves(address: str, seconds: float = 1.0) -> bool:
    """Returns whether the gRPC server at ``address`` reports SERVING (grpc.health.v1) within ``seconds``."""
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
    """Returns whether ``url`` responds 200 within ``seconds``."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
            session.get(url, ssl=tls) as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


async def listens(address: str) -> bool:
    """Returns whether something accepts TCP connections at ``address`` (HOST:PORT)."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:
        return False
    writer.close()
    return True


def any_certificate(cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Returns a TLS context that does not verify the server's certificate, for probes. Presents ``cert`` on request."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if cert:
        context.load_cert_chain(cert, key)
    return context
