"""Messages as proto3 JSON, by a writer that is built once for each type of message.

`google.protobuf.json_format` looks up every field in its descriptor for every message, in Python, which is slow. The
output is the same as its output with `always_print_fields_with_no_presence`; a test compares the two for all of Event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from json.encoder import encode_basestring
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

Writer = Callable[[Any], str]
"""Returns the JSON text of one value."""


def json_text(message: Message) -> str:
    """Returns the message as JSON on one line, without blanks, its fields in the order of their declaration."""
    return _message_writer(message.DESCRIPTOR)(message)


@cache
def _message_writer(message_type: Descriptor) -> Writer:
    """Returns the writer of a message type that does not contain itself. Raises KeyError for a kind of field that Event
    does not have."""
    if message_type.full_name == "google.protobuf.Timestamp":
        return lambda moment: _time_text(moment.seconds, moment.nanos)
    if message_type.full_name.startswith("google.protobuf."):
        raise KeyError(f"{message_type.full_name} has a JSON form of its own")
    fields = [
        (field.name, field.has_presence, f'"{field.json_name}":', _field_writer(field)) for field in message_type.fields
    ]

    def write(message: Any) -> str:
        return (
            "{"
            + ",".join(
                [
                    key + text(getattr(message, name))
                    for name, may_be_absent, key, text in fields
                    if not may_be_absent or message.HasField(name)
                ]
            )
            + "}"
        )

    return write


def _field_writer(field: FieldDescriptor) -> Writer:
    if field.message_type:
        if field.message_type.GetOptions().map_entry:
            raise KeyError(f"{field.full_name} is a map")
        text = _message_writer(field.message_type)
    elif field.enum_type:
        text = _enum_writer(field.enum_type)
    else:
        text = SCALARS[field.type]
    if field.is_repeated:
        return lambda values: f"[{','.join(map(text, values))}]"
    return text


def _enum_writer(enum: EnumDescriptor) -> Writer:
    names = {value.number: f'"{value.name}"' for value in enum.values}
    return lambda number: names.get(number) or str(number)


@lru_cache(maxsize=1024)  # events of one transaction have the same time
def _time_text(seconds: int, nanos: int) -> str:
    return f'"{Timestamp(seconds=seconds, nanos=nanos).ToJsonString()}"'


def _quoted(number: int) -> str:
    return f'"{number}"'


SCALARS: Mapping[int, Writer] = {
    FieldDescriptor.TYPE_STRING: encode_basestring,
    FieldDescriptor.TYPE_BOOL: lambda value: "true" if value else "false",
    FieldDescriptor.TYPE_INT32: str,
    FieldDescriptor.TYPE_INT64: _quoted,  # a JavaScript number has 53 bits
}
