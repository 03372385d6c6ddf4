"""Faults of the rows of a file: each row for scripts, each kind of fault once for people."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from stockward_server.commands.output import printable

MAX_TEXT = 1000
"""Characters of a cell of the report."""

MAX_NAMED = 3
"""Most names, texts and ranges of lines that are shown for one kind of fault."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Something about a row, and what helps."""

    line: int
    """Where the row begins; the header is line 1."""
    name: str
    """Handle or SKU."""
    field: str
    """Column at fault as the file spells it; empty when it is the row as a whole."""
    reason: str
    """For scripts: FIELD_INVALID, ROW_MALFORMED and others when it was not sent, else a reason of the contract."""
    message: str
    """For people; the same for all rows with the same kind of fault as far as possible."""
    value: str = ""
    """What is in the cell, or should be, where the message is about that."""

    def document(self, name: str) -> Mapping[str, object]:
        """Returns it for JSON; `name` says what its name is called there."""
        fields = asdict(self)
        return {"line": fields.pop("line"), name: fields.pop("name"), **fields}


def table_of(problems: Iterable[RowProblem], name: str, why: str) -> Table:
    """Returns a table with a row for each kind of fault and its lines; `name` and `why` are headings."""
    kinds: defaultdict[tuple[str, str, str], list[RowProblem]] = defaultdict(list)
    for each in sorted(problems, key=lambda problem: problem.line):
        kinds[each.field, each.reason, _kind(each)].append(each)
    table = Table("Lines", name, "Column", why, box=SIMPLE)
    for column in table.columns:
        column.overflow = "fold"
    table.columns[0].min_width = 5
    for alike in kinds.values():
        cells = (_lines(alike), _some([p.name for p in alike]), alike[0].field, _message(alike))
        table.add_row(*(Text(printable(cell, MAX_TEXT)) for cell in cells))
    return table


def _kind(problem: RowProblem) -> str:
    """Returns the message without what differs from row to row: the name of the row, ids and numbers."""
    name = rf"(?<!\w){re.escape(problem.name)}(?!\w)|" if problem.name else ""
    return re.sub(rf"{name}[0-9a-f]{{8}}-[0-9a-f-]{{27}}|\d+", "#", problem.message)


def _message(alike: Sequence[RowProblem]) -> str:
    values = _some([f"“{printable(problem.value)}”" for problem in alike if problem.value])
    message = f"{alike[0].message}: {values}" if values else alike[0].message
    return message if len({problem.message for problem in alike}) == 1 else f"{message}, and the like"


def _lines(alike: Sequence[RowProblem]) -> str:
    """Returns the lines, neighbours as a range, and how many rows they are when that is more than one."""
    ranges: list[list[int]] = []
    for line in sorted({problem.line for problem in alike}):
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    shown = [f"{first}-{last}" if last > first else f"{first}" for first, last in ranges]
    rows = sum(last - first + 1 for first, last in ranges)
    return _some(shown) + (f" ({rows} rows)" if rows > 1 else "")


def _some(texts: Sequence[str]) -> str:
    """Returns the first few that differ, and how many there are besides."""
    different = list(dict.fromkeys(filter(None, texts)))
    more = len(different) - MAX_NAMED
    if more <= 1:  # "and 1 more" is no shorter than the one
        return ", ".join(different)
    return f"{', '.join(different[:MAX_NAMED])} and {more} more"
