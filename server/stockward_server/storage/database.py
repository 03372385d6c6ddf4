"""The connection pool, migrations, and what a database error means."""

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
from stockward_server.storage.log_epoch import ensure_epoch

if TYPE_CHECKING:  # generic to the type checker only
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
    Executor = Connection | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Connection = Pool = Executor = Any

T = TypeVar("T")

log = logging.getLogger(__name__)

logging.getLogger("pogo_core").setLevel(logging.ERROR)  # anyone who migrates reports what was applied

MIGRATIONS = Path(__file__).parent / "migrations"
IN_USE = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
NOT_MIGRATED = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
NOT_STORED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, UnicodeError)
"""What PostgreSQL, or its driver, says of values that it can never store, such as a NUL in a text."""
MIGRATION_LOCK = 0x73746F636B  # any constant will do; it spells "stock"

LOCK_TIMEOUT = "500ms"
"""How long a change of the schema waits for its lock. Until it has it, anyone who comes later waits behind it. It gives
up before PostgreSQL looks for a deadlock (after 1 s), so that no server's transaction is ended for it."""

CLOSE_SECONDS = 1.0
"""How long the connections of a pool may take to close."""

SNAPSHOT_TRIES = 10
"""How often the same is read at most while migrations come between."""

LOCK_TRIES, LOCK_PAUSE = 60, 0.5
"""How often a migration tries to get its locks, and the seconds in between that are left to others."""


def is_database_down(error: BaseException) -> bool:
    """Whether the connection broke or the database cannot be used right now: trying again later can help.

    What became of a COMMIT under way is not known then.
    """
    if isinstance(error, asyncpg.DataError):  # an InterfaceError by inheritance, but about an argument
        return False
    return isinstance(
        error,
        OSError
        | TimeoutError
        | asyncpg.PostgresConnectionError
        | asyncpg.InterfaceError
        | asyncpg.InternalClientError  # a connection that was ended while it was idle is taken for a busy one
        | asyncpg.CannotConnectNowError
        | asyncpg.TooManyConnectionsError
        | asyncpg.AdminShutdownError
        | asyncpg.CrashShutdownError
        | asyncpg.UndefinedTableError  # it is not migrated yet
        | asyncpg.UndefinedColumnError,
    )


def refusal_of(error: BaseException) -> Refusal | None:
    """The documented answer to an error of the database, where there is one."""
    if isinstance(error, NOT_MIGRATED):
        return DatabaseUnavailable.not_migrated()
    if is_database_down(error):
        return DatabaseUnavailable.unreachable()
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.DeadlockDetectedError):
        return DatabaseUnavailable.migrating()  # ours alone never deadlock
    if isinstance(error, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError):
        return FieldInvalid("", "a text has a character that cannot be stored: NUL")
    return None


def is_race_lost(error: BaseException) -> bool:
    """Whether another transaction was faster, so that the same work can succeed in a new one."""
    return isinstance(
        error,
        asyncpg.UniqueViolationError  # it inserted first
        | asyncpg.ForeignKeyViolationError  # it dropped what a row speaks of, such as a variant
        | asyncpg.SerializationError
        | asyncpg.DeadlockDetectedError
        | asyncpg.InvalidCachedStatementError,  # it was a migration
    )


async def open_pool(dsn: str, size: int, command_timeout: float = 30.0, *, read_only: bool = False) -> Pool:
    """A pool of up to `size` connections; statements are cancelled after `command_timeout` seconds. `read_only`:
    nothing is ever written, so no epoch of the record of events is begun either.

    Nothing in the code changes session state on a pooled connection, so releasing one costs no round trip.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=0,  # a database that is away fails the caller, not a task of the pool
        max_size=size,
        command_timeout=command_timeout,
        timeout=10.0,
        init=decode_json if read_only else prepare_connection,
        reset=_keep_session,
        server_settings={"application_name": "stockward", "timezone": "UTC"},
    )


@asynccontextmanager
async def opened_pool(
    dsn: str, size: int, command_timeout: float = 30.0, *, read_only: bool = False
) -> AsyncIterator[Pool]:
    """The same for the length of a block. Connections that are not closed within CLOSE_SECONDS are broken off: to a
    PostgreSQL that no longer answers, closing one takes as long as a statement may."""
    pool = await open_pool(dsn, size, command_timeout, read_only=read_only)
    try:
        yield pool
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()


async def prepare_connection(connection: Connection) -> None:
    """Makes sure that what is written over it goes into the right epoch of the record of events."""
    await decode_json(connection)
    await ensure_epoch(connection)


async def decode_json(connection: Connection) -> None:
    """JSON columns as Python objects."""
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _keep_session(connection: Any) -> None:
    return None


class SessionNotKept(ConnectionError):
    """A pooler stands before PostgreSQL that gives every transaction another session: locks would be anybody's."""

    def __init__(self) -> None:
        super().__init__(
            "DATABASE_URL leads through a pooler that does not keep sessions: relay, gateway and migrate hold locks "
            "for the length of one. Give them the address of PostgreSQL itself, or of a pool in session mode"
        )


async def check_session(connection: Connection, dsn: str) -> None:
    """Raises SessionNotKept where the session behind the connection is not its own from one transaction to the next.

    A pooler shows in the process id that it made up. Whether it keeps sessions is tried: in transaction mode the one
    that was used last is what the next transaction of anybody gets.
    """
    try:
        own = await connection.fetchval("SELECT pg_backend_pid()")
        if own == connection.get_server_pid():
            return
        other = await asyncpg.connect(dsn, timeout=10.0)
        try:
            async with other.transaction():
                await other.execute("SELECT 1")
                if await connection.fetchval("SELECT pg_backend_pid()", timeout=5.0) == own:
                    return
        finally:
            await other.close()
    # No session is left for us; or it is another one, and so is what was prepared in it.
    except (TimeoutError, asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError) as error:
        raise SessionNotKept from error
    raise SessionNotKept


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Connections of a pool."""

    used: int
    idle: int
    most: int
    waiting: int
    """Tasks that wait for one."""


def use_of(pool: Pool) -> PoolUse:
    """How a pool is used right now."""
    idle = pool.get_idle_size()
    waiting = getattr(getattr(pool, "_queue", None), "_getters", ())  # asyncpg reports it nowhere else
    return PoolUse(pool.get_size() - idle, idle, pool.get_max_size(), len(waiting))


@asynccontextmanager
async def transaction(pool: Pool, **options: Any) -> AsyncIterator[Executor]:
    """A connection of the pool inside a transaction."""
    async with pool.acquire() as connection, connection.transaction(**options):
        yield connection


async def read_snapshot(pool: Pool, read: Callable[[Executor], Awaitable[T]]) -> T:
    """Reads as of one moment, by several statements. Where a migration came between it reads again: the driver prepares
    a statement again by itself only outside of transactions."""
    tries = SNAPSHOT_TRIES
    while True:
        tries -= 1
        try:
            async with transaction(pool, isolation="repeatable_read", readonly=True) as connection:
                return await read(connection)
        except (asyncpg.InvalidCachedStatementError, asyncpg.DeadlockDetectedError):
            if not tries:
                raise


async def migrate(dsn: str, migrations: Path = MIGRATIONS) -> list[str]:
    """Brings the schema up to date and answers the names of what was applied; one process at a time.

    Servers may be at work meanwhile: what has to be locked is waited for in short turns. Raises BadMigrationError when
    somebody, such as a backup, keeps it for too long; what was applied by then stays.
    """
    connection = await asyncpg.connect(dsn, timeout=10.0)
    try:
        await check_session(connection, dsn)
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
    """A table with a partition for each day or month of its create_time, in UTC, and one for what fits in none."""

    table: str
    period: str
    suffix: str
    """Of a partition's name, as to_char makes it of the period's beginning."""
    ahead: int
    """Periods after this one that room is made for."""
    own: str = ""
    """What each partition has besides what all of the table has."""


EVENTS = Partitioned("events", "day", "YYYYMMDD", 7)
MOVEMENTS = Partitioned("movements", "month", "YYYYMM", 2, "(PRIMARY KEY (movement_id))")

PARTITIONS = """
    SELECT relname AS name, to_date(substring(relname FROM '[0-9]+$'), $2) AS start
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = to_regclass($1) AND relname ~ '[0-9]$'
"""
"""Those of table $1, whose names end as $2 says."""


async def ensure_partitions(connection: Executor, of: Partitioned) -> None:
    """Makes the partitions from the period before this one on, where they are missing and later than the oldest.

    That locks all of the table: rather later than behind a backup, with every writer waiting. So it raises
    LockNotAvailableError after LOCK_TIMEOUT. A period of which there are rows already, since nobody made room in time,
    gets none.
    """
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"{of.table}_default"):
        return  # the schema is older than that
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
    """Names of migrations that are still to be applied, and of those that are applied and unknown here."""
    async with pool.acquire() as connection:
        applied = await _applied(connection)
    known = {file.stem for file in MIGRATIONS.glob("*.sql")}
    return sorted(known - applied), sorted(applied - known)


async def _applied(connection: Executor) -> set[str]:
    if await connection.fetchval("SELECT to_regclass('_pogo_migration')") is None:
        return set()
    return {row["migration_id"] for row in await connection.fetch("SELECT migration_id FROM _pogo_migration")}
