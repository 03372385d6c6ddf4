"""`stockward sessions`: credentials that end by themselves, made with an API key."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf.duration_pb2 import Duration
from stockward.auth.v1 import auth_pb2
from stockward.auth.v1.key_pb2 import Key
from stockward.auth.v1.session_pb2 import CreateSessionResponse

from stockward_server.commands.options import group
from stockward_server.commands.parsers import choice, identifier, number
from stockward_server.commands.rpc_command import RequestId, command

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

app = group("sessions")


@command(app, "create", "Keep the secret: it is never shown again")
async def create(
    client: AsyncStockward,
    hours: Annotated[
        float, typer.Option("--hours", parser=number(1 / 60, 24), metavar="HOURS", help="How long it is valid.")
    ] = 8,
    role: Annotated[Any, choice(auth_pb2.Role, "--role", help="What it may do; else what the key may.")] = None,
    *,
    request_id: RequestId,
) -> CreateSessionResponse:
    """Create a session, which ends by itself, and with the key."""
    ttl = Duration()
    ttl.FromTimedelta(timedelta(hours=hours))
    return await client.sessions.create_session(ttl=ttl, role=role, request_id=request_id)


@command(app, "end")
async def end(
    client: AsyncStockward,
    session: Annotated[str, typer.Argument(metavar="SESSION", parser=identifier, help="Id of the session.")],
    *,
    request_id: RequestId,
) -> Key:
    """End a session of the same name as the key."""
    return await client.sessions.end_session(key_id=session, request_id=request_id)
