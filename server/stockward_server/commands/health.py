"""`stockward health`: whether a process is ready, for what keeps containers running."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockward_server.commands.parsers import one_of

if TYPE_CHECKING:
    from stockward_server.config import Settings

SECONDS = 2.0
"""How long the process may take to answer."""

ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Where a process on this machine is found that listens everywhere."""

app = typer.Typer()


class Part(StrEnum):
    """What can be checked."""

    SERVER = "server"
    RELAY = "relay"
    GATEWAY = "gateway"
    EDGE = "edge"


WHERE = {
    Part.SERVER: ("server_admin_address", "/readyz"),
    Part.RELAY: ("relay_admin_address", "/readyz"),
    Part.GATEWAY: ("gateway_address", "/readyz"),
    Part.EDGE: ("edge_address", "/healthz"),
}
"""The setting that says where each listens, and the path that reports."""


@app.command()
def health(
    part: Annotated[
        Part,
        typer.Argument(
            parser=lambda text: Part(one_of(list(Part))(text)),
            metavar="|".join(Part),
            help="What to ask, at its address in the settings.",
        ),
    ] = Part.SERVER,
) -> None:
    """Check whether a server, relay, gateway or edge on this machine is ready; exit code 1 when it is not."""
    from stockward_server.config import Use, load_settings

    settings = load_settings(Use.NONE)
    setting, path = WHERE[part]
    host, _, port = getattr(settings, setting).rpartition(":")
    address = f"{ANYWHERE.get(host, host)}:{port}"
    serves = asyncio.run(_serves(part, address, path, settings))
    typer.echo(f"{part} at {address}: {'serving' if serves else 'not serving'}", err=not serves)
    raise typer.Exit(0 if serves else 1)


def _serves(part: Part, address: str, path: str, settings: Settings) -> Coroutine[Any, Any, bool]:
    from stockward_server.runtime.probes import answers, any_certificate, listens

    if part is not Part.EDGE or not settings.edge_tls_cert:
        return answers(f"http://{address}{path}", SECONDS)
    if settings.edge_tls_client_ca and not settings.client_cert:
        return listens(address)  # it answers only clients that show a certificate
    return answers(f"https://{address}{path}", SECONDS, any_certificate(settings.client_cert, settings.client_key))
