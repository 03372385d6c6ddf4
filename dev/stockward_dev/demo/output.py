"""The output of the demo: a line for each step, a table at the end; or all of it as JSON."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

COLOURS = {"PMS": "magenta", "Storefront": "cyan", "Customer": "yellow", "Stockward": "green"}

Result = TypeVar("Result")


class DidNotHappen(Exception):
    """A step that was not done in time; the message says which."""


class Telling:
    """Runs the steps of the demo and prints them."""

    def __init__(self, patience: float, *, as_json: bool) -> None:
        """`patience`: timeout of a step, in seconds."""
        self._patience = patience
        self._console = Console(quiet=as_json, highlight=False, soft_wrap=True)
        self._as_json = as_json
        self._steps: list[dict[str, Any]] = []
        self._started = time.monotonic()

    async def step(
        self,
        who: str,
        doing: str,
        work: Awaitable[Result],
        done: Callable[[Result], str] | str,
        *,
        ends_by_itself: bool = False,
    ) -> Result:
        """Awaits the work, prints `done` and returns the result. Raises DidNotHappen after the timeout, which does not
        apply if it `ends_by_itself`."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(None if ends_by_itself else self._patience):
                with self._spinner(f"{who}: {doing}"):
                    result = await work
        except TimeoutError:
            raise DidNotHappen(f"{who}: {doing} did not happen within {self._patience:g} s") from None
        self._tell(who, done if isinstance(done, str) else done(result), time.monotonic() - started)
        return result

    def note(self, message: str) -> None:
        """Prints a remark."""
        self._console.print(Text(f"  {message}", "dim"))

    def end(self, facts: Mapping[str, str]) -> None:
        """Prints the results and the total time."""
        seconds = time.monotonic() - self._started
        if self._as_json:
            typer.echo(json.dumps({"steps": self._steps, "facts": dict(facts), "seconds": round(seconds, 3)}, indent=2))
            return
        table = Table(box=SIMPLE, show_header=False)
        for name, fact in facts.items():
            table.add_row(Text(name, "bold"), fact)
        self._console.print(table)
        self._console.print(f"✓ The whole story in {seconds:.1f} s", style="bold green")

    def _tell(self, who: str, what: str, seconds: float) -> None:
        self._steps.append({"who": who, "what": what, "seconds": round(seconds, 3)})
        line = Text.assemble(("✓ ", "green"), (f"{who:<11}", COLOURS[who]), what, (f"  {seconds * 1000:.0f} ms", "dim"))
        self._console.print(line)

    def _spinner(self, doing: str) -> AbstractContextManager[object]:
        return self._console.status(doing) if self._console.is_terminal and not self._as_json else nullcontext()
