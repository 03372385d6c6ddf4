"""Whether a process can do its work: PostgreSQL has to be there, NATS may be away, and it must not be stopping."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from stockward_server.storage.database import Pool

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""Between two looks."""

ANSWER_SECONDS = 2.0
"""How long PostgreSQL may take to answer a look."""

FAILURES = 2
"""Looks in a row that have to fail: one lost connection is no reason to be left alone."""


class Readiness:
    """Looks again and again once `watch` runs. `on_change` hears of what it finds."""

    def __init__(self, pool: Pool, on_change: Callable[[bool], Awaitable[None]] | None = None) -> None:
        """`pool` is for this alone: that of the calls may have no connection free, which says nothing of PostgreSQL."""
        self.database = True
        """Whether PostgreSQL answers."""
        self.stopping = False
        """Set it when the process begins to end."""
        self._pool = pool
        self._on_change = on_change
        self._failures = 0

    @property
    def ready(self) -> bool:
        """Whether work may be sent here."""
        return self.database and not self.stopping

    async def look(self) -> None:
        """One look, which counts at once when it is the first one."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._pool.fetchval("SELECT 1")
            self._failures = 0
        except Exception as error:
            self._failures += 1
            if self._failures == FAILURES:
                log.warning("not ready: PostgreSQL does not answer: %r", error)
        database = self._failures < FAILURES
        if database != self.database:
            self.database = database
            if database:
                log.info("ready again: PostgreSQL answers")
            if self._on_change is not None:
                await self._on_change(database)

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(CHECK_SECONDS)
