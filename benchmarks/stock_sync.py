"""Row 7. How close does a stock count of the whole shop come to COPY and one statement that writes the same rows?"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Sequence

import asyncpg
import grpc
from stockward.inventory.v1 import inventory_pb2, inventory_pb2_grpc

from benchmarks.calls import PMS_KEY, sku
from benchmarks.load import figures, interleave, measure, ratio
from benchmarks.report import Benchmark, Result, Run, at_least
from benchmarks.shop import Shop, make_database

SKUS = 100_000
ROWS = 1_000
"""Rows of one message: the maximum."""


async def answer(run: Run) -> Sequence[Result]:
    skus = run.size(SKUS)
    counts = itertools.count(1_000)  # a new value every time, so that every row changes
    async with Shop.open(run, skus) as shop:
        server = await shop.server()
        copied = await make_database(shop.services, skus, name="copied")
        processes = shop.processes(server)
        samples = await interleave(
            run,
            {
                "SyncStock": lambda: measure(
                    shop.client, sync, skus, processes, address=server.address, skus=skus, on_hand=next(counts)
                ),
                "COPY and one statement": lambda: measure(
                    shop.client, copy, skus, processes, database_url=copied, skus=skus, on_hand=next(counts)
                ),
            },
            warm_up=False,  # a round takes long
        )
        syncs, copies = samples.values()
        rates = ratio(syncs, copies)
        return [
            Result.compared(
                7,
                f"SyncStock of {skus:,} SKUs against COPY and one statement that writes the same rows",
                rates.median,
                at_least(0.5),
                f"Ratio of the rates: {rates}.",
                figures(f"SyncStock, {ROWS:,} rows a message", syncs, "row"),
                figures("COPY and one statement", copies, "row"),
                await shop.audit(server),
            )
        ]


async def sync(address: str, skus: int, on_hand: int) -> float:
    """Runs in the client: sends absolute counts in one stream. Returns the seconds that it took."""

    async def messages() -> AsyncIterator[inventory_pb2.SyncStockRequest]:
        for start in range(0, skus, ROWS):
            rows = [
                inventory_pb2.SyncStockRequest.Row(sku=sku(number), on_hand=on_hand)
                for number in range(start, min(start + ROWS, skus))
            ]
            yield inventory_pb2.SyncStockRequest(rows=rows)

    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        await channel.channel_ready()
        begin = time.perf_counter()
        changed = 0
        async for answer in stub.SyncStock(messages(), metadata=(("authorization", f"Bearer {PMS_KEY}"),)):
            changed += sum(not result.HasField("error") for result in answer.results)
        seconds = time.perf_counter() - begin
    if changed != skus:
        raise RuntimeError(f"{skus - changed} of {skus} rows were refused")
    return seconds


WRITE = """
    WITH changed AS (
        UPDATE stock s SET on_hand = c.on_hand, version = s.version + 1, update_time = now()
        FROM counts c WHERE s.sku = c.sku AND s.location_id = 'main'
        RETURNING s.sku, s.location_id, c.on_hand - old.on_hand AS delta, s.on_hand, s.reserved, s.allocated, s.version
    ), ledger AS (
        INSERT INTO movements (sku, location_id, kind, reason, on_hand_delta, reserved_delta, allocated_delta, on_hand,
                               reserved, allocated, reference, note, actor, create_time)
        SELECT sku, location_id, 9, 2, delta, 0, 0, on_hand, reserved, allocated, '', '', 'pms', now() FROM changed
    ), recorded AS (
        INSERT INTO events (create_time, event_id, type, aggregate_type, aggregate_id, aggregate_version, payload,
                            traceparent)
        SELECT now(), gen_random_uuid(), 'stock.changed', 'stock', sku || '@' || location_id, version, $1, ''
        FROM changed
        RETURNING seq, aggregate_id
    )
    INSERT INTO outbox (seq, shard, create_time) SELECT seq, abs(hashtext(aggregate_id)) % 64, now() FROM recorded
"""
"""The rows that a change of stock has: the counter, its movement, its event, and that event's place in the outbox."""

PAYLOAD = bytes(200)
"""As long as the event of a count."""


async def copy(database_url: str, skus: int, on_hand: int) -> float:
    """Runs in the client: makes the same change by COPY and one statement, in one transaction. Returns the seconds that
    it took."""
    connection = await asyncpg.connect(database_url)
    try:
        begin = time.perf_counter()
        async with connection.transaction():
            await connection.execute("CREATE TEMPORARY TABLE counts (sku text, on_hand bigint) ON COMMIT DROP")
            await connection.copy_records_to_table(
                "counts", records=[(sku(number), on_hand) for number in range(skus)], columns=["sku", "on_hand"]
            )
            await connection.execute("ANALYZE counts")
            await connection.execute(WRITE, PAYLOAD)
        return time.perf_counter() - begin
    finally:
        await connection.close()


BENCHMARK = Benchmark(7, "SyncStock of 100,000 SKUs against COPY and one statement", answer, limit=180)
