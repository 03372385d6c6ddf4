"""`python -m torture.soak`: half an hour of mixed work without faults, to find anything that grows.

Days are compressed to minutes: stored responses are back-dated, so that retention, which runs each minute here, has its
daily work.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stockward_server.storage.database import Pool
from torture.checks.counters import audit_counters
from torture.run import Plan, Work, working
from torture.stack import Stack, family, running_stack
from torture.usage import PAGE
from torture.workload import GOODS, LOCATIONS, received

SAMPLES = 60
"""Number of samples over the whole run."""

MEBIBYTE = 1024 * 1024

STATE = """
    SELECT (SELECT count(*) FROM events) AS events,
           pg_total_relation_size('stock') + pg_total_relation_size('lanes') + pg_total_relation_size('outbox')
               AS hot_bytes,
           (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables
            WHERE relname IN ('stock', 'lanes', 'outbox'))::bigint AS dead_tuples,
           (SELECT count(*) FROM reservations WHERE state = 1 AND expire_time < now() - interval '5 s')
               + (SELECT count(*) FROM orders WHERE state = 1 AND payment_due_time < now() - interval '5 s'
                  AND captured = 0 AND authorized = 0) AS overdue,
           (SELECT coalesce(extract(epoch FROM now() - min(create_time)), 0) FROM outbox)::float AS outbox_age,
           (SELECT count(*) FROM idempotency WHERE create_time < now() - interval '1 day') AS uncleaned
"""

AGE = """
    UPDATE idempotency SET create_time = create_time - interval '3 days'
    WHERE create_time BETWEEN now() - interval '1 day' AND now() - interval '90 s'
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The state at one moment. Sizes in bytes, ages in seconds."""

    at: float
    memory: dict[str, int]
    """Resident memory by process."""
    events: int
    hot_bytes: int
    """Bytes of tables and indexes whose rows come and go: stock, lanes, outbox."""
    dead_tuples: int
    overdue: int
    """Holds and orders that are overdue for the sweeper by five seconds."""
    outbox_age: float
    uncleaned: int
    """Stored responses that are past their retention."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One quantity that must not grow."""

    what: str
    before: float
    after: float
    limit: float

    @property
    def held(self) -> bool:
        return self.after <= self.limit


async def sample(stack: Stack, at: float) -> Sample:
    row = await stack.pool.fetchrow(STATE, timeout=60)
    assert row is not None
    services = {**stack.processes, "postgres": stack.postgres, "nats": stack.nats}
    memory = {name: sum(map(resident, family(service)[:1])) for name, service in services.items()}
    return Sample(at, memory, **dict(row))


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def judge(samples: Sequence[Sample]) -> list[Verdict]:
    """Compares the last third of the samples with the middle one: by then caches are filled and tables have their usual
    size."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]

    def grows(what: str, value: Callable[[Sample], float], factor: float, room: float) -> Verdict:
        before, after = median(map(value, middle)), median(map(value, last))
        return Verdict(what, before, after, factor * before + room)

    found = [
        grows(f"memory of {name}, MiB", lambda each, name=name: each.memory[name] / MEBIBYTE, 1.1, 8)  # type: ignore[misc]
        for name in samples[0].memory
    ]
    found.append(grows("stock, lanes and outbox on disk, MiB", lambda each: each.hot_bytes / MEBIBYTE, 1.3, 4))
    found.append(grows("dead tuples in them", lambda each: each.dead_tuples, 1.5, 10_000))
    # Overdue work is processed at once, so these are compared with a fixed limit.
    steady = samples[len(samples) // 10 :]
    found.append(Verdict("holds and orders 5 s overdue", 0, max(each.overdue for each in steady), 0))
    found.append(Verdict("oldest event in the outbox, s", 0, max(each.outbox_age for each in steady), 10))
    found.append(grows("answers past their retention", lambda each: each.uncleaned, 1.5, 2000))
    return found


async def soak(stack: Stack, plan: Plan, say: Callable[[float], None]) -> tuple[list[Sample], list[str]]:
    """Returns the samples, and the discrepancies at the end."""
    samples: list[Sample] = []
    async with working(stack, plan) as work:
        for number in range(SAMPLES):
            await asyncio.sleep(plan.seconds / SAMPLES)
            await restock(work)
            await age(stack.pool)
            samples.append(await sample(stack, work.evidence.history.now()))
            work.evidence.history.calls.clear()  # it is not checked here, and would grow
            say((number + 1) / SAMPLES)
        work.stop.set()
        await asyncio.gather(*work.tasks)
        async with stack.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            found = [*work.evidence.sampled, *await audit_counters(connection)]
    return samples, [each.message for each in found] + stack.errors()


async def restock(work: Work) -> None:
    """Restocks what was sold."""
    for sku in GOODS:
        for location_id in LOCATIONS:
            await work.caller.call("inventory", "AdjustStock", received(sku, location_id, 100))


async def age(pool: Pool) -> None:
    await pool.execute(AGE, timeout=60)


def main(
    duration: Annotated[float, typer.Option(min=30, help="Seconds.")] = 1800,
    seed: Annotated[int, typer.Option(help="What clients do.")] = 1,
    machine: Annotated[bool, typer.Option("--json", help="Print samples and verdicts as JSON.")] = False,
) -> None:
    """Work on without faults, and see whether anything grows. Exit code 1 where something does."""
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("pogo_core").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    columns = (TextColumn("Working"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)

        async def run() -> tuple[list[Sample], list[str]]:
            async with running_stack() as stack:
                return await soak(stack, Plan(seed, duration), lambda done: progress.update(task, completed=done))

        samples, wrong = asyncio.run(run())
    verdicts = judge(samples)
    held = not wrong and all(verdict.held for verdict in verdicts)
    if machine:
        report = {
            "held": held,
            "wrong": wrong,
            "verdicts": [{**asdict(verdict), "held": verdict.held} for verdict in verdicts],
            "samples": [asdict(each) for each in samples],
        }
        print(json.dumps(report, indent=2))
    else:
        show(samples, verdicts, wrong)
    raise typer.Exit(0 if held else 1)


def show(samples: Sequence[Sample], verdicts: Sequence[Verdict], wrong: Sequence[str]) -> None:
    console = Console()
    table = Table("", "What", "Before", "After", "Limit", box=SIMPLE)
    for column in table.columns[2:]:
        column.justify = "right"
    for verdict in verdicts:
        sign = "[green]✓[/]" if verdict.held else "[bold red]✗[/]"
        table.add_row(sign, verdict.what, f"{verdict.before:,.1f}", f"{verdict.after:,.1f}", f"{verdict.limit:,.1f}")
    console.print(table)
    for line in wrong:
        console.print(line, style="red", markup=False)
    span = samples[-1].at - samples[0].at
    rate = (samples[-1].events - samples[0].events) / span if span else 0.0
    console.print(f"{samples[-1].events:,} events, {rate:.0f} a second", style="dim")


if __name__ == "__main__":
    typer.run(main)
