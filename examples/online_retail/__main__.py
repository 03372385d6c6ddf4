"""`make month FILE=online-retail-2010-12.csv.gz`: play it against the running system, and see whether all agrees."""

from __future__ import annotations

import csv
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.online_retail.agreement import Agreement, agreements
from examples.online_retail.month import Month, NotOnlineRetail, RefusedRow, read_month
from examples.online_retail.replay import Played, Refused, Replay
from stockward_server.commands.connection import connected, fail, run_call
from stockward_server.commands.options import Address, Key

console = Console()


def main(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A month of Online Retail, as gzipped CSV.")],
    refused: Annotated[Path | None, typer.Option(metavar="CSV", help="Write the refused rows to this file.")] = None,
    address: Address = None,
    key: Key = None,
) -> None:
    """Play a month of real orders; exit code 1 when counters, ledger and file disagree at the end."""
    try:
        month = read_month(file)
    except NotOnlineRetail as error:
        fail(str(error))
    if refused:
        _write(refused, month.refused)
    _show_refused(month)
    found = run_call(_play(file, month, address, key))
    _show_agreements(found)
    raise typer.Exit(0 if all(found) else 1)


async def _play(file: Path, month: Month, address: str | None, key: str | None) -> list[Agreement]:
    started = time.monotonic()
    columns = (TextColumn("{task.description:<13}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with connected(address, key) as client:
        with Progress(*columns, console=console) as progress:
            bars: dict[str, TaskID] = {}

            def advance(what: str, done: int, total: int) -> None:
                if what not in bars:
                    bars[what] = progress.add_task(what)
                progress.update(bars[what], completed=done, total=total)

            try:
                played = await Replay(client, month, advance).run()
            except Refused as error:
                fail(str(error))
        _show_played(played, time.monotonic() - started)
        with console.status("Counting"):
            return await agreements(client, month, file)


def _show_refused(month: Month) -> None:
    reasons = Counter(row.reason for row in month.refused)
    first = {row.reason: row for row in reversed(month.refused)}
    table = Table("Refused", "Why", "First of them", box=SIMPLE)
    table.columns[0].justify = "right"
    for reason, count in reasons.most_common():
        table.add_row(str(count), reason, f"line {first[reason].line}, invoice {first[reason].invoice}")
    console.print(f"{month.rows} rows, {len(month.invoices)} invoices with goods, {len(month.refused)} rows refused")
    console.print(table)


def _show_played(played: Played, seconds: float) -> None:
    console.print(
        f"✓ {played.orders} orders (the longest with {played.longest_order} lines) and {played.cancellations} "
        f"cancellations in {seconds:.0f} s: {played.units_sold} units sold, {played.edits} orders edited, "
        f"{played.units_returned} units returned to their order in {played.returns} returns, "
        f"{played.units_without_order} back without one",
        style="green",
        highlight=False,
        soft_wrap=True,
    )


def _show_agreements(found: list[Agreement]) -> None:
    table = Table("", "What", "Counted", box=SIMPLE)
    for each in found:
        counts = ", ".join(f"{who}: {count}" for who, count in each.counts.items())
        table.add_row("✓" if each else "✗", each.what, counts, style="green" if each else "bold red")
    console.print(table)


def _write(file: Path, rows: list[RefusedRow]) -> None:
    try:
        with file.open("w", newline="", encoding="utf-8") as target:
            csv.writer(target).writerows(
                [
                    ("line", "invoice", "code", "reason"),
                    *((row.line, row.invoice, row.code, row.reason) for row in rows),
                ]
            )
    except OSError as error:
        fail(f"{file}: {error.strerror}")


if __name__ == "__main__":
    typer.run(main)
