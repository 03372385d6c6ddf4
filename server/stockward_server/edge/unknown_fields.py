"""The script that refuses unknown fields of JSON bodies: `strict_json.lua` with the contract's fields in front."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from stockward_server.edge.contract import json_name

SCRIPT = Path(__file__).with_name("strict_json.lua")

OWN_JSON = ".google.protobuf."
"""Messages of this package are written as something else than an object of their fields."""


def script(known: dict[str, DescriptorProto], bodies: Iterable[str]) -> str:
    """Lua that checks the messages `bodies` and all that they hold."""
    lines = ["local FIELDS = {"]
    for name in sorted(_reachable(known, bodies)):
        fields = [
            f'["{spelling}"]="{_content(field, known)}"'
            for field in known[name].field
            for spelling in sorted({field.name, json_name(field)})
        ]
        lines.append(f'["{name}"]={{{",".join(fields)}}},')
    return "\n".join([*lines, "}", SCRIPT.read_text(encoding="utf-8")])


def _content(field: FieldDescriptorProto, known: dict[str, DescriptorProto]) -> str:
    """What the field holds, as the script wants to know it."""
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
