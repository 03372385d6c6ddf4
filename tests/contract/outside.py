"""Texts that come from outside, made of what JSON allows and programs do not expect."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from google.protobuf.descriptor import Descriptor
from hypothesis import strategies as st

ODD_TEXTS = (
    *("", " ", "\0", "a\0b", "\ud800", "x\udfff", "\ufffe", "💥", "e\u0301", "null", "NaN", "-1", "1e400", "9" * 400),
    *("x" * 5000, "0190aaaa-0000-7000-8000-000000000000", "2026-11-30T12:00:00Z", "0001-01-01T00:00:00+14:00"),
    *("9999-12-31T23:59:59-14:00", "10000-01-01T00:00:00Z", "900s", "-9223372036854775808.5s", "EUR", "*", "a.b.c"),
)
ODD_NUMBERS = (
    *(0, 1, -1, True, 0.5, 1e308, 1e15, float("nan"), float("inf"), -float("inf")),
    *(2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**18, 10**400, -(10**400)),
)

odd_values = st.sampled_from([None, False, *ODD_NUMBERS, *ODD_TEXTS]) | st.integers() | st.text(max_size=20)

odd_json = st.recursive(
    odd_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ODD_TEXTS), inner, max_size=3),
    max_leaves=6,
)

NO_JSON = (
    *(
        b"",
        b" ",
        b"{",
        b"[" * 2000,
        b'{"a":' * 500,
        b'{"a":',
        b"\xff",
        b'"\\ud8"',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"type":' + b"[" * 9_000,
    ),
    *(b"1" * 5000, b'{"exp":' + b"1" * 5000 + b"}", b"nul", b"{}{}", b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16")),
    *(b'{"created":-1e999}', b"[]", b"null", b"7", b'"text"', b'{"a":1,"a":2}'),
)
"""What is no JSON, or none that anybody wants."""


def json_bytes(value: Any) -> bytes:
    """JSON as the value is; it may have half characters, NaN and numbers of 400 digits."""
    return json.dumps(value).encode()


def data_of(descriptor: Descriptor, depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """An object with fields of the message, whose values are odd, or objects and lists of such."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in descriptor.fields:
        value: st.SearchStrategy[Any] = st.sampled_from([*ODD_NUMBERS, *ODD_TEXTS]) if field.enum_type else odd_json
        if field.message_type is not None and depth:
            inner = data_of(field.message_type, depth - 1)
            value = odd_json | (st.lists(inner, max_size=2) if field.is_repeated else inner)
        fields[field.json_name] = value
    return st.fixed_dictionaries({}, optional=fields)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info or record.levelno >= logging.ERROR:
            self.found.append(f"{record.name}: {text}")


@contextmanager
def nothing_goes_wrong() -> Iterator[Sequence[str]]:
    """Fails when an error, or anything with a traceback, is logged meanwhile."""
    collector = _Collector()
    logging.getLogger().addHandler(collector)
    try:
        yield collector.found
    finally:
        logging.getLogger().removeHandler(collector)
    assert not collector.found


async def run(check: Any) -> None:
    """Has Hypothesis run an asynchronous check in this loop: it knows plain functions only."""
    loop = asyncio.get_running_loop()
    inner = check.hypothesis.inner_test

    def plain(*arguments: Any, **named: Any) -> None:
        asyncio.run_coroutine_threadsafe(inner(*arguments, **named), loop).result(60)

    check.hypothesis.inner_test = plain
    await asyncio.to_thread(check)
