"""Computes the maximum size of a message that keeps the contract's rules."""

from __future__ import annotations

from functools import cache
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from stockward_server.wire.validation.counts import limit_of

NUMBER = 11
"""Maximum bytes of a number or an enum with its tag."""

HEAD = 7
"""Bytes of a tag and a length."""

CHARACTER = 4
"""Maximum bytes of a character in UTF-8."""

ROOM = 64 * 1024
"""Additional bytes for fields of newer clients, and for texts slightly too long, which get an error with their field's
name."""

SHORT = 1024
"""Bytes of a text whose rule has no length, such as a pattern or a list of words."""

UNBOUNDED = 1 << 40
"""Bytes of raw content without a length in the contract, such as a webhook's."""


def max_bytes(message: Descriptor) -> int:
    """Returns the maximum bytes of a valid message of the type, plus ROOM."""
    return ROOM + _size(message)


@cache
def _size(message: Descriptor) -> int:
    return min(UNBOUNDED, sum(_field_size(field) for field in message.fields))


def _field_size(field: FieldDescriptor) -> int:
    rules: Any = field.GetOptions().Extensions[validate_pb2.field]
    part = field.message_type
    if part is not None and part.GetOptions().map_entry:
        key, value = part.fields_by_name["key"], part.fields_by_name["value"]
        each = HEAD + _value_size(key, rules.map.keys) + _value_size(value, rules.map.values)
    else:
        each = _value_size(field, rules.repeated.items if field.is_repeated else rules)
    return each * (limit_of(field) if field.is_repeated else 1)


def _value_size(field: FieldDescriptor, rules: Any) -> int:
    if field.message_type is not None:
        return HEAD + _size(field.message_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return HEAD + (rules.bytes.max_len or UNBOUNDED)
    if field.type != FieldDescriptor.TYPE_STRING:
        return NUMBER
    if rules.string.uuid:
        return HEAD + 36
    return HEAD + (rules.string.max_bytes or rules.string.len or CHARACTER * rules.string.max_len or SHORT)
