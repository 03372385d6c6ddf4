"""Pages of the contract: its services with their messages, error reasons, permissions and limits of fields."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)
from stockward.auth.v1 import auth_pb2
from stockward.error.v1 import error_pb2

from stockward_server.edge.contract import routes
from stockward_server.edge.schema import Schemas
from tools.site.text import cell, indented, prose

SYNTAX = (12,)
"""Path of the `syntax` line, whose comment describes the file."""

ROLES: Any = auth_pb2.roles
CREDENTIAL: Any = auth_pb2.credential
ALLOWED: Any = error_pb2.allowed
BEHAVIOR: Any = field_behavior_pb2.field_behavior
WORDS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} elements",
    "maxItems": "at most {} elements",
    "maxProperties": "at most {} entries",
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}
"""What the keywords of a field's schema mean."""

UPPER = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
MAP = "map"


@dataclass(frozen=True)
class Contract:
    """The contract as it was compiled, comments included."""

    files: FileDescriptorSet

    @cached_property
    def schemas(self) -> Schemas:
        return Schemas(self.files)

    @cached_property
    def ours(self) -> list[FileDescriptorProto]:
        return [file for file in self.files.file if file.package.startswith("stockward.")]

    @cached_property
    def homes(self) -> dict[str, str]:
        """The page of each type that has one, by the type's full name."""
        return {name: page_of(file) for file in self.ours for name, _ in types(file)}

    def pages(self) -> Iterator[tuple[str, str]]:
        """Yields path and Markdown of every page that is made from the contract."""
        for file in self.ours:
            if list(types(file)):
                yield page_of(file), "".join(self.file_page(file))
        yield "reference/error-reasons.md", "".join(self.reasons())
        yield "reference/permissions.md", "".join(self.permissions())
        yield "reference/field-limits.md", "".join(self.limits())

    # A file

    def file_page(self, file: FileDescriptorProto) -> Iterator[str]:
        """Yields the parts of the page of one .proto file."""
        names = [service.name for service in file.service]
        yield f"# {', '.join(names) or file.package}\n\n`{file.name}`\n\n{prose(comment_of(file))}\n\n"
        for service in file.service:
            name = f".{file.package}.{service.name}"
            title = service.name if len(names) > 1 else "Methods"
            yield f"## {title}\n\n{prose(self.comment(name))}\n\n"
            for method in service.method:
                yield from self.method(f"{name}.{method.name}", method, page_of(file))
        if shown := list(types(file)):
            yield "## Types\n\n"
            for name, kind in shown:
                title = name.removeprefix(f".{file.package}.")
                yield f"### {title} {{ #{title} }}\n\n{prose(self.comment(name))}\n\n"
                yield from self.values(name, kind) if isinstance(kind, EnumDescriptorProto) else self.fields(name, kind)

    def method(self, name: str, method: MethodDescriptorProto, page: str) -> Iterator[str]:
        """Yields what is to be known of one rpc."""
        streams = ["stream " if each else "" for each in (method.client_streaming, method.server_streaming)]
        types = [self.link(each, page) for each in (method.input_type, method.output_type)]
        yield f"### {method.name} {{ #{method.name} }}\n\n"
        yield f"{streams[0]}{types[0]} → {streams[1]}{types[1]}\n\n{prose(self.comment(name))}\n\n"
        full = name[1:].rpartition(".")[0]
        for route in routes(self.files):
            if (route.service, route.method.name) == (full, method.name):
                yield f"* `{route.verb} {route.path}`\n"
        yield f"* Callers: {', '.join(callers(method))}\n\n"

    def fields(self, name: str, message: DescriptorProto) -> Iterator[str]:
        """Yields the fields of a message."""
        for field in message.field:
            rules = self.rules(field, name)
            about = ", ".join([self.type_of(field, self.homes[name]), *rules])
            choice = f", one of `{message.oneof_decl[field.oneof_index].name}`" if chosen(field) else ""
            yield f"* **`{field.name}`** {about}{choice}\n\n"
            yield indented(prose(self.comment(f"{name}.{field.name}"))) + "\n\n"
        if not message.field:
            yield "No fields.\n\n"

    def values(self, name: str, enum: EnumDescriptorProto) -> Iterator[str]:
        """Yields the values of an enum."""
        for value in enum.value:
            yield f"* **`{value.name}`** = {value.number}\n\n"
            yield indented(prose(self.comment(f"{name}.{value.name}"))) + "\n\n"

    def comment(self, name: str) -> str:
        return self.schemas.comments.get(name, "")

    def link(self, name: str, page: str) -> str:
        """Returns a type's name, as a link where the site has a page of it."""
        if name not in self.homes:
            return f"`{name[1:]}`"
        file = next(each for each in self.ours if name.startswith(f".{each.package}."))
        title = name.removeprefix(f".{file.package}.")
        home = os.path.relpath(self.homes[name], PurePosixPath(page).parent)
        return f"[`{title}`]({home}#{title})"

    def type_of(self, field: FieldDescriptorProto, page: str) -> str:
        """Returns the type of a field in words."""
        entry = self.schemas.messages.get(field.type_name)
        if entry is not None and entry.options.map_entry:
            return f"map of {self.type_of(entry.field[0], page)} to {self.type_of(entry.field[1], page)}"
        many = "list of " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
        scalar = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        return many + (self.link(field.type_name, page) if field.type_name else scalar)

    def rules(self, field: FieldDescriptorProto, message: str) -> list[str]:
        """Returns the rules that a field has to keep, in words."""
        schema = self.schemas.of_field(field, f"{message}.{field.name}")
        found = [
            f"each {text}" if schema.get("type") == "array" and part is not schema else text
            for part in (schema, schema.get("items", {}))
            for key, words in WORDS.items()
            if key in part and (text := words.format(f"{part[key]:,}"))
        ]
        if allowed := field.options.Extensions[ALLOWED]:
            found.append(prose(allowed))
        behaviors = field.options.Extensions[BEHAVIOR]
        found += ["**required**"] if field_behavior_pb2.REQUIRED in behaviors else []
        return found + (["output only"] if field_behavior_pb2.OUTPUT_ONLY in behaviors else [])

    # Across files

    def reasons(self) -> Iterator[str]:
        """Yields the page of every error reason."""
        yield (
            "# Error reasons\n\nEvery error is a `google.rpc.Status` with one `google.rpc.ErrorInfo` of domain "
            "`stockward`. Its `reason` is one of those below: compare it, and never the message. The comment of each "
            "begins with the gRPC code. Errors of the edge itself are in [REST](rest.md#errors).\n\n"
        )
        for file in self.ours:
            for enum in file.enum_type:
                if enum.name != "ErrorReason":
                    continue
                yield f"## {file.package.split('.')[1].capitalize()}: `{file.name}`\n\n"
                for value in enum.value[1:]:
                    reason = value.name.removeprefix("ERROR_REASON_")
                    text = prose(self.comment(f".{file.package}.{enum.name}.{value.name}"))
                    yield f"### {reason} {{ #{reason} }}\n\n{text}\n\n"

    def permissions(self) -> Iterator[str]:
        """Yields the page that says which role may call which method."""
        yield (
            "# Permissions\n\nA method names the roles that may call it; `admin` may call all of them. Methods that "
            "take a signature need no key. What each role sees of the data is in "
            "[authentication and authorization](../concepts/access.md).\n"
        )
        for file in self.ours:
            for service in file.service:
                yield f"\n## {service.name}\n\n| Method | Callers |\n|---|---|\n"
                for method in service.method:
                    page = os.path.relpath(page_of(file), "reference")
                    yield f"| [{method.name}]({page}#{method.name}) | {', '.join(callers(method))} |\n"

    def limits(self) -> Iterator[str]:
        """Yields the page of the upper limits of fields."""
        yield (
            "# Limits of fields\n\nWhat the rules of the contract allow at most. A request beyond one of them ends\n"
            "with INVALID_ARGUMENT ([FIELD_INVALID](error-reasons.md#FIELD_INVALID)), which names the field.\n"
            "[Limits](limits.md) has those of calls, connections and processes.\n\n"
            "| Message | Field | At most |\n|---|---|---|\n"
        )
        for file in self.ours:
            for name, kind in types(file):
                if isinstance(kind, EnumDescriptorProto):
                    continue
                for field in kind.field:
                    schema = self.schemas.of_field(field)
                    items = schema.get("items", {})
                    found = [WORDS[key].format(f"{schema[key]:,}") for key in UPPER if key in schema]
                    found += ["each " + WORDS[key].format(f"{items[key]:,}") for key in UPPER if key in items]
                    if found:
                        link = self.link(name, "reference/field-limits.md")
                        yield f"| {link} | `{field.name}` | {cell(', '.join(found))} |\n"


def page_of(file: FileDescriptorProto) -> str:
    """Returns the path of the page of a .proto file."""
    return f"reference/rpc/{PurePosixPath(file.name).stem}.md"


def types(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto | EnumDescriptorProto]]:
    """Yields full name and descriptor of each message and enum of a file but error reasons."""

    def below(prefix: str, message: DescriptorProto) -> Iterator[tuple[str, DescriptorProto | EnumDescriptorProto]]:
        name = f"{prefix}.{message.name}"
        if message.options.map_entry:
            return
        yield name, message
        for enum in message.enum_type:
            yield f"{name}.{enum.name}", enum
        for nested in message.nested_type:
            yield from below(name, nested)

    for message in file.message_type:
        yield from below(f".{file.package}", message)
    for enum in file.enum_type:
        if enum.name != "ErrorReason":
            yield f".{file.package}.{enum.name}", enum


def callers(method: MethodDescriptorProto) -> list[str]:
    """Returns the roles that may call a method."""
    if method.options.Extensions[CREDENTIAL] == auth_pb2.CREDENTIAL_SIGNATURE:
        return ["anybody with a valid signature"]
    roles = [auth_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in method.options.Extensions[ROLES]]
    return [f"`{role}`" for role in (*roles, "admin")]


def chosen(field: FieldDescriptorProto) -> bool:
    """Returns whether a field is one of several of which one is set."""
    return field.HasField("oneof_index") and not field.proto3_optional


def comment_of(file: FileDescriptorProto) -> str:
    """Returns the comment at the head of a file."""
    for location in file.source_code_info.location:
        if tuple(location.path) == SYNTAX:
            return "\n".join(line.removeprefix(" ") for line in location.leading_comments.strip("\n").splitlines())
    return ""
