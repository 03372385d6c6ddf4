"""Shops to measure: created by SQL, and audited at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import grpc

from benchmarks.calls import PMS_KEY, STOREFRONT_KEY, Method, Shape
from benchmarks.load import Load, Sample, Side
from benchmarks.processes import Server, Services, Worker, pid_of
from benchmarks.release import Release
from benchmarks.report import Failure, Run
from stockward_client import AsyncStockward
from stockward_server.application.context import Role
from stockward_server.storage import keys

PLENTY = 1_000_000_000
"""More units than any benchmark sells."""

AUDIT_SECONDS = 300.0

# Rows as the API would write them, with the first receipt in the ledger. $1: SKUs, $2: units of each.
SEED = (
    """
    INSERT INTO products (product_id, handle, title, description, vendor, product_type, tags, images, attributes, state,
                          publish_time, create_time, update_time, version, indexed_version, search)
    SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'product-' || n, 'Product ' || n,
           'A thing that is bought often.', 'Vendor', 'Thing', '{thing}', '[]', '{}', 2, now(), now(), now(), 2, 2,
           to_tsvector('simple', 'Product ' || n)
    FROM generate_series(0, $1::bigint - 1) AS n, (SELECT $2::bigint) AS units
    """,
    """
    INSERT INTO variants (sku, product_id, position, title, currency, price, options, barcode, weight_grams, image_url)
    SELECT 'SKU-' || lpad(n::text, 6, '0'), ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 0, '',
           'EUR', 1990, '{}', '', 100, ''
    FROM generate_series(0, $1::bigint - 1) AS n, (SELECT $2::bigint) AS units
    """,
    """
    INSERT INTO stock (sku, location_id, on_hand, reserved, allocated, version, update_time)
    SELECT 'SKU-' || lpad(n::text, 6, '0'), 'main', $2::bigint, 0, 0, 1, now()
    FROM generate_series(0, $1::bigint - 1) AS n
    """,
    """
    INSERT INTO movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta, on_hand,
                           reserved, allocated, reference, note, actor, create_time)
    SELECT 'SKU-' || lpad(n::text, 6, '0'), 'main', 9, 1, $2::bigint, 0, 0, $2::bigint, 0, 0, '', '', 'pms', now()
    FROM generate_series(0, $1::bigint - 1) AS n
    """,
)


class Shop:
    """A database with products and stock, and a client in a separate process: the basis of most benchmarks."""

    def __init__(self, run: Run, services: Services, database: str, client: Worker) -> None:
        self.services = services
        self.database = database
        """Its URL."""
        self.client = client
        self._run = run

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        run: Run,
        skus: int = 1,
        postgres_settings: Mapping[str, str] | None = None,
        release: Release | None = None,
    ) -> AsyncIterator[Shop]:
        run.say("starting")
        async with Services.running(postgres_settings, release) as services:
            yield cls(run, services, await make_database(services, skus), await services.worker())

    async def server(self, **environment: str) -> Server:
        return await self.services.server(self.database, **environment)

    async def empty_server(self, server: Server, *calls: tuple[Method, Shape]) -> Server:
        """Starts an empty server that returns, for each of these calls, one response that the server returned."""
        return await self.services.empty_server(
            {method.path: await one_answer(server, method, shape) for method, shape in calls}
        )

    def processes(self, *servers: Server) -> dict[str, int]:
        """Returns the processes whose CPU time is measured."""
        several = len(servers) > 1
        return {
            **{f"server {n}" if several else "server": pid_of(server) for n, server in enumerate(servers, start=1)},
            "PostgreSQL": pid_of(self.services.postgres),
            "client": self.client.pid,
        }

    def side(self, load: Load) -> Side:
        """Returns one side of a comparison: this load by the client."""
        return lambda: load.measure(self.client, self._run.seconds, self.processes(*load.servers))

    async def audit(self, server: Server) -> str:
        self._run.say("audit")
        return await audit(server, self.database)


async def make_database(services: Services, skus: int = 1, units: int = PLENTY, name: str = "shop") -> str:
    """Creates a database with `skus` published SKUs, `units` units of each, and the two keys above; returns its URL."""
    url = await services.postgres.create_database(name)
    await services.migrate(url)
    connection = await asyncpg.connect(url)
    try:
        await keys.ensure_key(connection, "storefront", Role.STOREFRONT, STOREFRONT_KEY)
        await keys.ensure_key(connection, "pms", Role.PMS, PMS_KEY)
        for statement in SEED:
            await connection.execute(statement, skus, units)
        await connection.execute("VACUUM ANALYZE products, variants, stock, movements")
    finally:
        await connection.close()
    return url


async def one_answer(server: Server, method: Method, shape: Shape) -> bytes:
    """Returns the server's encoded response to a request of this shape, for an empty server."""
    async with grpc.aio.insecure_channel(server.address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call: Any = channel.unary_unary(method.path, request_serializer=method.request.SerializeToString)
        answer: bytes = await call(
            method.make(shape), metadata=(("authorization", f"Bearer {STOREFRONT_KEY}"),), timeout=10
        )
        return answer


async def audit(server: Server, database_url: str) -> str:
    """Returns a line for the report when counters, ledger and open claims agree and nothing is oversold. Raises Failure
    otherwise."""
    async with AsyncStockward(server.address, PMS_KEY, timeout=AUDIT_SECONDS) as client:
        answer = await client.inventory.verify_stock()
    connection = await asyncpg.connect(database_url)
    try:
        oversold = await connection.fetchval(
            "SELECT count(*) FROM stock WHERE on_hand - reserved - allocated - safety_stock + backorder_limit < 0"
        )
    finally:
        await connection.close()
    if answer.discrepancies or oversold or not answer.checked:
        raise Failure(
            f"AUDIT FAILED: {len(answer.discrepancies)} discrepancies in {answer.checked} stock rows, "
            f"{oversold} oversold"
        )
    return f"Audit: {answer.checked:,} stock rows agree with ledger and claims, none oversold."


async def orders_a_transaction(database_url: str, samples: Sequence[Sample]) -> float:
    """Returns the mean batch size of the committer during these samples: orders of one batch have the same time."""
    connection = await asyncpg.connect(database_url)
    try:
        return float(
            await connection.fetchval(
                """
                SELECT count(*)::float / greatest(1, count(DISTINCT create_time))
                FROM orders JOIN unnest($1::float[], $2::float[]) AS sample (start, seconds)
                    ON create_time BETWEEN to_timestamp(start) AND to_timestamp(start + seconds)
                """,
                [sample.start for sample in samples],
                [sample.seconds for sample in samples],
            )
        )
    finally:
        await connection.close()
