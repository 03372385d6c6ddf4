"""`stockward config`: the settings in force."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stockward_server.commands.options import AsJson
from stockward_server.commands.output import note
from stockward_server.config import Settings, Use, load_settings, unknown_variables, variables

app = typer.Typer()


@app.command()
def config(
    changed: Annotated[
        bool, typer.Option("--changed", help="Only those that differ from their defaults, which are shown beside them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the settings in force, secrets masked."""
    from rich.box import SIMPLE
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

    settings, defaults = load_settings(Use.NONE), Settings()
    for warning in unknown_variables():
        note(warning)
    shown = {
        name: field
        for name, field in variables().items()
        if not changed or getattr(settings, field) != getattr(defaults, field)
    }
    if as_json:
        typer.echo(json.dumps({name: settings.shown(field) for name, field in shown.items()}, indent=2))
        return
    if not shown:
        typer.echo("Every setting has its default.")
        return
    table = Table("Variable", "Value", *(["Default"] if changed else []), box=SIMPLE)
    for name, field in shown.items():
        value = Text(_text(settings, field), "bold" if field in settings.model_fields_set else "")
        meaning = Text(Settings.model_fields[field].description or "", "dim")
        default = [_text(defaults, field)] if changed else []
        table.add_row(name, Group(value, meaning), *default, end_section=True)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.overflow = "fold"
    Console().print(table)
    if not changed:
        typer.echo("Bold values are set in the environment, in .env or by the stack running here; others are defaults.")


def _text(settings: Settings, field: str) -> str:
    value = settings.shown(field)
    return "not set" if value is None else str(value)
