"""`stockward keys`: create, list, rotate and revoke API keys.

They work on the database itself (DATABASE_URL), so that there can be a first key, and when no server runs.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf.message import Message
from stockward.auth.v1 import auth_pb2
from stockward.auth.v1 import key_pb2 as pb

from stockward_server.commands.on_database import on_database
from stockward_server.commands.options import EPILOG, AsJson, group
from stockward_server.commands.output import note, printable
from stockward_server.commands.parsers import choice, identifier, moment, number
from stockward_server.commands.rpc_command import Limit
from stockward_server.commands.tables import show

if TYPE_CHECKING:
    from stockward_server.application.ports.keys import Keys

ACTOR = "stockward keys"
"""Who edits keys by command; no key can have such a name."""

ONCE = "Keep the secret: it is stored nowhere and never shown again"

app = group("keys")


def _key_id(text: str) -> str:
    try:
        return identifier(text)
    except typer.BadParameter:
        said = f"“{printable(text)}” is not the id of a key, which `stockward keys list` shows"
        raise typer.BadParameter(said) from None


Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is; it signs what is done.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", parser=_key_id, help="Id of the key, from `keys list`.")]
Etag = Annotated[str, typer.Option(help="Only if it is as it was: `etag` of `keys list --json`.")]
Expires = Annotated[
    datetime | None, typer.Option("--expires", parser=moment, metavar="TIME", help="Ends then; else never.")
]


@app.command(epilog=EPILOG)
def create(
    name: Name,
    role: Annotated[Any, choice(auth_pb2.Role, "--role", help="What it may do.")],
    expires: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Create a key, and show it once."""

    async def work(keys: Keys) -> Message:
        from stockward_server.api.keys.messages import CREATED, with_secret
        from stockward_server.application.context import Role
        from stockward_server.application.keys import NewKey, NewSecret
        from stockward_server.wire.validation.rules import validate

        validate(pb.CreateKeyRequest(name=name, role=role))
        wanted, secret = NewKey(name, Role(role), expires), NewSecret()
        return with_secret(await keys.create(_request("CreateKey"), wanted, secret, CREATED), secret)

    _run_and_show(work, as_json, ONCE)


@app.command("list", epilog=EPILOG)
def list_keys(
    ended: Annotated[bool, typer.Option("--all", help="Expired and revoked keys, too.")] = False,
    sessions: Annotated[bool, typer.Option("--sessions", help="Sessions, too.")] = False,
    limit: Limit = 1000,
    as_json: AsJson = False,
) -> None:
    """List keys, newest first; the keys themselves are stored nowhere."""

    async def work(keys: Keys) -> Message:
        from stockward_server.api.keys.messages import key_message
        from stockward_server.application.ports.pages import Page

        rows = await keys.list(Page(limit, None), ended, sessions)
        return pb.ListKeysResponse(keys=[key_message(row.key, row.now) for row in rows])

    _run_and_show(work, as_json)


@app.command(epilog=EPILOG)
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[
        float,
        typer.Option("--overlap", parser=number(0, 720), metavar="HOURS", help="How long the old key still works."),
    ] = 24,
    expires: Expires = None,
    etag: Etag = "",
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one of the same name and role; the old one still works for a while."""

    async def work(keys: Keys) -> Message:
        from stockward_server.api.keys.messages import ROTATED, with_secret
        from stockward_server.application.keys import NewSecret, Rotation

        rotation, secret = Rotation(key_id, timedelta(hours=overlap_hours), expires, etag), NewSecret()
        return with_secret(await keys.rotate(_request("RotateKey"), rotation, secret, ROTATED), secret)

    _run_and_show(work, as_json, ONCE)


@app.command(epilog=EPILOG)
def revoke(key_id: KeyId, etag: Etag = "", as_json: AsJson = False) -> None:
    """Revoke a key: within 5 seconds no server accepts it."""

    async def work(keys: Keys) -> Message:
        from stockward_server.api.keys.messages import REVOKED

        return await keys.revoke(_request("RevokeKey"), key_id, etag, REVOKED)

    _run_and_show(work, as_json)


def _request(method: str) -> Any:
    from stockward_server.application.context import MutationContext, Role

    return MutationContext(ACTOR, Role.ADMIN, f"/stockward.auth.v1.KeyService/{method}", str(uuid.uuid4()), b"")


def _run_and_show(work: Callable[[Keys], Awaitable[Message]], as_json: bool, then: str = "") -> None:
    """Runs `work` on the keys and prints what it returns."""
    from stockward_server.bootstrap.database import opened_keys

    show(on_database(opened_keys, work), as_json=as_json)
    if then and not as_json:
        note(then)
