"""Words on the terminal, beside the tables of `tables`."""

from __future__ import annotations

import contextlib

MAX_NOTE = 10_000
"""Characters of a hint."""


def note(text: str) -> None:
    """Prints a hint on stderr, beside the answer; nothing when it is empty."""
    from rich.console import Console

    if not text:
        return
    Console(stderr=True).print(printable(text, MAX_NOTE), style="dim", markup=False, highlight=False, soft_wrap=True)


def working(what: str) -> contextlib.AbstractContextManager[object]:
    """Shows on a terminal what is being done, while it is entered."""
    from rich.console import Console

    terminal = Console(stderr=True)
    return terminal.status(what) if terminal.is_terminal else contextlib.nullcontext()


def printable(text: str, longest: int = 40) -> str:
    """Returns the text as one line without control characters: text of others must not control a terminal."""
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= longest else text[: longest - 1] + "…"
