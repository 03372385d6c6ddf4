"""Every field of a request or resource says how it behaves (AIP-203), as the rules and the OpenAPI document have it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from buf.validate import validate_pb2
from google.api import field_behavior_pb2
from google.api.field_behavior_pb2 import IMMUTABLE, INPUT_ONLY, OPTIONAL, OUTPUT_ONLY, REQUIRED
from google.api.field_info_pb2 import FieldInfo, field_info
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message_factory import GetMessageClass
from protovalidate import Validator

from stockward_server.api.server import SERVICES
from stockward_server.edge.pages import pages

BEHAVIOR: Any = field_behavior_pb2.field_behavior
INFO: Any = field_info
RULES: Any = validate_pb2.field
SCHEMAS: dict[str, Any] = json.loads(pages()[0].text)["components"]["schemas"]


def behaviors(field: FieldDescriptor) -> set[int]:
    return set(field.GetOptions().Extensions[BEHAVIOR])


def ours(message: Descriptor | None) -> bool:
    return message is not None and message.full_name.startswith("stockward.")


def in_requests() -> dict[str, Descriptor]:
    """Returns the messages that a caller can send, by name: not those behind fields that the server alone sets."""
    waiting: list[Any] = [method.input_type for service in SERVICES for method in service.methods]
    found: dict[str, Descriptor] = {}
    while waiting:
        message = waiting.pop()
        if ours(message) and message.full_name not in found:
            found[message.full_name] = message
            waiting += [field.message_type for field in message.fields if OUTPUT_ONLY not in behaviors(field)]
    return {name: message for name, message in found.items() if not message.GetOptions().map_entry}


def messages(file: FileDescriptor) -> Iterator[Descriptor]:
    def nested(message: Descriptor) -> Iterator[Descriptor]:
        if not message.GetOptions().map_entry:
            yield message
            for each in message.nested_types:
                yield from nested(each)

    for message in file.message_types_by_name.values():
        yield from nested(message)


def is_of_response(message: Descriptor) -> bool:
    """Whether a message is the response of one method, or defined in one: all that it has comes from the server."""
    return "Response" in message.full_name


@pytest.fixture(scope="module")
def declared(files: list[FileDescriptorProto]) -> list[Descriptor]:
    """Every message of the contract."""
    modules = [import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2") for file in files]
    return [message for module in modules for message in messages(module.DESCRIPTOR)]


def test_every_field_of_a_request_or_resource_says_how_it_behaves(declared: list[Descriptor]) -> None:
    sent = in_requests()
    silent: list[str] = []
    odd: list[str] = []
    fields = 0
    for message in declared:
        if is_of_response(message) and message.full_name not in sent:
            continue
        for field in message.fields:
            fields += 1
            found = behaviors(field)
            if len(found & {REQUIRED, OPTIONAL, OUTPUT_ONLY}) != 1 or found - {
                *(REQUIRED, OPTIONAL, OUTPUT_ONLY),
                *(IMMUTABLE, INPUT_ONLY),
            }:
                (odd if found else silent).append(field.full_name)
            if message.full_name not in sent and found != {OUTPUT_ONLY}:
                odd.append(f"{field.full_name}, which no request has")
    assert (silent, odd) == ([], [])
    assert fields > 450


@pytest.mark.parametrize("name", sorted(in_requests()))
def test_required_is_what_the_rules_ask_for(name: str) -> None:
    """A field is REQUIRED just when a message without it breaks a rule that is checked before the server is asked."""
    message = in_requests()[name]
    empty: Any = GetMessageClass(message)()
    violations: list[Any] = [each.proto for each in Validator().collect_violations(empty)]
    broken = {each.field.elements[0].field_name for each in violations if each.field.elements}
    choices = {oneof.name for oneof in message.oneofs}
    left = {f.name for f in message.fields if f.GetOptions().Extensions[RULES].ignore == validate_pb2.IGNORE_ALWAYS}
    required = {field.name for field in message.fields if REQUIRED in behaviors(field)}
    assert required - left == broken - left - choices


def test_a_request_id_is_a_random_uuid() -> None:
    for message in in_requests().values():
        if "request_id" in message.fields_by_name:
            options = message.fields_by_name["request_id"].GetOptions()
            assert options.Extensions[INFO].format == FieldInfo.UUID4, message.full_name


def test_the_openapi_document_says_the_same(declared: list[Descriptor]) -> None:
    compared = 0
    for message in declared:
        schema = SCHEMAS.get(message.full_name)
        if schema is None:  # no route has it
            continue
        compared += 1
        names = {field: field.json_name for field in message.fields}
        required = {names[field] for field in message.fields if REQUIRED in behaviors(field)}
        assert set(schema.get("required", ())) == required, message.full_name
        for behavior, keyword in ((OUTPUT_ONLY, "readOnly"), (INPUT_ONLY, "writeOnly"), (IMMUTABLE, "x-immutable")):
            marked = {name for name, each in schema["properties"].items() if each.get(keyword)}
            assert marked == {names[f] for f in message.fields if behavior in behaviors(f)}, message.full_name
    assert compared > 60
