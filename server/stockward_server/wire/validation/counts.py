"""How many elements a message has, counted before anything walks them: what is small to send is small to refuse.

An empty element is two bytes on the wire, and costs each rule on it some microseconds.
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
"""Elements of a list or map for which the contract has no limit, such as the paths of a field mask."""

UNUSED = "google.api.HttpBody.extensions"
"""A list that no method reads."""

MAX_ELEMENTS = 250_000
"""Elements of a message in all its lists: somewhat more than the 200 orders of a batch can have lines."""


class Counted(NamedTuple):
    """A field of a message that has elements, or in which there may be some."""

    field: FieldDescriptor
    limit: int
    """Of a list or map; of a batch, whose parts are checked one by one by its method, what each may have is not held
    against its limits here."""
    inside: bool
    strict: bool


class _TooManyError(Exception):
    def __init__(self, path: str, count: int, limit: int) -> None:
        self.path, self.count, self.limit = path, count, limit


def count_elements(message: Message, prefix: str = "") -> int:
    """Returns the elements of all lists and maps in the message; FieldInvalid naming the first that has more than the
    contract allows, its path behind `prefix`."""
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
    """Returns the fields of a message that have elements, or in which there may be some."""
    return [counted for field in message.fields if (counted := _counted(field)) is not None]


def _counted(field: FieldDescriptor) -> Counted | None:
    inside = field.message_type is not None and not _is_map(field) and bool(plan(field.message_type))
    if not (field.is_repeated or inside):
        return None
    strict = _rules(field).repeated.items.ignore != validate_pb2.IGNORE_ALWAYS
    return Counted(field, limit_of(field), inside, strict)


def limit_of(field: FieldDescriptor) -> int:
    """Returns how many elements a list or map may have."""
    if field.full_name == UNUSED:
        return 0
    return (_rules(field).map.max_pairs if _is_map(field) else _rules(field).repeated.max_items) or UNLIMITED


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _rules(field: FieldDescriptor) -> Any:
    return field.GetOptions().Extensions[validate_pb2.field]
