"""Generate modules of the Python client: a typed method for each rpc, an exception for each error reason.

`python tools/python_client.py IMAGE FOLDER`, where IMAGE is what `tools/contract.py` compiles. Comments of the contract
become docstrings.
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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

HEADER = "# Generated from proto/ by `make generate`; do not edit.\n"
WIDTH = 120

SCALARS = {
    FieldDescriptorProto.TYPE_STRING: ("str", '""'),
    FieldDescriptorProto.TYPE_BYTES: ("bytes", 'b""'),
    FieldDescriptorProto.TYPE_BOOL: ("bool", "False"),
    FieldDescriptorProto.TYPE_DOUBLE: ("float", "0.0"),
    FieldDescriptorProto.TYPE_FLOAT: ("float", "0.0"),
    FieldDescriptorProto.TYPE_INT32: ("int", "0"),
    FieldDescriptorProto.TYPE_INT64: ("int", "0"),
}
"""Python type and default of the scalar types in use."""

ATTRIBUTES = {
    "KeyService": "keys",
    "SessionService": "sessions",
    "OrderService": "orders",
    "EventService": "events",
    "WebhookService": "webhooks",
}
"""Attribute of the client for each service; of others, the lower-case name without `Service`."""

RAW = ".google.api.HttpBody"
"""The request of methods that are called by others over HTTP, never by this client."""

WITHOUT_CLASS = ("UNSPECIFIED", "INTERNAL")
"""Reasons that need no class: none, and the one that the class of its code says already."""


@dataclass
class Type:
    """A message or an enum of the contract or of its imports."""

    module: str
    """`stockward.order.v1.order_pb2`"""
    path: str
    """`Order.State`"""
    proto: DescriptorProto | EnumDescriptorProto
    comments: dict[str, str] = field(default_factory=dict)
    """Of its fields or values, by name."""

    @property
    def name(self) -> str:
        return f"{self.module.rpartition('.')[2]}.{self.path}"


def main(image: Path, folder: Path) -> None:
    """Write the modules for the contract in `image` into `folder`."""
    contract = Contract(FileDescriptorSet.FromString(image.read_bytes()))
    modules = {
        "services.py": contract.services(asynchronous=False),
        "aio_services.py": contract.services(asynchronous=True),
        "reasons.py": contract.reasons(),
        "enums.py": contract.enums(),
        "messages.py": contract.messages(),
    }
    for name, text in modules.items():
        (folder / name).write_text(text)
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    for command in (("check", "--fix", "--select", "I"), ("format",)):
        subprocess.run([ruff, *command, "--quiet", *(folder / name for name in modules)], check=True)
    print(f"{folder.relative_to(Path.cwd())}: {', '.join(modules)}")


class Contract:
    """The contract, with its types by full name."""

    def __init__(self, files: FileDescriptorSet) -> None:
        self._files = [file for file in files.file if file.name.startswith("stockward/")]
        self._types = {name: each for file in files.file for name, each in types_of(file)}

    def services(self, *, asynchronous: bool) -> str:
        """The module with a class for each service, and one that holds them all."""
        modules: set[str] = set()
        bodies: list[str] = []
        members: list[str] = []
        prefix = "Async" if asynchronous else ""
        for file in self._files:
            comments = comments_of(file)
            for i, service in enumerate(file.service):
                if all(method.input_type == RAW for method in service.method):
                    continue
                stub = f"{module_of(file)}_grpc"
                modules.add(stub)
                name = prefix + service.name
                attribute = ATTRIBUTES.get(service.name, service.name.removesuffix("Service").lower())
                members.append(f"        self.{attribute} = {name}(channel, calls)\n")
                body = f"class {name}:\n{docstring(comments[6, i], 4)}\n"
                body += f"    def __init__(self, channel: {'grpc.aio' if asynchronous else 'grpc'}.Channel, "
                body += f"calls: {prefix}Calls) -> None:\n        self._calls = calls\n"
                body += f"        self._stub = {stub.rpartition('.')[2]}.{service.name}Stub(channel)\n"
                for j, method in enumerate(service.method):
                    body += "\n" + self._method(method, comments[6, i, 2, j], asynchronous, modules)
                bodies.append(body)
        module = "stockward_client.aio_calls" if asynchronous else "stockward_client.calls"
        streams = "AsyncIterable, AsyncIterator, Iterable" if asynchronous else "Iterable, Iterator"
        streams += ", Mapping" * any("Mapping[" in body for body in bodies)
        imports = [f"from {name.rpartition('.')[0]} import {name.rpartition('.')[2]}\n" for name in sorted(modules)]
        return (
            f'{HEADER}"""A method for each rpc of the contract."""\n\nfrom __future__ import annotations\n\n'
            f"from collections.abc import {streams}\n\nimport grpc\n{''.join(imports)}\n"
            f"from stockward_client import enums\n"
            f"from stockward_client.arguments import at_most_one, number_of, numbers_of\n"
            f"from {module} import {prefix}Calls, {prefix}Pages\n\n\n"
            + "\n\n".join(bodies)
            + f'\n\nclass {prefix}Services:\n    """The services of one server."""\n\n'
            + f"    def __init__(self, channel: {'grpc.aio' if asynchronous else 'grpc'}.Channel, "
            + f"calls: {prefix}Calls) -> None:\n{''.join(members)}"
        )

    def _method(self, method: MethodDescriptorProto, comment: str, asynchronous: bool, modules: set[str]) -> str:
        request, response = self._types[method.input_type], self._types[method.output_type]
        modules |= {request.module, response.module}
        prefix, awaited = ("Async", "await ") if asynchronous else ("", "")
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
        call = f"self._stub.{method.name}"
        timeout = f"timeout: {TIMEOUT}"
        if method.client_streaming:
            stream = f"requests: Iterable[{request.name}]" + (
                f" | AsyncIterable[{request.name}]" if asynchronous else ""
            )
            if method.server_streaming:
                define, result = "def", f"{prefix}Iterator[{response.name}]"
                answer = f"self._calls.exchange({call}, requests, timeout)"
            else:
                define, result = "async def" if asynchronous else "def", response.name
                answer = f"{awaited}self._calls.upload({call}, requests, timeout)"
            return (
                f"    {define} {name}(self, {stream}, *, timeout: float | None = None) -> {result}:\n"
                f"{docstring(comment, 8, ['timeout: Seconds for the whole stream; None: no limit.'])}"
                f"        return {answer}\n"
            )
        fields = list(self._fields(request, modules))
        message = f"{request.name}({', '.join(f'{each.name}={each.value}' for each in fields if not each.choice)})"
        choose = "".join(
            f"        at_most_one({', '.join(f'{name}={name}' for name in names)})\n"
            for names in exclusive(request.proto)
        )
        if choices := [each.name for each in fields if each.choice]:
            choose += f"        request = {message}\n"
            choose += "".join(
                f"        if {each} is not None:\n            request.{each} = {each}\n" for each in choices
            )
            message = "request"
        names = {each.name for each in fields}
        define = "def"
        if method.server_streaming:
            if "cursor" not in names:
                raise ValueError(f"{method.name}: a server stream needs a cursor to go on from")
            result, answer = f"{prefix}Iterator[{response.name}]", f"self._calls.watch({call}, {message}, timeout)"
            timeout = "timeout: Seconds that the server may be away before the watch ends; None: it goes on for ever."
        elif item := self._item(names, response):
            modules.add(item[1].module)
            result = f"{prefix}Pages[{response.name}, {item[1].name}]"
            answer = f"self._calls.pages({call}, {message}, lambda page: page.{item[0]}, timeout)"
        else:
            define = "async def" if asynchronous else "def"
            result, answer = response.name, f"{awaited}self._calls.unary({call}, {message}, timeout)"
        arguments = "".join(f"{each.name}: {each.type}{each.default}, " for each in fields)
        return (
            f"    {define} {name}(self, *, {arguments}timeout: float | None = None) -> {result}:\n"
            f"{docstring(comment, 8, [f'{each.name}: {each.comment}' for each in fields] + [timeout])}{choose}"
            f"        return {answer}\n"
        )

    def _fields(self, request: Type, modules: set[str]) -> Iterator[Argument]:
        """The arguments of a method: required ones first, which cannot be left out."""
        assert isinstance(request.proto, DescriptorProto)
        arguments: list[Argument] = []
        for each in request.proto.field:
            if keyword.iskeyword(each.name) or each.name in ("self", "timeout"):
                raise ValueError(f"{request.path}.{each.name} cannot be the name of an argument")
            value = each.name
            if each.type_name:
                type_ = self._types[each.type_name]
                modules.add(type_.module)
                if isinstance(type_.proto, EnumDescriptorProto):
                    scope = type_.name.rpartition(".")[0]
                    short = f"enums.{type_.path.replace('.', '')}"
                    kind, default = f"{type_.name}.ValueType | {short}", f"{scope}.{type_.proto.value[0].name}"
                    many = each.label == FieldDescriptorProto.LABEL_REPEATED
                    value = f"{'numbers_of' if many else 'number_of'}({type_.name}, {each.name})"
                else:
                    kind, default = f"{type_.name} | None", "None"
            else:
                kind, default = SCALARS[each.type]
            if entry := self._map_entry(each):
                kind, default = f"Mapping[{', '.join(entry)}] | None", "None"
            elif each.label == FieldDescriptorProto.LABEL_REPEATED:
                kind, default = f"Iterable[{kind.removesuffix(' | None')}]", "()"
            elif each.HasField("oneof_index") and default != "None":  # a choice, or an optional field
                kind, default = f"{kind} | None", "None"
            options: Any = each.options
            required = field_behavior_pb2.REQUIRED in options.Extensions[field_behavior_pb2.field_behavior]
            if required:
                kind = kind.removesuffix(" | None")
            choice = each.HasField("oneof_index") and not each.proto3_optional and not each.type_name
            default = "" if required else f" = {default}"
            arguments.append(Argument(each.name, kind, default, request.comments[each.name], choice, value))
        return iter(sorted(arguments, key=lambda argument: bool(argument.default)))

    def _map_entry(self, field: FieldDescriptorProto) -> list[str] | None:
        """Returns the types of key and value of a map of scalars; None for any other field."""
        proto = self._types[field.type_name].proto if field.type_name else None
        if not isinstance(proto, DescriptorProto) or not proto.options.map_entry:
            return None
        return [SCALARS[each.type][0] for each in proto.field]

    def _item(self, arguments: set[str], response: Type) -> tuple[str, Type] | None:
        """Returns the repeated field of a list method's response, and the type of its rows; None for other methods."""
        if not arguments & {"page_token", "cursor"}:
            return None
        assert isinstance(response.proto, DescriptorProto)
        rows = [each for each in response.proto.field if each.label == FieldDescriptorProto.LABEL_REPEATED]
        if not rows:  # what is done in steps, such as a replay of events, has no rows to walk through
            return None
        if len(rows) != 1:
            raise ValueError(f"{response.path}: a page has one repeated field")
        return rows[0].name, self._types[rows[0].type_name]

    def enums(self) -> str:
        """The module with the short names of each enum that a method takes, as a type."""
        taken = {
            each.type_name
            for file in self._files
            for service in file.service
            for method in service.method
            for each in getattr(self._types[method.input_type].proto, "field", ())
            if each.type == FieldDescriptorProto.TYPE_ENUM
        }
        aliases = []
        for name in sorted(taken, key=lambda name: self._types[name].path):
            type_ = self._types[name]
            assert isinstance(type_.proto, EnumDescriptorProto)
            prefix = type_.proto.value[0].name.removesuffix("UNSPECIFIED")
            words = [value.name.removeprefix(prefix).lower() for value in type_.proto.value[1:]]
            alias = type_.path.replace(".", "")
            aliases.append(f'{alias}: TypeAlias = Literal[{", ".join(map(repr, words))}]\n"""`{type_.name}`"""\n')
        return (
            f'{HEADER}"""Values of enums by their short names, as arguments of methods take them."""\n\n'
            "from __future__ import annotations\n\nfrom typing import Literal, TypeAlias\n\n" + "\n".join(aliases)
        )

    def messages(self) -> str:
        """The module with every message and enum of the contract."""
        names: dict[str, list[str]] = {}
        for type_ in self._types.values():
            if type_.module.startswith("stockward.") and "." not in type_.path:
                names.setdefault(type_.path, []).append(type_.module)
        modules: dict[str, list[str]] = {"google.type.money_pb2": ["Money"]}
        for name, places in names.items():
            if len(places) == 1:  # each area has its own ErrorReason
                modules.setdefault(places[0], []).append(name)
        imports = "".join(
            f"from {module} import {', '.join(sorted(each))}\n" for module, each in sorted(modules.items())
        )
        exported = sorted(name for each in modules.values() for name in each)
        return (
            f'{HEADER}"""All messages and enums of the contract, and Money, in one place."""\n\n{imports}\n'
            f"__all__ = [\n{''.join(f'    {name!r},{chr(10)}' for name in exported)}]\n"
        )

    def reasons(self) -> str:
        """The module with an exception for each value of the ErrorReason enums."""
        classes: dict[str, str] = {}
        bases: set[str] = {"StockwardError"}
        for each in self._types.values():
            if each.path != "ErrorReason" or not each.module.startswith("stockward."):
                continue
            assert isinstance(each.proto, EnumDescriptorProto)
            for value in each.proto.value:
                reason = value.name.removeprefix("ERROR_REASON_")
                if reason in WITHOUT_CLASS:
                    continue
                code, _, meaning = each.comments[value.name].partition("\n\n")[0].partition(": ")
                base = "StockwardError" if " " in code else camel(code)
                bases.add(base)
                if reason in classes:
                    raise ValueError(f"{reason} stands in two ErrorReason enums")
                meaning = f"{meaning[0].upper()}{meaning[1:]}" + (f"\n\n{code}." if " " in code else "")
                classes[reason] = f"class {camel(reason)}({base}):\n{docstring(meaning, 4)}"
        exported = "".join(f'    "{name}",\n' for name in sorted(camel(reason) for reason in classes))
        registry = "".join(f'    "{reason}": {camel(reason)},\n' for reason in classes)
        return (
            f'{HEADER}"""An exception for each error reason of the contract."""\n\n'
            "from __future__ import annotations\n\n"
            f"from stockward_client.errors import {', '.join(sorted(bases))}\n\n__all__ = [\n{exported}]\n\n\n"
            + "\n\n".join(classes.values())
            + f"\n\nBY_REASON: dict[str, type[StockwardError]] = {{\n{registry}}}\n"
        )


TIMEOUT = "Seconds for the call, its retries included; None: the client's."


@dataclass(frozen=True)
class Argument:
    """One argument of a method; `default` is empty when it has to be given."""

    name: str
    type: str
    default: str
    comment: str
    choice: bool
    """Whether it is one of a oneof, and must not be set when it is not given."""
    value: str
    """What the field of the request is set to."""


def exclusive(request: DescriptorProto | EnumDescriptorProto) -> Iterator[list[str]]:
    """Returns the names of the fields of each oneof with several."""
    assert isinstance(request, DescriptorProto)
    for index in range(len(request.oneof_decl)):
        names = [
            each.name
            for each in request.field
            if each.HasField("oneof_index") and each.oneof_index == index and not each.proto3_optional
        ]
        if len(names) > 1:
            yield names


def types_of(file: FileDescriptorProto) -> Iterator[tuple[str, Type]]:
    """Every message and enum of a file, by full name with the leading dot."""
    comments = comments_of(file)

    def walk(
        messages: Sequence[DescriptorProto], enums: Sequence[EnumDescriptorProto], place: tuple[int, ...], outer: str
    ) -> Iterator[tuple[str, Type]]:
        nested_message, nested_enum = (3, 4) if place else (4, 5)
        for i, message in enumerate(messages):
            here, path = (*place, nested_message, i), outer + message.name
            fields = {each.name: comments.get((*here, 2, j), "") for j, each in enumerate(message.field)}
            yield f".{file.package}.{path}", Type(module_of(file), path, message, fields)
            yield from walk(message.nested_type, message.enum_type, here, f"{path}.")
        for i, enum in enumerate(enums):
            here, path = (*place, nested_enum, i), outer + enum.name
            values = {each.name: comments.get((*here, 2, j), "") for j, each in enumerate(enum.value)}
            yield f".{file.package}.{path}", Type(module_of(file), path, enum, values)

    yield from walk(file.message_type, file.enum_type, (), "")


def comments_of(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """The comments of a file by the path of what they stand before."""
    return {tuple(each.path): textwrap.dedent(each.leading_comments).strip() for each in file.source_code_info.location}


def module_of(file: FileDescriptorProto) -> str:
    """`stockward/order/v1/order.proto` -> `stockward.order.v1.order_pb2`"""
    return file.name.removesuffix(".proto").replace("/", ".") + "_pb2"


def camel(name: str) -> str:
    """`INSUFFICIENT_STOCK` -> `InsufficientStock`"""
    return "".join(part.capitalize() for part in name.split("_"))


def docstring(comment: str, indent: int, arguments: Sequence[str] = ()) -> str:
    """A comment of the contract as a docstring, its paragraphs wrapped, with a line or more for each argument."""
    margin = " " * indent
    wrapped = [_wrapped(paragraph, WIDTH - indent) for paragraph in re.split(r"\n\s*\n", comment)]
    if arguments:
        lines = (
            textwrap.fill(" ".join(each.split()), WIDTH - indent, initial_indent=" " * 4, subsequent_indent=" " * 8)
            for each in arguments
        )
        wrapped.append("Args:\n" + "\n".join(lines))
    text = textwrap.indent("\n\n".join(wrapped), margin).strip()
    raw = "r" if "\\" in text else ""
    return f'{margin}{raw}"""{text}' + (f'\n{margin}"""\n' if "\n" in text else '"""\n')


def _wrapped(paragraph: str, width: int) -> str:
    """Returns a paragraph of a comment in lines of that width: a table as it is, each item of a list by itself."""
    if paragraph.startswith(" "):
        return paragraph
    items = re.split(r"\n(?=- )", paragraph)
    return "\n".join(
        textwrap.fill(
            " ".join(item.split()),
            width - (0 if number else 6),  # quotes stand on both sides of a single line
            subsequent_indent="  " if item.startswith("- ") else "",
        )
        for number, item in enumerate(items)
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
