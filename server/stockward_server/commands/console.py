"""`stockward console`: opens the console, signed in."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf.duration_pb2 import Duration
from stockward.auth.v1 import auth_pb2

from stockward_server.commands.options import EPILOG, Address, Key
from stockward_server.commands.output import note
from stockward_server.commands.parsers import choice
from stockward_server.config import Use, load_settings
from stockward_server.config.run_file import RunFile

if TYPE_CHECKING:
    from stockward.auth.v1.session_pb2 import CreateSessionResponse

app = typer.Typer()

LINK_SECONDS = 60
"""How long a link is good."""


@app.command(epilog=EPILOG)
def console(
    edge: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the edge is.", show_default="the stack running here")
    ] = None,
    role: Annotated[Any, choice(auth_pb2.Role, "--role", help="What it may do; else what the key may.")] = None,
    show: Annotated[bool, typer.Option("--print", help="Print the link, and open nothing.")] = False,
    address: Address = None,
    key: Key = None,
) -> None:
    """Open the console in a browser, signed in by a link that is good once and for a minute."""
    from stockward_server.commands.connection import WRONG_USAGE, connected, fail, run_call

    stack = RunFile.read(load_settings(Use.NONE).home)
    if edge is None and (stack is None or address not in (None, stack.grpc)):
        fail("Say where the edge of that server is: --edge https://HOST", WRONG_USAGE)

    async def create() -> CreateSessionResponse:
        async with connected(address, key) as client:
            return await client.sessions.create_session(ttl=Duration(seconds=LINK_SECONDS), role=role, link=True)

    made = run_call(create())
    # Browsers do not send what is behind the `#`, so no server and no proxy sees the secret.
    base = edge or (stack.edge if stack else "")
    link = f"{base.rstrip('/')}/console/#link={made.secret}"
    if show or not webbrowser.open(link):
        typer.echo(link)
    note(f"The link is good once, within {LINK_SECONDS} seconds")
