"""`python -m tests.attack`: every attack on a stack of its own. Exit code 1 where one of them slowed somebody."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tests.attack.attacks import ATTACKS
from tests.attack.neighbour import neighbour
from tests.attack.stack import running_stack
from tests.attack.trial import Verdict, allowed_seconds, alone, load_all, try_attack
from tests.attack.unguarded import BUILDS


def main(
    only: Annotated[str, typer.Option(help="Attacks whose names have this in them.")] = "",
    seconds: Annotated[float, typer.Option(min=0.5, help="How long each attack lasts.")] = 4.0,
    without: Annotated[str, typer.Option(help="A build without a guard: " + ", ".join(BUILDS))] = "",
    machine: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Attack a stack in every way that is known, and time a caller who behaves."""
    names = [name for name in ATTACKS if only.lower() in name.lower()]
    if not names:
        raise typer.BadParameter("no attack has this in its name", param_hint="--only")
    if without and without not in BUILDS:
        raise typer.BadParameter("there is no such build", param_hint="--without")
    logging.basicConfig(level=logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, with nothing left behind
    columns = (MofNCompleteColumn(), BarColumn(20), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        worst_alone, verdicts = asyncio.run(attack_all(names, seconds, without, progress))
    if machine:
        print(json.dumps({"alone": worst_alone, "attacks": [asdict(verdict) for verdict in verdicts]}, indent=2))
    else:
        show(worst_alone, verdicts, Console())
    raise typer.Exit(0 if all(verdict.held for verdict in verdicts) else 1)


async def attack_all(
    names: Sequence[str], seconds: float, without: str = "", progress: Progress | None = None
) -> tuple[float, list[Verdict]]:
    """How long the neighbour waits alone, in seconds, and what each attack did."""
    progress = progress or Progress(disable=True)
    task = progress.add_task("starting the stack", total=len(names))
    verdicts = []
    async with running_stack(without) as stack, neighbour(stack.grpc_address, stack.edge.address) as waits:
        await load_all(stack, waits)
        worst_alone = await alone(waits, max(3.0, seconds))
        for name in names:
            progress.update(task, description=name)
            verdicts.append(await try_attack(name, stack, waits, seconds, allowed_seconds(worst_alone)))
            progress.advance(task)
            if stack.server.pid is None:
                break
    return worst_alone, verdicts


def show(worst_alone: float, verdicts: Sequence[Verdict], console: Console) -> None:
    table = Table("", "Attack", "MiB sent", "Worst wait, ms", "Memory, MiB", box=SIMPLE)
    for column in table.columns[2:]:
        column.justify, column.no_wrap = "right", True
    for verdict in verdicts:
        table.add_row(
            Text("✓", "green") if verdict.held else Text("✗", "bold red"),
            verdict.attack,
            f"{verdict.sent / 2**20:,.1f}",
            f"{1000 * verdict.worst:.0f}",
            f"+{verdict.grown / 2**20:.0f}",
        )
    console.print(table)
    for verdict in verdicts:
        if not verdict.held:
            console.print(Text(f"✗ {verdict.attack}: {'; '.join(verdict.faults)}", "red"))
    allowed = allowed_seconds(worst_alone)
    console.print(
        f"Alone the neighbour waits {1000 * worst_alone:.0f} ms at most; {1000 * allowed:.0f} ms are allowed. "
        f"{sum(verdict.held for verdict in verdicts)} of {len(verdicts)} attacks hold."
    )


if __name__ == "__main__":
    typer.run(main)
