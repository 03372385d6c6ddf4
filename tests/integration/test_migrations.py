"""Migrations, forth and back: a rollback undoes what was applied, which is done once, however many do it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import asyncpg
import grpc
import pytest
from pogo_core.migration import topological_sort
from pogo_core.util.migrate import rollback
from pogo_core.util.sql import ensure_pogo_sync, read_migrations
from stockward.inventory.v1.inventory_pb2 import ListLocationsRequest

from stockward_dev import Postgres, free_port
from stockward_server.config import variable
from stockward_server.storage import database as storage
from stockward_server.storage.database import MIGRATIONS, Connection
from tests.events import until
from tests.scrape import ask
from tests.shop import callers, refused
from tests.terminal import process

SCHEMA = """
    SELECT table_name, column_name, concat_ws(' ', data_type, is_nullable, column_default, is_identity)
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT attrelid::regclass::text, attname, 'statistics ' || attstattarget
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND attstattarget >= 0
    UNION ALL SELECT sequencename, '', concat_ws(' ', start_value, increment_by, max_value, cache_size)
    FROM pg_sequences WHERE schemaname = 'public'
    UNION ALL SELECT proname, array_to_string(proconfig, ' '), prosrc
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


@pytest.fixture
async def empty_url(postgres: Postgres) -> AsyncIterator[str]:
    """An empty database."""
    yield await postgres.create_database("migrations")
    await postgres.drop_database("migrations")


async def schema(connection: Connection) -> set[tuple[str, ...]]:
    """Columns and their statistics, indexes, constraints, sequences and functions, by what they say."""
    found = {tuple(row.values()) for row in await connection.fetch(SCHEMA)}
    return {each for each in found if not each[0].startswith("_pogo")}


async def in_order(connection: Connection) -> list[str]:
    """The names of all migrations, as they are applied."""
    await ensure_pogo_sync(connection)
    found = await read_migrations(MIGRATIONS, connection, schema_name="public", include_plugins=False)
    return [each.id for each in topological_sort([migration.load() for migration in found])]


@pytest.mark.long
async def test_each_migration_can_be_taken_back_and_applied_again(empty_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(empty_url)
    try:
        for name in await in_order(connection):
            before = await schema(connection)
            shutil.copy(MIGRATIONS / f"{name}.sql", tmp_path)
            assert await storage.migrate(empty_url, tmp_path) == [name]
            after = await schema(connection)
            assert after != before
            await rollback(connection, tmp_path, schema_name="public", count=1)
            assert await schema(connection) == before, name
            assert await storage.migrate(empty_url, tmp_path) == [name]
            assert await schema(connection) == after, name
    finally:
        await connection.close()


async def test_migrations_are_applied_once_whoever_applies_them(empty_url: str) -> None:
    first, second = await asyncio.gather(storage.migrate(empty_url), storage.migrate(empty_url))
    assert sorted(first + second) == sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    assert [] in (first, second)
    assert await storage.migrate(empty_url) == []


@pytest.mark.long
async def test_a_process_is_not_ready_until_the_database_has_what_it_needs(
    empty_url: str, nats_url: str, tmp_path: Path
) -> None:
    address, admin, log = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", tmp_path / "log"
    environment = {
        variable("database_url"): empty_url,
        variable("event_queue_url"): nats_url,
        variable("grpc_address"): address,
        variable("server_admin_address"): admin,
        variable("relay_admin_address"): admin,
    }

    async def says(status: int) -> bool:
        with suppress(aiohttp.ClientError):
            return (await ask(admin, "/readyz"))[0] == status
        return False

    async with process("relay", log, environment) as relay:
        await until(lambda: says(503))
        assert (await ask(admin, "/livez"))[0] == 200
        assert "not ready: the database lacks 0001_core" in log.read_text()
        await storage.migrate(empty_url)
        await until(lambda: says(200))
        assert "Traceback" not in log.read_text()
        relay.terminate()
        assert await asyncio.wait_for(relay.wait(), 20) == 0

    connection = await asyncpg.connect(empty_url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    async with process("serve", log, environment):
        await until(lambda: says(503))
        staff = callers(address, "swk_pms_stranger")
        refusal = await refused(staff.inventory.ListLocations(ListLocationsRequest()))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
        assert "stockward migrate" in refusal.message
        await storage.migrate(empty_url)
        await until(lambda: says(200))
        refusal = await refused(staff.inventory.ListLocations(ListLocationsRequest()))
        assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
        await staff.channel.close()
        assert "Traceback" not in log.read_text()
