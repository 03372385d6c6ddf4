"""Sends one attempt of a delivery."""

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
"""Maximum of bytes read and stored of a response's body."""

CONNECT_SECONDS = 5.0
"""Maximum of seconds for DNS, connecting and TLS together."""

KEEPALIVE_SECONDS = 1.0
"""Seconds that an idle connection is kept: less than receivers keep theirs. A request on a connection that the receiver
is closing fails, and would wait for its next attempt."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of a request. `error` is empty when it was accepted; `status` is None without a response."""

    start_time: datetime
    latency_ms: int
    status: int | None
    error: str
    excerpt: str = ""
    retry_after: timedelta | None = None
    """Pause that the receiver asked for."""

    @property
    def accepted(self) -> bool:
        """Whether the receiver responded with a 2xx."""
        return not self.error


class Sender:
    """POSTs signed bodies. Any 2xx is a success; everything else is a failure. Redirects are not followed."""

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
        """Opens a sender with its own connections: no proxies, cookies, decompression or limit of connections."""
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
        """Sends the event's `payload` (encoded Event); `traceparent` becomes a header unless it is empty.

        Returns an Answer with the error for whatever the receiver does.
        """
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
    """Returns bytes as text that PostgreSQL can store."""
    return raw.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
