"""The PostgreSQL servers of DATABASE_URL, of which one is the primary.

After a failover another one is. A former primary may be dead, may stand still with its connections open, or may not
know that it was replaced. So all servers are tried at once, and of those that can be written to, the one with the
highest timeline is the primary: each promotion begins a new one. The knowledge is shared by everything in the process:
once the new primary is found, connections to the former one are terminated, also those in use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

import asyncpg

from stockward_server.runtime.database_url import TO_A_STANDBY, Host, hosts_of, without_client_parameters
from stockward_server.storage.connection import DurableConnection
from stockward_server.storage.log_epoch import NOT_PERMITTED, OnStandby

log = logging.getLogger(__name__)

Address: TypeAlias = "str | Cluster"
"""A URL of PostgreSQL, or the cluster that a process shares."""

CONNECT_SECONDS = 10.0
"""Time limit for connecting to the only server that there is."""

PATIENCE = 3.0
"""Seconds that one of several servers may take while none that can be written to has answered."""

GRACE = 0.3
"""Seconds that the others get when one that can be written to has answered: it may be a former primary."""

IDENTITY = """
    SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
           (SELECT system_identifier FROM pg_control_system())
"""
"""Selects the timeline, null on a standby, and what a cluster shares with its standbys only."""


class FormerPrimary(ConnectionError):
    """The server was replaced as the primary, and does not know it."""

    def __init__(self) -> None:
        super().__init__("the database is a former primary: another one has taken over")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database a connection leads to."""

    timeline: int
    """0 where PostgreSQL does not permit to read it."""
    system: int

    def replaced_by(self, other: Identity) -> bool:
        """Returns whether `other` took over from it."""
        return self.system == other.system and self.timeline < other.timeline


@dataclass(frozen=True, slots=True)
class Reached:
    """An open connection, and where it leads."""

    connection: DurableConnection
    identity: Identity | None
    """None: to a standby."""


class Cluster:
    """Connects to the primary. One object a process knows all of its connections."""

    def __init__(self, url: str) -> None:
        """`url` names one or several servers. Raises ValueError when it is malformed."""
        self.url = without_client_parameters(url)
        self._hosts = hosts_of(url)
        self._primary: Identity | None = None
        self._open: WeakKeyDictionary[DurableConnection, Identity] = WeakKeyDictionary()
        self._silent: Collection[Host] = ()
        """Servers that did not answer the last time; a search does not wait for them."""

    @classmethod
    def of(cls, address: Address) -> Cluster:
        """Returns the cluster of a URL."""
        return address if isinstance(address, Cluster) else cls(address)

    async def connect(self, *, standby_too: bool = False, **options: Any) -> DurableConnection:
        """Returns a connection to the primary; `options` are those of the driver. Raises OnStandby when there are only
        standbys, unless `standby_too` allows them, and FormerPrimary when the new primary does not answer."""
        options = {**options, "connection_class": DurableConnection}
        reached = await (self._race(options) if len(self._hosts) > 1 else self._reach(None, CONNECT_SECONDS, options))
        try:
            self._note(reached, standby_too)
        except BaseException:
            reached.connection.terminate()
            raise
        return reached.connection

    def _note(self, reached: Reached, standby_too: bool) -> None:
        """Remembers a connection, and terminates those to a primary that was replaced."""
        found, known = reached.identity, self._primary
        if found is None:
            if not standby_too:
                raise OnStandby
            return
        if known is not None and found.replaced_by(known):
            raise FormerPrimary
        self._open[reached.connection] = found
        if known == found:
            return
        self._primary = found
        left = [each for each, identity in self._open.items() if identity != found and not each.is_closed()]
        if left:
            log.warning("another primary has taken over (timeline %d): %d connections end", found.timeline, len(left))
        for each in left:
            each.terminate()

    async def _race(self, options: dict[str, Any]) -> Reached:
        """Tries all servers at once and returns the primary, or else a standby."""
        loop = asyncio.get_running_loop()
        trying = {asyncio.create_task(self._reach(host, PATIENCE, options)): host for host in self._hosts}
        pending, reached = set(trying), list[Reached]()
        errors: list[BaseException] = []
        end = loop.time() + PATIENCE
        try:
            while pending and (left := end - loop.time()) > 0:
                done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if error := task.exception():
                        errors.append(error)
                    else:
                        reached.append(task.result())
                if any(each.identity for each in reached):
                    end = min(end, loop.time() + GRACE)
                    if all(trying[task] in self._silent for task in pending):
                        break
            self._silent = [trying[task] for task in pending]
            best = max(reached, key=_rank, default=None)
        except BaseException:
            best = None
            raise
        finally:
            for task in pending:
                task.cancel()
                task.add_done_callback(_terminate_result)
            for each in reached:
                if each is not best:
                    each.connection.terminate()
        if best is None:
            if errors:
                raise next((each for each in errors if isinstance(each, asyncpg.PostgresError)), errors[0])
            raise TimeoutError(f"no server answered within {PATIENCE:g} s")
        return best

    async def _reach(self, host: Host | None, seconds: float, options: dict[str, Any]) -> Reached:
        """Connects to one server; None: to the one that the URL names."""
        where: dict[str, Any] = {} if host is None else {"host": host.name, "port": host.port}
        async with asyncio.timeout(seconds):
            connection = await asyncpg.connect(self.url, **where, **{**options, "timeout": seconds})
            try:
                return Reached(connection, await _identity(connection))
            except BaseException:
                connection.terminate()
                raise


class Standby:
    """Connects to one server of DATABASE_READ_URL, whether it is a standby or not: what it shows is judged before each
    read."""

    def __init__(self, url: str, host: Host | None) -> None:
        """`host` is one of those that `url` names; None: the driver's own choice."""
        self.url = without_client_parameters(url)
        self.host = host or "default"
        self._where: dict[str, Any] = {} if host is None else {"host": host.name, "port": host.port}
        self._open: WeakSet[DurableConnection] = WeakSet()

    async def connect(self, *, standby_too: bool = True, **options: Any) -> DurableConnection:
        """Returns a connection; `options` are those of the driver."""
        connection: DurableConnection = await asyncpg.connect(
            self.url, **self._where, **{**options, "connection_class": DurableConnection, "timeout": CONNECT_SECONDS}
        )
        self._open.add(connection)
        return connection

    def terminate(self) -> None:
        """Terminates all connections, also those in use."""
        for connection in list(self._open):
            connection.terminate()


def standbys_of(url: str) -> Sequence[Standby]:
    """Returns the servers of a URL of standbys. Raises ValueError when it is malformed."""
    hosts: Sequence[Host | None] = hosts_of(url, TO_A_STANDBY) or [None]
    return [Standby(url, host) for host in hosts]


async def _identity(connection: DurableConnection) -> Identity | None:
    """Returns which database it is; None on a standby."""
    try:
        row: Any = await connection.fetchrow(IDENTITY)
    except NOT_PERMITTED:  # a service that does not permit these functions has one address for its servers
        row = await connection.fetchrow("SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE '0' END, 0")
    timeline, system = row
    return None if timeline is None else Identity(int(timeline, 16), system)


def _rank(reached: Reached) -> int:
    return -1 if reached.identity is None else reached.identity.timeline


def _terminate_result(task: asyncio.Task[Reached]) -> None:
    """Ends a connection that was made while its task was cancelled."""
    if not task.cancelled() and task.exception() is None:
        task.result().connection.terminate()
