"""The schema changes under servers that are at work: no call fails, and nobody waits long."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from pogo_core.error import BadMigrationError
from pogo_core.migration import read_sql_migration
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_dev import Postgres
from stockward_server.storage import database as storage
from stockward_server.storage.database import MIGRATIONS, Pool, transaction
from tests.events import until
from tests.shop import Shop, money

TABLES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""

LONGEST = 10.0
"""Seconds that a migration may hold what it has locked, on tables as those below."""

ROWS = 50_000

POPULATE = f"""
    INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time, state)
        SELECT 'storefront', gen_random_uuid(), 'a' || n % 1000, 'order.created', n, now(), 1 + n % 3
        FROM generate_series(1, {ROWS}) n;
    INSERT INTO endpoints (endpoint_id, url, description, types, max_in_flight, enabled, create_time, update_time)
        VALUES ('storefront', 'http://127.0.0.1:9/', '', '{{*}}', 8, true, now(), now());
    INSERT INTO movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta, on_hand,
                           reserved, allocated, reference, note, actor, create_time)
        SELECT 'S' || n % 100, 'main', 1, 1, 1, 0, 0, 1, 0, 0, '', '', 'tests', now()
        FROM generate_series(1, {ROWS}) n;
    INSERT INTO orders (order_id, state, currency, payment_terms, customer_id, reference, create_time, update_time,
                        version)
        SELECT gen_random_uuid(), 1 + n % 6, 'EUR', 1, 'c' || n % 1000, '', now(), now(), 1
        FROM generate_series(1, {ROWS}) n;
    INSERT INTO events (create_time, event_id, type, aggregate_type, aggregate_id, aggregate_version, payload)
        SELECT now(), gen_random_uuid(), 'order.created', 'order', 'a' || n % 1000, n / 1000, '\\x00'
        FROM generate_series(1, {ROWS}) n;
    INSERT INTO idempotency (actor, request_id, method, fingerprint, response, create_time)
        SELECT 'tests', gen_random_uuid(), 'm', '', '\\x00', now() FROM generate_series(1, {ROWS}) n;
    INSERT INTO api_keys (key_id, name, role, prefix, hash)
        SELECT gen_random_uuid(), 'k', 1, '', sha256(n::text::bytea) FROM generate_series(1, 100) n;
"""


SPLIT = "0008_movement_months"

MOVE = """
    INSERT INTO movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta, on_hand,
                           reserved, allocated, reference, note, actor, create_time)
    VALUES ('MUG', 'main', 1, 1, 1, 0, 0, 1, 0, 0, '', '', 'tests', now())
"""


@asynccontextmanager
async def at_work(shop: Shop) -> AsyncIterator[list[str]]:
    """Calls of many kinds, one after another by several clients; each has to succeed at the first attempt. The orders
    that were placed."""
    product_id = await shop.sell("MUG", 1_000_000)
    placed: list[str] = []
    closing = asyncio.Event()

    async def buy() -> None:
        order = await shop.order("MUG")
        placed.append(order.order_id)
        await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=order.order_id))

    async def hold() -> None:
        lines = [inventory.StockLine(sku="MUG", quantity=1)]
        held = await shop.storefront.inventory.ReserveStock(inventory.ReserveStockRequest(lines=lines))
        request = inventory.ReleaseReservationRequest(reservation_id=held.reservation_id)
        await shop.storefront.inventory.ReleaseReservation(request)

    async def edit() -> None:
        product = catalog.Product(
            product_id=product_id, title="Mug", variants=[catalog.Variant(sku="MUG", price=money("9"))]
        )
        mask = FieldMask(paths=["title", "variants"])
        await shop.pms.catalog.UpdateProduct(catalog.UpdateProductRequest(product=product, update_mask=mask))

    async def look() -> None:
        await shop.pms.orders.ListOrders(orders.ListOrdersRequest(page_size=5))
        await shop.pms.catalog.ListProducts(catalog.ListProductsRequest())
        await shop.level("MUG")
        await shop.verify()

    async def work(deed: Callable[[], Awaitable[None]]) -> None:
        while not closing.is_set():
            await deed()

    working = [asyncio.create_task(work(deed)) for deed in (buy, buy, hold, edit, look)]
    try:
        await until(lambda: len(placed) > 20 or any(task.done() for task in working))
        yield placed
        enough = len(placed) + 30
        await until(lambda: len(placed) > enough or any(task.done() for task in working))
    finally:
        closing.set()
        await asyncio.gather(*working)
    await shop.verify()


def and_more(folder: Path, *to_come: str) -> Path:
    """All migrations, and those that are yet to be written."""
    shutil.copytree(MIGRATIONS, folder / "migrations")
    newest = max(path.stem for path in MIGRATIONS.glob("*.sql"))
    for number, sql in enumerate(to_come, start=9000):
        more = f"-- To come.\n-- depends: {newest}\n\n-- migrate: apply\n{sql}\n\n-- migrate: rollback\nSELECT 1;\n"
        newest = f"{number}_to_come"
        (folder / "migrations" / f"{newest}.sql").write_text(more)
    return folder / "migrations"


async def test_columns_that_come_to_every_table_fail_no_call(
    shop: Shop, database: Pool, database_url: str, tmp_path: Path
) -> None:
    """What servers have prepared no longer fits the tables: they prepare it again. Each table in a transaction of its
    own, as one that locks several would wait for calls that wait for it."""
    tables = [row["relname"] for row in await database.fetch(TABLES) if not row["relname"].startswith("_pogo")]
    columns = [f"ALTER TABLE {table} ADD COLUMN to_come int NOT NULL DEFAULT 0;" for table in tables]
    migrations = and_more(tmp_path, *columns)

    async with at_work(shop):
        assert len(await storage.migrate(database_url, migrations)) == len(columns)


async def test_a_migration_gives_way_to_whoever_holds_its_lock(
    shop: Shop, database: Pool, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup reads a table for long: calls wait behind the migration for no longer than its patience."""
    monkeypatch.setattr(storage, "LOCK_TIMEOUT", "200ms")
    monkeypatch.setattr(storage, "LOCK_PAUSE", 0.1)
    migrations = and_more(tmp_path, "ALTER TABLE orders ADD COLUMN to_come int NOT NULL DEFAULT 0;")
    async with at_work(shop) as placed:
        async with transaction(database) as backup:
            await backup.execute("LOCK TABLE orders IN ACCESS SHARE MODE")
            migrating = asyncio.create_task(storage.migrate(database_url, migrations))
            enough = len(placed) + 40  # with the lock asked for once, they would wait until the backup is done
            await until(lambda: len(placed) > enough or migrating.done())
            assert not migrating.done()
        assert await migrating == ["9000_to_come"]


async def test_a_migration_that_gets_no_lock_gives_up(
    database: Pool, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "LOCK_TIMEOUT", "10ms")
    monkeypatch.setattr(storage, "LOCK_PAUSE", 0.01)
    monkeypatch.setattr(storage, "LOCK_TRIES", 3)
    migrations = and_more(tmp_path, "ALTER TABLE orders ADD COLUMN to_come int;")
    async with transaction(database) as backup:
        await backup.execute("LOCK TABLE orders IN ACCESS SHARE MODE")
        with pytest.raises(BadMigrationError) as failed:
            await storage.migrate(database_url, migrations)
    assert isinstance(failed.value.__cause__, asyncpg.LockNotAvailableError)
    assert await storage.migrate(database_url, migrations) == ["9000_to_come"]


async def test_no_migration_rewrites_a_table_or_locks_it_for_long(postgres: Postgres, tmp_path: Path) -> None:
    """From the schema on which the first servers worked, one after another, on tables with something in them."""
    names = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    first, later = names[:3], names[3:]
    url = await postgres.create_database("populated")
    folder = tmp_path / "migrations"
    folder.mkdir()

    async def migrate(*names: str) -> float:
        for name in names:
            shutil.copy(MIGRATIONS / f"{name}.sql", folder)
        start = asyncio.get_running_loop().time()
        assert await storage.migrate(url, folder) == list(names)
        return asyncio.get_running_loop().time() - start

    await migrate(*first)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(POPULATE)
        before = await files(connection)
        slow = {name: took for name in later if (took := await migrate(name)) > LONGEST}
        assert not slow
        after = await files(connection)
    finally:
        await connection.close()
        await postgres.drop_database("populated")
    assert before <= after, "a table was written anew, with everybody waiting"


@pytest.mark.parametrize("done", [1, 2, 3, 4])
async def test_a_ledger_that_is_split_halfway_is_split_all_the_same(
    postgres: Postgres, tmp_path: Path, done: int
) -> None:
    """Broken off after so many of the migration's transactions, before it was written down as applied."""
    url = await postgres.create_database("halfway")
    folder = tmp_path / "migrations"
    folder.mkdir()
    for path in MIGRATIONS.glob("*.sql"):
        if path.stem < SPLIT:
            shutil.copy(path, folder)
    await storage.migrate(url, folder)
    connection = await asyncpg.connect(url)
    try:
        for statement in read_sql_migration(MIGRATIONS / f"{SPLIT}.sql")[5][:done]:
            await connection.execute(MOVE)
            await connection.execute(statement)
        assert SPLIT in await storage.migrate(url)
        await connection.execute(MOVE)
        ids = [row[0] for row in await connection.fetch("SELECT movement_id FROM movements ORDER BY 1")]
        assert ids == list(range(1, done + 2)), "the sequence goes on"
        constraints = "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conname ~ '^movements'"
        assert not await connection.fetch(constraints)
        assert await connection.fetchval("SELECT count(*) FROM movements_default") == 0
    finally:
        await connection.close()
        await postgres.drop_database("halfway")


async def files(connection: storage.Connection) -> set[int]:
    """Those of all tables, whatever these are called: one that was written again has another."""
    rows = await connection.fetch(
        "SELECT relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    return {row["relfilenode"] for row in rows}
