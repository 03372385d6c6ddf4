"""`stockward status` and `stockward whoami`: what a server says of the shop, and of the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from stockward.auth.v1.session_pb2 import WhoAmIResponse
from stockward.status.v1.status_pb2 import GetStatusResponse

from stockward_server.commands.rpc_command import command

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

app = typer.Typer()


@command(app, "status")
async def status(client: AsyncStockward) -> GetStatusResponse:
    """Show what a server found out about the shop, and what waits; `doctor` looks at more, from here."""
    return await client.status.get_status()


@command(app, "whoami")
async def whoami(client: AsyncStockward) -> WhoAmIResponse:
    """Show whose key this is, its role, and when it ends."""
    return await client.sessions.who_am_i()
