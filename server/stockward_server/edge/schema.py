"""JSON Schemas of the contract's messages in proto3 JSON; rules of protovalidate become constraints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from buf.validate import validate_pb2
from google.api import field_behavior_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from stockward_server.edge.contract import json_name

Schema = dict[str, Any]
RULES: Any = validate_pb2.field
ONEOF: Any = validate_pb2.oneof
BEHAVIOR: Any = field_behavior_pb2.field_behavior
UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

WELL_KNOWN: Mapping[str, Schema] = {
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    ".google.protobuf.FieldMask": {"type": "string", "description": "Names of fields in lower camel case, by commas."},
    ".google.protobuf.Struct": {"type": "object"},
    ".google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
    },
}
"""Schemas of messages with a special JSON form."""

INT32: Schema = {"type": "integer", "format": "int32"}
INT64: Schema = {"type": ["string", "integer"], "format": "int64", "pattern": "^-?[0-9]{1,18}$"}
"""64-bit integers are strings in responses, since a double cannot hold them; requests may have either."""

SCALARS: Mapping[int, Schema] = {
    FieldDescriptorProto.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptorProto.TYPE_STRING: {"type": "string"},
    FieldDescriptorProto.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptorProto.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptorProto.TYPE_FLOAT: {"type": "number", "format": "float"},
    **dict.fromkeys((FieldDescriptorProto.TYPE_INT32, FieldDescriptorProto.TYPE_UINT32), INT32),
    **dict.fromkeys((FieldDescriptorProto.TYPE_INT64, FieldDescriptorProto.TYPE_UINT64), INT64),
}

BEHAVIORS = {
    field_behavior_pb2.OUTPUT_ONLY: "readOnly",
    field_behavior_pb2.INPUT_ONLY: "writeOnly",
    field_behavior_pb2.IMMUTABLE: "x-immutable",
}
"""Keyword of each field behavior, except REQUIRED and OPTIONAL, which the list `required` expresses."""

RANGE = {"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum"}


class Schemas:
    """The types of a contract, with their comments."""

    def __init__(self, contract: FileDescriptorSet) -> None:
        self.messages: dict[str, DescriptorProto] = {}
        self.enums: dict[str, EnumDescriptorProto] = {}
        self.comments: dict[str, str] = {}
        """Comments of Stockward's own types, by full name with a leading dot."""
        for file in contract.file:
            self._read(file)

    def of_message(self, name: str, without: frozenset[str] = frozenset(), closed: bool = False) -> Schema:
        """Returns the schema of a message, `without` some fields; a `closed` schema allows no additional properties."""
        message = self.messages[name]
        fields = [field for field in message.field if field.name not in without]
        properties = {json_name(field): self.of_field(field, f"{name}.{field.name}") for field in fields}
        schema: Schema = {"type": "object", **self._described(name), "properties": properties}
        if required := [json_name(field) for field in fields if _is(field, field_behavior_pb2.REQUIRED)]:
            schema["required"] = required
        choices = [
            {"required": [json_name(field)]}
            for index, oneof in enumerate(message.oneof_decl)
            if oneof.options.Extensions[ONEOF].required
            for field in fields
            if field.HasField("oneof_index") and field.oneof_index == index
        ]
        if choices:
            schema["oneOf"] = choices
        if closed:
            schema["additionalProperties"] = False
        return schema

    def of_enum(self, name: str) -> Schema:
        """Returns the schema of an enum, with the comments of its values."""
        values = self.enums[name].value
        lines = [f"- `{value.name}`: {self.comments.get(f'{name}.{value.name}', '')}" for value in values]
        text = "\n".join([self.comments.get(name, ""), "", *lines])
        return {"type": "string", "description": text, "enum": [value.name for value in values]}

    def of_field(self, field: FieldDescriptorProto, name: str = "") -> Schema:
        """Returns the schema of a field's value, with its rules and comment."""
        rules = field.options.Extensions[RULES]
        entry = self.messages.get(field.type_name)
        schema: Schema
        if entry is not None and entry.options.map_entry:
            schema = {"type": "object", "additionalProperties": self._value(entry.field[1], rules.map.values)}
            _take(schema, rules.map, {"min_pairs": "minProperties", "max_pairs": "maxProperties"})
        elif field.label == FieldDescriptorProto.LABEL_REPEATED:
            ignored = rules.repeated.items.ignore == validate_pb2.IGNORE_ALWAYS
            schema = {"type": "array", "items": self._value(field, None if ignored else rules.repeated.items)}
            _take(schema, rules.repeated, {"min_items": "minItems", "max_items": "maxItems"})
        else:
            schema = self._value(field, rules)
        for behavior, keyword in BEHAVIORS.items():
            if _is(field, behavior):
                schema[keyword] = True
        return {**schema, **self._described(name)}

    def _value(self, field: FieldDescriptorProto, rules: Any) -> Schema:
        if field.type_name in WELL_KNOWN:
            return dict(WELL_KNOWN[field.type_name])
        if field.type_name:
            return {"$ref": f"#/components/schemas/{field.type_name[1:]}"}
        schema = dict(SCALARS[field.type])
        if rules is None:
            return schema
        kind = rules.WhichOneof("type")
        own: Any = getattr(rules, kind) if kind else None
        if kind == "string":
            _take(schema, own, {"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern"})
            if own.uuid:
                schema["pattern"] = UUID
            if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE and "pattern" in schema:
                schema["pattern"] = f"({schema['pattern']})|^$"
        elif own is not None:
            _take(schema, own, RANGE)
        return schema

    def reachable(self, start: str) -> Iterator[str]:
        """Yields the names of the message `start` and of all types in it that have their own schema."""
        found: set[str] = set()
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name in found or name in WELL_KNOWN:
                continue
            found.add(name)
            if name in self.messages:
                if not self.messages[name].options.map_entry:
                    yield name
                waiting += [field.type_name for field in self.messages[name].field if field.type_name]
            else:
                yield name

    def _described(self, name: str) -> Schema:
        return {"description": self.comments[name]} if name in self.comments else {}

    def _read(self, file: FileDescriptorProto) -> None:
        comments = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
        ours = file.package.startswith("stockward.")

        def note(path: tuple[int, ...], name: str) -> None:
            if ours and comments.get(path):
                self.comments[name] = "\n".join(line.removeprefix(" ") for line in comments[path].strip().splitlines())

        def read_enum(enum: EnumDescriptorProto, path: tuple[int, ...], prefix: str) -> None:
            name = f"{prefix}.{enum.name}"
            self.enums[name] = enum
            note(path, name)
            for index, value in enumerate(enum.value):
                note((*path, 2, index), f"{name}.{value.name}")

        def read_message(message: DescriptorProto, path: tuple[int, ...], prefix: str) -> None:
            name = f"{prefix}.{message.name}"
            self.messages[name] = message
            note(path, name)
            for index, field in enumerate(message.field):
                note((*path, 2, index), f"{name}.{field.name}")
            for index, nested in enumerate(message.nested_type):
                read_message(nested, (*path, 3, index), name)
            for index, enum in enumerate(message.enum_type):
                read_enum(enum, (*path, 4, index), name)

        package = f".{file.package}"
        for index, message in enumerate(file.message_type):
            read_message(message, (4, index), package)
        for index, enum in enumerate(file.enum_type):
            read_enum(enum, (5, index), package)
        for index, service in enumerate(file.service):
            note((6, index), f"{package}.{service.name}")
            for number, method in enumerate(service.method):
                note((6, index, 2, number), f"{package}.{service.name}.{method.name}")


def _is(field: FieldDescriptorProto, behavior: int) -> bool:
    return behavior in field.options.Extensions[BEHAVIOR]


def _take(schema: Schema, rules: Any, names: Mapping[str, str]) -> None:
    """Adds the rules that are set to the schema; `names` has the keyword of each rule."""
    for rule, keyword in names.items():
        if rule in rules.DESCRIPTOR.fields_by_name and rules.HasField(rule):
            schema[keyword] = getattr(rules, rule)
