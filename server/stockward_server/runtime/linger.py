"""Lets a batch gather while others come soon after it, and a lone one go at once."""

from __future__ import annotations

import asyncio
import time

QUIET_SECONDS = 0.02
"""A batch that comes later than this after the one before is a lone one."""

GATHER_SECONDS = 0.005
"""How long the next batch gathers otherwise: each costs a commit or two, however much is in it."""


class Linger:
    """Call `pause` after each batch."""

    def __init__(self) -> None:
        self._last = float("-inf")

    async def pause(self) -> None:
        """Returns at once after a lone batch, and after GATHER_SECONDS when the one before was a moment ago."""
        now = time.monotonic()
        soon, self._last = now - self._last < QUIET_SECONDS, now
        if soon:
            await asyncio.sleep(GATHER_SECONDS)
