"""`stockward migrate`."""

from __future__ import annotations

import asyncio

import typer

app = typer.Typer()


@app.command()
def migrate() -> None:
    """Apply new migrations to the database."""
    from stockward_server.bootstrap.database import migrate
    from stockward_server.config import Use, load_settings

    applied = asyncio.run(migrate(load_settings(Use.DATABASE)))
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo("up to date")
