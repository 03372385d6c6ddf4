"""Readiness of a process: PostgreSQL is up and migrated, and the process is not stopping. NATS may be down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from stockward_server.storage.database import Pool, migration_state
from stockward_server.storage.log_epoch import OnStandby
from stockward_server.storage.postgres_version import PostgresTooOld

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""Seconds between two checks."""

SEARCH_SECONDS = 3.0
"""Seconds between two checks on a new connection, which finds the primary again: the former one may still respond."""

ANSWER_SECONDS = 2.0
"""Timeout of a check, in seconds."""

FAILURES = 2
"""Checks in a row that have to fail: one lost connection does not make a process unready."""


class NotMigrated(Exception):
    """The database lacks migrations of this release."""


class Readiness:
    """Checks PostgreSQL while `watch` runs. Calls `on_change` with the new state of the database."""

    def __init__(self, pool: Pool, on_change: Callable[[bool], Awaitable[None]] | None = None) -> None:
        """`pool` must be for these checks only: a pool for calls may be exhausted while PostgreSQL is up."""
        self.database = True
        """Whether PostgreSQL responds and has the migrations of this release."""
        self.stopping = False
        """Whether the process is stopping; the owner sets it."""
        self._pool = pool
        self._on_change = on_change
        self._failures = 0
        self._migrated = False

    @property
    def ready(self) -> bool:
        """Whether the process accepts work."""
        return self.database and not self.stopping

    async def look(self) -> None:
        """Checks PostgreSQL once. Missing migrations and an old version count at once, other failures after FAILURES in
        a row."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._ask()
            self._failures = 0
        except (NotMigrated, PostgresTooOld) as error:
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
        async with self._pool.acquire() as connection:
            try:
                if await connection.fetchval("SELECT pg_is_in_recovery()"):
                    raise OnStandby
            except (asyncio.CancelledError, TimeoutError):
                connection.terminate()  # no call is to wait for a PostgreSQL that does not respond
                raise
        if self._migrated:
            return
        missing, _ = await migration_state(self._pool)
        if missing:
            raise NotMigrated(f"the database lacks {', '.join(missing)}: it waits for `stockward migrate`")
        self._migrated = True

    async def watch(self) -> None:
        """Checks PostgreSQL every CHECK_SECONDS until it is cancelled."""
        loop = asyncio.get_running_loop()
        search_time = 0.0
        while True:
            since = loop.time()
            if since >= search_time:
                search_time = since + SEARCH_SECONDS
                await self._pool.expire_connections()
            await self.look()
            await asyncio.sleep(since + CHECK_SECONDS - loop.time())
