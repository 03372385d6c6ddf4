"""The connection pool, migrations, and the classification of database errors."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from pogo_core.error import BadMigrationError
from pogo_core.util.migrate import apply

from stockward_server.domain.errors import DatabaseUnavailable, FieldInvalid, Refusal
from stockward_server.storage.cluster import Address, Cluster, FormerPrimary, Standby
from stockward_server.storage.connection import DurableConnection
from stockward_server.storage.log_epoch import OnStandby, ensure_epoch
from stockward_server.storage.postgres_version import check_version

if TYPE_CHECKING:  # generic only for the type checker
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
    Executor = Connection | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Connection = Pool = Executor = Any

T = TypeVar("T")

log = logging.getLogger(__name__)

logging.getLogger("pogo_core").setLevel(logging.ERROR)  # the caller reports which migrations were applied

MIGRATIONS = Path(__file__).parent / "migrations"
IN_USE = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
NOT_MIGRATED = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
NOT_STORED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, UnicodeError)
"""Errors for values that can never be stored, such as a NUL in a text."""
REFUSING = (asyncpg.InsufficientResourcesError, asyncpg.PostgresSystemError, asyncpg.ReadOnlySQLTransactionError)
"""Errors of a database that responds and cannot work, such as with a full disk: nothing was changed, and trying again
at once does not help."""
MIGRATION_LOCK = 0x73746F636B  # any constant will do; it spells "stock"

LOCK_TIMEOUT = "500ms"
"""How long a schema change waits for its lock; while it waits, later transactions wait behind it. Shorter than
PostgreSQL's `deadlock_timeout` (1 s), so that no server's transaction is aborted because of it."""

CLOSE_SECONDS = 1.0
"""Time limit for closing the connections of a pool."""

SNAPSHOT_TRIES = 10
"""Maximum number of reads when migrations run in between."""

LOCK_TRIES, LOCK_PAUSE = 60, 0.5
"""Number of attempts of a migration to get its locks, and the seconds between them in which other transactions can
run."""


def is_database_down(error: BaseException) -> bool:
    """Returns whether the connection broke or the database is unavailable, so that a retry can succeed.

    The outcome of a COMMIT in flight is then unknown.
    """
    if isinstance(error, asyncpg.DataError):  # a subclass of InterfaceError, but about an argument
        return False
    if isinstance(error, REFUSING):
        return True
    return isinstance(
        error,
        OSError
        | TimeoutError
        | asyncpg.PostgresConnectionError
        | asyncpg.InterfaceError
        | asyncpg.InternalClientError  # the driver reports a connection that was closed while idle as busy
        | asyncpg.CannotConnectNowError
        | asyncpg.TooManyConnectionsError
        | asyncpg.AdminShutdownError
        | asyncpg.CrashShutdownError
        | asyncpg.UndefinedTableError  # not migrated yet
        | asyncpg.UndefinedColumnError,
    )


def is_refusing(error: BaseException) -> bool:
    """Returns whether the database responds and cannot do what was asked."""
    return isinstance(error, REFUSING) and not isinstance(error, asyncpg.TooManyConnectionsError)


def refusal_of(error: BaseException) -> Refusal | None:
    """Returns the Refusal documented for a database error, or None."""
    if isinstance(error, NOT_MIGRATED):
        return DatabaseUnavailable.not_migrated()
    if isinstance(error, asyncpg.DiskFullError):
        return DatabaseUnavailable.disk_full()
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError | OnStandby | FormerPrimary):
        return DatabaseUnavailable.read_only()
    if is_refusing(error):
        return DatabaseUnavailable.out_of_order()
    if is_database_down(error):
        return DatabaseUnavailable.unreachable()
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.DeadlockDetectedError):
        return DatabaseUnavailable.migrating()  # only a migration can deadlock with a server
    if isinstance(error, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError):
        return FieldInvalid("", "a text has a character that cannot be stored: NUL")
    return None


def is_race_lost(error: BaseException) -> bool:
    """Returns whether a concurrent transaction caused the error, so that a retry in a new transaction can succeed."""
    return isinstance(
        error,
        asyncpg.UniqueViolationError  # inserted by the other transaction
        | asyncpg.ForeignKeyViolationError  # a referenced row, such as a variant, was deleted
        | asyncpg.SerializationError
        | asyncpg.DeadlockDetectedError
        | asyncpg.InvalidCachedStatementError,  # a migration ran
    )


async def open_pool(
    address: Address | Standby, size: int, command_timeout: float = 30.0, *, read_only: bool = False
) -> Pool:
    """Returns a pool of up to `size` connections to the primary, or to one standby; statements are cancelled after
    `command_timeout` seconds. With `read_only` nothing is written: no epoch of the event log begins, and where there is
    no primary a standby will do.

    No code changes session state on a pooled connection, so releasing one costs no round trip.
    """
    server = address if isinstance(address, Standby) else Cluster.of(address)

    async def connect(_: str, **options: Any) -> DurableConnection:
        return await server.connect(standby_too=read_only, **options)

    pool: Pool = await asyncpg.create_pool(  # type: ignore[call-overload]  # whose stubs know no further options
        server.url,
        connect=connect,
        connection_class=DurableConnection,
        min_size=0,  # an unavailable database fails the caller, not a task of the pool
        max_size=size,
        command_timeout=command_timeout,
        init=decode_json if read_only else prepare_connection,
        reset=_keep_session,
        server_settings={"application_name": "stockward", "timezone": "UTC"},
    )
    return pool


@asynccontextmanager
async def opened_pool(
    address: Address | Standby, size: int, command_timeout: float = 30.0, *, read_only: bool = False
) -> AsyncIterator[Pool]:
    """Opens a pool for the length of a block. Connections that are not closed within CLOSE_SECONDS are terminated: when
    PostgreSQL no longer responds, closing one takes as long as the timeout of a statement."""
    pool = await open_pool(address, size, command_timeout, read_only=read_only)
    try:
        yield pool
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()


async def prepare_connection(connection: Connection) -> None:
    """Ensures that what this connection writes belongs to the right epoch of the event log."""
    await decode_json(connection)
    await ensure_epoch(connection)


async def decode_json(connection: Connection) -> None:
    """Decodes JSON columns to Python objects. Raises PostgresTooOld."""
    check_version(connection)
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _keep_session(connection: Any) -> None:
    return None


class SessionNotKept(ConnectionError):
    """A pooler gives every transaction another session, so session locks would not belong to one client."""

    def __init__(self) -> None:
        super().__init__(
            "DATABASE_URL leads through a pooler that does not keep sessions: relay, gateway and migrate hold locks "
            "for the length of one. Give them the address of PostgreSQL itself, or of a pool in session mode"
        )


async def check_session(connection: Connection, cluster: Cluster) -> None:
    """Raises SessionNotKept unless the connection keeps its session from one transaction to the next.

    A pooler is recognised by the process id that it invents. A trial shows whether it keeps sessions: in transaction
    mode it gives the session that was used last to the next transaction of any client.
    """
    try:
        own = await connection.fetchval("SELECT pg_backend_pid()")
        if own == connection.get_server_pid():
            return
        other = await cluster.connect()
        try:
            async with other.transaction():
                await other.execute("SELECT 1")
                if await connection.fetchval("SELECT pg_backend_pid()", timeout=5.0) == own:
                    return
        finally:
            await other.close()
    # Either no session is free, or it is a different one, without the prepared statement.
    except (TimeoutError, asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError) as error:
        raise SessionNotKept from error
    raise SessionNotKept


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Numbers of connections of a pool."""

    used: int
    idle: int
    most: int
    waiting: int
    """Tasks that wait for a connection."""


def use_of(pool: Pool) -> PoolUse:
    """Returns the current use of a pool."""
    idle = pool.get_idle_size()
    waiting = getattr(getattr(pool, "_queue", None), "_getters", ())  # asyncpg has no public attribute for it
    return PoolUse(pool.get_size() - idle, idle, pool.get_max_size(), len(waiting))


@asynccontextmanager
async def transaction(pool: Pool, **options: Any) -> AsyncIterator[Executor]:
    """Opens a transaction on a connection of the pool. A COMMIT that is abandoned ends the connection. A
    refusal to write replaces all: it may be that of their sessions, and last as long."""
    async with pool.acquire() as connection:
        try:
            async with connection.transaction(**options):
                yield connection
        except asyncpg.ReadOnlySQLTransactionError:
            await pool.expire_connections()
            raise


async def read_snapshot(pool: Pool, read: Callable[[Executor], Awaitable[T]]) -> T:
    """Reads one snapshot with several statements. Reads again when a migration ran in between: the driver prepares a
    statement again by itself only outside a transaction."""
    tries = SNAPSHOT_TRIES
    while True:
        tries -= 1
        try:
            async with pool.acquire() as connection:
                return await snapshot_on(connection, read)
        except (asyncpg.InvalidCachedStatementError, asyncpg.DeadlockDetectedError):
            if not tries:
                raise


async def snapshot_on(connection: Executor, read: Callable[[Executor], Awaitable[T]]) -> T:
    """Reads one snapshot on a connection."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await read(connection)


async def migrate(url: str, migrations: Path = MIGRATIONS) -> list[str]:
    """Applies pending migrations and returns their names; one process at a time.

    Servers may run meanwhile: the migration waits for locks in short turns. Raises BadMigrationError when another
    process, such as a backup, holds a lock for too long; migrations applied until then stay. Raises PostgresTooOld.
    """
    cluster = Cluster(url)
    connection = await cluster.connect()
    try:
        check_version(connection)
        await check_session(connection, cluster)
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        before = await _applied(connection)
        await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        for tries in reversed(range(LOCK_TRIES)):
            try:
                await apply(connection, migrations, schema_name="public")
                for each in (EVENTS, MOVEMENTS):
                    await ensure_partitions(connection, each)
                break
            except (BadMigrationError, *IN_USE) as error:
                if not (tries and isinstance(error.__cause__ or error, IN_USE)):
                    raise
                log.warning("a table is in use for long, trying again: %s", error)
            await asyncio.sleep(LOCK_PAUSE)
        return sorted(await _applied(connection) - before)
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table with one partition for each day or month of `create_time`, in UTC, and a default partition."""

    table: str
    period: str
    suffix: str
    """Suffix of a partition's name: the to_char format of the first day of its period."""
    ahead: int
    """Number of future periods for which partitions are created."""
    own: str = ""
    """SQL of objects that each partition has in addition to those of the whole table."""


EVENTS = Partitioned("events", "day", "YYYYMMDD", 7)
MOVEMENTS = Partitioned("movements", "month", "YYYYMM", 2, "(PRIMARY KEY (movement_id))")

PARTITIONS = """
    SELECT relname AS name, to_date(substring(relname FROM '[0-9]+$'), $2) AS start
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = to_regclass($1) AND relname ~ '[0-9]$'
"""
"""Partitions of table $1 whose names match $2."""


async def ensure_partitions(connection: Executor, of: Partitioned) -> None:
    """Creates missing partitions from the previous period on that are later than the oldest one.

    This locks the whole table. It must not make every writer wait behind a backup, so it raises LockNotAvailableError
    after LOCK_TIMEOUT. A period that already has rows in the default partition gets no partition.
    """
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"{of.table}_default"):
        return  # the schema is older than partitions
    missing = await connection.fetch(
        f"""
        WITH partitions AS ({PARTITIONS}), periods AS (
            SELECT start, start + interval '1 {of.period}' AS next
            FROM date_trunc('{of.period}', now() AT TIME ZONE 'UTC') AS this, generate_series(
                this - interval '1 {of.period}', this + $3::int * interval '1 {of.period}', interval '1 {of.period}'
            ) AS start
        )
        SELECT '{of.table}_' || to_char(start, $2) AS name, start, next FROM periods
        WHERE start > coalesce((SELECT min(start) FROM partitions), '-infinity')
            AND start NOT IN (SELECT start FROM partitions)
            AND NOT EXISTS (SELECT FROM {of.table}_default
                WHERE create_time >= start AT TIME ZONE 'UTC' AND create_time < next AT TIME ZONE 'UTC')
        """,
        of.table,
        of.suffix,
        of.ahead,
    )
    for partition in missing:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {partition['name']} PARTITION OF {of.table} {of.own} "
                f"FOR VALUES FROM ('{partition['start']}+00') TO ('{partition['next']}+00')"
            )


async def migration_state(pool: Pool) -> tuple[list[str], list[str]]:
    """Returns the names of pending migrations, and of applied migrations that this release does not know."""
    async with pool.acquire() as connection:
        applied = await _applied(connection)
    known = {file.stem for file in MIGRATIONS.glob("*.sql")}
    return sorted(known - applied), sorted(applied - known)


async def _applied(connection: Executor) -> set[str]:
    if await connection.fetchval("SELECT to_regclass('_pogo_migration')") is None:
        return set()
    return {row["migration_id"] for row in await connection.fetch("SELECT migration_id FROM _pogo_migration")}
