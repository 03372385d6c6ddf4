"""A CSV file of counts or changes on its way into the stock, and the report of what became of it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from stockward.inventory.v1.inventory_pb2 import AdjustmentReason, SyncStockRequest

from stockward_client import StockwardError, error_of
from stockward_server.commands.connection import connected, faults
from stockward_server.commands.csv_file import CsvFile, FileUnreadable, read_csv
from stockward_server.commands.output import note, printable
from stockward_server.commands.parsers import UNITS
from stockward_server.commands.row_problems import RowProblem, table_of

ROWS_AT_ONCE = 1000
"""Rows a message, the most that the contract takes."""

MAIN = "main"
"""The location of rows that name none."""

MAX_SHOWN = 20
"""Most changes that a dry run shows to people."""

COLUMNS = ("sku", "location_id", "on_hand", "delta", "expected_on_hand")

NUMBERS = {
    "on_hand": ("a count", 0, "12"),
    "delta": ("a number of units", -UNITS, "5 or -3"),
    "expected_on_hand": ("a count", 0, "12"),
}
"""What each column of numbers holds, the least that it may be, and an example."""

Row = tuple[int, SyncStockRequest.Row]
"""Line where it begins (the header is line 1), and what to send."""


def read_rows(
    file: Path, *, delimiter: str | None = None, encoding: str | None = None
) -> tuple[CsvFile, list[Row], list[RowProblem]]:
    """Returns the file, the rows that can be sent, and what is wrong with the others. Raises FileUnreadable."""
    table = read_csv(file, delimiter=delimiter, encoding=encoding)
    columns = [re.sub(r"[\W_]+", "_", name.lower()) for name in table.columns]
    amounts = {"on_hand", "delta"} & set(columns)
    if "sku" not in columns or len(amounts) != 1 or set(columns) - set(COLUMNS) or len(set(columns)) < len(columns):
        raise FileUnreadable(
            f"{file}: the header must have sku and either on_hand or delta, and may have location_id and "
            f"expected_on_hand; it has “{', '.join(table.columns)}” ({table})"
        )
    (amount,) = amounts
    rows: list[Row] = []
    refused: list[RowProblem] = []
    for each in table.rows:
        cells = dict(zip(columns, (cell.strip() for cell in each.cells), strict=False))
        if len(each.cells) != len(columns):
            message = f"the row has {len(each.cells)} cells, the header has {len(columns)}"
            refused.append(RowProblem(each.line, cells.get("sku", ""), "", "ROW_MALFORMED", message))
        elif problems := list(_problems(cells, amount)):
            refused += [
                RowProblem(each.line, cells["sku"], column, "FIELD_INVALID", *said) for column, *said in problems
            ]
        else:
            numbers = {column: _number(cells[column]) for column in NUMBERS if cells.get(column)}
            row = SyncStockRequest.Row(sku=cells["sku"], location_id=cells.get("location_id", ""), **numbers)
            rows.append((each.line, row))
    return table, rows, refused


def _problems(cells: Mapping[str, str], amount: str) -> Iterator[tuple[str, str, str]]:
    """Yields column, message and text of each cell that cannot be sent; `amount` names the column that is required."""
    if not cells["sku"]:
        yield "sku", "a SKU is missing", ""
    for column, (what, least, example) in NUMBERS.items():
        text = cells.get(column, "")
        if not text and column == amount:
            yield column, f"{what} is missing; write a whole number such as {example}", ""
        elif text and not re.fullmatch(r"[+-]?\d+", text, re.ASCII):
            yield column, f"not a whole number such as {example}", text
        elif text and not least <= _number(text) <= UNITS:
            yield column, f"must be from {least:,} to {UNITS:,}", text


def _number(text: str) -> int:
    """Returns the number; of very long ones, which are out of bounds anyway, the first digits."""
    digits = text.lstrip("+-0")[:20] or "0"
    return -int(digits) if text.startswith("-") else int(digits)


@dataclass(frozen=True, slots=True)
class Change:
    """What a row does, or would do, to on_hand, in units."""

    line: int
    sku: str
    location_id: str
    before: int
    after: int


class StockSync:
    """Sends the rows of a file, and counts."""

    def __init__(
        self, file: str, table: CsvFile, rows: list[Row], refused: list[RowProblem], *, dry_run: bool = False
    ) -> None:
        """`dry_run`: has the rows only checked."""
        self.refused = refused
        self._dry_run = dry_run
        self._changes: list[Change] = []
        self._file = file
        self._table = table
        self._rows = rows
        self._applied = 0
        self._total = len(table.rows)

    async def run(
        self, address: str | None, key: str | None, reason: AdjustmentReason.ValueType, reference: str, request_id: str
    ) -> None:
        """Sends them. Raises StockwardError where the server cannot go on.

        Each message's request_id follows from `request_id`, so that a repetition of the whole does nothing twice.
        """
        columns = (TextColumn("Rows"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        terminal = Console(stderr=True)
        parts = [self._rows[start : start + ROWS_AT_ONCE] for start in range(0, len(self._rows), ROWS_AT_ONCE)]

        def requests() -> Iterator[SyncStockRequest]:
            for number, part in enumerate(parts):
                yield SyncStockRequest(
                    rows=[row for _, row in part],
                    reason=reason,
                    reference=reference,
                    request_id=str(uuid.uuid5(uuid.UUID(request_id), str(number))),
                    validate_only=self._dry_run,
                )

        async with connected(address, key) as client:
            with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
                bar = progress.add_task("", total=self._total, completed=self._total - len(self._rows))
                number = 0
                async for response in client.inventory.sync_stock(requests()):
                    for (line, row), result in zip(parts[number], response.results, strict=True):
                        if result.HasField("error"):
                            self._refuse(line, row.sku, error_of(result.error))
                        else:
                            self._applied += 1
                            if delta := result.on_hand_delta:
                                at = row.location_id or MAIN
                                self._changes.append(Change(line, row.sku, at, result.on_hand - delta, result.on_hand))
                    progress.advance(bar, len(parts[number]))
                    number += 1
        self.refused.sort(key=lambda row: row.line)

    def _refuse(self, line: int, sku: str, error: StockwardError) -> None:
        path, message = next(iter(faults(error)), ("", ""))
        column = path.rpartition(".")[2]
        if column not in COLUMNS:
            column = message = ""
        self.refused.append(RowProblem(line, sku, column, error.reason, message or error.message))

    def report(self, as_json: bool) -> None:
        """Prints what became of the file: the answer on stdout, how it was read on stderr."""
        if as_json:
            summary: dict[str, object] = {
                "file": self._file,
                "encoding": self._table.encoding,
                "delimiter": self._table.delimiter,
                "rows": self._total,
                "dry_run": self._dry_run,
                "applied": 0 if self._dry_run else self._applied,
                "changed": len(self._changes),
                "refused": [row.document("sku") for row in self.refused],
            }
            if self._dry_run:
                summary["changes"] = [asdict(each) for each in self._changes]
            typer.echo(json.dumps(summary, indent=2))
            return
        console = Console()
        note(f"{self._file}: {self._table}")
        if self.refused:
            console.print(table_of(self.refused, "SKU", "Why it was refused"))
        if self._dry_run and self._changes:
            console.print(_table_of(self._changes))
        mark, style = ("✗", "bold red") if self.refused else ("✓", "green")
        said = f"{mark} {self._file}: {self._total} rows, "
        said += f"{len(self._changes)} would change stock" if self._dry_run else f"{self._applied} applied"
        said += f", {self._total - self._applied} refused" if self.refused else ""
        if self._dry_run:
            deltas = [each.after - each.before for each in self._changes]
            up, down = sum(each for each in deltas if each > 0), -sum(each for each in deltas if each < 0)
            said += f"; {up} units more, {down} units less; nothing was written, this was a dry run"
        console.print(said, style=style, markup=False, highlight=False, soft_wrap=True)


def _table_of(changes: Sequence[Change]) -> Table:
    """Returns a table of the changes of most units."""
    largest = sorted(changes, key=lambda each: -abs(each.after - each.before))[:MAX_SHOWN]
    beyond = len(changes) - len(largest)
    caption = f"and {beyond} smaller changes: --json has all of them" if beyond else None
    table = Table("Line", "SKU", "Location", "Now", "Would be", "Change", box=SIMPLE, caption=caption)
    for each in largest:
        cells = (str(each.line), each.sku, each.location_id, str(each.before), str(each.after))
        table.add_row(*map(Text, map(printable, cells)), f"{each.after - each.before:+}")
    return table
