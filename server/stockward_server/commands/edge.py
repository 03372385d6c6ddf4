"""`stockward edge`: Envoy in front of the servers."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stockward_server.config import check_address, load_settings

app = typer.Typer(
    name="edge", help="The Envoy in front of the servers: REST, gRPC-Web, balancing.", no_args_is_help=True
)


@app.callback()
def edge() -> None:
    """A group, though it has one command."""


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
) -> None:
    """Print Envoy's whole configuration as JSON, which Envoy reads: `envoy --config-path FILE.json`."""
    settings = load_settings()
    from stockward_server import bootstrap

    for address in (*(upstream or ()), *((listen,) if listen else ())):
        try:
            check_address(address)
        except ValueError as error:
            raise typer.BadParameter(f"{address}: {error}") from None
    if listen:
        settings = settings.model_copy(update={"edge_address": listen})
    typer.echo(json.dumps(bootstrap.edge_config(settings, upstream or (), origin or ("*",)), indent=2))
