"""Whether a process can do its work: PostgreSQL has to be there and migrated, NATS may be away, and it must not be
stopping."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from stockward_server.storage.database import Pool, migration_state

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""Between two looks."""

ANSWER_SECONDS = 2.0
"""How long PostgreSQL may take to answer a look."""

FAILURES = 2
"""Looks in a row that have to fail: one lost connection is no reason to be left alone."""


class NotMigrated(Exception):
    """The database is older than this release."""


class Readiness:
    """Looks again and again once `watch` runs. `on_change` receives what it finds."""

    def __init__(self, pool: Pool, on_change: Callable[[bool], Awaitable[None]] | None = None) -> None:
        """`pool` is for this alone: that of the calls may have no connection free, which says nothing of PostgreSQL."""
        self.database = True
        """Whether PostgreSQL answers, and has the migrations of this release."""
        self.stopping = False
        """Set it when the process begins to end."""
        self._pool = pool
        self._on_change = on_change
        self._failures = 0
        self._migrated = False

    @property
    def ready(self) -> bool:
        """Whether work may be sent here."""
        return self.database and not self.stopping

    async def look(self) -> None:
        """One look. What it finds missing counts at once."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._ask()
            self._failures = 0
        except NotMigrated as error:
            if self._failures < FAILURES:
                log.warning("not ready: %s", str(error))
            self._failures = FAILURES
        except Exception as error:
            self._failures += 1
            if self._failures == FAILURES:
                log.warning("not ready: PostgreSQL does not answer: %r", error)
        database = self._failures < FAILURES
        if database != self.database:
            self.database = database
            if database:
                log.info("ready: PostgreSQL answers")
            if self._on_change is not None:
                await self._on_change(database)

    async def _ask(self) -> None:
        if self._migrated:
            await self._pool.fetchval("SELECT 1")
            return
        missing, _ = await migration_state(self._pool)
        if missing:
            raise NotMigrated(f"the database lacks {', '.join(missing)}: it waits for `stockward migrate`")
        self._migrated = True

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(CHECK_SECONDS)
