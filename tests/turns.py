"""Whether work lets others have their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any


async def turns_during(work: Awaitable[Any]) -> int:
    """How often somebody else had a turn."""
    given = 0

    async def count() -> None:
        nonlocal given
        while True:
            given += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await work
    other.cancel()
    return given
