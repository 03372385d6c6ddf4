"""Reads that may be served by a standby: lists, searches, the ledger and audits.

Before each read the standby is asked, on the same connection, how far it is; `freshness` says whether that is enough.
Otherwise, and whenever a standby fails, the read goes to the primary, and the caller notices nothing. A standby that is
silent costs a caller CHECK_SECONDS at most, and from then on nothing, until it answers a probe again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from math import inf
from typing import Any, Protocol, TypeVar

import asyncpg
from asyncpg import Record

from stockward_server.application.consistency import required_point
from stockward_server.runtime.supervision import end, raise_if_cancelled
from stockward_server.storage.cluster import Cluster, Standby, standbys_of
from stockward_server.storage.database import (
    Executor,
    Pool,
    is_database_down,
    is_race_lost,
    opened_pool,
    read_snapshot,
    snapshot_on,
    use_of,
)
from stockward_server.storage.read.freshness import Mark, Marks, Shown, Verdict

T = TypeVar("T")

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""Seconds within which a standby has to say how far it is, a connection to it included."""

MAX_PAUSE = 1.0
"""Longest pause between two marks of the primary, and between two probes of a standby, in seconds."""

MARKS_PER_BOUND = 4
"""Marks of the primary within the age that a replica may have: it seems older than it is by the pause between two."""

MARK = "SELECT epoch, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint FROM log_epochs ORDER BY number DESC LIMIT 1"

SHOWN = """
    SELECT pg_is_in_recovery(), epoch, coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint, 0), first_seq,
           pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    FROM log_epochs ORDER BY number DESC LIMIT 1
"""
"""Selects the columns of `Shown`. Reads come after it, and so show at least as much."""

Read = Callable[[Executor], Awaitable[T]]
"""Reads on a connection. May be called again on another one."""


class Reads(Protocol):
    """Where a view reads."""

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> Sequence[Record]:
        """Returns the rows of one statement, which may take `timeout` seconds."""
        ...

    async def snapshot(self, read: Read[T]) -> T:
        """Returns what several statements read in one snapshot."""
        ...


class PrimaryReads:
    """Reads on the primary."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> Sequence[Record]:
        rows: Sequence[Record] = await self._pool.fetch(sql, *arguments, timeout=timeout)
        return rows

    async def snapshot(self, read: Read[T]) -> T:
        return await read_snapshot(self._pool, read)


class Replica:
    """One standby, with connections for reads, and one for probes, which must not wait until reads have ended."""

    def __init__(self, standby: Standby, pool: Pool, probes: Pool) -> None:
        self.name = str(standby.host)
        self.age = inf
        """Seconds by which it may be behind, as of the last probe."""
        self.usable = False
        """Whether it answered last and may be fresh enough for reads."""
        self._standby = standby
        self._pool = pool
        self._probes = probes

    @property
    def busy(self) -> bool:
        """Whether all of its connections are in use."""
        use = use_of(self._pool)
        return use.used == use.most

    def asked(self) -> AbstractAsyncContextManager[tuple[Executor, Shown]]:
        """Yields a connection and what it shows. Raises TimeoutError when the standby does not say within
        CHECK_SECONDS, and all errors of connecting."""
        return self._asked(self._pool)

    @asynccontextmanager
    async def _asked(self, pool: Pool) -> AsyncIterator[tuple[Executor, Shown]]:
        async with asyncio.timeout(CHECK_SECONDS) as limit, pool.acquire() as connection:
            try:
                row = await connection.fetchrow(SHOWN)
            except (asyncio.CancelledError, TimeoutError):
                connection.terminate()  # no read is to wait until a silent server has cancelled a statement
                raise
            limit.reschedule(None)
            assert row is not None
            yield connection, Shown(*row.values())

    async def probe(self, marks: Marks, max_age: float) -> None:
        """Asks the standby how far it is. If it fails twice in a row, its connections are closed: a reader on one
        of them goes to the primary."""
        try:
            verdict = await self.judged(marks, max_age)
        except Exception as error:
            if not self.usable:
                self._standby.terminate()
            self.fail(error)
        else:
            self._become(verdict is Verdict.FRESH, verdict)

    async def judged(self, marks: Marks, max_age: float) -> Verdict:
        """Returns whether the standby is fresh enough. Raises as `asked`."""
        async with self._asked(self._probes) as (_, shown):
            now = asyncio.get_running_loop().time()
        self.age = marks.age(shown, now)
        return marks.judge(shown, now, max_age, None)

    def fail(self, error: Exception) -> None:
        """Takes the standby out of use until it answers a probe."""
        self.age = inf
        self._become(False, repr(error))

    def _become(self, usable: bool, reason: str) -> None:
        if usable != self.usable:
            self.usable = usable
            if usable:
                log.info("replica %s is read", self.name)
            else:
                log.warning("replica %s is not read: %s", self.name, reason)


class ReplicaReads:
    """Reads on a standby that is fresh enough, and otherwise on the primary."""

    def __init__(self, primary: Pool, replicas: Sequence[Replica], max_age: float) -> None:
        """`max_age`: how old a standby may be, in seconds."""
        self.replicas = replicas
        self.served: Counter[tuple[str, str]] = Counter()
        """Reads, by where they were served, and by the reason why that was the primary."""
        self._primary = PrimaryReads(primary)
        self._max_age = max_age
        self._marks = Marks()

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> Sequence[Record]:
        async def read(connection: Executor) -> Sequence[Record]:
            rows: Sequence[Record] = await connection.fetch(sql, *arguments, timeout=timeout)
            return rows

        return await self._read(read, lambda: self._primary.fetch(sql, *arguments, timeout=timeout))

    async def snapshot(self, read: Read[T]) -> T:
        return await self._read(lambda connection: snapshot_on(connection, read), lambda: self._primary.snapshot(read))

    async def _read(self, read: Read[T], on_primary: Callable[[], Awaitable[T]]) -> T:
        loop, reason = asyncio.get_running_loop(), "no_replica"
        for replica in self._candidates():
            try:
                async with replica.asked() as (connection, shown):
                    verdict = self._marks.judge(shown, loop.time(), self._max_age, required_point())
                    if verdict is Verdict.FRESH:
                        found = await read(connection)
                        self.served["replica", ""] += 1
                        return found
                    reason = verdict.value
            except Exception as error:
                if not _is_of_replica(error):
                    raise
                reason = "busy" if isinstance(error, TimeoutError) and replica.busy else "failed"
                if reason == "failed" and is_database_down(error):
                    replica.fail(error)
                break
        self.served["primary", reason] += 1
        return await on_primary()

    def _candidates(self) -> Iterable[Replica]:
        """Returns the standbys that are in use, in random order."""
        usable = [replica for replica in self.replicas if replica.usable]
        return random.sample(usable, len(usable))

    async def watch_primary(self, pool: Pool) -> None:
        """Marks how far the primary is, until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            try:
                self._marks.add(await mark_of(pool))
            except Exception as error:
                log.debug("the primary does not say how far it is: %r", error)
            raise_if_cancelled()
            await asyncio.sleep(now + self._pause - loop.time())

    async def watch(self, replica: Replica) -> None:
        """Probes a standby until it is cancelled."""
        while True:
            await replica.probe(self._marks, self._max_age)
            raise_if_cancelled()
            await asyncio.sleep(self._pause)

    @property
    def _pause(self) -> float:
        return min(MAX_PAUSE, self._max_age / MARKS_PER_BOUND)


async def mark_of(primary: Pool) -> Mark:
    """Returns how far the primary is now. Raises TimeoutError when it does not say within CHECK_SECONDS, and all errors
    of connecting."""
    now = asyncio.get_running_loop().time()
    async with asyncio.timeout(CHECK_SECONDS), primary.acquire() as connection:
        try:
            row = await connection.fetchrow(MARK)
        except (asyncio.CancelledError, TimeoutError):
            connection.terminate()
            raise
    assert row is not None
    return Mark(now, *row.values())


def _is_of_replica(error: Exception) -> bool:
    """Returns whether the primary may succeed: the standby is away, lacks a migration, or has cancelled the read since
    the primary has removed rows that it needs (a serialization failure)."""
    return is_database_down(error) or is_race_lost(error) or isinstance(error, asyncpg.QueryCanceledError)


@asynccontextmanager
async def opened_replica(standby: Standby, size: int) -> AsyncIterator[Replica]:
    """Opens a standby for the length of a block, with up to `size` connections and one for probes."""
    async with opened_pool(standby, size, read_only=True) as pool, opened_pool(standby, 1, read_only=True) as probes:
        yield Replica(standby, pool, probes)


@asynccontextmanager
async def opened_replicas(
    url: str, cluster: Cluster, primary: Pool, size: int, max_age: float
) -> AsyncIterator[ReplicaReads]:
    """Opens the standbys of a URL for the length of a block, each with up to `size` connections and one for probes.
    `primary` serves what they cannot; one more connection to `cluster` marks how far it is."""
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(opened_replica(each, size)) for each in standbys_of(url)]
        reads = ReplicaReads(primary, replicas, max_age)
        marking = await stack.enter_async_context(opened_pool(cluster, 1, read_only=True))
        tasks = [asyncio.create_task(reads.watch_primary(marking), name="marks of the primary")]
        tasks += [asyncio.create_task(reads.watch(each), name=f"replica {each.name}") for each in replicas]
        stack.push_async_callback(end, *tasks)
        yield reads
