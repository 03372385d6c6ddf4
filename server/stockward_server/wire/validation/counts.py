"""Counts the elements of a message before any rule runs, so that a request that is cheap to send is cheap to refuse.

An empty element is two bytes on the wire, but costs each of its rules some microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from stockward_server.domain.errors import FieldInvalid

UNLIMITED = 1000
"""Maximum elements of a list or map without a limit in the contract, such as the paths of a field mask."""

UNUSED = "google.api.HttpBody.extensions"
"""A list that no method reads."""

MAX_ELEMENTS = 250_000
"""Maximum elements of all lists of a message: somewhat more than the lines of the 200 orders of a batch."""


class Counted(NamedTuple):
    """A field of a message that has elements or may contain some."""

    field: FieldDescriptor
    limit: int
    """Limit of a list or map. In a batch, whose method checks the parts one by one, the lists of a part are not checked
    here."""
    inside: bool
    strict: bool


class _TooManyError(Exception):
    def __init__(self, path: str, count: int, limit: int) -> None:
        self.path, self.count, self.limit = path, count, limit


def count_elements(message: Message, prefix: str = "") -> int:
    """Returns the number of elements of all lists and maps in the message. Raises FieldInvalid naming the first list
    with more than the contract allows, its path after `prefix`."""
    try:
        count = _count(message, strict=True)
    except _TooManyError as error:
        path = prefix + error.path
        allowed = f"at most {error.limit:,} entries" if error.limit else "no entries"
        raise FieldInvalid(path, f"must have {allowed}, not {error.count:,}") from None
    if count > MAX_ELEMENTS:
        raise FieldInvalid("", f"the message has {count:,} entries in its lists, {MAX_ELEMENTS:,} are allowed")
    return count


def _count(message: Message, strict: bool) -> int:
    count = 0
    for field, limit, inside, parts_strict in plan(message.DESCRIPTOR):
        if field.is_repeated:
            parts: Any = getattr(message, field.name)
            elements = len(parts)
            if strict and elements > limit:
                raise _TooManyError(field.name, elements, limit)
            count += elements
            if not inside:
                continue
        elif message.HasField(field.name):
            parts = (getattr(message, field.name),)
        else:
            continue
        for index, part in enumerate(parts):
            try:
                count += _count(part, strict and parts_strict)
            except _TooManyError as error:
                at = f"{field.name}[{index}]" if field.is_repeated else field.name
                error.path = f"{at}.{error.path}"
                raise
    return count


@cache
def plan(message: Descriptor) -> Sequence[Counted]:
    """Returns the fields of a message that have elements or may contain some."""
    return [counted for field in message.fields if (counted := _counted(field)) is not None]


def _counted(field: FieldDescriptor) -> Counted | None:
    inside = field.message_type is not None and not _is_map(field) and bool(plan(field.message_type))
    if not (field.is_repeated or inside):
        return None
    strict = _rules(field).repeated.items.ignore != validate_pb2.IGNORE_ALWAYS
    return Counted(field, limit_of(field), inside, strict)


def limit_of(field: FieldDescriptor) -> int:
    """Returns the maximum number of elements of a list or map."""
    if field.full_name == UNUSED:
        return 0
    return (_rules(field).map.max_pairs if _is_map(field) else _rules(field).repeated.max_items) or UNLIMITED


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _rules(field: FieldDescriptor) -> Any:
    return field.GetOptions().Extensions[validate_pb2.field]
