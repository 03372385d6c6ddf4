"""Cursors of the record of events: bound to no arguments, ListEvents and the watches share them."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

from stockward_server.domain.errors import PageTokenInvalid

_DIGEST = 12


def encode_cursor(seq: int) -> str:
    """A position in the record of events."""
    body = json.dumps([seq]).encode()
    return urlsafe_b64encode(_digest(body) + body).decode().rstrip("=")


def decode_cursor(cursor: str) -> int | None:
    """The position of a cursor, None for an empty one; PageTokenInvalid when it is none."""
    if not cursor:
        return None
    try:
        sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        sealed = b""
    digest, body = sealed[:_DIGEST], sealed[_DIGEST:]
    try:
        position = json.loads(body) if digest == _digest(body) else None
    except (ValueError, RecursionError):
        position = None
    match position:
        case [int(seq)] if 0 <= seq < 2**63:
            return seq
    raise PageTokenInvalid("must be empty, or a cursor that this server gave", field="cursor")


def _digest(body: bytes) -> bytes:
    return blake2b(b"\0" + body, digest_size=_DIGEST).digest()
