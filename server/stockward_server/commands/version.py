"""`stockward version`."""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def version() -> None:
    """Show the version and the commit that it was built from."""
    from stockward_server import __version__
    from stockward_server.runtime.build import commit

    typer.echo(f"stockward {__version__} (commit {commit()})")
