"""Row 4. What does group commit buy over one transaction an order?"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from benchmarks.calls import sku
from benchmarks.load import IN_FLIGHT, Sample, figures, interleave, percentiles, ratio
from benchmarks.processes import Services, cpu_used, pid_of, postgres_program
from benchmarks.report import Benchmark, Result, Run, at_least
from benchmarks.shop import audit, make_database, orders_a_transaction
from stockward_server.api.events.encoder import encode_event
from stockward_server.api.orders.messages import ORDER
from stockward_server.application.context import MutationContext, Role
from stockward_server.application.order_commands import CreateOrder
from stockward_server.config import Settings
from stockward_server.domain.order import NOBODY, PaymentTerms
from stockward_server.domain.pricing import WantedLine
from stockward_server.storage.database import open_pool
from stockward_server.storage.write.committer import Committer

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of clients of pgbench; the best rate is the baseline."""

TABLES = """
    CREATE TABLE stock (sku text PRIMARY KEY, on_hand bigint NOT NULL, allocated bigint NOT NULL)
                        WITH (fillfactor = 50);
    CREATE TABLE orders (order_id uuid PRIMARY KEY, sku text NOT NULL, quantity bigint NOT NULL,
                         create_time timestamptz NOT NULL);
    CREATE TABLE movements (movement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sku text NOT NULL,
                            delta bigint NOT NULL, create_time timestamptz NOT NULL);
    INSERT INTO stock VALUES ('SKU-000000', 1000000000, 0);
"""

SCRIPT = """
BEGIN;
SELECT on_hand - allocated FROM stock WHERE sku = 'SKU-000000' FOR UPDATE;
UPDATE stock SET allocated = allocated + 1 WHERE sku = 'SKU-000000';
INSERT INTO orders (order_id, sku, quantity, create_time) VALUES (gen_random_uuid(), 'SKU-000000', 1, now());
INSERT INTO movements (sku, delta, create_time) VALUES ('SKU-000000', 1, now());
COMMIT;
"""


async def answer(run: Run) -> Sequence[Result]:
    run.say("starting")
    async with Services.running() as services:
        database, plain = await make_database(services), await _plain_database(services)
        worker = await services.worker()
        pgbench = Pgbench(services, plain, run.seconds)

        async def commit() -> Sample:
            start = time.time()
            with cpu_used({"committer": worker.pid, "PostgreSQL": pid_of(services.postgres)}) as cpu:
                found = await worker.call(submit, database_url=database, callers=IN_FLIGHT, seconds=run.seconds)
            return Sample(found["orders"], found["seconds"], start, tuple(found["latencies_ms"]), cpu=cpu)

        rates = {}
        for clients in CLIENTS:
            run.say(f"pgbench with {clients} clients")
            rates[clients] = (await pgbench.measure(clients)).rate
        best = max(rates, key=lambda clients: rates[clients])
        samples = await interleave(run, {"committer": commit, "pgbench": lambda: pgbench.measure(best)})
        ours, theirs = samples.values()
        compared = ratio(ours, theirs)
        server = await services.server(database)
        return [
            Result.compared(
                4,
                f"The committer alone, one hot SKU, {IN_FLIGHT} callers, against one transaction an order by pgbench",
                compared.median,
                at_least(15),
                f"Ratio of the rates: {compared}.",
                figures("Committer", ours, "order"),
                figures(f"pgbench at its best, {best} clients", theirs, "transaction"),
                "pgbench by clients: " + ", ".join(f"{clients}: {rate:,.0f}/s" for clients, rate in rates.items()),
                f"{await orders_a_transaction(database, ours):.0f} orders a transaction.",
                await audit(server, database),
            )
        ]


async def submit(database_url: str, callers: int, seconds: float) -> dict[str, Any]:
    """Runs in the worker: `callers` submit one order after another to a separate committer."""
    settings = Settings()
    pool = await open_pool(database_url, settings.pool_size)
    committer = Committer(
        pool,
        encode_event,
        queue_limit=settings.committer_queue_limit,
        batch_limit=settings.committer_batch_limit,
    )
    latencies: list[float] = []
    begin = time.perf_counter()

    async def order_again_and_again() -> None:
        while (start := time.perf_counter()) < begin + seconds:
            await committer.submit(new_order(), ORDER)
            latencies.append(1e3 * (time.perf_counter() - start))

    await asyncio.gather(*(order_again_and_again() for _ in range(callers)))
    elapsed = time.perf_counter() - begin
    await committer.close()
    await pool.close()
    return {"orders": len(latencies), "seconds": elapsed, "latencies_ms": percentiles(latencies)}


def new_order() -> CreateOrder:
    """Returns the command of a request with one line."""
    request_id = str(uuid4())
    return CreateOrder(
        cause=MutationContext("storefront", Role.STOREFRONT, "CreateOrder", request_id, request_id.encode()[:16]),
        lines=[WantedLine(sku(0), 1, "lines[0]")],
        reservation_id=None,
        customer=NOBODY,
        reference="",
        charges=[],
        terms=PaymentTerms.PREPAID,
        payment_allowance=timedelta(minutes=30),
    )


class Pgbench:
    """PostgreSQL's own load generator with the script above."""

    def __init__(self, services: Services, database_url: str, seconds: float) -> None:
        self._services = services
        self._database_url = database_url
        self._seconds = max(1, round(seconds))
        self._script = Path(services.directory / "order.sql")
        self._script.write_text(SCRIPT)

    async def measure(self, clients: int) -> Sample:
        start = time.time()
        with cpu_used({"PostgreSQL": pid_of(self._services.postgres)}) as cpu:
            process = await asyncio.create_subprocess_exec(
                *(postgres_program("pgbench"), "--no-vacuum", "--protocol=prepared", f"--file={self._script}"),
                *(f"--client={clients}", f"--jobs={min(2, clients)}", f"--time={self._seconds}", self._database_url),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            output, errors = await process.communicate()
        found = re.search(rb"actually processed: (\d+)", output)
        rate = re.search(rb"tps = ([\d.]+)", output)
        if process.returncode or not found or not rate:
            raise RuntimeError(f"pgbench failed: {errors.decode()}")
        transactions = int(found[1])
        return Sample(transactions, transactions / float(rate[1]), start, cpu=cpu)


async def _plain_database(services: Services) -> str:
    url = await services.postgres.create_database("plain")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TABLES)
    finally:
        await connection.close()
    return url


BENCHMARK = Benchmark(4, "The committer alone against one transaction an order", answer, limit=100)
