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
    GATEWAY = "gateway"
    EDGE = "edge"


@app.command()
def health(
    part: Annotated[Part, typer.Argument(help="What to ask, at its address in the settings.")] = Part.SERVER,
) -> None:
    """Tell whether a server, gateway or edge on this machine serves; exit code 1 when it does not."""
    from stockward_server.config import load_settings

    settings = load_settings()
    host, _, port = getattr(settings, "grpc_address" if part is Part.SERVER else f"{part}_address").rpartition(":")
    address = f"{ANYWHERE.get(host, host)}:{port}"
    serves = asyncio.run(_grpc(address) if part is Part.SERVER else _http(address))
    typer.echo(f"{part} at {address}: {'serving' if serves else 'not serving'}", err=not serves)
    raise typer.Exit(0 if serves else 1)


async def _grpc(address: str) -> bool:
    from stockward_server.embedded.worker import grpc_serves

    return await grpc_serves(address, SECONDS)


async def _http(address: str) -> bool:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{address}/healthz") as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
