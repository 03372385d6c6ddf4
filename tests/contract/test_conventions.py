"""One word for one thing: how lists, logs and watches continue, and what an enum's zero says."""

from __future__ import annotations

from typing import Any

import pytest
from buf.validate import validate_pb2
from google.api.field_behavior_pb2 import OUTPUT_ONLY, REQUIRED
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor, MethodDescriptor
from stockward.event.v1.event_pb2 import StockEvent
from stockward.inventory.v1.inventory_pb2 import StockLevel

from stockward_server.api.server import SERVICES
from tests.contract.test_field_behavior import behaviors, in_requests

RULES: Any = validate_pb2.field
METHODS = [method for service in SERVICES for method in service.methods]

LOG = "ListEvents"
"""The one list that never ends: it is a log, so it has a cursor."""


@pytest.mark.parametrize("method", [m for m in METHODS if m.name.startswith("List")], ids=lambda method: method.name)
def test_every_list_has_pages(method: MethodDescriptor) -> None:
    asked, answered = method.input_type.fields_by_name, method.output_type.fields_by_name
    token, following = ("cursor", "next_cursor") if method.name == LOG else ("page_token", "next_page_token")
    assert {"page_size", token} <= set(asked)
    assert following in answered
    assert asked["page_size"].GetOptions().Extensions[RULES].int32.lte == 1000


@pytest.mark.parametrize(
    "method", [m for m in METHODS if m.server_streaming and not m.client_streaming], ids=lambda method: method.name
)
def test_every_watch_has_a_cursor_and_checkpoints(method: MethodDescriptor) -> None:
    assert "cursor" in method.input_type.fields_by_name
    assert {"cursor", "checkpoint"} <= set(method.output_type.fields_by_name)


def test_there_is_no_other_word_for_going_on() -> None:
    found = {
        field.name
        for method in METHODS
        for message in (method.input_type, method.output_type)
        for field in message.fields
        if field.name.startswith("next_") or field.name.endswith(("token", "cursor", "position", "offset"))
    }
    assert found == {"page_token", "next_page_token", "cursor", "next_cursor"}


def enums_in_requests() -> dict[str, FieldDescriptor]:
    return {
        field.full_name: field
        for message in in_requests().values()
        for field in message.fields
        if isinstance(field.enum_type, EnumDescriptor) and OUTPUT_ONLY not in behaviors(field)
    }


@pytest.mark.parametrize("name", sorted(enums_in_requests()))
def test_the_zero_of_an_enum_is_refused(name: str) -> None:
    """A default is what a field means that is not set, so such a field knows whether it is; the zero means nothing."""
    field = enums_in_requests()[name]
    rules = field.GetOptions().Extensions[RULES]
    if field.is_repeated:
        assert 0 in rules.repeated.items.enum.not_in
        return
    assert 0 in rules.enum.not_in
    assert rules.enum.defined_only
    assert field.has_presence != (REQUIRED in behaviors(field))


def test_a_stock_event_has_the_counters_of_a_level() -> None:
    """It is flat, as docs/decisions/0011-flat-stock-events.md says, but a subscriber learns the fields once."""
    level, event = StockLevel.DESCRIPTOR.fields_by_name, StockEvent.DESCRIPTOR.fields_by_name
    apart = {"version", "update_time", "policy_etag"}
    assert set(level) - set(event) == apart
    for name in set(level) - apart:
        assert event[name].type == level[name].type
        assert level[name].number > 8 or event[name].number == level[name].number
