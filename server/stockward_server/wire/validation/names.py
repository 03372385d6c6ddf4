"""Normalises SKUs, handles and UUIDs in requests, so that a repetition is recognised in any spelling, and validates
SKUs and handles together with the other rules.

UUIDs are compared without regard to case (RFC 9562); the contract marks them. Names are found by their fields' names,
so a new field is covered at once: `sku`, `skus` and names ending in `_sku` or `_skus` are SKUs, `handle` is a handle,
and an `aggregate_id` may contain a SKU.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from stockward_server.domain.errors import FieldViolation
from stockward_server.domain.names import handle_fault, normal_name, sku_fault

MAX_ELEMENTS = 10_000
"""Maximum elements of a list that are processed, more than any request may have: the contract's rule refuses longer
lists."""

MAX_SHOWN = 40
"""Maximum characters of an invalid name in a message."""

IDS = ("product_id", "endpoint_id", "request_id")
"""Ids without a rule in some places: where other systems set the product id, where an endpoint of the settings has a
name (in lower case, too), and in rows that are refused one by one."""

_SKU = re.compile("(.+_)?skus?")

Fault = Callable[[str], str | None]


class _Named(NamedTuple):
    """A field of a message that is a name or an id, or contains some."""

    field: FieldDescriptor
    normal: Callable[[str], str]
    fault: Fault | None
    """Returns what is wrong with a name."""
    checked: bool
    """Whether it is validated here."""


def normalise_names(message: Message) -> None:
    """Normalises every SKU, handle and UUID in the message, in place, except in the parts of a batch, which its method
    validates one by one."""
    for field, normal, _, checked in _plan(message.DESCRIPTOR):
        value: Any = getattr(message, field.name)
        if field.message_type:
            if checked if field.is_repeated else message.HasField(field.name):
                for part in islice(value, MAX_ELEMENTS) if field.is_repeated else (value,):
                    normalise_names(part)
        elif field.is_repeated:
            if (parts := [normal(each) for each in islice(value, MAX_ELEMENTS)]) != value:
                value[:] = parts
        elif (text := normal(value)) != value:
            setattr(message, field.name, text)


def name_violations(message: Message) -> Iterator[FieldViolation]:
    """Yields the invalid SKUs and handles of a normalised message. Missing ones are left to the contract's rules;
    fields that these ignore are ignored here as well."""
    for field, _, fault, checked in _plan(message.DESCRIPTOR):
        if not checked:
            continue
        value: Any = getattr(message, field.name)
        for index, part in enumerate(islice(value, MAX_ELEMENTS) if field.is_repeated else (value,)):
            if field.message_type:
                for found in name_violations(part):
                    yield FieldViolation(f"{_at(field, index)}.{found.field}", found.description)
            elif fault and part and (wrong := fault(part)):
                yield FieldViolation(_at(field, index), f"{_shown(part)} {wrong}")


def _shown(name: str) -> str:
    """Returns the beginning of a name for people, without invisible characters."""
    seen = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name[:MAX_SHOWN])
    return f"“{seen}{'…' if len(name) > MAX_SHOWN else ''}”"


def _at(field: FieldDescriptor, index: int) -> str:
    return f"{field.name}[{index}]" if field.is_repeated else field.name


@cache
def _plan(message: Descriptor) -> Sequence[_Named]:
    return [
        _Named(field, str.lower if _is_uuid(field) else normal_name, _fault_of(field), _is_checked(field))
        for field in message.fields
        if _is_uuid(field) or _is_name(field) or _has_names(field)
    ]


def _is_uuid(field: FieldDescriptor) -> bool:
    if field.name in IDS:
        return True
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return rules.string.uuid or rules.repeated.items.string.uuid


def _is_name(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_STRING and (
        _SKU.fullmatch(field.name) is not None or field.name in ("handle", "aggregate_id")
    )


def _has_names(field: FieldDescriptor) -> bool:
    inside = field.message_type
    if inside is None or inside.GetOptions().map_entry or not inside.full_name.startswith("stockward."):
        return False
    return bool(_plan(inside))


def _fault_of(field: FieldDescriptor) -> Fault | None:
    if field.name == "handle":
        return handle_fault
    return sku_fault if _SKU.fullmatch(field.name) else None


def _is_checked(field: FieldDescriptor) -> bool:
    """Whether a name must be valid. A filter of a list is only compared: an invalid one matches nothing."""
    if field.full_name.partition(".v1.")[2].startswith("List"):
        return False
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return validate_pb2.IGNORE_ALWAYS not in (rules.ignore, rules.repeated.items.ignore)
