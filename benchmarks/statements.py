"""`python -m benchmarks.statements`: shows PostgreSQL's time for an order by statement, from pg_stat_statements.

No row of the table: it compares nothing, and the extension slows PostgreSQL down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.calls import CREATE_ORDER, Shape
from benchmarks.load import IN_FLIGHT, Load, figures
from benchmarks.report import Options, Run
from benchmarks.shop import Shop

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_planning": "on"}

SECONDS = 5.0

LOADS = [(IN_FLIGHT, Shape()), (IN_FLIGHT, Shape(skus=1_000)), (IN_FLIGHT, Shape(skus=1_000, lines=5)), (1, Shape())]
"""Orders in flight, and their shape."""

SHOWN = 6
"""Statements printed for each load, the most expensive first."""


async def main(console: Console) -> None:
    run = Run(Options(), 60.0, lambda _: None)
    async with Shop.open(run, 1_000, SETTINGS) as shop:
        server = await shop.server()
        connection = await asyncpg.connect(shop.database)
        try:
            await connection.execute("CREATE EXTENSION pg_stat_statements")
            for in_flight, shape in LOADS:
                console.print(f"{in_flight} in flight, {shape.skus:,} SKUs, {shape.lines} lines each ...", style="dim")
                load = Load([server], CREATE_ORDER, shape, in_flight=in_flight)
                await load.measure(shop.client, SECONDS / 2, {})
                await connection.fetch("SELECT pg_stat_statements_reset()")
                sample = await load.measure(shop.client, SECONDS, shop.processes(server))
                console.print(figures("CreateOrder", [sample]))
                console.print(_table(await _statements(connection), sample.units))
            console.print(await shop.audit(server))
        finally:
            await connection.close()


async def _statements(connection: asyncpg.Connection[asyncpg.Record]) -> Sequence[asyncpg.Record]:
    return await connection.fetch(
        """
        SELECT calls, plans, total_plan_time AS plan_ms, total_exec_time AS run_ms, shared_blks_hit AS blocks,
               wal_bytes, regexp_replace(query, '\\s+', ' ', 'g') AS query
        FROM pg_stat_statements ORDER BY total_plan_time + total_exec_time DESC LIMIT $1
        """,
        SHOWN,
    )


def _table(statements: Sequence[asyncpg.Record], orders: int) -> Table:
    table = Table(box=SIMPLE, title="An order's part of each", title_justify="left")
    for heading in ("Calls", "Plans", "Planned µs", "Run µs", "Blocks", "WAL bytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Statement")
    for each in statements:
        table.add_row(
            f"{each['calls']:,}",
            f"{each['plans']:,}",
            f"{1e3 * each['plan_ms'] / orders:.1f}",
            f"{1e3 * each['run_ms'] / orders:.1f}",
            f"{each['blocks'] / orders:.1f}",
            f"{each['wal_bytes'] / orders:,.0f}",
            f"{each['query'][:40]} …",
        )
    return table


if __name__ == "__main__":
    asyncio.run(main(Console()))
