"""The ledger is kept for as long as it is wanted, and its counters add up when months of it are gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pogo_core.util.migrate import rollback
from stockward.inventory.v1 import inventory_pb2 as pb
from stockward.order.v1 import order_pb2 as orders

from stockward_server.config import Settings
from stockward_server.storage.database import MIGRATIONS, MOVEMENTS, Pool, ensure_partitions, migrate, transaction
from stockward_server.storage.read.stock_views import LIST_MOVEMENTS
from stockward_server.storage.write.retention import drop_expired_movements
from tests.events import until
from tests.shop import Shop, running_shop

pytestmark = pytest.mark.long

PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'movements'::regclass ORDER BY 1"


async def partitions(pool: Pool) -> list[str]:
    return [row[0] for row in await pool.fetch(PARTITIONS)]


def month(moment: datetime) -> str:
    """The name of its partition."""
    return f"movements_{moment:%Y%m}"


async def make_old(pool: Pool, days: int = 400) -> str:
    """All movements of this month are made that much older, in a partition that ends with them; answers its name."""
    moment = datetime.now(UTC) - timedelta(days=days)
    old, end = month(moment), (moment.replace(day=1) + timedelta(days=32)).replace(day=1)
    bounds = f"FROM ('{end - timedelta(days=60):%Y-%m-%d} 00:00+00') TO ('{end:%Y-%m-%d} 00:00+00')"
    async with transaction(pool) as connection:
        await connection.execute("LOCK TABLE movements IN ACCESS EXCLUSIVE MODE")
        now = await connection.fetchval(
            "SELECT tableoid::regclass::text FROM movements WHERE create_time > now() - interval '1 day' LIMIT 1"
        )
        await connection.execute(
            f"""
            ALTER TABLE movements DETACH PARTITION {now};
            UPDATE {now} SET create_time = create_time - interval '{days} days';
            ALTER TABLE {now} RENAME TO {old};
            ALTER TABLE movements ATTACH PARTITION {old} FOR VALUES {bounds}
            """
        )
        await ensure_partitions(connection, MOVEMENTS)
    return old


async def add(pool: Pool, count: int, time: datetime | None = None) -> None:
    """Movements of 1,000 SKUs in turn, each with a reference of its own."""
    await pool.execute(
        """
        INSERT INTO movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta, on_hand,
                               reserved, allocated, reference, note, actor, create_time)
        SELECT 'S' || n % 1000, 'main', 9, 1, 1, 0, 0, 1, 0, 0, 'r' || n, '', 'tests', $2
        FROM generate_series(1, $1::int) n
        """,
        count,
        time or datetime.now(UTC),
    )


async def ledger(shop: Shop, **fields: Any) -> list[int]:
    """What movements did to on_hand and to what is promised, newest first, page by page."""
    request = pb.ListStockMovementsRequest(page_size=2, **fields)
    deltas = []
    while True:
        page = await shop.pms.inventory.ListStockMovements(request)
        deltas += [each.on_hand_delta - each.allocated_delta for each in page.movements]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return deltas


async def nothing_in(pool: Pool, table: str) -> bool:
    return not await pool.fetchval(f"SELECT EXISTS (SELECT FROM {table})")


async def openings(pool: Pool) -> dict[str, tuple[int, int, int]]:
    rows = await pool.fetch("SELECT sku, on_hand, reserved, allocated FROM opening_balances")
    return {sku: tuple(counters) for sku, *counters in rows}


async def test_a_month_goes_and_the_books_still_add_up(shop: Shop) -> None:
    for sku in ("TEE", "MUG"):
        await shop.sell(sku, 10)
    first = await shop.order("TEE", 3)
    old = await make_old(shop.pool)
    await shop.order("TEE", 2)
    assert await ledger(shop, sku="TEE") == [-2, -3, 10]

    assert await drop_expired_movements(shop.pool, 100) == [old]

    assert await openings(shop.pool) == {"TEE": (10, 0, 3), "MUG": (10, 0, 0)}
    await shop.verify()
    assert await ledger(shop, sku="TEE") == [-2]
    assert await ledger(shop, sku="MUG") == await ledger(shop, reference=first.order_id) == []
    answer = await shop.pms.inventory.VerifyStock(pb.VerifyStockRequest(sku="MUG"))
    assert (answer.checked, list(answer.discrepancies)) == (1, []), "all of its movements are gone"

    await shop.storefront.orders.CancelOrder(orders.CancelOrderRequest(order_id=first.order_id))
    await shop.receive("MUG", 1)
    assert await ledger(shop) == [1, 3, -2]
    await shop.verify()


async def test_months_go_one_after_another_and_their_sums_come_together(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    await shop.order("TEE", 4)
    older = await make_old(shop.pool, 800)
    await shop.receive("TEE", 5)
    await shop.order("TEE", 1)
    lines = [pb.StockLine(sku="TEE", quantity=2)]
    await shop.storefront.inventory.ReserveStock(pb.ReserveStockRequest(lines=lines))
    old = await make_old(shop.pool, 400)
    await shop.order("TEE", 1)

    assert await drop_expired_movements(shop.pool, 700) == [older]
    assert await openings(shop.pool) == {"TEE": (10, 0, 4)}
    await shop.verify()
    assert await drop_expired_movements(shop.pool, 100) == [old]
    assert await openings(shop.pool) == {"TEE": (15, 2, 5)}
    await shop.verify()


@pytest.mark.long
async def test_a_month_is_summed_up_without_holding_up_the_events(shop: Shop) -> None:
    await add(shop.pool, 300_000)
    await make_old(shop.pool)
    dropping = asyncio.create_task(drop_expired_movements(shop.pool, 100))
    found = []
    async with shop.pool.acquire() as connection:
        while not dropping.done():
            found += await connection.fetch(
                "SELECT query ~ 'INSERT' OR backend_xid IS NOT NULL FROM pg_stat_activity WHERE state = 'active' "
                "AND pid <> pg_backend_pid() AND query LIKE '%sum(on_hand_delta)%'"
            )
    assert await dropping
    assert {row[0] for row in found} == {False}, "events are listed up to the oldest transaction that writes"


async def test_the_audit_finds_a_month_that_went_without_its_sums(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    old = await make_old(shop.pool)
    await shop.receive("TEE", 5)
    await shop.pool.execute(f"DROP TABLE {old}")
    (found,) = (await shop.pms.inventory.VerifyStock(pb.VerifyStockRequest())).discrepancies
    assert (found.sku, found.counter, found.counted, found.ledger) == ("TEE", "on_hand", 15, 5)


async def test_the_audit_finds_opening_balances_that_nothing_stands_for(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    await make_old(shop.pool)
    await drop_expired_movements(shop.pool, 100)
    await shop.pool.execute("UPDATE opening_balances SET reserved = 1")
    await shop.pool.execute("INSERT INTO opening_balances VALUES ('GONE', 'main', 1, 0, 0)")
    found = (await shop.pms.inventory.VerifyStock(pb.VerifyStockRequest())).discrepancies
    assert [(each.sku, each.counter, each.counted, each.ledger) for each in found] == [
        ("GONE", "on_hand", 0, 1),
        ("TEE", "reserved", 0, 1),
    ]


async def test_what_is_not_over_for_long_enough_stays(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    old = await make_old(shop.pool, 400)
    for keep_days in (401, 36_500):
        assert await drop_expired_movements(shop.pool, keep_days) == []
    before = await partitions(shop.pool)
    dropped = await drop_expired_movements(shop.pool, 1)
    assert old in dropped
    assert month(datetime.now(UTC)) in await partitions(shop.pool) == [each for each in before if each not in dropped]
    assert await openings(shop.pool) == {"TEE": (10, 0, 0)}


@pytest.mark.parametrize(("days", "stays"), [(0, True), (100, False)])
async def test_servers_let_go_of_it_where_they_are_told_to(
    settings: Settings, shop: Shop, days: int, stays: bool
) -> None:
    await shop.sell("TEE", 10)
    old = await make_old(shop.pool)
    await shop.pool.execute("UPDATE idempotency SET create_time = now() - interval '1 year'")
    async with running_shop(settings.model_copy(update={"movement_retention_days": days})) as another:
        await until(lambda: nothing_in(shop.pool, "idempotency"))  # what is seen to after movements

        async def is_gone() -> bool:
            return old not in await partitions(shop.pool)

        # While another server uses the month it stays until the next time.
        if not stays:
            await until(is_gone)
        assert await is_gone() != stays
        await another.verify()
    assert Settings().movement_retention_days == 0


async def test_a_month_in_use_is_left_for_later(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockward_server.storage.write.retention.LOCK_TIMEOUT", "50ms")
    await shop.sell("TEE", 10)
    old = await make_old(shop.pool)
    async with transaction(shop.pool) as reader:
        await reader.fetch("SELECT FROM movements")
        assert await drop_expired_movements(shop.pool, 100) == []
        assert await openings(shop.pool) == {}, "its sums do not come without it"
    assert await drop_expired_movements(shop.pool, 100) == [old]
    await shop.verify()


async def test_processes_that_let_go_at_the_same_time_do_so_once(shop: Shop) -> None:
    await shop.sell("TEE")
    old = []
    for days in (600, 500, 400):
        await shop.receive("TEE", 10)
        old.append(await make_old(shop.pool, days))
    dropped = await asyncio.gather(*(drop_expired_movements(shop.pool, 100) for _ in range(4)))
    assert sorted(name for each in dropped for name in each) == old
    assert await openings(shop.pool) == {"TEE": (30, 0, 0)}
    await shop.verify()


async def test_books_balance_at_any_time_while_months_go(shop: Shop) -> None:
    await shop.sell("TEE", 1_000_000)
    sold = looked = 0
    closing = asyncio.Event()

    async def buy() -> None:
        nonlocal sold
        while not closing.is_set():
            await shop.order("TEE")
            sold += 1

    async def look() -> None:
        nonlocal looked
        while not closing.is_set():
            await shop.verify()
            looked += 1

    working = [asyncio.create_task(each()) for each in (buy, buy, look, look)]

    async def more() -> None:
        goal = sold + 10, looked + 10
        await until(lambda: (sold >= goal[0] and looked >= goal[1]) or any(task.done() for task in working))

    try:
        old = []
        for days in range(900, 300, -100):
            await more()
            old.append(await make_old(shop.pool, days))
        await more()
        dropped: list[str] = []
        while len(dropped) < len(old) and not any(task.done() for task in working):
            dropped += await drop_expired_movements(shop.pool, 100)
        await more()
    finally:
        closing.set()
        await asyncio.gather(*working)
    assert dropped == old
    assert sold == (await shop.counters("TEE"))[2]
    assert 0 < (await openings(shop.pool))["TEE"][2] < sold
    await shop.verify()


async def test_going_back_to_the_former_release_keeps_the_books(shop: Shop, database_url: str) -> None:
    await shop.sell("TEE", 10)
    await shop.sell("MUG", 10)
    await shop.order("TEE", 3)
    await make_old(shop.pool)
    await drop_expired_movements(shop.pool, 100)
    await shop.order("TEE", 1)
    newest = [row[0] for row in await shop.pool.fetch("SELECT movement_id FROM movements")]

    since = [path for path in MIGRATIONS.glob("*.sql") if path.stem >= "0008"]
    async with shop.pool.acquire() as connection:
        await rollback(connection, MIGRATIONS, schema_name="public", count=len(since))  # type: ignore[arg-type]
    rows = await shop.pool.fetch(
        """
        SELECT sku, sum(on_hand_delta), sum(reserved_delta), sum(allocated_delta), max(movement_id)
        FROM movements GROUP BY sku ORDER BY sku
        """
    )
    assert [tuple(row)[:4] for row in rows] == [("MUG", 10, 0, 0), ("TEE", 10, 0, 4)]
    assert rows[0]["max"] < newest[0] == rows[1]["max"], "what it opens with is older than what is there"
    # The former release receives one; this one's server knows columns that are not there.
    await shop.pool.execute(
        """
        WITH received AS (
            UPDATE stock SET on_hand = on_hand + 1, version = version + 1 WHERE sku = 'TEE'
            RETURNING sku, location_id, on_hand, reserved, allocated
        )
        INSERT INTO movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta, on_hand,
                               reserved, allocated, reference, note, actor, create_time)
        SELECT sku, location_id, 9, 1, 1, 0, 0, on_hand, reserved, allocated, '', '', 'tests', now() FROM received
        """
    )

    assert await migrate(database_url) == sorted(path.stem for path in since)
    await shop.order("TEE", 1)
    assert await ledger(shop, sku="TEE") == [-1, 1, -1, 7]
    await shop.verify()


# Room for what is to come


async def test_room_is_made_in_time_and_what_came_before_it_stays(database: Pool) -> None:
    (first, *_) = await partitions(database)
    later = month(datetime.now(UTC).replace(day=1) + timedelta(days=70))
    assert await partitions(database) == [first, later, "movements_default"]
    await add(database, 1)
    await make_old(database)
    assert len(await partitions(database)) == 6, "the old one, this month, the last, the next two, and the default"

    lost = later
    await database.execute(f"DROP TABLE {lost}")
    await add(database, 1, datetime.now(UTC).replace(day=1) + timedelta(days=70))
    async with database.acquire() as connection:
        await ensure_partitions(connection, MOVEMENTS)
    assert lost not in await partitions(database)
    assert await database.fetchval("SELECT count(*) FROM movements_default") == 1


# Reads


def blocks_of_ledger(node: dict[str, Any]) -> Iterator[int]:
    """Pages read of each month; what the few SKUs are called now is looked up beside it."""
    if node.get("Relation Name", "").startswith("movements_"):
        yield node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    else:
        for inner in node.get("Plans", ()):
            yield from blocks_of_ledger(inner)


@pytest.mark.parametrize(
    ("wanted", "before", "most"),
    [
        ({}, None, 30),
        ({}, 45_000, 30),
        ({"sku": "S7"}, None, 300),
        ({"sku": "S7"}, 45_000, 300),
        ({"sku": "S7", "location_id": "main"}, 45_000, 300),
        ({"reference": "r700"}, None, 30),
    ],
)
async def test_the_ledger_is_read_by_the_indexes_of_its_months(
    database: Pool, wanted: dict[str, str], before: int | None, most: int
) -> None:
    for days in (500, 400, 0):
        await add(database, 20_000)
        if days:
            await make_old(database, days)
    await database.execute("VACUUM ANALYZE movements")
    arguments = [before, wanted.get("sku"), wanted.get("location_id"), None, wanted.get("reference"), None, None, 100]
    ((plan,),) = await database.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {LIST_MOVEMENTS}", *arguments)
    (top,) = json.loads(plan)
    assert sum(blocks_of_ledger(top["Plan"])) < most, plan
    assert "Seq Scan on movements_2" not in plan
