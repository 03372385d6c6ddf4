"""Reads that many callers share: gathered into one query, and remembered for a bounded time.

The same idea as the committer's: while one query is in flight, the keys asked for meanwhile gather for the next, so a
thousand callers cost a handful of queries and every answer was read after it was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from cachetools import TTLCache

K = TypeVar("K")
V = TypeVar("V")

Load = Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]
"""Reads many keys at once; those that do not exist are left out."""


GATHER_SECONDS = 0.005
"""Between two queries while others ask: one costs about the same for many keys as for few, and answers that leave
together cost less than one by one. Who asks alone does not wait."""


class GatheredReads(Generic[K, V]):
    """Answers single keys by loading many at once. Nothing is remembered."""

    def __init__(self, load: Load[K, V], limit: int = 500) -> None:
        """`limit`: keys of one query."""
        self._load = load
        self._limit = limit
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    def read(self, key: K) -> asyncio.Future[V | None]:
        """The value, or None, read after this call. The future is shared by all who ask: await it shielded."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="gathered reads")
        return future

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._limit]
                futures = {key: self._waiting.pop(key) for key in keys}
                try:
                    found = await self._load(keys)
                except Exception as error:
                    for future in futures.values():
                        future.set_exception(error)
                        future.exception()  # seen, even when every caller has gone
                else:
                    for key, future in futures.items():
                        future.set_result(found.get(key))
                if self._waiting:
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            self._task = None


class RememberedReads(Generic[K, V]):
    """Gathered reads whose answers are given again for up to `max_age` seconds, counted from when they were asked for.

    `forget` drops what a commit made old, at once: a writer reads its own write. What other processes write shows
    within `max_age`. With `max_age` 0 nothing is remembered.
    """

    def __init__(self, load: Load[K, V], max_age: float, max_entries: int = 100_000) -> None:
        self.hits = 0
        """Answers that were remembered, or being read already."""
        self.misses = 0
        self._reads = GatheredReads(load)
        self._remembered: TTLCache[K, asyncio.Future[V | None]] | None = (
            TTLCache(max_entries, max_age) if max_age else None
        )

    async def get(self, key: K) -> V | None:
        """The value, or None when there is none."""
        future = self._future(key)
        return future.result() if future.done() else await asyncio.shield(future)

    async def get_all(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of those keys that have one."""
        futures = {key: self._future(key) for key in keys}
        values = {
            key: future.result() if future.done() else await asyncio.shield(future) for key, future in futures.items()
        }
        return {key: value for key, value in values.items() if value is not None}

    def forget(self, keys: Iterable[K]) -> None:
        """The next `get` of these reads anew. A read under way answers those who wait for it, and no one else."""
        if self._remembered is not None:
            for key in keys:
                self._remembered.pop(key, None)

    def forget_all(self) -> None:
        """The next `get` of anything reads anew."""
        if self._remembered is not None:
            self._remembered.clear()

    def _future(self, key: K) -> asyncio.Future[V | None]:
        if self._remembered is None:
            self.misses += 1
            return self._reads.read(key)
        try:
            future = self._remembered[key]  # `get` would look twice
            if not future.done() or future.exception() is None:
                self.hits += 1
                return future
        except KeyError:
            pass
        self.misses += 1
        future = self._remembered[key] = self._reads.read(key)
        return future
