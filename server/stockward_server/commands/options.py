"""Options that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from stockward_server.commands import COMMANDS
from stockward_server.commands.csv_file import DELIMITERS, ENCODINGS
from stockward_server.commands.parsers import one_of

EPILOG = "Exit codes: 0 done, 1 refused (the reason is on stderr), 2 wrong usage, 3 no answer from a server."
"""What scripts may rely on; `connection` has the numbers."""


def group(name: str) -> typer.Typer:
    """Returns a noun, whose verbs are commands."""
    return typer.Typer(name=name, help=COMMANDS[name].summary, epilog=EPILOG, no_args_is_help=True)


Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        envvar="STOCKWARD_ADDRESS",
        help="gRPC server to talk to.",
        show_default="the stack running here",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(metavar="KEY", envvar="STOCKWARD_KEY", help="API key.", show_default="staff's of that stack"),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV for a spreadsheet instead of a table.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Delimiter = Annotated[
    str | None,
    typer.Option(
        parser=one_of(DELIMITERS),
        metavar="|".join(DELIMITERS),
        help="What separates the cells of the file.",
        show_default="found",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        parser=one_of(ENCODINGS),
        metavar="|".join(ENCODINGS),
        help="How the file's characters are written.",
        show_default="found",
    ),
]
