"""`stockward config`: the settings in force."""

from __future__ import annotations

import json

import typer

from stockward_server.commands.options import AsJson
from stockward_server.config import Settings, Use, load_settings, variables

app = typer.Typer()


@app.command()
def config(as_json: AsJson = False) -> None:
    """Show the settings in force, secrets masked."""
    from rich.box import SIMPLE
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

    settings = load_settings(Use.NONE)
    if as_json:
        typer.echo(json.dumps({name: settings.shown(field) for name, field in variables().items()}, indent=2))
        return
    table = Table("Variable", "Value", box=SIMPLE)
    for name, field in variables().items():
        value, is_set = settings.shown(field), field in settings.model_fields_set
        shown = Text("not set" if value is None else str(value), "bold" if is_set else "")
        meaning = Text(Settings.model_fields[field].description or "", "dim")
        table.add_row(name, Group(shown, meaning), end_section=True)
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    Console().print(table)
    typer.echo("Bold values are set in the environment, in .env or by the stack running here; others are defaults.")
