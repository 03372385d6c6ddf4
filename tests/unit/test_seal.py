"""What is sealed opens for its purpose and under its key alone, and positions of another shape are refused."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stockward.order.v1.order_pb2 import ListOrdersRequest

from stockward_server.application.ports.positions import Part, has_shape
from stockward_server.domain.errors import PageTokenInvalid
from stockward_server.wire import page_token
from stockward_server.wire.seal import MAC_BYTES, Seal, Seals

SEAL = Seal(bytes(32))
ID = "0190aaaa-0000-7000-8000-000000000000"


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=60))
def test_it_opens_for_its_purpose_and_under_its_key(purpose: bytes, other: bytes, content: bytes) -> None:
    text = SEAL.close(purpose, content)
    assert SEAL.open(purpose, text) == content
    assert Seal(b"k" * 32).open(purpose, text) is None
    if other != purpose:
        assert SEAL.open(other, text) is None


@given(st.binary(min_size=1, max_size=20), st.binary(max_size=20))
def test_purpose_and_content_are_told_apart(purpose: bytes, content: bytes) -> None:
    """Bytes cannot move from one to the other."""
    text = SEAL.close(purpose, content)
    mac = text[: MAC_BYTES * 4 // 3]
    for cut in range(len(purpose)):
        moved = purpose[cut:] + content
        assert not SEAL.close(purpose[:cut], moved).startswith(mac)


@given(st.text() | st.text("AZaz09-_=+/", max_size=80))
def test_any_other_text_opens_nothing(text: str) -> None:
    assert SEAL.open(b"purpose", text) is None


def test_a_changed_character_is_noticed() -> None:
    text = SEAL.close(b"purpose", b"[1]")
    for place, was in enumerate(text):
        changed = text[:place] + ("A" if was != "A" else "B") + text[place + 1 :]
        assert SEAL.open(b"purpose", changed) != b"[1]"


async def test_the_key_is_read_again_until_it_is_there() -> None:
    answers: list[bytes | Exception] = [OSError("away"), b"k" * 32]

    async def read() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    seals = Seals(read)
    with pytest.raises(OSError, match="away"):
        await seals.load()
    assert (await seals.load()).open(b"", Seal(b"k" * 32).close(b"", b"x")) == b"x"
    assert await seals.load() is await seals.load()


def token_of(position: Any) -> str:
    return page_token.encode(SEAL, ListOrdersRequest(), position)


def test_a_token_of_an_earlier_release_is_refused() -> None:
    """Those had a digest without a key, which anybody could make."""
    body = json.dumps([ID]).encode()
    bound = ListOrdersRequest.DESCRIPTOR.full_name.encode()
    token = urlsafe_b64encode(blake2b(bound + b"\0" + body, digest_size=12).digest() + body).decode()
    with pytest.raises(PageTokenInvalid, match="begin again without one"):
        page_token.decode(SEAL, ListOrdersRequest(page_token=token.rstrip("=")), [Part.ID])
    assert page_token.decode(SEAL, ListOrdersRequest(page_token=token_of([ID])), [Part.ID]) == [ID]


GOOD: dict[Part, list[Any]] = {
    Part.TEXT: ["", "MUG", "é💥"],
    Part.NUMBER: [0, 2**63 - 1],
    Part.UNITS: [0, -(2**63), 2**63 - 1],
    Part.ID: [ID, ID.upper()],
    Part.TIME: ["2026-11-30T12:00:00+00:00", "0001-01-01T00:00:00+00:00"],
}
BAD: dict[Part, list[Any]] = {
    Part.TEXT: [None, 1, "a\0b", "\ud800", []],
    Part.NUMBER: [None, "1", True, -1, 2**63, 10**400, 1.0, float("nan")],
    Part.UNITS: [None, "1", True, -(2**63) - 1, 2**63, 10**400, 1.0, float("nan")],
    Part.ID: [None, "", "x", ID + "\n", f"{{{ID}}}", 1],
    Part.TIME: [None, "", "today", "2026-11-30T12:00:00", "0001-01-01T00:00:00+14:00", 0],
}


@pytest.mark.parametrize("part", Part)
def test_a_position_has_the_shape_of_its_list(part: Part) -> None:
    assert all(has_shape([value], [part]) for value in GOOD[part])
    assert not [value for value in BAD[part] if has_shape([value], [part])]
    value = GOOD[part][0]
    assert not any(has_shape(each, [part]) for each in ([], [value, value], value, None, {"0": value}))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_a_sealed_position_of_another_shape_is_refused(position: Any) -> None:
    with pytest.raises(PageTokenInvalid):
        page_token.decode(SEAL, ListOrdersRequest(page_token=token_of(position)), [Part.ID])


def test_a_sealed_text_that_is_no_json_is_refused() -> None:
    for content in (b"", b"[", b"\xff", b"[" * 100_000):
        assert page_token.position_in(content, [Part.ID]) is None
