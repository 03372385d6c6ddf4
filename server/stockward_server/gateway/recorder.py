"""Writes what came of deliveries: whatever gathers while one transaction runs goes into the next one."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from stockward_server.storage.webhooks import Attempt, Lane, Release, SqlWebhooks

log = logging.getLogger(__name__)

BATCH = 500
"""Entries written in one transaction, at most."""

PAUSE_SECONDS = 1.0
"""After a transaction that failed. It is tried again until it succeeds: what was sent must not be forgotten."""


class Recorder:
    """Entries are written in the order of their arrival."""

    def __init__(self, store: SqlWebhooks) -> None:
        self._store = store
        self._queue: list[tuple[Attempt | Release, asyncio.Future[None] | None]] = []
        self._arrived = asyncio.Event()

    def add(self, attempt: Attempt) -> None:
        """Soon to be written, and before any release that is asked for later."""
        self._queue.append((attempt, None))
        self._arrived.set()

    async def release(self, lane: Lane, delay: timedelta) -> None:
        """Returns when the lane is given back, with all attempts before written."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((Release(lane, delay), written))
        self._arrived.set()
        await written

    async def run(self) -> None:
        """Until it is cancelled; that is safe at any moment, as what is not written is sent again."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
                await self._write(batch)

    async def _write(self, batch: list[tuple[Attempt | Release, asyncio.Future[None] | None]]) -> None:
        attempts = [entry for entry, _ in batch if isinstance(entry, Attempt)]
        releases = [entry for entry, _ in batch if isinstance(entry, Release)]
        while True:
            try:
                await self._store.record(attempts, releases)
            except Exception as error:
                log.warning("%d attempts cannot be written, trying again: %s", len(attempts), error)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                break
        for _, written in batch:
            if written is not None and not written.done():
                written.set_result(None)
