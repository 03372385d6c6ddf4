"""Row 10. What do calls cost when a million orders and ten million movements are in the database already?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg

from benchmarks.calls import CREATE_ORDER, GET_AVAILABILITY, GET_AVAILABLE_PRODUCT, Method, Shape
from benchmarks.load import ONE_UNIT, Load, Sample, figures, interleave, ratio
from benchmarks.processes import Server, Services
from benchmarks.reads import CACHE
from benchmarks.report import Benchmark, Result, Run, at_most
from benchmarks.shop import PLENTY, Shop, audit, make_database
from stockward_dev import Postgres

ORDERS = 1_000_000
ORDERS_A_SKU = 10
MOVEMENTS_A_SKU = 100
SKUS_READ = Shape(skus=100)

CALLS: dict[str, tuple[Method, Shape]] = {
    "CreateOrder, one hot SKU": (CREATE_ORDER, ONE_UNIT),
    "GetAvailability, not cached": (GET_AVAILABILITY, SKUS_READ),
    "GetAvailableProduct, not cached": (GET_AVAILABLE_PRODUCT, SKUS_READ),
}

# The history of a shop, $1: SKUs, $2: units received of each. Every SKU has 100 movements: a receipt, 80 adjustments by
# one unit up and down, nine fulfilled orders, and a pending one. Orders are numbered by age: the first orders of all
# SKUs come before any second order.
ORDER_ID = "('01900000-0001-7000-8000-' || lpad(to_hex({}), 12, '0'))"
SKU = "'SKU-' || lpad(n::text, 6, '0')"
PAST = {
    "orders (order_id, state, currency, payment_terms, customer_id, reference, create_time, update_time, version)": f"""
        SELECT {ORDER_ID.format("k * $1 + n")}::uuid, CASE WHEN k < 9 THEN 4 ELSE 1 END::smallint, 'EUR', 2::smallint,
               '', '', now(), now(), CASE WHEN k < 9 THEN 2 ELSE 1 END::bigint
        FROM generate_series(0, 9) AS k, generate_series(0, $1 - 1) AS n
    """,
    "order_lines (order_id, line_number, sku, title, quantity, unit_price, price_override_reason, fulfilled)": f"""
        SELECT {ORDER_ID.format("k * $1 + n")}::uuid, 1, {SKU}, 'Product ' || n, 1::bigint, 1990::bigint, '',
               CASE WHEN k < 9 THEN 1 ELSE 0 END::bigint
        FROM generate_series(0, 9) AS k, generate_series(0, $1 - 1) AS n
    """,
    "allocations (order_id, line_number, location_id, sku, quantity)": f"""
        SELECT {ORDER_ID.format("9 * $1 + n")}::uuid, 1, 'main', {SKU}, 1::bigint FROM generate_series(0, $1 - 1) AS n
    """,
    "idempotency (actor, request_id, method, fingerprint, response, create_time)": """
        SELECT 'storefront', md5(o::text)::uuid, '/stockward.order.v1.OrderService/CreateOrder',
               decode(md5(o::text), 'hex'), decode(repeat(md5(o::text), 20), 'hex'), now()
        FROM generate_series(0, 10 * $1 - 1) AS o
    """,
    "events (create_time, event_id, type, aggregate_type, aggregate_id, aggregate_version, payload)": f"""
        SELECT now(), md5(o::text)::uuid, 'order.created', 'order', {ORDER_ID.format("o")}, 1::bigint,
               decode(repeat(md5(o::text), 25), 'hex')
        FROM generate_series(0, 10 * $1 - 1) AS o
    """,
    """movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta, on_hand, reserved,
                  allocated, reference, note, actor, create_time)""": f"""
        SELECT {SKU}, 'main',
               CASE WHEN j <= 80 THEN 9 WHEN j % 2 = 1 THEN 5 ELSE 7 END::smallint,
               CASE WHEN j = 0 THEN 1 WHEN j <= 80 THEN 2 ELSE 0 END::smallint,
               CASE WHEN j = 0 THEN $2 WHEN j > 80 THEN j % 2 - 1 WHEN j % 2 = 1 THEN 1 ELSE -1 END::bigint,
               0::bigint,
               CASE WHEN j <= 80 THEN 0 WHEN j % 2 = 1 THEN 1 ELSE -1 END::bigint,
               ($2 + CASE WHEN j <= 80 THEN j % 2 ELSE -((j - 80) / 2) END)::bigint,
               0::bigint,
               CASE WHEN j <= 80 THEN 0 ELSE j % 2 END::bigint,
               CASE WHEN j <= 80 THEN '' ELSE {ORDER_ID.format("(j - 81) / 2 * $1 + n")} END,
               '', CASE WHEN j <= 80 THEN 'pms' ELSE 'storefront' END, now()
        FROM generate_series(0, 99) AS j, generate_series(0, $1 - 1) AS n
    """,
}


async def answer(run: Run) -> Sequence[Result]:
    orders = run.options.orders or run.size(ORDERS)
    skus = max(SKUS_READ.skus, orders // ORDERS_A_SKU)
    async with Shop.open(run, SKUS_READ.skus) as shop:
        full_database = await make_database(shop.services, skus, name="full")
        loaded = await load_past(shop.services, full_database, skus, run.say)
        empty = await shop.server(**{CACHE: "0"})
        full = await shop.services.server(full_database, **{CACHE: "0"})
        results = [
            await _compare(run, shop, name, method, shape, full, empty) for name, (method, shape) in CALLS.items()
        ]
        run.say("audit")
        audited = await audit(full, full_database)
        await shop.audit(empty)
        return [Result(r.row, r.name, r.ratio, r.target, r.holds, f"{r.detail}\n{loaded}\n{audited}") for r in results]


async def _compare(
    run: Run, shop: Shop, name: str, method: Method, shape: Shape, full: Server, empty: Server
) -> Result:
    samples = await interleave(
        run,
        {
            f"{name}, full": shop.side(Load([full], method, shape)),
            f"{name}, empty": shop.side(Load([empty], method, shape)),
        },
    )
    filled, emptied = samples.values()
    cost = ratio(filled, emptied, _cost)
    return Result.compared(
        10,
        f"{name}: cost with a full database against an empty one",
        cost.median,
        at_most(1.15),
        f"Ratio of the CPU time of server and PostgreSQL: {cost}. Ratio of the rates: {ratio(filled, emptied)}.",
        figures("Full", filled),
        figures("Empty", emptied),
    )


def _cost(sample: Sample) -> float:
    """Returns the microseconds of CPU time of all processes for one call."""
    return sample.cpu_us("server") + sample.cpu_us("PostgreSQL")


async def load_past(services: Services, database_url: str, skus: int, say: Callable[[str], None]) -> str:
    """Fills a database with new SKUs by COPY, and returns a line that says how long it took.

    PostgreSQL runs with `wal_level=minimal` meanwhile: a table that is emptied and filled in one transaction then needs
    no log. Triggers are off, as the data satisfies the foreign keys; indexes are created when the tables are full.
    """
    start = time.monotonic()
    tables = [into.split()[0] for into in PAST]
    async with _without_log(services.postgres):
        source, target = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
        try:
            await target.execute("SET session_replication_role = replica; SET maintenance_work_mem = '512MB'")
            async with target.transaction():
                await target.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
                indexes = await target.fetch(
                    """
                    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
                    FROM pg_index WHERE indrelid::regclass::text = ANY($1::text[]) AND NOT indisprimary
                    """,
                    tables,
                )
                for index in indexes:
                    await target.execute(f"DROP INDEX {index['name']}")
                for into, select in PAST.items():
                    say(f"loading {into.split()[0]} of {skus * ORDERS_A_SKU:,} orders")
                    rows = select.replace("$1", f"{skus}::bigint").replace("$2", f"{PLENTY}::bigint")
                    await _copy(source, rows, target, into)
                for index in indexes:
                    say(f"making the index {index['name']}")
                    await target.execute(index["definition"].replace(" ON ONLY ", " ON "))
            await target.execute("UPDATE stock SET on_hand = on_hand - 9, allocated = 1, version = $1", MOVEMENTS_A_SKU)
            say("vacuum")
            await target.execute("VACUUM (FREEZE, ANALYZE)")
            size = await target.fetchval("SELECT pg_database_size(current_database())")
        finally:
            await source.close()
            await target.close()
    return (
        f"Loaded by COPY in {time.monotonic() - start:.0f} s: {skus * ORDERS_A_SKU:,} orders with their events and "
        f"request_ids, {skus:,} SKUs, {skus * MOVEMENTS_A_SKU:,} movements; {size / 2**30:.1f} GiB with indexes."
    )


@asynccontextmanager
async def _without_log(postgres: Postgres) -> AsyncIterator[None]:
    """Restarts PostgreSQL so that bulk loads need no write-ahead log, and again with its previous settings
    afterwards."""
    before = postgres.settings
    postgres.settings = {**before, "wal_level": "minimal", "max_wal_senders": "0"}
    await postgres.restart()
    try:
        yield
    finally:
        postgres.settings = before
        await postgres.restart()


async def _copy(
    source: asyncpg.Connection[asyncpg.Record], select: str, target: asyncpg.Connection[asyncpg.Record], into: str
) -> None:
    """Copies the result of a query on one connection into a table on the other."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=16)

    async def taken() -> AsyncIterator[bytes]:
        while (piece := await pieces.get()) is not None:
            yield piece

    async def give() -> None:
        await source.copy_from_query(select, output=pieces.put, format="binary")
        await pieces.put(None)

    table, _, columns = into.partition(" ")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(give())
        tasks.create_task(
            target.copy_to_table(
                table,
                source=taken(),
                freeze=table not in ("events", "movements"),  # not possible for partitioned tables
                columns=[name.strip() for name in columns.strip("() \n").split(",")],
                format="binary",
            )
        )


BENCHMARK = Benchmark(10, "Orders and reads with a full database", answer, limit=360)
