"""Cursors of the record of events: sealed, with the epoch of the record that they were given in, and bound to no
arguments: ListEvents and the watches share them."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from hashlib import blake2b

from stockward_server.application.ports.events import Cursor, EventsLost
from stockward_server.application.ports.positions import Part
from stockward_server.domain.errors import CursorLost, PageTokenInvalid
from stockward_server.wire.page_token import position_in
from stockward_server.wire.seal import Seal, Seals

PURPOSE = b"cursor"

_DIGEST = 12

Encode = Callable[[Cursor], str]


@asynccontextmanager
async def going_on(seals: Seals, text: str) -> AsyncIterator[tuple[Cursor | None, Encode]]:
    """Gives the cursor to go on from, None for an empty text, and what makes texts of further ones. Raises
    PageTokenInvalid, and CursorLost where the record lost what the cursor stands behind."""
    seal = await seals.load()
    try:
        yield decode(seal, text), partial(encode, seal)
    except EventsLost as lost:
        raise CursorLost(encode(seal, lost.common), common=lost.known) from None


@lru_cache(16)  # a thousand watches send the same position
def encode(seal: Seal, cursor: Cursor) -> str:
    """Returns the text of a cursor. The part before it is for servers of the release before, which may be asked to go
    on from it while they are being replaced; it ends with `=`, where they stop reading."""
    return _former(cursor.seq) + seal.close(PURPOSE, json.dumps([cursor.epoch, cursor.seq]).encode())


def decode(seal: Seal, text: str) -> Cursor | None:
    """Returns the cursor, None for an empty text; raises PageTokenInvalid for one that no server gave."""
    if not text:
        return None
    former, _, sealed = text.rpartition("=")
    position = position_in(seal.open(PURPOSE, sealed), [Part.TEXT, Part.NUMBER])
    if position:
        epoch, seq = position
        return Cursor(seq, epoch)
    seq = None if former else _seq_of_former(text)
    if seq is None:
        raise PageTokenInvalid("cursor")
    return Cursor(seq)


# Cursors of the release before: a digest without a key, and no epoch. They are good for one more release.


def _former(seq: int) -> str:
    body = json.dumps([seq]).encode()
    body += b" " * ((_DIGEST + len(body)) % 3 == 0)  # JSON does not mind, and so there is an `=` at the end
    return urlsafe_b64encode(_digest(body) + body).decode()


def _seq_of_former(text: str) -> int | None:
    try:
        content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    digest, body = content[:_DIGEST], content[_DIGEST:]
    position = position_in(body, [Part.NUMBER]) if digest == _digest(body) else None
    return position[0] if position else None


def _digest(body: bytes) -> bytes:
    return blake2b(b"\0" + body, digest_size=_DIGEST).digest()
