"""The contract as data: its descriptor set, and the HTTP routes that its methods are annotated with."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import stockward
from google.api import annotations_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)
from google.rpc import error_details_pb2, status_pb2
from stockward.auth.v1 import auth_pb2

HTTP: Any = annotations_pb2.http  # its stub has another type for extensions
CREDENTIAL: Any = auth_pb2.credential

RAW = ".google.api.HttpBody"
"""Request type of methods that receive a body as bytes, without parsing."""


@dataclass(frozen=True)
class Route:
    """One HTTP route of one method."""

    service: str
    """Full name, such as `stockward.order.v1.OrderService`."""
    method: MethodDescriptorProto
    verb: str
    """HTTP method in capitals."""
    path: str
    """Template, such as `/api/pms/orders/{order_id}/process`."""
    body: str
    """`*` if the JSON body is the message, the name of a field if it is that field, empty without a body."""

    @property
    def variables(self) -> list[str]:
        """Fields in the path, such as `product.product_id`."""
        return re.findall(r"\{(.*?)\}", self.path)

    @property
    def is_signed(self) -> bool:
        """Whether calls are authenticated by a signature instead of a key."""
        return bool(self.method.options.Extensions[CREDENTIAL] == auth_pb2.CREDENTIAL_SIGNATURE)

    @property
    def pattern(self) -> str:
        """Regular expression of the route's paths; a variable is one segment."""
        return "/".join("[^/]+" if each.startswith("{") else re.escape(each) for each in self.path.split("/"))


def installed_contract() -> FileDescriptorSet:
    """Returns every file of the generated code with its imports, dependencies first, without comments.

    Adds the error details, which no file imports and which the edge needs to write errors as JSON.
    """
    modules = [each.name for each in pkgutil.walk_packages(stockward.__path__, "stockward.")]
    files: dict[str, FileDescriptor] = {}
    for name in sorted(modules):
        if name.endswith("_pb2"):
            _collect(import_module(name).DESCRIPTOR, files)
    for details in (status_pb2, error_details_pb2):
        _collect(details.DESCRIPTOR, files)
    contract = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(contract.file.add())
    return contract


def _collect(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    for dependency in file.dependencies:
        _collect(dependency, files)
    files.setdefault(file.name, file)


def routes(contract: FileDescriptorSet) -> list[Route]:
    """Returns all routes, in the contract's order."""
    return list(_routes(contract))


def _routes(contract: FileDescriptorSet) -> Iterator[Route]:
    for file in contract.file:
        for service in file.service:
            for method in service.method:
                rule = method.options.Extensions[HTTP]
                for each in (rule, *rule.additional_bindings):
                    if verb := each.WhichOneof("pattern"):
                        name = f"{file.package}.{service.name}"
                        yield Route(name, method, verb.upper(), getattr(each, verb), each.body)


def services(contract: FileDescriptorSet) -> list[str]:
    """Returns the full names of all services."""
    return [f"{file.package}.{service.name}" for file in contract.file for service in file.service]


def messages(contract: FileDescriptorSet) -> dict[str, DescriptorProto]:
    """Returns every message, nested ones included, by full name with a leading dot, as fields name their types."""
    found: dict[str, DescriptorProto] = {}

    def add(prefix: str, message: DescriptorProto) -> None:
        name = f"{prefix}.{message.name}"
        found[name] = message
        for nested in message.nested_type:
            add(name, nested)

    for file in contract.file:
        for message in file.message_type:
            add(f".{file.package}", message)
    return found


def enums(contract: FileDescriptorSet) -> dict[str, list[str]]:
    """Returns the values of every enum by its full name, without zero, which means that the field is not set."""
    files = [file for file in contract.file if file.package.startswith("stockward.")]
    found = {f"{file.package}.{enum.name}": enum for file in files for enum in file.enum_type}
    found |= {
        f"{name[1:]}.{enum.name}": enum
        for name, message in messages(contract).items()
        if name.startswith(".stockward.")
        for enum in message.enum_type
    }
    return {name: [value.name for value in enum.value if value.number] for name, enum in found.items()}


def body_type(route: Route, known: Mapping[str, DescriptorProto]) -> str:
    """Returns the type of the JSON body, empty without a body."""
    if route.method.input_type == RAW:
        return ""
    if route.body == "*":
        return route.method.input_type
    return next((each.type_name for each in known[route.method.input_type].field if each.name == route.body), "")


def json_name(field: FieldDescriptorProto) -> str:
    """Returns the field's name in JSON, in lower camel case; generated code does not contain it."""
    return field.json_name or re.sub("_(.)", lambda found: found[1].upper(), field.name)
