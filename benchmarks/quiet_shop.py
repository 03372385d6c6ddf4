"""Row 11. Does batching tax the quiet shop, where one order comes at a time?"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
from asyncpg.connection import LoggedQuery

from benchmarks.calls import CREATE_ORDER, Shape
from benchmarks.committer import new_order, submit
from benchmarks.load import Load, Sample, figures, interleave, percentiles, ratio
from benchmarks.processes import cpu_used
from benchmarks.report import Benchmark, Result, Run, at_most
from benchmarks.shop import Shop, make_database
from stockward_server.api.events.encoder import encode_event
from stockward_server.api.orders.messages import ORDER
from stockward_server.domain.identifiers import new_id
from stockward_server.storage.database import open_pool, prepare_connection
from stockward_server.storage.write.committer import Committer

QUESTION = "CreateOrder, 1 in flight, against one transaction of the same statements by hand: latency"

Statement = tuple[str, tuple[Any, ...]]
"""SQL and its arguments."""

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def answer(run: Run) -> Sequence[Result]:
    async with Shop.open(run) as shop:
        server = await shop.server()
        empty = await shop.empty_server(server, (CREATE_ORDER, Shape()))
        by_hand = await make_database(shop.services, name="by_hand")

        async def alone(function: Any, database_url: str, **arguments: Any) -> Sample:
            start = time.time()
            with cpu_used(shop.processes()) as cpu:
                found = await shop.client.call(function, database_url=database_url, seconds=run.seconds, **arguments)
            return Sample(found["orders"], found["seconds"], start, tuple(found["latencies_ms"]), cpu=cpu)

        samples = await interleave(
            run,
            {
                "CreateOrder": shop.side(Load([server], CREATE_ORDER, in_flight=1)),
                "by hand": lambda: alone(repeat_by_hand, by_hand),
                "committer": lambda: alone(submit, shop.database, callers=1),
                "empty call": shop.side(Load([empty], CREATE_ORDER, in_flight=1)),
            },
        )
        orders, hand, committer, empties = samples.values()
        compared, inner = ratio(orders, hand, _median_ms), ratio(committer, hand, _median_ms)
        return [
            Result.compared(
                11,
                QUESTION,
                compared.median,
                at_most(1.3),
                f"Ratio of the median latencies: {compared}. The committer without gRPC: {inner}.",
                figures("CreateOrder", orders),
                figures("By hand", hand, "order"),
                figures("Committer without gRPC", committer, "order"),
                figures("Empty gRPC call", empties),
                await shop.audit(server),
            )
        ]


def _median_ms(sample: Sample) -> float:
    assert sample.latencies_ms is not None
    return sample.latencies_ms[0]


async def repeat_by_hand(database_url: str, seconds: float) -> dict[str, Any]:
    """Runs in the client: repeats the committer's statements of one order on one connection with other ids.

    The statements are recorded from a real order, so they stay the same when the committer changes. The counters that
    they write never change, so the counters of this database do not match its ledger.
    """
    statements = await _statements_of_an_order(database_url)
    connection = await asyncpg.connect(database_url)
    try:
        await prepare_connection(connection)
        latencies: list[float] = []
        begin = time.perf_counter()
        while time.perf_counter() < begin + seconds:
            ids: dict[str, str] = {}
            renewed = [(sql, _with_new_ids(arguments, ids)) for sql, arguments in statements]
            start = time.perf_counter()
            async with connection.transaction():
                for sql, arguments in renewed:
                    await connection.fetch(sql, *arguments)
            latencies.append(1e3 * (time.perf_counter() - start))
        elapsed = time.perf_counter() - begin
    finally:
        await connection.close()
    return {"orders": len(latencies), "seconds": elapsed, "latencies_ms": percentiles(latencies)}


async def _statements_of_an_order(database_url: str) -> list[Statement]:
    """Returns all statements between BEGIN and COMMIT."""
    heard: list[Statement] = []

    def listen(query: LoggedQuery) -> None:
        if query.args:
            heard.append((query.query, tuple(query.args)))

    pool = await open_pool(database_url, 1)
    committer = Committer(pool, encode_event, queue_limit=10, batch_limit=10)
    committer._optimistic = None  # the statement of an optimistic batch cannot be repeated: it compares versions
    try:
        await committer.submit(new_order(), ORDER)  # the first one on a connection also asks for types
        async with pool.acquire() as connection:
            connection.add_query_logger(listen)
        await committer.submit(new_order(), ORDER)
    finally:
        await committer.close()
        await pool.close()
    return heard


def _with_new_ids(value: Any, ids: dict[str, str]) -> Any:
    """Returns the arguments with a new UUID for each old one, also in arrays as text; equal UUIDs stay equal."""
    if isinstance(value, list | tuple):
        return type(value)(_with_new_ids(each, ids) for each in value)
    if isinstance(value, str):
        return UUID.sub(lambda found: ids.setdefault(found[0], new_id()), value)
    return value


BENCHMARK = Benchmark(11, QUESTION, answer, limit=90)
