"""How many bytes of events one gateway holds to send, and which endpoints may be claimed more of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

MAX_BYTES = 32 * 2**20
"""Payloads of all lanes that are claimed, encoded, but for the last one."""

LEAST = 16
"""An endpoint is asked for lanes while this part of MAX_BYTES is there for it: not for one event after another."""


class ClaimBudget:
    """Shares the memory for payloads among endpoints. One that hangs can have half of it, the next one half of the rest
    and so on, so there is always some for an endpoint that takes what it is sent."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: Counter[str] = Counter()

    @property
    def free(self) -> int:
        """Bytes that may still be claimed; below zero when the last event was a large one."""
        return self._max_bytes - self._held.total()

    def room(self, endpoint_ids: Iterable[str]) -> Mapping[str, int]:
        """Returns how many bytes of events each endpoint may be claimed; those that may have none are left out."""
        free = self.free
        rooms = {endpoint_id: free - self._held[endpoint_id] for endpoint_id in endpoint_ids}
        return {endpoint_id: room for endpoint_id, room in rooms.items() if LEAST * room >= self._max_bytes}

    def take(self, endpoint_id: str, size: int) -> None:
        """Counts payloads that were claimed."""
        self._held[endpoint_id] += size

    def give_back(self, endpoint_id: str, size: int) -> None:
        """Counts them no longer."""
        self._held[endpoint_id] -= size
        if not self._held[endpoint_id]:
            del self._held[endpoint_id]
