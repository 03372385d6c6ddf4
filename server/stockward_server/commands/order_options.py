"""Options that the verbs of `stockward orders` share."""

from __future__ import annotations

from typing import Annotated

import typer

Lines = Annotated[list[str] | None, typer.Option("--line", metavar="LINE=UNITS", help="Such as 1=2; once for each.")]
Etag = Annotated[str, typer.Option(help="Only if it is as it was: `etag` of `orders show --json`.")]
Reason = Annotated[str, typer.Option(help="Why, for people.")]
