"""What has come due."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol


class DueWork(Protocol):
    """What has come due, by the database's clock, the longest overdue first; `without` those that are left alone."""

    async def due_reservations(self, limit: int, without: Collection[str]) -> Sequence[str]: ...

    async def due_orders(self, limit: int, without: Collection[str]) -> Sequence[str]: ...
