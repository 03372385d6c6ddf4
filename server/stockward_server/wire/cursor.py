"""Cursors of the event log: sealed, with their epoch, and independent of the request's arguments, as ListEvents and the
watches share them."""

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
    """Yields the cursor to continue from, None for an empty text, and a function that encodes further cursors. Raises
    PageTokenInvalid, and CursorLost where the log lost events before the cursor."""
    seal = await seals.load()
    try:
        yield decode(seal, text), partial(encode, seal)
    except EventsLost as lost:
        raise CursorLost(encode(seal, lost.common), lost.time, common=lost.known) from None


@lru_cache(16)  # a thousand watches send the same position
def encode(seal: Seal, cursor: Cursor) -> str:
    """Returns the text of a cursor. Its first part is for servers of the previous release, which may receive it during
    an upgrade; it ends with `=`, where they stop reading."""
    return _former(cursor.seq) + seal.close(PURPOSE, json.dumps([cursor.epoch, cursor.seq]).encode())


def decode(seal: Seal, text: str) -> Cursor | None:
    """Returns the cursor, None for an empty text. Raises PageTokenInvalid for one that no server issued."""
    if not text:
        return None
    former, _, sealed = text.rpartition("=")
    position = position_in(seal.open(PURPOSE, sealed), [Part.TEXT, Part.NUMBER])
    if position:
        epoch, seq = position
        return Cursor(seq, epoch)
    seq = None if former else _seq_of_former(text)
    if seq is None:
        raise PageTokenInvalid.of_record()
    return Cursor(seq)


# Cursors of the previous release: a digest without a key, and no epoch. They are accepted for one more release.


def _former(seq: int) -> str:
    body = json.dumps([seq]).encode()
    body += b" " * ((_DIGEST + len(body)) % 3 == 0)  # JSON ignores the blank, and the text ends with `=`
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
