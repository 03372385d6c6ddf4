"""A message of the contract from a JSON file; what does not fit is reported by its place, in words."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, TypeVar

import typer
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from stockward_server.commands.tables import printable

Kind = TypeVar("Kind", bound=Message)


def read_message(file: Path, message: Kind) -> Kind:
    """The message, filled from the file; `-` is stdin. A file that is no such message is wrong usage."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
        document = json.loads(text)
        if not isinstance(document, dict):
            raise typer.BadParameter(f"{file}: it must hold one JSON object, as --json prints it")
        return ParseDict(document, message)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file}: this is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"{file}, line {error.lineno}, column {error.colno}: this is not JSON") from None
    except RecursionError:
        raise typer.BadParameter(f"{file}: objects and lists are nested too deeply") from None
    except ParseError as error:
        raise typer.BadParameter(f"{file}: {_in_words(str(error), message)}") from None


def _in_words(said: str, message: Message) -> str:
    """What protobuf means, which speaks of its own types and of Python's."""
    names = re.findall(r"Failed to parse (\w+) field", said)
    place = ".".join(names)
    if unknown := re.search(r'has no field named "([^"]*)"', said):
        return f"there is no field “{printable(unknown[1])}”" + (f" in {place}" if place else "")
    descriptor = message.DESCRIPTOR
    field = None
    for name in names:
        fields = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
        field = fields.get(name)
        if field is None:
            break
        descriptor = field.message_type or descriptor
    return f"{place} must be {_expected(field)}" if field else "it does not fit; compare it with what --json prints"


def _expected(field: Any) -> str:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return "an object whose values are texts"
    if field.is_repeated:
        return f"a list, and each of it {_one(field)}"
    return _one(field)


def _one(field: Any) -> str:
    if field.enum_type:
        return f"one of {', '.join(value.name for value in field.enum_type.values if value.number)}"
    if field.message_type:
        is_time = field.message_type.full_name == "google.protobuf.Timestamp"
        return "a time such as 2026-11-22T17:00:00Z" if is_time else "an object"
    kinds = {
        FieldDescriptor.CPPTYPE_STRING: "a text",
        FieldDescriptor.CPPTYPE_BOOL: "true or false",
        FieldDescriptor.CPPTYPE_DOUBLE: "a number",
        FieldDescriptor.CPPTYPE_FLOAT: "a number",
    }
    return kinds.get(field.cpp_type, "a whole number within its limits")
