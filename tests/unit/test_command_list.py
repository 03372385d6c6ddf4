"""The list of commands: what it says, and that it is there at once."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from stockward_server import __version__
from stockward_server.cli import app
from stockward_server.commands import COMMANDS
from stockward_server.runtime.build import commit

HEAVY = {"aiohttp", "asyncpg", "grpc", "google.protobuf", "pydantic_settings", "stockward_server.config"}
"""What takes long to import, and a list of commands can do without."""


def run(*words: str) -> Any:
    return CliRunner().invoke(app, words, env={"COLUMNS": "300", "NO_COLOR": "1"})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_the_command_says(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert " ".join(inspect.cleandoc(command.help).partition("\n\n")[0].split()) == COMMANDS[name].summary


def test_every_command_is_listed() -> None:
    listed = run("--help").stdout
    assert all(each.summary in listed for each in COMMANDS.values())
    assert {"run", "demo"} <= {line.split()[1] for line in listed.splitlines() if len(line.split()) > 2}


@pytest.mark.parametrize("words", [["--help"], ["version"]])
def test_what_needs_no_server_imports_no_client_of_one(words: list[str]) -> None:
    program = f"""
import sys
from typer.testing import CliRunner
from stockward_server.cli import app
assert CliRunner().invoke(app, {words!r}).exit_code == 0
print(*{HEAVY!r} & {{*sys.modules}})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("words", [["-h"], ["orders", "-h"], ["orders", "list", "-h"]])
def test_help_is_asked_for_in_short(words: list[str]) -> None:
    short, long = run(*words), run(*words[:-1], "--help")
    assert (short.exit_code, short.stdout, short.stderr) == (0, long.stdout, "")


def test_the_version_is_told_by_an_option_and_by_a_command() -> None:
    for word in ("--version", "version"):
        told = run(word)
        assert (told.exit_code, told.stdout) == (0, f"stockward {__version__} (commit {commit()})\n")


@pytest.mark.parametrize("words", [[], ["orders"], ["no-such-command"], ["--no-such-option"], ["orders", "lst"]])
def test_what_is_no_command_is_wrong_usage(words: list[str]) -> None:
    assert run(*words).exit_code == 2
