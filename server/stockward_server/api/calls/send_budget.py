"""How much memory responses may take that were made and are not read by their callers yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from stockward_server.domain.errors import ResponsesUnread

SMALL = 16 * 1024
"""Bytes of a response that is not worth counting."""


class SendBudget:
    """Refuses a large response while its caller leaves others unread.

    Nothing can take a response back that gRPC waits to send. A caller that reads is done in milliseconds; one that does
    not can have half of the memory, the next one half of the rest and so on: there is some for anyone who reads.
    """

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` of encoded responses."""
        self._max_bytes = max_bytes
        self._unread: Counter[str] = Counter()

    @property
    def bytes(self) -> int:
        """What is unread of all callers."""
        return self._unread.total()

    def begin(self, caller: str, size: int) -> Callable[[], None]:
        """Counts a response of so many bytes; returns what is to be called once when it is sent, or abandoned. Raises
        ResponsesUnread when the caller has to read others first."""
        if size < SMALL:
            return _nothing
        unread = self._unread[caller]
        if unread + size > self._max_bytes - self.bytes:
            raise ResponsesUnread(unread, size, self._max_bytes)
        self._unread[caller] += size
        return lambda: self._end(caller, size)

    def _end(self, caller: str, size: int) -> None:
        self._unread[caller] -= size
        if not self._unread[caller]:
            del self._unread[caller]


def _nothing() -> None:
    pass
