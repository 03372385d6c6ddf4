"""Cursors are sealed and name their epoch; those of the release before are read, and by it ours are."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_server.application.ports.events import Cursor, EventsLost
from stockward_server.domain.errors import CursorLost, PageTokenInvalid
from stockward_server.wire.cursor import PURPOSE, decode, encode, going_on
from stockward_server.wire.seal import Seal, Seals

SEAL = Seal(bytes(32))
SEQS = st.integers(0, 2**63 - 1)


@given(SEQS, st.text(max_size=40).filter(lambda text: "\0" not in text))
def test_a_cursor_comes_back_as_it_was(seq: int, epoch: str) -> None:
    assert decode(SEAL, encode(SEAL, Cursor(seq, epoch))) == Cursor(seq, epoch)


def former_encode(seq: int) -> str:
    """As the release before does."""
    body = json.dumps([seq], separators=(",", ":")).encode()
    return urlsafe_b64encode(blake2b(b"\0" + body, digest_size=12).digest() + body).decode().rstrip("=")


def former_decode(text: str) -> int:
    """As the release before does."""
    sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    digest, body = sealed[:12], sealed[12:]
    assert body
    assert digest == blake2b(b"\0" + body, digest_size=12).digest()
    (seq,) = json.loads(body)
    assert isinstance(seq, int)
    return seq


@given(SEQS)
def test_either_release_reads_the_cursors_of_the_other(seq: int) -> None:
    assert former_decode(encode(SEAL, Cursor(seq, "5f0c2a91"))) == seq
    assert decode(SEAL, former_encode(seq)) == Cursor(seq, "")


def test_an_empty_text_is_no_cursor() -> None:
    assert decode(SEAL, "") is None


def sealed(position: Any) -> str:
    return SEAL.close(PURPOSE, json.dumps(position).encode())


CURSOR = encode(SEAL, Cursor(7, "5f0c2a91"))
FORMER, _, SEALED = CURSOR.rpartition("=")
NONE = {
    "nonsense": "nonsense",
    "a digest of nothing": "AAAA",
    "not ASCII": "☃",
    "a pad": "=",
    "without its seal": FORMER + "=",
    "a changed seal": FORMER + "=" + SEALED[:-3] + ("AAA" if SEALED[-3:] != "AAA" else "BBB"),
    "under another key": encode(Seal(b"k" * 32), Cursor(7, "5f0c2a91")),
    "for another purpose": SEAL.close(b"other", b'["5f0c2a91", 7]'),
    "no list": sealed(7),
    "no epoch": sealed([7]),
    "an epoch that is no text": sealed([7, 7]),
    "half a character": SEAL.close(PURPOSE, b'["\\ud800", 7]'),
    "NUL": sealed(["\0", 7]),
    "a seq that is no number": sealed(["5f0c2a91", "7"]),
    "a negative seq": sealed(["5f0c2a91", -1]),
    "a seq of 400 digits": sealed(["5f0c2a91", 10**400]),
    "infinity": SEAL.close(PURPOSE, b'["5f0c2a91", Infinity]'),
    "no JSON": SEAL.close(PURPOSE, b"\xff"),
    "a former one of 400 digits": former_encode(10**400),
    "a negative former one": former_encode(-1),
}


@pytest.mark.parametrize("name", NONE)
def test_what_no_server_gave_is_refused(name: str) -> None:
    with pytest.raises(PageTokenInvalid) as refused:
        decode(SEAL, NONE[name])
    assert refused.value.metadata["field"] == "cursor"


@given(st.text() | st.text("AZaz09-_=", max_size=90))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        decode(SEAL, text)
    except PageTokenInvalid:
        pass
    else:
        assert not text


TIME = datetime(2026, 11, 22, 10, 0, 0, 500000, tzinfo=UTC)


@pytest.mark.parametrize("known", [True, False])
async def test_who_stands_behind_lost_events_is_told_where_to_go_on(known: bool) -> None:
    async def key() -> bytes:
        return bytes(32)

    async def read() -> None:
        async with going_on(Seals(key), CURSOR) as (after, _):
            assert after == Cursor(7, "5f0c2a91")
            raise EventsLost(Cursor(5, "9d1e7b04"), TIME, known=known)

    with pytest.raises(CursorLost, match=r"up to which the record is what it was|at which the record ends now") as lost:
        await read()
    assert decode(SEAL, lost.value.metadata["cursor"]) == Cursor(5, "9d1e7b04")
    assert lost.value.metadata["common"] == str(known).lower()
    assert len(lost.value.message.encode()) <= 300, "it is not cut"
