"""What the command `stockward` takes, to hold what is written elsewhere against it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from typer.main import get_command

from stockward_server.cli import app


@cache
def _root() -> Any:
    return get_command(app)


def problem_of(words: Sequence[str]) -> str:
    """What is wrong with `stockward` and these words; empty when such a command exists with the options named."""
    command = _root()
    path = ["stockward"]
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        word = rest.pop(0)
        path.append(word)
        if word not in command.commands:
            return f"there is no `{' '.join(path)}`"
        command = command.commands[word]
    known = {"--help"} | {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    unknown = [
        name for name in (word.partition("=")[0] for word in rest) if name.startswith("--") and name not in known
    ]
    return f"`{' '.join(path)}` has no {', '.join(unknown)}" if unknown else ""
