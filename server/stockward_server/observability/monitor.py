"""Monitors a process: readiness, the event loop's lag, and the metrics of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from prometheus_client import Metric

from stockward_server.observability.exposition import Exposition, Families
from stockward_server.observability.families import behind
from stockward_server.observability.readiness import ANSWER_SECONDS, Readiness
from stockward_server.runtime.supervision import end
from stockward_server.storage.cluster import Address
from stockward_server.storage.database import opened_pool
from stockward_server.storage.events.backlog import read_backlog

CONNECTIONS = 2
"""Connections to PostgreSQL for monitoring alone: one for readiness, one for metrics."""


@asynccontextmanager
async def watching(
    dsn: Address, families: Sequence[Families], on_change: Callable[[bool], Awaitable[None]] | None = None
) -> AsyncIterator[Exposition]:
    """Monitors the process within the block and yields its metrics. Calls `on_change` when PostgreSQL goes down (False)
    and when it is back (True)."""
    async with opened_pool(dsn, CONNECTIONS, command_timeout=ANSWER_SECONDS, read_only=True) as pool:

        async def read() -> Iterable[Metric]:
            return behind(await read_backlog(pool))

        readiness = Readiness(pool, on_change)
        await readiness.look()
        exposition = Exposition(readiness, families, read)
        tasks = [
            asyncio.create_task(readiness.watch(), name="readiness"),
            asyncio.create_task(exposition.watch(), name="event loop lag"),
        ]
        try:
            yield exposition
        finally:
            pool.terminate()  # aborts reads from a PostgreSQL that does not respond
            await end(*tasks)
