"""Parses JSON messages and describes errors in plain words, as protobuf's parser only reports Python's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from stockward_server.wire.validation.rule_messages import either

M = TypeVar("M", bound=Message)

OWN_JSON = {
    "google.protobuf.Timestamp": "must be a time with its offset, such as 2026-11-22T10:00:00Z",
    "google.protobuf.Duration": "must be seconds, such as 900s",
    "google.protobuf.FieldMask": "must be names with commas between them, such as title,productType",
}
"""Messages whose JSON is not an object of their fields."""

UNPARSED = (json_format.Error, ArithmeticError, ValueError, TypeError, RecursionError)
"""Errors of the parser; ArithmeticError for an enum such as 1e999."""

SCALARS = {
    FieldDescriptor.CPPTYPE_STRING: "must be text",
    FieldDescriptor.CPPTYPE_BOOL: "must be true or false",
    FieldDescriptor.CPPTYPE_INT32: "must be a whole number",
    FieldDescriptor.CPPTYPE_INT64: "must be a whole number",
    FieldDescriptor.CPPTYPE_DOUBLE: "must be a number",
}


class JsonInvalid(ValueError):
    """JSON that is not the expected message: `path` is the place, such as `amount.units`, and `words` what is allowed
    there."""

    def __init__(self, path: str, words: str) -> None:
        super().__init__(f"{path}: {words}" if path else words)
        self.path = path
        self.words = words


def parse(data: object, message: M) -> M:
    """Fills the message from JSON and returns it. Raises JsonInvalid."""
    if not isinstance(data, dict):
        raise JsonInvalid("", "must be an object")
    _refuse_lone_surrogates(data)
    try:
        return json_format.ParseDict(data, message)
    except UNPARSED as error:
        raise JsonInvalid(*_fault_of(message.DESCRIPTOR, data)) from error


def _refuse_lone_surrogates(data: object) -> None:
    """Raises JsonInvalid where a name or a text contains a lone surrogate, which JSON permits. Protobuf's parser fails
    on such names, and on such enum values, with errors that should not be caught."""
    left: list[tuple[str, object]] = [("", data)]
    while left:
        path, inner = left.pop()
        if isinstance(inner, str) and _is_torn(inner):
            raise JsonInvalid(path, "must be of whole characters")
        if isinstance(inner, dict):
            if any(map(_is_torn, inner)):
                raise JsonInvalid(path, "must have names of whole characters")
            left += ((f"{path}.{name}" if path else name, value) for name, value in inner.items())
        elif isinstance(inner, list):
            left += ((f"{path}[{index}]", value) for index, value in enumerate(inner))


def _is_torn(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text)


def _fault_of(message: Any, data: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the path of the fault and what is allowed there, for an object that is not a valid message."""
    fields = {name: field for field in message.fields for name in (field.json_name, field.name)}
    for name, value in data.items():
        field = fields.get(name)
        if field is None:
            return name, f"there is no such field, but {', '.join(each.json_name for each in message.fields)}"
        if not _parses(message, {name: value}):
            path, words = _fault_in(field, value)
            return name + path, words
    for choice in message.oneofs:
        if len({fields[name].name for name in data if fields[name].containing_oneof is choice}) > 1:
            return choice.name, f"give {either([each.json_name for each in choice.fields])}, not both"
    return "", "must name each field once"


def _fault_in(field: FieldDescriptor, value: Any) -> tuple[str, str]:
    """Returns the path of the fault in a field's value and what is allowed there."""
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return "", "must be an object of names and texts"
    if field.is_repeated:
        if not isinstance(value, list):
            return "", "must be a list"
        for index, each in enumerate(value):
            if not _parses(field.containing_type, {field.name: [each]}):
                path, words = _fault_in_one(field, each)
                return f"[{index}]{path}", words
    return _fault_in_one(field, value)


def _fault_in_one(field: FieldDescriptor, value: Any) -> tuple[str, str]:
    if field.enum_type is not None:
        return "", f"must be {either([each.name for each in field.enum_type.values if each.number])}"
    if field.message_type is None:
        return "", SCALARS[field.cpp_type]
    if field.message_type.full_name in OWN_JSON:
        return "", OWN_JSON[field.message_type.full_name]
    if not isinstance(value, dict):
        return "", "must be an object"
    path, words = _fault_of(field.message_type, value)
    return f".{path}" if path else "", words


def _parses(message: Any, data: dict[str, Any]) -> bool:
    try:
        json_format.ParseDict(data, GetMessageClass(message)())
    except UNPARSED:
        return False
    return True
