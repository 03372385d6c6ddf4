"""The output of `stockward run`: a line for each step, then a summary of the stack."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from stockward_dev.home import Home
from stockward_server.config.run_file import RunFile

TAIL = 15
"""Lines of a log that are printed when a service does not start."""


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Discards further output, instead of exiting and leaving the processes running."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Screen:
    """Prints to a terminal, a pipe or a file, and ignores it when that is closed."""

    def __init__(self) -> None:
        self._console = _Terminal()
        self._errors = Console(stderr=True)

    def say(self, message: str, style: str = "") -> None:
        """Prints a message."""
        self._print(message, style=style)

    def warn(self, message: str) -> None:
        """Prints a warning."""
        self._print(f"! {message}", style="yellow")

    def fail(self, message: str, log: Path | None = None) -> None:
        """Prints an error to standard error, with the last lines of ``log``."""
        self._print(f"✗ {message}", "bold red", self._errors)
        if log and log.exists():
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]:
                self._print(f"  │ {line}", "dim", self._errors)
            self._print(f"  The whole log: {log}", console=self._errors)

    @contextlib.contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """Shows ``doing`` while the block runs, then prints ``done`` and the time it took; nothing if it fails."""
        started = time.monotonic()
        spinner = self._console.status(doing) if self._console.is_terminal else None
        with contextlib.suppress(OSError):
            if spinner:
                spinner.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if spinner:
                    spinner.stop()
        self._print(f"✓ {done} ({time.monotonic() - started:.1f} s)")

    def summary(self, stack: RunFile, home: Home, *, console: bool) -> None:
        """Prints addresses, masked keys and the next step; that of the console where the edge serves it."""
        rows = {
            "gRPC": stack.grpc,
            "REST": stack.edge,
            "Console": f"{stack.edge}/console (`stockward console` opens it, signed in)",
            "Webhook gateway": stack.gateway,
            "Metrics": ", ".join(f"{url}/metrics" for url in stack.admin.values()),
            "PostgreSQL": stack.database,
            "NATS": f"nats://***@{stack.nats.rpartition('@')[2]}",
            **{f"Key of {role}": f"{key[: len(f'swk_{role}_') + 4]}…" for role, key in stack.keys.items()},
            "Keys in full": str(home.path / "run.json"),
            "Logs": f"{home.logs}/",
            "Webhooks": f"to {', '.join(stack.webhooks.values())}, where the demo listens: no URL is set",
            "Next": "`make demo` in another terminal plays a shop's day; Ctrl-C here stops everything",
        }
        if not stack.webhooks:
            del rows["Webhooks"]
        if not console:
            del rows["Console"]
        self._print("Stockward is up", "bold green")
        for name, value in rows.items():  # a table would truncate addresses that users copy
            self._print(Text.assemble((f"  {name:<18}", "bold"), value))

    def _print(self, content: str | Text, style: str = "", console: Console | None = None) -> None:
        # A closed terminal must not keep the processes from being stopped.
        with contextlib.suppress(OSError):
            (console or self._console).print(
                Text(content) if isinstance(content, str) else content,
                style=style,
                highlight=False,
                soft_wrap=True,
            )
