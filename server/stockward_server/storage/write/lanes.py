"""Two committers in one process, so that short commands do not wait behind commands that touch many rows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

import asyncpg

from stockward_server.application.command import Command
from stockward_server.application.reads import CachedLoader
from stockward_server.application.response_codec import M, R, ResponseCodec
from stockward_server.runtime.turns import MUCH
from stockward_server.storage.database import Pool
from stockward_server.storage.write.committer import Committer
from stockward_server.storage.write.committer_metrics import CommitterMetrics

CACHE_SECONDS = 3600.0
"""How long the number of lines of an order or a reservation, which never changes, is cached."""

CACHE_BYTES = 8 * 2**20

LONG_SHARE = 4
"""Fraction of the queue that long commands may fill: one in so many places."""


class Lanes:
    """Runs commands of more than MUCH rows in separate transactions.

    Twenty orders of a thousand lines each take a second or two. A small order waits meanwhile only for rows that such
    an order has locked: row locks order the two committers, as they order several processes.
    """

    def __init__(self, pool: Pool, committer: Callable[[CommitterMetrics, int, bool], Committer], limit: int) -> None:
        """`committer` creates a committer from metrics, the limit of its queue, and whether its commands are long.
        `limit` is the maximum number of commands that wait."""
        self.metrics = CommitterMetrics()
        self._pool = pool
        self._short = committer(self.metrics, limit, False)
        self._long = committer(self.metrics, max(1, limit // LONG_SHARE), True)
        self._lines = CachedLoader(self._count_lines, CACHE_SECONDS, CACHE_BYTES)

    @property
    def queued(self) -> int:
        """Number of commands whose batch has not begun."""
        return self._short.queued + self._long.queued

    async def submit(self, command: Command[R], codec: ResponseCodec[R, M]) -> M:
        """Works as `Committer.submit`. A command on an order or a reservation weighs as many rows as that has lines."""
        weight = max(command.weight, await self._lines_of((*command.order_ids, *command.reservation_ids)))
        return await (self._long if weight > MUCH else self._short).submit(command, codec, weight)

    async def close(self) -> None:
        """Finishes queued commands in both committers, and stops."""
        await asyncio.gather(self._short.close(), self._long.close())

    async def _lines_of(self, ids: Sequence[str]) -> int:
        """Returns the total number of lines; 0 when the database is unavailable, an error that the command itself will
        report."""
        if ids:
            with contextlib.suppress(
                OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
            ):
                return sum((await self._lines.get_all(ids)).values())
        return 0

    async def _count_lines(self, ids: Sequence[str]) -> Mapping[str, int]:
        rows = await self._pool.fetch(
            """
            SELECT order_id::text AS id, count(*) AS lines FROM order_lines WHERE order_id = ANY($1::uuid[]) GROUP BY 1
            UNION ALL
            SELECT reservation_id::text, count(*) FROM reservation_lines WHERE reservation_id = ANY($1::uuid[])
            GROUP BY 1
            """,
            list(ids),
        )
        return {row["id"]: row["lines"] for row in rows}
