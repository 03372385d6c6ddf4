"""Row 16. Are orders found quickly among a million, and what do the indexes for that cost an order's write?"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import Any

import asyncpg
import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money
from stockward.order.v1 import order_pb2 as pb
from stockward.order.v1 import order_pb2_grpc

from benchmarks.calls import CREATE_ORDER, PMS_KEY, Shape
from benchmarks.load import Load, figures, interleave, ratio
from benchmarks.report import Benchmark, Failure, Result, Run, at_least, at_most
from benchmarks.shop import Shop, make_database
from stockward_server.api.orders.filters import order_filter
from stockward_server.application.context import Role
from stockward_server.application.ports.pages import Page
from stockward_server.storage.read.order_lists import order_query

ORDERS = 1_000_000
SKUS = 2_000
WARM_ROUNDS = 3
"""Repetitions of each list before those that are measured: the server of a shop that works has them in memory."""

ROUNDS = 100
"""Measured repetitions of each list."""

MILLISECONDS = 50.0
"""Maximum milliseconds of 95 of 100 lists of each kind, measured through gRPC."""

SHAPE = Shape(skus=SKUS, lines=2, contact=True)

WITHOUT = """
    DROP INDEX orders_state, orders_update_time, orders_net, orders_held, orders_refund, orders_unindexed,
               allocations_location;
    DROP TRIGGER orders_inserted ON orders;
    DROP TRIGGER orders_updated ON orders;
    CREATE INDEX orders_pending ON orders (order_id) WHERE state = 1;
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER unsearched BEFORE INSERT ON order_search FOR EACH ROW EXECUTE FUNCTION nothing();
"""
"""Takes from a database what lists of orders are found by, and gives it the index that this replaced."""

State, Paid = pb.Order, pb.Payment

# A year of orders as the API would write them. Nearly all are fulfilled and paid, the newest three of a hundred are
# open. $1: orders, $2: SKUs.
SEED = (
    "SELECT setseed(0.14)",
    "SET session_replication_role = replica",  # neither foreign keys nor counts, which follow
    """
    CREATE TEMP TABLE made AS
    SELECT n, created, least(now(), created + random() * interval '5 days') AS updated, state, net,
           (lpad(to_hex((extract(epoch FROM created) * 1000)::bigint), 12, '0') || '7000'
            || '8000' || lpad(to_hex(n), 12, '0'))::uuid AS order_id,
           CASE WHEN state = 1 THEN (ARRAY[1, 1, 2, 4])[1 + n % 4]
                WHEN state IN (2, 3) THEN CASE WHEN n % 20 = 0 THEN 3 ELSE 4 END
                WHEN state = 4 THEN CASE WHEN n % 150 = 0 THEN 8 WHEN n % 40 = 0 THEN 7 ELSE 4 END
                WHEN state = 5 THEN CASE WHEN n % 3 = 0 THEN 8 ELSE 1 END ELSE 1 END AS payment_state,
           'first' || chr(97 + (26 * random() ^ 2)::int % 26) || (20 * random())::int AS first,
           'last' || chr(97 + (26 * random() ^ 2)::int % 26) || (100 * random() ^ 2)::int AS last,
           lpad((99999 * random())::int::text, 5, '0') AS postal_code
    FROM (
        SELECT n, now() - ($1::bigint - n) * (interval '365 days' / $1::bigint) AS created,
               (500 + 50000 * random() ^ 3)::bigint AS net,
               CASE WHEN n % 50 = 0 THEN 5 WHEN n % 97 = 0 THEN 6 WHEN n < 0.97 * $1::bigint THEN 4
                    ELSE 1 + n % 3 END AS state
        FROM generate_series(0, $1::bigint - 1) AS n, (SELECT $2::bigint) AS skus
    ) AS orders
    """,
    """
    INSERT INTO orders (order_id, state, currency, payment_terms, payment_due_time, customer_id, reference, create_time,
                        update_time, version, indexed_version, payment_state, refund_required, held, net)
    SELECT order_id, state, 'EUR', 1, created + interval '1 day', 'c' || n % 300000, 'WEB-' || n, created, updated, 2,
           2, payment_state, n % 500 = 0, state <= 3 AND n % 30 = 0, net
    FROM made, (SELECT $1::bigint, $2::bigint) AS counts
    """,
    """
    INSERT INTO order_lines (order_id, line_number, sku, title, quantity, unit_price, price_override_reason, fulfilled)
    SELECT order_id, line, 'SKU-' || lpad((($2::bigint * random() ^ 2)::bigint % $2::bigint)::text, 6, '0'), 'Thing', 1,
           CASE WHEN lines = 1 THEN net WHEN line = 1 THEN net - net / 3 ELSE net / 3 END, '', (state = 4)::int
    FROM made, LATERAL (SELECT 1 + n % 2) AS l (lines), generate_series(1, lines) AS line, (SELECT $1::bigint) AS counts
    """,
    """
    INSERT INTO allocations (order_id, line_number, location_id, sku, quantity)
    SELECT order_id, line_number, 'main', sku, 1 FROM order_lines JOIN made USING (order_id),
           (SELECT $1::bigint, $2::bigint) AS counts
    WHERE state <= 3
    """,
    """
    INSERT INTO order_contacts (order_id, email, name, shipping_address)
    SELECT order_id, first || '.' || last || n || '@example.com', first || ' ' || last,
           jsonb_build_object('recipient', first || ' ' || last, 'lines', '["Street 1"]'::jsonb, 'city', 'City',
                              'postal_code', postal_code, 'country_code', 'DE')
    FROM made, (SELECT $1::bigint, $2::bigint) AS counts
    """,
    """
    INSERT INTO fulfillments (fulfillment_id, order_id, lines, tracking_number, carrier, create_time)
    SELECT gen_random_uuid(), order_id, '[[1, "main", 1]]', 'TRK' || lpad(n::text, 12, '0'), 'DHL', updated
    FROM made, (SELECT $1::bigint, $2::bigint) AS counts WHERE state = 4
    """,
    """
    INSERT INTO payments (provider, provider_event_id, order_id, kind, amount, event_time, create_time)
    SELECT 'stripe', 'evt_' || n, order_id, 2, net, created, created
    FROM made, (SELECT $1::bigint, $2::bigint) AS counts WHERE payment_state = 4
    """,
    """
    INSERT INTO order_search (order_id, words)
    SELECT order_id, array_to_tsvector(ARRAY['web' || n, n::text, first, last, last || n, postal_code,
                                             first || last || n || 'examplecom']
                                       || CASE WHEN state = 4 THEN ARRAY['trk' || lpad(n::text, 12, '0')] END)
    FROM made, (SELECT $1::bigint, $2::bigint) AS counts
    """,
)

TABLES = ("orders", "order_lines", "allocations", "order_contacts", "fulfillments", "payments", "order_search")

INDEXES = """
    SELECT c.oid::regclass::text AS name, pg_get_indexdef(c.oid) AS definition
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid::regclass::text = ANY($1::text[]) AND NOT i.indisunique
"""


async def answer(run: Run) -> Sequence[Result]:
    count = run.size(ORDERS)
    async with Shop.open(run, SKUS, {"shared_buffers": "256MB"}) as shop:
        run.say(f"{count:,} orders")
        await _fill(shop.database, count)
        server = await shop.server()
        run.say("listing")
        lists = _lists(count)
        if not run.options.quick:
            await _check_plans(shop.database, lists)
        found = await _measure(server.address, lists)
    worst = max(found.values(), key=_p95)
    return [
        Result.compared(
            16,
            f"ListOrders and CountOrders among {count:,} orders: 95 of 100 of each within, ms",
            _p95(worst),
            at_most(MILLISECONDS),
            *(
                f"{name}: median {_median(samples):.1f} ms, p95 {_p95(samples):.1f} ms"
                for name, samples in found.items()
            ),
            f"{sum(_p95(samples) <= MILLISECONDS for samples in found.values())} of {len(found)} kinds are within "
            f"{MILLISECONDS:g} ms, of {ROUNDS} lists each after {WARM_ROUNDS} to warm up.",
            "No table of orders is scanned from its beginning to its end.",
        ),
        await _cost(run),
    ]


def _lists(count: int) -> dict[str, pb.ListOrdersRequest]:
    """Returns a request for each filter, some with many matches and some with few."""
    now = datetime.now(UTC)

    def ago(**span: float) -> Timestamp:
        stamp = Timestamp()
        stamp.FromDatetime(now - timedelta(**span))
        return stamp

    def eur(units: int) -> Money:
        return Money(currency_code="EUR", units=units)

    wanted = pb.ListOrdersRequest
    known = str(count // 2)
    return {
        "no filter": wanted(),
        "oldest first": wanted(order_by="create_time"),
        "state of many": wanted(states=[State.STATE_FULFILLED]),
        "state of few": wanted(states=[State.STATE_PROCESSING]),
        "pending, oldest first": wanted(states=[State.STATE_PENDING], order_by="create_time"),
        "open": wanted(states=[State.STATE_PENDING, State.STATE_PROCESSING, State.STATE_PARTIALLY_FULFILLED]),
        "payment state of few": wanted(payment_states=[Paid.STATE_REFUNDED]),
        "states without a match": wanted(states=[State.STATE_FULFILLED], payment_states=[Paid.STATE_PENDING]),
        "refund required": wanted(refund_required=True),
        "held": wanted(held=True),
        "held, in a state": wanted(held=True, states=[State.STATE_PROCESSING]),
        "created in a day": wanted(create_start_time=ago(days=200), create_end_time=ago(days=199)),
        "created in a day, oldest first": wanted(
            create_start_time=ago(days=200), create_end_time=ago(days=199), order_by="create_time"
        ),
        "updated in an hour": wanted(update_start_time=ago(days=100, hours=1), update_end_time=ago(days=100)),
        "updated since yesterday": wanted(update_start_time=ago(days=1)),
        "updated before a year's half": wanted(update_end_time=ago(days=180)),
        "due": wanted(due_end_time=ago(days=0)),
        "due in an hour": wanted(due_start_time=ago(hours=0), due_end_time=ago(hours=-1)),
        "SKU of many": wanted(sku="SKU-000000"),
        "SKU of few": wanted(sku=f"SKU-{SKUS - 1:06}"),
        "SKU, in a state": wanted(sku="SKU-000000", states=[State.STATE_PROCESSING]),
        "location": wanted(location_id="main"),
        "location without a match": wanted(location_id="elsewhere"),
        "amount of many": wanted(min_net=eur(10), max_net=eur(100)),
        "amount of few": wanted(min_net=eur(504)),
        "amount of few, in a state": wanted(min_net=eur(500), states=[State.STATE_FULFILLED]),
        "by update time": wanted(order_by="update_time desc"),
        "by update time, in a state": wanted(order_by="update_time desc", states=[State.STATE_PROCESSING]),
        "by amount": wanted(order_by="net desc"),
        "customer": wanted(customer_id="c7"),
        "reference": wanted(reference=f"WEB-{known}"),
        "text: reference": wanted(search=f"web-{known}"),
        "text: number of a reference": wanted(search=known),
        "text: e-mail": wanted(search="firsta3.lasta1"),
        "text: name of many": wanted(search="lasta"),
        "text: name": wanted(search="firstb7 lastc42"),
        "text: names of many": wanted(search="first last"),
        "text: postal code": wanted(search="12345"),
        "text: tracking number": wanted(search=f"TRK{count // 3:012}"),
        "text: beginning of an id": wanted(search="01930000"),
        "text: nothing": wanted(search="qqqq"),
        "text: name, in a state": wanted(search="lasta1", states=[State.STATE_PROCESSING]),
        "text: name of many, by amount": wanted(search="lastb1", order_by="net desc"),
    }


async def _fill(database_url: str, count: int) -> None:
    """Indexes are made when their tables are full, in a third of the time."""
    connection = await asyncpg.connect(database_url, command_timeout=600)
    try:
        indexes = await connection.fetch(INDEXES, TABLES)
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        for statement in SEED:
            values = (count, SKUS) if "$" in statement else ()
            await connection.execute(statement, *values)
        for index in indexes:
            await connection.execute(index["definition"])
        await connection.execute("DELETE FROM order_counts")
        await connection.execute(
            "INSERT INTO order_counts SELECT state, payment_state, held, refund_required, count(*) FROM orders "
            "GROUP BY 1, 2, 3, 4"
        )
        await connection.execute(f"VACUUM ANALYZE {', '.join(TABLES)}")
    finally:
        await connection.close()


async def _check_plans(database_url: str, lists: dict[str, pb.ListOrdersRequest]) -> None:
    """Raises Failure when a list is planned with a sequential scan of a table that grows with the orders."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET plan_cache_mode = force_custom_plan")
        for name, request in lists.items():
            query, values = order_query(Page(51, None), order_filter(request, Role.PMS, request.customer_id))
            plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *values))
            scanned = set(_scanned(plan[0]["Plan"])) & {"orders", "order_lines", "order_search", "order_contacts"}
            if scanned:
                raise Failure(f"{name}: scans all of {', '.join(sorted(scanned))}")
    finally:
        await connection.close()


def _scanned(plan: dict[str, Any]) -> Sequence[str]:
    inner = [table for part in plan.get("Plans", ()) for table in _scanned(part)]
    return [*inner, plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else inner


async def _measure(address: str, lists: dict[str, pb.ListOrdersRequest]) -> dict[str, list[float]]:
    """Returns the milliseconds of each list, and of the counts."""
    found: dict[str, list[float]] = {}
    metadata = (("authorization", f"Bearer {PMS_KEY}"),)
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        orders: Any = order_pb2_grpc.OrderServiceStub(channel)
        calls = {name: partial(orders.ListOrders, request) for name, request in lists.items()}
        calls["counts"] = partial(orders.CountOrders, pb.CountOrdersRequest())
        for number in range(WARM_ROUNDS + ROUNDS):
            for name, call in calls.items():
                begin = time.perf_counter()
                await call(metadata=metadata)
                if number >= WARM_ROUNDS:
                    found.setdefault(name, []).append(1e3 * (time.perf_counter() - begin))
    return found


async def _cost(run: Run) -> Result:
    """Compares the rate of orders with contacts with that without all that lists are found by."""
    async with Shop.open(run, SKUS) as shop:
        plain = await make_database(shop.services, SKUS, name="plain")
        connection = await asyncpg.connect(plain)
        await connection.execute(WITHOUT)
        await connection.close()
        servers = {"with": await shop.server(), "without": await shop.services.server(plain)}
        samples = await interleave(
            run, {name: shop.side(Load([server], CREATE_ORDER, SHAPE)) for name, server in servers.items()}
        )
        audited = await shop.audit(servers["with"])
    rates = ratio(samples["with"], samples["without"])
    return Result.compared(
        16,
        "CreateOrder with a contact, with the indexes of lists against without",
        rates.median,
        at_least(0.95),
        f"Ratio of the rates: {rates}.",
        figures("With", samples["with"], "order"),
        figures("Without", samples["without"], "order"),
        audited,
    )


def _median(samples: Sequence[float]) -> float:
    return sorted(samples)[len(samples) // 2]


def _p95(samples: Sequence[float]) -> float:
    """Returns the nearest rank: the smallest sample that 95 of 100 do not exceed."""
    return sorted(samples)[ceil(0.95 * len(samples)) - 1]


BENCHMARK = Benchmark(16, "Finding orders among a million", answer, limit=600)
