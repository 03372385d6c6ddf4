"""Page tokens (AIP-158): opaque, sealed, and bound to the arguments of the list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from stockward_server.application.ports.pages import Position
from stockward_server.application.ports.positions import Part, has_shape
from stockward_server.domain.errors import PageTokenInvalid
from stockward_server.wire.seal import Seal

DEFAULT_PAGE_SIZE = 50
"""Default number of rows of a page."""

UNBOUND = ("page_token", "page_size", "cursor", "limit", "request_id")
"""Fields that may differ from page to page."""


def page_size(message: Any) -> int:
    """Returns the number of rows of the page."""
    return int(message.page_size) or DEFAULT_PAGE_SIZE


def encode(seal: Seal, message: Message, position: Position) -> str:
    """Returns the token of the page after `position`, which is valid for the other arguments of `message` only."""
    return seal.close(_arguments(message), json.dumps(position, separators=(",", ":")).encode())


def decode(seal: Seal, message: Any, shape: Sequence[Part], field: str = "page_token") -> Position | None:
    """Returns the position to continue from, None for the first page. Raises PageTokenInvalid for a text that is no
    token of this request, or whose position has another shape. `field`: the request's field with the token."""
    token: str = getattr(message, field)
    if not token:
        return None
    position = position_in(seal.open(_arguments(message), token), shape)
    if position is None:
        raise PageTokenInvalid.of_request(field)
    return position


def position_in(content: bytes | None, shape: Sequence[Part]) -> Position | None:
    """Returns the sealed position; None when it is missing or has another shape."""
    try:
        position = json.loads(content or b"")
    except (ValueError, RecursionError):
        return None
    return position if has_shape(position, shape) else None


def _arguments(message: Message) -> bytes:
    arguments = type(message)()
    arguments.CopyFrom(message)
    for name in UNBOUND:
        if name in message.DESCRIPTOR.fields_by_name:
            arguments.ClearField(name)
    return message.DESCRIPTOR.full_name.encode() + b"\0" + arguments.SerializeToString(deterministic=True)
