"""Records attempts and releases lanes in batches: entries that arrive during one transaction go into the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from stockward_server.storage.database import NOT_STORED
from stockward_server.storage.webhooks.claims import Attempt, Release, SqlWebhooks

log = logging.getLogger(__name__)

BATCH = 500
"""Maximum of entries written in one transaction."""

GATHER_SECONDS = 0.01
"""Seconds between two full batches: a transaction costs about the same for many entries as for few."""

UNREADABLE = "an error that cannot be stored"
"""Error text that replaces one that PostgreSQL does not store."""

PAUSE_SECONDS = 1.0
"""Seconds after a failed transaction. It is retried until it succeeds: an attempt that was made must be recorded."""


class Recorder:
    """Writes entries in the order of their arrival, in the background."""

    def __init__(self, store: SqlWebhooks) -> None:
        self._store = store
        self._queue: list[Attempt | Release] = []
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, entry: Attempt | Release) -> None:
        """Queues an entry, which is written after all entries added before."""
        self._queue.append(entry)
        self._arrived.set()
        self._idle.clear()

    async def drained(self) -> None:
        """Returns when all added entries are written."""
        await self._idle.wait()

    async def run(self, on_release: Callable[[], None]) -> None:
        """Writes entries until it is cancelled, which is safe at any moment: deliveries whose attempts are not recorded
        are sent again. Calls `on_release` when lanes can be claimed again, as new deliveries may wait in them."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
                await self._write(batch)
                if any(isinstance(entry, Release) for entry in batch):
                    on_release()
                if self._queue:
                    await asyncio.sleep(GATHER_SECONDS)
            self._idle.set()

    async def _write_singly(self, batch: Sequence[Attempt | Release]) -> None:
        """Writes the entries of a batch one by one, since one of them cannot be stored. That one is written without the
        receiver's text, or left out and logged."""
        if len(batch) > 1:
            for entry in batch:
                await self._write([entry])
            return
        (entry,) = batch
        if isinstance(entry, Attempt) and (entry.excerpt or entry.error != UNREADABLE):
            await self._write([entry._replace(excerpt="", error=entry.error and UNREADABLE)])
        else:
            log.error("what came of a delivery cannot be stored: %r", entry)

    async def _write(self, batch: Sequence[Attempt | Release]) -> None:
        """Writes the batch in one transaction, and retries it until it is written."""
        attempts = [entry for entry in batch if isinstance(entry, Attempt)]
        releases = [entry for entry in batch if isinstance(entry, Release)]
        while True:
            try:
                await self._store.record(attempts, releases)
                return
            except Exception as error:
                if isinstance(error, NOT_STORED):
                    await self._write_singly(batch)
                    return
                log.warning("%d attempts cannot be written, trying again: %s", len(attempts), error)
                await asyncio.sleep(PAUSE_SECONDS)
