"""Says what more cores would give, and what gives out first: `python -m benchmarks.growth`.

A model, not a measurement. Every process takes so many microseconds of a core for an order; cores are divided so that
all processes are busy alike; what one process or one row can do at most bounds the rest. It is checked against what was
measured on two cores, with the client on them. The figures are those of docs/how-to/operator/sizing.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from stockward_server.domain.event import SHARDS

CORES = (2, 16, 64, 256)

COSTS = {"server": 770, "PostgreSQL": 470, "relay": 190, "gateway": 1_360, "NATS": 130}
"""Microseconds of a core for an order of one line with two webhooks, with much in flight (rows 15, 18 and 19)."""

AT_MOST = {"relay": SHARDS, "PostgreSQL": 32}
"""Cores that a part can use at most; the others can be as many as there are. That of the relay is its number of shards;
that of PostgreSQL is an assumption: beyond it writers wait for each other at the write-ahead log."""

WAL_BYTES = 4_800
"""Write-ahead log of an order and its deliveries, in bytes."""

WAL_A_SECOND = 500e6
"""What a good NVMe disk takes of a sequential log, in bytes a second."""

HOT_SKU_US = 285
"""What orders of one SKU do one after the other: 200 of the committer, 85 of PostgreSQL, in large batches."""

EFFICIENCY = 0.75
"""Part of a core that is left for work beside what the machine and the waits take, from the check below."""


@dataclass(frozen=True, slots=True)
class Point:
    """Orders a second that were measured on two cores, with the costs of that run in microseconds."""

    what: str
    rate: int
    servers: int
    costs: Mapping[str, int]


MEASURED = (
    Point("one server, 8 in flight", 621, 1, {"server": 1_340, "PostgreSQL": 465, "client": 393}),
    Point("one server, 64 in flight", 1_343, 1, {"server": 671, "PostgreSQL": 175, "client": 204}),
    Point("one server, 256 in flight", 1_337, 1, {"server": 767, "PostgreSQL": 153, "client": 205}),
    Point("two servers, 256 in flight", 1_654, 2, {"server": 746, "PostgreSQL": 136, "client": 205}),
    Point("four servers, 256 in flight", 1_406, 4, {"server": 860, "PostgreSQL": 176, "client": 205}),
)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Orders a second on a number of cores, many SKUs; what bounds them; and the number of processes."""

    cores: int
    rate: int
    bound_by: str
    processes: Mapping[str, int]


def forecast(cores: int) -> Forecast:
    """Returns what this many cores give."""
    limits = {
        "cores": EFFICIENCY * cores * 1e6 / sum(COSTS.values()),
        "write-ahead log": WAL_A_SECOND / WAL_BYTES,
        **{part: EFFICIENCY * most * 1e6 / COSTS[part] for part, most in AT_MOST.items()},
    }
    bound_by = min(limits, key=lambda each: limits[each])
    rate = limits[bound_by]
    used = {part: max(1, round(rate * cost / 1e6 / EFFICIENCY)) for part, cost in COSTS.items()}
    return Forecast(cores, round(rate), bound_by, used)


def on_two_cores(point: Point) -> int:
    """Returns the model's rate for a measured point: bound by both cores, or by the threads of the servers."""
    cores = EFFICIENCY * 2e6 / sum(point.costs.values())
    threads = point.servers * 1e6 / point.costs["server"]
    return round(min(cores, threads))


def show(console: Console, forecasts: Sequence[Forecast]) -> None:
    check = Table("Measured on two cores", "Orders/s", "Model", "Model / measured", box=SIMPLE)
    for point in MEASURED:
        computed = on_two_cores(point)
        check.add_row(point.what, f"{point.rate:,}", f"{computed:,}", f"{computed / point.rate:.2f}")
    table = Table("Cores", "Orders/s", "Bound by", *COSTS, box=SIMPLE, title="Orders with their webhooks, many SKUs")
    for each in forecasts:
        table.add_row(f"{each.cores}", f"{each.rate:,}", each.bound_by, *(f"{n}" for n in each.processes.values()))
    for shown in (check, table):
        for column in shown.columns[1:]:
            column.justify, column.no_wrap = "right", True
        console.print(shown)
    console.print(f"One hot SKU: {1e6 / HOT_SKU_US:,.0f} orders a second at most, however many cores.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    forecasts = [forecast(cores) for cores in CORES]
    if parser.parse_args().json:
        print(json.dumps([asdict(each) for each in forecasts], indent=2))
        return
    show(Console(), forecasts)


if __name__ == "__main__":
    main()
