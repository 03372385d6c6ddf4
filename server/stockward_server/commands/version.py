"""`stockward version`."""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def version() -> None:
    """Show the version."""
    from stockward_server import __version__

    typer.echo(f"stockward {__version__}")
