"""`stockward edge`: Envoy in front of the servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stockward_server.commands.options import group
from stockward_server.config import Use, check_address, load_settings

app = group("edge")


@app.callback()
def edge() -> None:
    """Makes a group of it, though it has one command."""


@app.command()
def config(
    upstream: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="A gRPC server; once for each.", show_default="STOCKWARD_GRPC_ADDRESS"),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where Envoy listens.", show_default="STOCKWARD_EDGE_ADDRESS"),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A site whose pages may call it; once for each.", show_default="every site"),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY",
            file_okay=False,
            help="Write envoy.json there, and beside it what it needs for TLS.",
            show_default="printed",
        ),
    ] = None,
) -> None:
    """Print Envoy's whole configuration as JSON, which Envoy reads: `envoy --config-path FILE.json`."""
    settings = load_settings(Use.NONE)
    from stockward_server.bootstrap.edge import edge_files

    for address in (*(upstream or ()), *((listen,) if listen else ())):
        try:
            check_address(address)
        except ValueError as error:
            raise typer.BadParameter(f"{address}: {error}") from None
    if listen:
        settings = settings.model_copy(update={"edge_address": listen})
    files = edge_files(settings, upstream or (), origin or ("*",), directory or Path())
    if directory is None:
        if len(files) > 1:
            raise typer.BadParameter("with TLS the configuration is several files: say where", param_hint="--directory")
        typer.echo(json.dumps(files["envoy.json"], indent=2))
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content, indent=2))
        typer.echo(directory / name)
