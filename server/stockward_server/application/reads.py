"""Reads that many callers share: combined into one query, and cached for a limited time.

As in the committer, while one query is in flight the keys of the next one gather, so a thousand callers cost a handful
of queries, and every value is read after it was requested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from stockward_server.runtime.turns import Turns

K = TypeVar("K")
V = TypeVar("V")

Load = Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]
"""Loads many keys at once; missing ones are left out."""


ENTRY_BYTES = 1024
"""Measured memory of one small cached value with its key."""

GATHER_SECONDS = 0.005
"""Pause between two queries while callers wait: a query costs about the same for many keys as for few, and responses
that leave together cost less. A single caller does not wait."""


FEW = 10
"""Keys that are no work to speak of."""

BULK = 250
"""Maximum bulk keys of one query: single keys are in every query, and no query takes long."""


class BatchLoader(Generic[K, V]):
    """Returns single values by loading many keys at once. Caches nothing."""

    def __init__(self, load: Load[K, V], limit: int = 500) -> None:
        """`limit`: keys of one query."""
        self._load = load
        self._limit = limit
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._bulk: dict[K, asyncio.Future[V | None]] = {}
        """Keys that are loaded when single keys leave room."""
        self._task: asyncio.Task[None] | None = None

    def read(self, key: K, *, bulk: bool = False) -> asyncio.Future[V | None]:
        """Returns a future of the value, or None, read after this call. All callers share it: shield it when awaiting.
        `bulk`: the caller requests many keys."""
        future = self._waiting.get(key) or self._bulk.get(key)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="gathered reads")
            (self._bulk if bulk else self._waiting)[key] = future
        elif not bulk:
            self.hurry(key)
        return future

    def hurry(self, key: K) -> None:
        """Moves a key that is now requested singly ahead of the bulk keys."""
        if (future := self._bulk.pop(key, None)) is not None:
            self._waiting[key] = future

    async def _run(self) -> None:
        try:
            while self._waiting or self._bulk:
                futures = {key: self._waiting.pop(key) for key in list(islice(self._waiting, self._limit))}
                room = min(BULK, self._limit - len(futures))
                futures |= {key: self._bulk.pop(key) for key in list(islice(self._bulk, room))}
                try:
                    found = await self._load(list(futures))
                except Exception as error:
                    for future in futures.values():
                        future.set_exception(error)
                        future.exception()  # mark it as retrieved, even if all callers have gone
                else:
                    for key, future in futures.items():
                        future.set_result(found.get(key))
                if self._waiting or self._bulk:
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            self._task = None


@dataclass(eq=False, slots=True)
class _Entry(Generic[V]):
    answer: asyncio.Future[V | None]
    end: float
    """When it expires, by the event loop's clock."""
    size: int


class CachedLoader(Generic[K, V]):
    """Caches batched reads for up to `max_age` seconds, counted from the request.

    `invalidate` drops values that a commit has changed, at once: a writer reads its own write. Writes of other
    processes become visible within `max_age`. A `max_age` of 0 disables the cache. The oldest values are evicted when
    the cache exceeds `max_bytes`.
    """

    def __init__(
        self,
        load: Load[K, V],
        max_age: float,
        max_bytes: int = 32 * 2**20,
        size_of: Callable[[V], int] = lambda value: 0,
    ) -> None:
        """`size_of` returns the bytes of a value beyond ENTRY_BYTES."""
        self.hits = 0
        """Reads served from the cache or by a query in flight."""
        self.misses = 0
        self.bytes = 0
        """Approximate memory of the cache."""
        self._reads = BatchLoader(load)
        self._max_age = max_age
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._entries: dict[K, _Entry[V]] = {}
        """In the order of the requests, so that expired values come first."""

    async def get(self, key: K) -> V | None:
        """Returns the value, or None when there is none."""
        future = self._future(key)
        return future.result() if future.done() else await asyncio.shield(future)

    async def get_all(self, keys: Collection[K]) -> dict[K, V]:
        """Returns the values of those keys that have one. Callers who ask for the same few keys are answered in the
        order in which they asked."""
        turns, bulk, few = Turns(), len(keys) > BULK, len(keys) <= FEW
        futures: dict[K, asyncio.Future[V | None]] = {}
        for key in keys:
            futures[key] = self._future(key, bulk=bulk)
            if not few:
                await turns.give()
        found: dict[K, V] = {}
        for key, future in futures.items():
            value = future.result() if future.done() else await asyncio.shield(future)
            if value is not None:
                found[key] = value
            if not few:
                await turns.give()
        return found

    def invalidate(self, keys: Iterable[K]) -> None:
        """Drops these keys. A query in flight still serves callers that already wait for it, but no others."""
        for key in keys:
            if (known := self._entries.pop(key, None)) is not None:
                self.bytes -= known.size

    def invalidate_all(self) -> None:
        """Drops all keys."""
        self._entries.clear()
        self.bytes = 0

    def _future(self, key: K, *, bulk: bool = False) -> asyncio.Future[V | None]:
        if not self._max_age:
            self.misses += 1
            return self._reads.read(key, bulk=bulk)
        now = asyncio.get_running_loop().time()
        known = self._entries.get(key)
        if known is not None and now < known.end and not (known.answer.done() and known.answer.exception()):
            self.hits += 1
            if not bulk and not known.answer.done():
                self._reads.hurry(key)
            return known.answer
        self.misses += 1
        self.invalidate([key])
        known = self._entries[key] = _Entry(self._reads.read(key, bulk=bulk), now + self._max_age, ENTRY_BYTES)
        self.bytes += ENTRY_BYTES
        known.answer.add_done_callback(lambda answer: self._add_size(key, known))
        self._make_room(now)
        return known.answer

    def _add_size(self, key: K, known: _Entry[V]) -> None:
        """Counts the memory of a value, unless it was dropped before it arrived."""
        if self._entries.get(key) is not known or known.answer.exception() is not None:
            return
        value = known.answer.result()
        if value is not None:
            size = self._size_of(value)
            known.size += size
            self.bytes += size
            self._make_room(asyncio.get_running_loop().time())

    def _make_room(self, now: float) -> None:
        while self._entries:
            key, oldest = next(iter(self._entries.items()))
            if now < oldest.end and self.bytes <= self._max_bytes:
                return
            del self._entries[key]
            self.bytes -= oldest.size
