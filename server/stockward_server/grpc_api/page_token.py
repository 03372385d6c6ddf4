"""Page tokens (AIP-158): opaque, bound to the arguments of the request that they go on from."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Any

from google.protobuf.message import Message

from stockward_server.domain.errors import PageTokenInvalid

DEFAULT_PAGE_SIZE = 50
"""Rows of a page when the request does not say."""

UNBOUND = ("page_token", "page_size", "position", "limit", "request_id")
"""Fields that may differ from page to page."""

_DIGEST = 12


def page_size(message: Any) -> int:
    """Rows to answer."""
    return int(message.page_size) or DEFAULT_PAGE_SIZE


def encode(message: Message, position: list[Any]) -> str:
    """The token of the page after `position`, good for the other arguments of `message` only."""
    return _seal(_arguments(message), position)


def decode(message: Any) -> list[Any] | None:
    """The position to go on from, None for the first page; PageTokenInvalid when it is not a token of this request."""
    if not message.page_token:
        return None
    return _open(_arguments(message), message.page_token, "page_token")


def decode_position(message: Any) -> list[Any] | None:
    """As `decode`, for what a mutation does in pieces: its token is the `position`."""
    return _open(_arguments(message), message.position, "position") if message.position else None


def encode_cursor(seq: int) -> str:
    """A position in the record of events, bound to no arguments: ListEvents and the watches share their cursors."""
    return _seal(b"", [seq])


def decode_cursor(cursor: str) -> int | None:
    """The position of a cursor, None for an empty one; PageTokenInvalid when it is none."""
    if not cursor:
        return None
    position = _open(b"", cursor, "cursor")
    if len(position) != 1 or not isinstance(position[0], int):
        raise PageTokenInvalid("must be empty, or a cursor that this server gave", field="cursor")
    return position[0]


def _arguments(message: Message) -> bytes:
    arguments = type(message)()
    arguments.CopyFrom(message)
    for name in UNBOUND:
        if name in message.DESCRIPTOR.fields_by_name:
            arguments.ClearField(name)
    return message.DESCRIPTOR.full_name.encode() + arguments.SerializeToString(deterministic=True)


def _seal(arguments: bytes, position: list[Any]) -> str:
    body = json.dumps(position, separators=(",", ":")).encode()
    return urlsafe_b64encode(_digest(arguments, body) + body).decode().rstrip("=")


def _open(arguments: bytes, token: str, field: str) -> list[Any]:
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        sealed = b""
    digest, body = sealed[:_DIGEST], sealed[_DIGEST:]
    if not body or digest != _digest(arguments, body):
        raise PageTokenInvalid(
            f"must be empty, or the {field} that an answer of this method gave, with all other arguments as they were",
            field=field,
        )
    position = json.loads(body)
    assert isinstance(position, list)
    return position


def _digest(arguments: bytes, body: bytes) -> bytes:
    return blake2b(arguments + b"\0" + body, digest_size=_DIGEST).digest()
