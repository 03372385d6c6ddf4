"""Counts the elements of an encoded message before it is parsed: an empty element is two bytes on the wire and a
hundred in memory."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from stockward_server.domain.errors import FieldInvalid
from stockward_server.wire.validation.counts import MAX_ELEMENTS, Counted, plan

SMALL = 16 * 1024
"""Maximum bytes of a message that is parsed uncounted: it takes a megabyte at most."""

SPARE, EACH = 1000, 100
"""Maximum number of fields that are not elements of lists: SPARE, plus EACH for each message. A message has fewer, and
a newer client may send unknown ones."""

STEP = 1000
"""Elements counted before the limit is checked, so that an oversized list is refused early."""

MAX_VARINT = 10
"""Maximum bytes of a number."""

CONTINUED = bytes(range(128, 256))
"""Bytes of a number that are followed by more."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""


class _Field(NamedTuple):
    name: str
    limit: int
    """Maximum number of occurrences: of its elements, or one."""
    is_list: bool
    is_packed: bool
    is_run: bool
    """Whether its elements contain no lists, so that following elements can be skipped."""
    inside: Descriptor | None
    """The message type inside, if that may contain lists."""
    strict: bool


class _Part(NamedTuple):
    """A message in the bytes that is still to be counted."""

    start: int
    end: int
    message: Descriptor
    path: str
    strict: bool
    """Whether the limits of its lists apply here; for the parts of a batch they are checked one by one later."""


class _MalformedError(Exception):
    """The bytes are not a valid message; the parser reports it."""


def check_counts(raw: bytes, message: Descriptor) -> None:
    """Raises FieldInvalid naming a list of the encoded message with more elements than the contract allows. Malformed
    bytes are left to the parser."""
    with contextlib.suppress(_MalformedError, IndexError):
        _check(raw, message)


def _check(raw: bytes, message: Descriptor) -> None:
    """Counts the fields of the message and of the messages in it."""
    parts = [_Part(0, len(raw), message, "", True)]
    elements = others = messages = 0
    while parts:
        at, end, kind, path, strict = parts.pop()
        fields, found = _fields(kind), Counter[int]()
        messages += 1
        while at < end:
            tag = raw[at]
            at += 1
            if tag > 127:
                tag, at = _varint(raw, at - 1)
            size, at = _value(raw, at, tag & 7)
            if at > end:
                raise _MalformedError
            field = fields.get(tag >> 3)
            if field is None:
                others += 1
                if others > SPARE + EACH * messages:
                    raise FieldInvalid("", "the message repeats fields that are no lists, or has too many unknown ones")
                continue
            entries = _numbers(raw[at - size : at]) if field.is_packed and tag & 7 == BYTES else 1
            if field.is_run and tag < 128:
                more, at = _run(raw, at, end, tag)
                entries += more
            count = found[tag] = found[tag] + entries
            elements += entries if field.is_list else 0
            if count > field.limit and (strict or not field.is_list):
                raise _too_many(path + field.name, field)
            if elements > MAX_ELEMENTS:
                raise FieldInvalid("", f"the message has more than {MAX_ELEMENTS:,} entries in its lists")
            if field.inside is not None and tag & 7 == BYTES:
                place = f"{path}{field.name}[{count - 1}]." if field.is_list else f"{path}{field.name}."
                parts.append(_Part(at - size, at, field.inside, place, strict and field.strict))


def _too_many(path: str, field: _Field) -> FieldInvalid:
    if not field.is_list:
        return FieldInvalid(path, "must be given once")
    allowed = f"at most {field.limit:,} entries, and has more" if field.limit else "no entries"
    return FieldInvalid(path, f"must have {allowed}")


def _value(raw: bytes, at: int, wire_type: int) -> tuple[int, int]:
    """Returns the size of a value's content, and the offset of the next field."""
    if wire_type == BYTES:
        size = raw[at]
        at += 1
        if size > 127:
            size, at = _varint(raw, at - 1)
        return size, at + size
    if wire_type == VARINT:
        return 0, _varint(raw, at)[1]
    if wire_type in (FIXED64, FIXED32):
        return 0, at + (8 if wire_type == FIXED64 else 4)
    raise _MalformedError


def _run(raw: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Returns how many short elements with this tag follow, at most STEP, and the offset of the next field."""
    count = 0
    while at < end and raw[at] == tag and count < STEP:
        size = raw[at + 1]
        if size > 127:
            break
        at += size + 2
        count += 1
    if at > end:
        raise _MalformedError
    return count, at


def _numbers(packed: bytes) -> int:
    """Returns how many packed numbers the bytes hold: the last byte of each has its highest bit clear."""
    return len(packed.translate(None, CONTINUED))


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Returns the number at an offset, and the offset after it."""
    number = shift = 0
    for place in range(at, at + MAX_VARINT):
        number |= (raw[place] & 127) << shift
        if raw[place] < 128:
            return number, place + 1
        shift += 7
    raise _MalformedError


@cache
def _fields(message: Descriptor) -> Mapping[int, _Field]:
    """Returns the fields by number that are lists or may contain lists."""
    return {counted.field.number: _field(counted) for counted in plan(message)}


def _field(counted: Counted) -> _Field:
    field = counted.field
    scalar = field.type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE)
    return _Field(
        name=field.name,
        limit=counted.limit if field.is_repeated else 1,
        is_list=field.is_repeated,
        is_packed=field.is_repeated and scalar,
        is_run=field.is_repeated and not scalar and not counted.inside,
        inside=field.message_type if counted.inside else None,
        strict=counted.strict,
    )
