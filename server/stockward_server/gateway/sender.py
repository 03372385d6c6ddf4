"""Sends one delivery once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp

from stockward_server.gateway.egress import socket_factory
from stockward_server.gateway.message import body_of, headers_of
from stockward_server.storage.webhooks import Endpoint

EXCERPT_BYTES = 1024
"""What is kept of an answer."""

CONNECT_SECONDS = 5.0

KEEPALIVE_SECONDS = 1.0
"""How long an idle connection is kept: less than any receiver does. A request on a connection that the other side is
closing fails, and would wait for its next attempt."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request. `error` is empty when it was taken; `status` is None when there was no answer."""

    start_time: datetime
    latency_ms: int
    status: int | None
    error: str
    excerpt: str

    @property
    def taken(self) -> bool:
        return not self.error


class Sender:
    """POSTs signed bodies. Any 2xx is a yes; redirects are not followed and are, like all else, a no."""

    def __init__(self, http: aiohttp.ClientSession, timeout_seconds: float) -> None:
        self._http = http
        self._timeout = timeout_seconds

    @classmethod
    @asynccontextmanager
    async def open(cls, *, timeout_seconds: float, allow_loopback: bool) -> AsyncIterator[Sender]:
        """With connections of its own: no proxies, no cookies, nothing decompressed, no limit but the caller's."""
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=KEEPALIVE_SECONDS, socket_factory=socket_factory(allow_loopback=allow_loopback)
        )
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(CONNECT_SECONDS, timeout_seconds))
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as http:
            yield cls(http, timeout_seconds)

    async def send(self, endpoint: Endpoint, event_id: str, payload: bytes) -> Answer:
        """Never raises for what the other side does."""
        body = body_of(payload)
        start_time, start = datetime.now(UTC), time.perf_counter()
        headers = headers_of(event_id, body, endpoint.secrets, start_time)
        status: int | None = None
        error = excerpt = ""
        try:
            async with self._http.post(endpoint.url, data=body.encode(), headers=headers, allow_redirects=False) as got:
                status = got.status
                if not 200 <= status < 300:
                    error = f"HTTP {status}"
                excerpt = _text(await got.content.read(EXCERPT_BYTES))
        except TimeoutError:
            error = error or (f"no whole answer within {self._timeout:g} s" if status is None else "")
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            if status is None:
                error = f"{type(problem).__name__}: {problem}"[:300]
        return Answer(start_time, round((time.perf_counter() - start) * 1000), status, error, excerpt)


def _text(raw: bytes) -> str:
    """As PostgreSQL can keep it."""
    return raw.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
