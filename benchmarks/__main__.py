"""`python -m benchmarks`: runs the benchmarks and prints the results."""

from __future__ import annotations

import asyncio
import logging
import signal
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.registry import BENCHMARKS
from benchmarks.report import RESULTS, Benchmark, Failure, Options, Result, Run, line, show, write


def main(
    rows: Annotated[str, typer.Option(help="Only these rows, such as 1,4.")] = "",
    quick: Annotated[bool, typer.Option(help="Tiny sizes: whether it works, not how fast it is.")] = False,
    orders: Annotated[int | None, typer.Option(help="Orders that row 10 loads and row 12 makes.", min=1)] = None,
    against: Annotated[str | None, typer.Option(help="Commit that row 19 compares with.")] = None,
) -> None:
    """Measure Stockward and show what it is compared with. Exit code 1 when something could not be measured."""
    try:
        wanted = {int(row) for row in rows.split(",") if row.strip()}
    except ValueError:
        raise typer.BadParameter("expected numbers and commas, such as 1,4", param_hint="--rows") from None
    unknown = wanted - {benchmark.row for benchmark in BENCHMARKS}
    if unknown:
        raise typer.BadParameter(f"there is no row {min(unknown)}", param_hint="--rows")
    chosen = [benchmark for benchmark in BENCHMARKS if not wanted or benchmark.row in wanted]
    logging.basicConfig(level=logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stops all processes
    console = Console()
    results, complete = asyncio.run(ask_all(chosen, Options(quick, orders, against), console))
    write(results)
    show(results, console)
    console.print(f"Written to {RESULTS}", style="dim", soft_wrap=True)
    raise typer.Exit(0 if complete else 1)


async def ask_all(benchmarks: list[Benchmark], options: Options, console: Console) -> tuple[list[Result], bool]:
    """Returns all results, and whether everything could be measured."""
    results: list[Result] = []
    complete = True
    columns = (
        SpinnerColumn(),
        MofNCompleteColumn(),
        BarColumn(20),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(benchmarks))
        for benchmark in benchmarks:

            def say(text: str, benchmark: Benchmark = benchmark) -> None:
                progress.update(task, description=f"[bold]Row {benchmark.row}[/] {benchmark.question}: {text}")

            answers, measured = await ask(benchmark, options, say, console)
            results += answers
            for answer in answers:
                console.print(line(answer), soft_wrap=True, highlight=False)
            complete = complete and measured
            progress.advance(task)
    return results, complete


async def ask(
    benchmark: Benchmark, options: Options, say: Callable[[str], None], console: Console
) -> tuple[Sequence[Result], bool]:
    """Returns the results of one benchmark and whether it could be measured; if not, the only result says why."""
    try:
        async with asyncio.timeout(None if options.orders else benchmark.limit) as limit:
            return await benchmark.answer(Run(options, benchmark.limit - benchmark.grace, say)), True
    except Failure as failure:
        reason = str(failure)
    except Exception as error:
        if limit.expired():
            reason = f"Not finished within {benchmark.limit:g} s."
        else:
            reason = f"Could not be measured: {error!r}"
            console.print(traceback.format_exc(), style="red", markup=False, highlight=False)
    console.print(f"✗ Row {benchmark.row}: {reason}", style="bold red", markup=False)
    return [Result(benchmark.row, benchmark.question, None, "", False, reason)], False


if __name__ == "__main__":
    typer.run(main)
