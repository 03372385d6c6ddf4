"""The script for JSON bodies: `strict_json.lua`, preceded by the contract's fields, the types and the budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from stockward_server.edge.contract import json_name

SCRIPT = Path(__file__).with_name("strict_json.lua")

BUDGET = Path(__file__).with_name("body_budget.lua")

OWN_JSON = ".google.protobuf."
"""Package of messages whose JSON form is not an object of their fields."""


ALLOWED = {
    **dict.fromkeys(("TYPE_INT32", "TYPE_INT64", "TYPE_UINT32", "TYPE_UINT64"), "a whole number"),
    **dict.fromkeys(("TYPE_DOUBLE", "TYPE_FLOAT"), "a number"),
    "TYPE_BOOL": "true or false",
    "TYPE_STRING": "text",
    "TYPE_BYTES": "text in base64",
    "google.protobuf.Timestamp": "a time with its offset, such as 2026-11-22T10:00:00Z",
    "google.protobuf.Duration": "seconds, such as 900s",
    "google.protobuf.FieldMask": "names with commas between them, such as title,productType",
}
"""Allowed values of the types that the transcoder names in its errors, except enums."""


def script(
    known: dict[str, DescriptorProto], bodies: Iterable[str], enums: Mapping[str, Sequence[str]], share: float
) -> str:
    """Returns Lua that checks the messages `bodies` and all nested ones; `enums` has the values of each enum by name.
    `share` is the maximum share of a worker's time for the large bodies of one caller."""
    lines = [f"local SHARE = {share}", "local FIELDS = {"]
    for name in sorted(_reachable(known, bodies)):
        fields = [
            f'["{spelling}"]="{_content(field, known)}"'
            for field in known[name].field
            for spelling in sorted({field.name, json_name(field)})
        ]
        lines.append(f'["{name}"]={{{",".join(fields)}}},')
    lines += ["}", "local ALLOWED = {"]
    lines += [f'["{name}"]="{words}",' for name, words in ALLOWED.items()]
    lines += [f'["{name}"]="{_either(values)}",' for name, values in sorted(enums.items())]
    return "\n".join([*lines, "}", *(each.read_text(encoding="utf-8") for each in (BUDGET, SCRIPT))])


def _either(values: Sequence[str]) -> str:
    *rest, last = values
    return f"{', '.join(rest)} or {last}" if rest else last


def _content(field: FieldDescriptorProto, known: dict[str, DescriptorProto]) -> str:
    """Returns the message type of a field, with a leading `*` for maps; empty for other types."""
    message = known.get(field.type_name)
    if message is None or field.type_name.startswith(OWN_JSON):
        return ""
    if message.options.map_entry:
        return "*" + _content(message.field[1], known)
    return field.type_name


def _reachable(known: dict[str, DescriptorProto], start: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = [each for each in start if each]
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        waiting += [_content(field, known).lstrip("*") for field in known[name].field]
    return found
