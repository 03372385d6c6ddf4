"""Writes what came of deliveries: whatever gathers while one transaction runs goes into the next one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from stockward_server.storage.database import NOT_STORED
from stockward_server.storage.webhooks.claims import Attempt, Release, SqlWebhooks

log = logging.getLogger(__name__)

BATCH = 500
"""Entries written in one transaction, at most."""

GATHER_SECONDS = 0.01
"""Between two transactions while there is much to write: one costs about the same for many entries as for few."""

UNREADABLE = "an error that cannot be stored"

PAUSE_SECONDS = 1.0
"""After a transaction that failed. It is tried again until it succeeds: what was sent must not be forgotten."""


class Recorder:
    """Entries are written in the order of their arrival; anyone who adds one does not wait for that."""

    def __init__(self, store: SqlWebhooks) -> None:
        self._store = store
        self._queue: list[Attempt | Release] = []
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, entry: Attempt | Release) -> None:
        """Soon to be written, after everything that was added before."""
        self._queue.append(entry)
        self._arrived.set()
        self._idle.clear()

    async def drained(self) -> None:
        """Returns when all that was added is written."""
        await self._idle.wait()

    async def run(self, on_release: Callable[[], None]) -> None:
        """Until it is cancelled; that is safe at any moment, as what is not written is sent again. `on_release` is
        called for lanes that may be claimed again: what came to them meanwhile has waited for that."""
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
        """One entry of the batch cannot be stored: it alone is written without what its receiver said, or left out."""
        if len(batch) > 1:
            for entry in batch:
                await self._write([entry])
            return
        (entry,) = batch
        if isinstance(entry, Attempt) and (entry.excerpt or entry.error != UNREADABLE):
            await self._write([replace(entry, excerpt="", error=entry.error and UNREADABLE)])
        else:
            log.error("what came of a delivery cannot be stored: %r", entry)

    async def _write(self, batch: Sequence[Attempt | Release]) -> None:
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
