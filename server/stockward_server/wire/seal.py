"""Seals texts that clients keep for the servers and cannot create or change: page tokens and cursors."""

from __future__ import annotations

import hmac
from base64 import b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Awaitable, Callable

MAC_BYTES = 16
"""Bytes to which the HMAC-SHA256 is truncated."""


class Seal:
    """Seals bytes with a key. A text sealed for one purpose does not open for another."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def close(self, purpose: bytes, content: bytes) -> str:
        """Returns the content with its MAC as URL-safe text; it is not encrypted."""
        return urlsafe_b64encode(self._mac(purpose, content) + content).decode().rstrip("=")

    def open(self, purpose: bytes, text: str) -> bytes | None:
        """Returns the content, or None when the text was not sealed with this key for this purpose."""
        try:
            sealed = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (Error, ValueError):  # ValueError for text that is not ASCII
            return None
        mac, content = sealed[:MAC_BYTES], sealed[MAC_BYTES:]
        return content if hmac.compare_digest(mac, self._mac(purpose, content)) else None

    def _mac(self, purpose: bytes, content: bytes) -> bytes:
        return hmac.digest(self._key, len(purpose).to_bytes(4) + purpose + content, "sha256")[:MAC_BYTES]


class Seals:
    """The seal that all servers of a database share."""

    def __init__(self, read_key: Callable[[], Awaitable[bytes]]) -> None:
        """`read_key` is called when the seal is first needed, until it succeeds."""
        self._read_key = read_key
        self._seal: Seal | None = None

    async def load(self) -> Seal:
        """Returns the seal. Raises the errors of `read_key`."""
        if self._seal is None:
            self._seal = Seal(await self._read_key())
        return self._seal
