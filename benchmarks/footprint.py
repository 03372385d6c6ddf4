"""Measures what orders cost from the cart to the parcel, in CPU time and bytes: `python -m benchmarks.footprint`.

An order has two lines and a customer; it is created, paid, processed and fulfilled, and every event is delivered to a
webhook. The figures are those of docs/how-to/operator/sizing.md. No row of the table: it compares nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import count
from uuid import uuid4

import aiohttp
import asyncpg
from rich.box import SIMPLE
from rich.console import Console, Group
from rich.table import Table
from stockward.order.v1 import order_pb2

from benchmarks.calls import PMS_KEY, order_request
from benchmarks.calls import Shape as OrderShape
from benchmarks.processes import cpu_used, pid_of, resident_bytes
from benchmarks.report import Options, Run, machine
from benchmarks.shop import Shop
from benchmarks.webhook_gateway import delivering
from stockward_client import AsyncStockward

SHAPE = OrderShape(skus=1_000, lines=2)
IDLE_SECONDS = 10.0
WARM_UP = 200
"""Orders that are made before anything is measured."""

TABLES = """
    SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What was measured; CPU in microseconds an order, bytes an order unless they are of a process."""

    orders: int
    at_once: int
    cpu_us: Mapping[str, int]
    idle_percent: Mapping[str, float]
    """Part of one core that a process takes while nothing happens."""
    resident_mib: Mapping[str, float]
    wal_bytes: int
    table_bytes: Mapping[str, int]
    """Tables with their indexes, those that grew."""
    stream_bytes: int


async def measure(orders: int, at_once: int, say: Run) -> Footprint:
    async with Shop.open(say, SHAPE.skus) as shop, aiohttp.ClientSession() as http:
        server = await shop.server()
        async with (
            delivering(shop, http) as (receiver, processes),
            AsyncStockward(server.address, PMS_KEY) as staff,
        ):
            del processes["receiver"]
            processes |= {"server": pid_of(server), "NATS": pid_of(shop.services.nats)}
            connection = await asyncpg.connect(shop.database)
            await _sell(staff, WARM_UP, at_once)
            say.say("idle")
            await _settled(connection)
            with cpu_used(processes) as idle:
                await asyncio.sleep(IDLE_SECONDS)
            before, wal = await _tables(connection), await connection.fetchval("SELECT pg_current_wal_lsn()")
            stored = _stored(shop)
            say.say(f"{orders} orders")
            with cpu_used(processes) as cpu:
                await _sell(staff, orders, at_once)
                await _settled(connection)
            after = await _tables(connection)
            written = await connection.fetchval("SELECT pg_current_wal_lsn() - $1::pg_lsn", wal)
            await connection.close()
            resident = {name: resident_bytes(pid) / 2**20 for name, pid in processes.items() if name != "PostgreSQL"}
            await receiver.forget()
            stream = _stored(shop) - stored
        await shop.audit(server)
    grown = {name: round((after[name] - before.get(name, 0)) / orders) for name in after}
    return Footprint(
        orders=orders,
        at_once=at_once,
        cpu_us={name: round(1e6 * used / orders) for name, used in cpu.items()},
        idle_percent={name: round(100 * used / IDLE_SECONDS, 1) for name, used in idle.items()},
        resident_mib={name: round(mib, 1) for name, mib in resident.items()},
        wal_bytes=round(int(written) / orders),
        table_bytes={name: size for name, size in sorted(grown.items(), key=lambda each: -each[1]) if size},
        stream_bytes=round(stream / orders),
    )


async def _sell(staff: AsyncStockward, orders: int, at_once: int) -> None:
    """Takes that many orders from creation to the parcel, some of them at once."""
    numbers = count()

    async def one_after_another() -> None:
        while (number := next(numbers)) < orders:
            wanted = order_request(SHAPE)
            order = await staff.orders.create_order(
                lines=wanted.lines,
                customer=order_pb2.Customer(
                    email=f"customer-{random.randrange(10**6)}@example.com",
                    shipping_address=order_pb2.Address(
                        recipient="A. Customer",
                        lines=["1 Long Street"],
                        city="Springfield",
                        postal_code="12345",
                        country_code="US",
                    ),
                ),
                reference=f"WEB-{number:06}",
            )
            await staff.orders.record_payment(
                order_id=order.order_id,
                provider="bench",
                provider_event_id=str(uuid4()),
                kind=order_pb2.RecordPaymentRequest.KIND_CAPTURED,
                amount=order.totals.net,
            )
            await staff.orders.process_order(order_id=order.order_id)
            await staff.orders.fulfill_order(
                order_id=order.order_id, tracking_number=f"T{number:09}", carrier="Carrier"
            )

    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(one_after_another())


async def _settled(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Waits until the outbox is empty, and every delivery recorded."""
    async with asyncio.timeout(120):
        while await connection.fetchval(  # noqa: ASYNC110 (other processes write them)
            "SELECT EXISTS (SELECT FROM outbox) OR EXISTS (SELECT FROM deliveries WHERE state <> 2)"
        ):
            await asyncio.sleep(0.1)


async def _tables(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, int]:
    return {row["name"]: row["bytes"] for row in await connection.fetch(TABLES)}


def _stored(shop: Shop) -> int:
    """Returns the bytes that NATS keeps on its disk."""
    return sum(file.stat().st_size for file in (shop.services.directory / "nats").rglob("*") if file.is_file())


def show(found: Footprint, console: Console) -> None:
    used = Table("Process", "µs an order", "% of a core, idle", "MiB", box=SIMPLE, caption=machine())
    for name, micros in found.cpu_us.items():
        resident = found.resident_mib.get(name)
        used.add_row(name, f"{micros:,}", f"{found.idle_percent[name]}", "" if resident is None else f"{resident:.0f}")
    used.add_row("together", f"{sum(found.cpu_us.values()):,}", f"{sum(found.idle_percent.values()):.1f}", "")
    kept = Table("Kept in", "Bytes an order", box=SIMPLE)
    for name, size in found.table_bytes.items():
        kept.add_row(name, f"{size:,}")
    kept.add_row("stream of NATS", f"{found.stream_bytes:,}")
    kept.add_row("(write-ahead log)", f"{found.wal_bytes:,}")
    for table in (used, kept):
        for column in table.columns[1:]:
            column.justify, column.no_wrap = "right", True
    console.print(Group(used, kept))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=3_000, help="orders that are measured")
    parser.add_argument("--at-once", type=int, default=2, help="orders on their way at the same time")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    asked = parser.parse_args()
    console = Console(stderr=True)
    with console.status("starting") as status:
        found = asyncio.run(measure(asked.orders, asked.at_once, Run(Options(), 600.0, status.update)))
    if asked.json:
        print(json.dumps(asdict(found), indent=2))
        return
    show(found, Console())


if __name__ == "__main__":
    main()
