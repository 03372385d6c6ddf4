"""Long work in slices: all calls of a process share one thread, and each of them is to have its turn soon."""

from __future__ import annotations

import asyncio
import time

SLICE = 0.005
"""Seconds that work may take before others have their turn."""


class Turns:
    """The turns that some work gives to others. It begins when this is made."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def give(self) -> None:
        """Lets others have their turn when this one has taken its slice; to be called between two steps of the work."""
        if time.perf_counter() - self._since >= SLICE:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
