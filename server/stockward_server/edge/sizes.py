"""Computes the maximum size of the JSON body of a method under the contract's rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

RULES: Any = validate_pb2.field

NUMBER = 32
"""Bytes of a number, a time, or the name of an enum's value."""

CHARACTER = 12
"""Bytes of a character that is written as two escapes."""

SHORT = 1024
"""Assumed characters of a text whose rules have no length, such as a pattern."""

UNLIMITED = 1000
"""Assumed elements of a list without a limit in the contract."""

AROUND = 16
"""Bytes of quotes, colon, comma and blanks around a value, with its indentation."""

ROOM = 64 * 1024
"""Bytes allowed beyond the computed size."""


def max_bytes(name: str, known: Mapping[str, DescriptorProto]) -> int:
    """Returns the maximum size of a valid message as JSON, in bytes, plus ROOM. `name` has a leading dot."""
    return ROOM + _size(name, known)


def _size(name: str, known: Mapping[str, DescriptorProto]) -> int:
    if name == ".google.protobuf.FieldMask":  # one text
        return SHORT
    if name.startswith(".google.protobuf."):
        return NUMBER
    return AROUND + sum(_field_size(field, known) for field in known[name].field)


def _field_size(field: FieldDescriptorProto, known: Mapping[str, DescriptorProto]) -> int:
    rules = field.options.Extensions[RULES]
    head = len(field.name) + AROUND
    if field.label != FieldDescriptorProto.LABEL_REPEATED:
        return head + _value_size(field, rules, known)
    part = known.get(field.type_name)
    if part is not None and part.options.map_entry:
        key, value = part.field
        each = _value_size(key, rules.map.keys, known) + _value_size(value, rules.map.values, known)
        return head + (rules.map.max_pairs or UNLIMITED) * (AROUND + each)
    return head + (rules.repeated.max_items or UNLIMITED) * (AROUND + _value_size(field, rules.repeated.items, known))


def _value_size(field: FieldDescriptorProto, rules: Any, known: Mapping[str, DescriptorProto]) -> int:
    if field.type == FieldDescriptorProto.TYPE_MESSAGE:
        return _size(field.type_name, known)
    if field.type != FieldDescriptorProto.TYPE_STRING:
        return NUMBER
    if rules.string.uuid:
        return 36
    return CHARACTER * (rules.string.len or rules.string.max_len or rules.string.max_bytes or SHORT)
