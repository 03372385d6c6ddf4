"""Measures one, two and four server processes: `python -m benchmarks.scaling`.

The figures are those of docs/how-to/operator/scaling.md.

The client is two processes, so that it is not the bottleneck; PostgreSQL, NATS and all servers share the machine's
cores. So the figure that applies to larger machines is each process's CPU time for one call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.calls import CREATE_ORDER, GET_AVAILABILITY, Method, Shape
from benchmarks.load import Load, Sample
from benchmarks.processes import Server
from benchmarks.report import Options, Run, machine
from benchmarks.shop import Shop

COUNTS = (1, 2, 4)
SKUS = 1000

LOADS: dict[str, tuple[Method, Shape]] = {
    "reads, 1,000 SKUs": (GET_AVAILABILITY, Shape(skus=SKUS)),
    "orders, 1,000 SKUs": (CREATE_ORDER, Shape(skus=SKUS)),
    "orders, one SKU": (CREATE_ORDER, Shape()),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One load on a number of servers; CPU time in microseconds a call, of all servers together and of PostgreSQL."""

    load: str
    servers: int
    rate: int
    p50_ms: float
    p99_ms: float
    server_us: int
    postgres_us: int


async def measure(seconds: float, console: Console) -> list[Figure]:
    """Measures every load on every number of servers, after a second to warm up; audits the counters at the end."""
    figures: list[Figure] = []
    with console.status("starting") as status:
        async with Shop.open(Run(Options(), 600.0, status.update), SKUS) as shop:
            servers: list[Server] = []
            clients = [shop.client, await shop.services.worker()]
            for count in COUNTS:
                servers += [await shop.server() for _ in range(count - len(servers))]
                for name, (method, shape) in LOADS.items():
                    status.update(f"{name}: {count} of {COUNTS[-1]} servers")
                    load = Load(servers[:], method, shape, in_flight=128)
                    for duration in (1.0, seconds):
                        with_cpu = load.measure(clients[0], duration, shop.processes(*servers))
                        samples = await asyncio.gather(with_cpu, load.measure(clients[1], duration, {}))
                    figures.append(_figure(name, count, *samples))
            await shop.audit(servers[0])
    return figures


def _figure(name: str, count: int, first: Sample, second: Sample) -> Figure:
    units = first.units + second.units
    assert first.latencies_ms is not None
    postgres = first.cpu["PostgreSQL"]
    servers = sum(used for process, used in first.cpu.items() if process.startswith("server"))
    return Figure(
        load=name,
        servers=count,
        rate=round(first.rate + second.rate),
        p50_ms=round(first.latencies_ms[0], 1),
        p99_ms=round(first.latencies_ms[1], 1),
        server_us=round(1e6 * servers / units),
        postgres_us=round(1e6 * postgres / units),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each load is measured")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    start = time.monotonic()
    figures = asyncio.run(measure(asked.seconds, Console(stderr=True)))
    if asked.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=2))
        return
    table = Table(*("Load", "Servers", "Calls/s", "p50 ms", "p99 ms", "µs server", "µs PostgreSQL"), box=SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    for figure in sorted(figures, key=lambda figure: list(LOADS).index(figure.load)):
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in asdict(figure).values()))
    table.caption = f"{machine()}; it took {time.monotonic() - start:.0f} s"
    Console().print(table)


if __name__ == "__main__":
    main()
