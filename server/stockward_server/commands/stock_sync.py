"""A CSV file of counts or changes on its way into the stock, and the report of what became of it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from stockward.inventory.v1.inventory_pb2 import AdjustmentReason, SyncStockRequest

from stockward_server.commands.connection import Answer, connected

ROWS_AT_ONCE = 1000
"""Rows a message, the most that the contract takes."""

COLUMNS = {"sku", "location_id", "on_hand", "delta", "expected_on_hand"}

Row = tuple[int, SyncStockRequest.Row]
"""Line where it ends (the header is line 1), and what to send."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not applied, and why."""

    line: int
    sku: str
    field: str
    """Column at fault; empty when it is the row as a whole."""
    reason: str
    """For scripts: ROW_MALFORMED or FIELD_INVALID when it was not sent, otherwise a reason of the contract."""
    message: str


def read_rows(file: Path) -> tuple[list[Row], list[RefusedRow]]:
    """The rows that can be sent, and those that cannot. A file that is no such CSV is wrong usage."""
    try:
        text = (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
        header = list(reader.fieldnames or ())
        columns = set(header)
        amounts = columns & {"on_hand", "delta"}
        if "sku" not in columns or len(amounts) != 1 or columns - COLUMNS or len(columns) < len(header):
            raise typer.BadParameter(
                f"{file}: the header must have sku and either on_hand or delta, and may have location_id and "
                f"expected_on_hand; it has {', '.join(header) or 'nothing'}"
            )
        rows: list[Row] = []
        refused: list[RefusedRow] = []
        for cells in reader:
            row = _row(reader.line_num, cells)
            rows.append((reader.line_num, row)) if isinstance(row, SyncStockRequest.Row) else refused.append(row)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file}: this is not UTF-8; save the file as CSV in UTF-8") from None
    except csv.Error as error:
        raise typer.BadParameter(f"{file}, line {reader.line_num}: {error}") from None
    return rows, refused


def _row(line: int, cells: Mapping[str | None, str | None]) -> SyncStockRequest.Row | RefusedRow:
    sku = (cells["sku"] or "").strip()
    if None in cells or None in cells.values():
        return RefusedRow(line, sku, "", "ROW_MALFORMED", "the row has more or fewer cells than the header")
    row = SyncStockRequest.Row(sku=sku, location_id=(cells.get("location_id") or "").strip())
    for column in ("on_hand", "delta", "expected_on_hand"):
        if text := (cells.get(column) or "").strip():
            if not re.fullmatch(r"[+-]?\d{1,12}", text, re.ASCII):
                return RefusedRow(line, sku, column, "FIELD_INVALID", f"{text!r} is not a number of units")
            setattr(row, column, int(text))
    return row


class StockSync:
    """Sends the rows of a file, and counts."""

    def __init__(self, file: str, rows: list[Row], refused: list[RefusedRow]) -> None:
        self.refused = refused
        self._file = file
        self._rows = rows
        self._applied = 0
        self._total = len(rows) + len(refused)

    async def run(
        self, address: str | None, key: str | None, reason: AdjustmentReason.ValueType, reference: str, request_id: str
    ) -> None:
        """Send them. Raises grpc.aio.AioRpcError where the server cannot go on.

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
                    request_id=str(uuid.uuid5(_namespace(request_id), str(number))),
                )

        async with connected(address, key) as staff:
            with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
                bar = progress.add_task("", total=self._total, completed=len(self.refused))
                number = 0
                async for response in staff.inventory.SyncStock(requests(), timeout=None):
                    for (line, row), result in zip(parts[number], response.results, strict=True):
                        if result.HasField("error"):
                            self._refuse(line, row.sku, Answer.of(result.error))
                        else:
                            self._applied += 1
                    progress.advance(bar, len(parts[number]))
                    number += 1
        self.refused.sort(key=lambda row: row.line)

    def _refuse(self, line: int, sku: str, answer: Answer) -> None:
        path = answer.fields[0][0] if answer.fields else ""
        column = path.rpartition(".")[2]
        self.refused.append(RefusedRow(line, sku, column if column in COLUMNS else "", answer.reason, answer.message))

    def report(self, as_json: bool) -> None:
        """What became of the file, on stdout."""
        if as_json:
            summary = {"file": self._file, "rows": self._total, "applied": self._applied}
            typer.echo(json.dumps(summary | {"refused": [asdict(row) for row in self.refused]}, indent=2))
            return
        console = Console()
        if self.refused:
            table = Table("Line", "SKU", "Column", "Reason", "Why it was refused", box=SIMPLE)
            table.columns[0].justify = "right"
            for row in self.refused:
                table.add_row(str(row.line), *map(Text, (row.sku, row.field, row.reason, row.message)))
            console.print(table)
        mark, style = ("✗", "bold red") if self.refused else ("✓", "green")
        said = f"{mark} {self._file}: {self._total} rows, {self._applied} applied"
        said += f", {len(self.refused)} refused" if self.refused else ""
        console.print(said, style=style, markup=False, highlight=False, soft_wrap=True)


def _namespace(request_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(request_id)
    except ValueError:
        raise typer.BadParameter("--request-id: expected a UUID") from None
