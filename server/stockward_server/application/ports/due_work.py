"""Finding due work."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol


class DueWork(Protocol):
    """Finds due work by the database's clock, longest overdue first; ids in `without` are skipped."""

    async def due_reservations(self, limit: int, without: Collection[str]) -> Sequence[str]: ...

    async def due_orders(self, limit: int, without: Collection[str]) -> Sequence[str]: ...

    async def due_order_holds(self, limit: int, without: Collection[str]) -> Sequence[str]:
        """Finds the orders that are on hold beyond the time of their hold."""
        ...
