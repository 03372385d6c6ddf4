"""Sends one delivery once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
from aiohttp.abc import AbstractResolver

from stockward_server.domain.endpoint import STOREFRONT
from stockward_server.gateway.egress import Egress
from stockward_server.gateway.message import body_of, headers_of, thin_body_of
from stockward_server.gateway.resolver import Resolver
from stockward_server.gateway.retry import parse_retry_after
from stockward_server.storage.webhooks.claims import Endpoint

EXCERPT_BYTES = 1024
"""What is kept of an answer, and read of it."""

CONNECT_SECONDS = 5.0
"""For the name, the connection and TLS together."""

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
    excerpt: str = ""
    retry_after: timedelta | None = None
    """How long the receiver asks to be left alone."""

    @property
    def taken(self) -> bool:
        return not self.error


class Sender:
    """POSTs signed bodies. Any 2xx is a yes; redirects are not followed and are, like all else, a no."""

    def __init__(self, http: aiohttp.ClientSession, egress: Egress, timeout_seconds: float, public_url: str) -> None:
        self._http = http
        self._egress = egress
        self._timeout = timeout_seconds
        self._public_url = public_url

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        egress: Egress,
        *,
        timeout_seconds: float,
        public_url: str = "",
        resolver: AbstractResolver | None = None,
    ) -> AsyncIterator[Sender]:
        """With connections of its own: no proxies, no cookies, nothing decompressed, no limit but the caller's."""
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=KEEPALIVE_SECONDS,
            socket_factory=egress.make_socket,
            resolver=resolver or Resolver(),
        )
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=EXCERPT_BYTES,
        ) as http:
            yield cls(http, egress, timeout_seconds, public_url)

    async def send(self, endpoint: Endpoint, event_id: str, payload: bytes, traceparent: str = "") -> Answer:
        """Never raises for what the other side does. `traceparent` goes along where there is one."""
        body = body_of(payload, endpoint.endpoint_id == STOREFRONT)
        if len(body) > endpoint.max_body_bytes:
            body = thin_body_of(payload, self._public_url)
        start_time, start = datetime.now(UTC), time.perf_counter()
        headers = headers_of(event_id, body, endpoint.secrets, start_time, endpoint.headers, traceparent)
        status: int | None = None
        error = excerpt = ""
        retry_after = None
        try:
            self._egress.refuse_url(endpoint.url)
            async with self._http.post(endpoint.url, data=body, headers=headers, allow_redirects=False) as got:
                status = got.status
                if not 200 <= status < 300:
                    error = f"HTTP {status}"
                    retry_after = parse_retry_after(got.headers.get("retry-after"), start_time)
                excerpt = _text(await got.content.read(EXCERPT_BYTES))
        except aiohttp.ConnectionTimeoutError:
            error = f"no connection within {self._http.timeout.connect:g} s"
        except TimeoutError:
            if status is None:
                error = f"no whole answer within {self._timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            if status is None:
                error = _text(f"{type(problem).__name__}: {problem}"[:300].encode(errors="replace"))
        latency_ms = round((time.perf_counter() - start) * 1000)
        return Answer(start_time, latency_ms, status, error, excerpt, retry_after)


def _text(raw: bytes) -> str:
    """As PostgreSQL can keep it."""
    return raw.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
