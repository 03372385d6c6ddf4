"""The public keys of a token issuer (JWKS, RFC 7517), from a URL or a file, reloaded when they change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

import aiohttp
from jwt import PyJWK, PyJWKSet, PyJWTError

from stockward_server.domain.errors import TokenKeysUnavailable

log = logging.getLogger(__name__)

FETCH_SECONDS = 5.0
"""Timeout of a request to the issuer."""

MAX_BYTES = 1024 * 1024

READ_ERRORS = (
    *(OSError, TimeoutError, aiohttp.ClientError),
    *(PyJWTError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
)
"""Errors of a source or of its content. A key may have any JSON in place of a text."""

Source = Callable[[], Awaitable[bytes]]
"""Reads the key set, or raises one of READ_ERRORS."""


def from_file(path: Path) -> Source:
    """Returns a source that reads a file."""

    async def read() -> bytes:
        return path.read_bytes()

    return read


def from_url(url: str) -> Source:
    """Returns a source that fetches a URL. Redirects are not followed."""

    async def read() -> bytes:
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes")
            return bytes(body)

    return read


class TokenKeys:
    """Keys by id, only for the configured algorithms.

    An unknown id reloads the set, at most every `refetch_seconds`: a new key works at once, and invented ids cost the
    issuer nothing. While the set cannot be read, the previous keys stay valid.
    """

    def __init__(self, source: Source, algorithms: Collection[str], refetch_seconds: float) -> None:
        self._source = source
        self._algorithms = algorithms
        self._refetch_seconds = refetch_seconds
        self._tried_at = float("-inf")
        self._failed = True
        self._reading: asyncio.Task[None] | None = None
        self.keys: Mapping[str, PyJWK] = {}
        """Replaced as a whole at each load."""

    async def find(self, key_id: str | None) -> PyJWK | None:
        """Returns the key, None for an id that the issuer does not have; without an id the only key, if there is one.

        Raises TokenKeysUnavailable when the key is unknown and the set cannot be read.
        """
        key = self._find(key_id)
        if key is None and (self._reading or time.monotonic() - self._tried_at > self._refetch_seconds):
            await self.refresh()
            key = self._find(key_id)
        if key is None and self._failed:
            raise TokenKeysUnavailable()
        return key

    async def refresh(self) -> None:
        """Loads the set, or waits for a load in progress. Raises TokenKeysUnavailable when it cannot be read."""
        if self._reading is None:
            self._tried_at = time.monotonic()
            self._reading = asyncio.create_task(self._read(), name="token keys")
        await asyncio.shield(self._reading)
        if self._failed:
            raise TokenKeysUnavailable()

    async def _read(self) -> None:
        try:
            found = PyJWKSet.from_json((await self._source()).decode())
            keys = {
                key.key_id or "": key
                for key in found.keys
                if key.algorithm_name in self._algorithms and key.public_key_use in (None, "sig")
            }
            if not keys:
                raise ValueError(f"no key for {', '.join(self._algorithms)}")
        except READ_ERRORS as error:
            self._failed = True
            log.warning("the token issuer's keys cannot be read: %s", str(error) or type(error).__name__)
        else:
            self._failed = False
            self.keys = keys
        finally:
            self._reading = None

    def _find(self, key_id: str | None) -> PyJWK | None:
        if key_id is None:
            return next(iter(self.keys.values())) if len(self.keys) == 1 else None
        return self.keys.get(key_id)
