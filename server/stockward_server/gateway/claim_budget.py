"""Limits the bytes of payloads that one gateway holds in memory, and shares them among endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

MAX_BYTES = 32 * 2**20
"""Maximum of bytes of the encoded payloads of all claimed lanes; the last lane may exceed it."""

LEAST = 16
"""Lanes of an endpoint are claimed only while 1/LEAST of MAX_BYTES is free for it, so that a claim brings several."""


class ClaimBudget:
    """Shares the memory for payloads among endpoints. An endpoint that hangs can use half of it, the next one half of
    the rest and so on, so some is always free for an endpoint that responds."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: Counter[str] = Counter()

    @property
    def free(self) -> int:
        """Bytes that may still be claimed; negative when the last event was a large one."""
        return self._max_bytes - self._held.total()

    def room(self, endpoint_ids: Iterable[str]) -> Mapping[str, int]:
        """Returns how many bytes of payloads may be claimed for each endpoint; those with too few are left out."""
        free = self.free
        rooms = {endpoint_id: free - self._held[endpoint_id] for endpoint_id in endpoint_ids}
        return {endpoint_id: room for endpoint_id, room in rooms.items() if LEAST * room >= self._max_bytes}

    def take(self, endpoint_id: str, size: int) -> None:
        """Adds `size` bytes of claimed payloads."""
        self._held[endpoint_id] += size

    def give_back(self, endpoint_id: str, size: int) -> None:
        """Subtracts `size` bytes of payloads that are sent or released."""
        self._held[endpoint_id] -= size
        if not self._held[endpoint_id]:
            del self._held[endpoint_id]
