"""`stockward health`: whether a process of ours serves, for those who keep containers running."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

SECONDS = 2.0
"""How long the process may take to answer."""

ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Where a process on this machine is found that listens everywhere."""

app = typer.Typer()


class Part(StrEnum):
    """What can be asked."""

    SERVER = "server"
    RELAY = "relay"
    GATEWAY = "gateway"
    EDGE = "edge"


WHERE = {
    Part.SERVER: ("grpc_address", ""),  # by grpc.health.v1
    Part.RELAY: ("relay_admin_address", "/readyz"),
    Part.GATEWAY: ("gateway_address", "/readyz"),
    Part.EDGE: ("edge_address", "/healthz"),
}
"""The setting that says where each listens, and the path that tells."""


@app.command()
def health(
    part: Annotated[Part, typer.Argument(help="What to ask, at its address in the settings.")] = Part.SERVER,
) -> None:
    """Tell whether a server, relay, gateway or edge on this machine does its work; exit code 1 when it does not."""
    from stockward_server.config import load_settings

    settings = load_settings()
    setting, path = WHERE[part]
    host, _, port = getattr(settings, setting).rpartition(":")
    address = f"{ANYWHERE.get(host, host)}:{port}"
    tls = {Part.SERVER: settings.tls_cert, Part.EDGE: settings.edge_tls_cert}.get(part)
    if tls:
        serves = asyncio.run(_listens(address))
    else:
        serves = asyncio.run(_grpc(address) if part is Part.SERVER else _http(f"http://{address}{path}"))
    typer.echo(f"{part} at {address}: {'serving' if serves else 'not serving'}", err=not serves)
    raise typer.Exit(0 if serves else 1)


async def _listens(address: str) -> bool:
    """All that can be asked with TLS, without a certificate for this address or of our own."""
    from stockward_server.embedded.worker import listens

    return await listens(address)


async def _grpc(address: str) -> bool:
    from stockward_server.embedded.worker import grpc_serves

    return await grpc_serves(address, SECONDS)


async def _http(url: str) -> bool:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url) as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
