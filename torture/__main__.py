"""`python -m torture`: one run, and its report. Exit code 1 where a promise was broken."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import signal
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from torture.broken import BUILDS
from torture.faults import LANES
from torture.report import as_json, show, write
from torture.run import Plan, Result, Say, torture
from torture.stack import running_stack


def main(
    seed: Annotated[int | None, typer.Option(help="What is done, and when; a new one where it is not said.")] = None,
    duration: Annotated[float, typer.Option(min=15, help="Seconds of work, most of it under faults.")] = 300,
    clients: Annotated[int, typer.Option(min=1)] = 12,
    servers: Annotated[int, typer.Option(min=2, max=4)] = 2,
    broken: Annotated[str, typer.Option(help="A build that breaks a promise: " + ", ".join(BUILDS))] = "",
    machine: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Break the whole stack while clients work, and judge what they saw."""
    if broken and broken not in BUILDS:
        raise typer.BadParameter("there is no such build", param_hint="--broken")
    plan = Plan(random.randrange(10**6) if seed is None else seed, duration, clients, servers, broken)
    logging.basicConfig(level=logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stops all processes
    console, progress_console = Console(), Console(stderr=True)
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=progress_console, transient=True) as progress:
        task = progress.add_task(f"seed {plan.seed}: starting the stack")
        result = asyncio.run(run(plan, lambda text: progress.update(task, description=text)))
    trace = write(result)
    if machine:
        print(json.dumps(as_json(result), indent=2))
    else:
        show(result, trace, console)
    raise typer.Exit(0 if result.held else 1)


async def run(plan: Plan, say: Say) -> Result:
    async with running_stack(plan.broken, plan.servers) as stack:
        return await torture(stack, plan, say, tuple(LANES))


if __name__ == "__main__":
    typer.run(main)
