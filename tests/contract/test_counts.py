"""Lists and maps that are longer than the contract allows are refused by their length, whatever is in them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from threading import current_thread, main_thread
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.order.v1 import order_pb2 as orders

from stockward_server.domain.errors import FieldInvalid
from stockward_server.wire.validation import rules
from stockward_server.wire.validation.counts import MAX_ELEMENTS, count_elements
from stockward_server.wire.validation.sizes import max_bytes
from stockward_server.wire.validation.wire_counts import SMALL, STEP, check_counts
from tests.known_shop import METHODS

LINE = orders.CreateOrderRequest.Line

UNKNOWN = b"\xfa\x3f\x80\x80\x01" + bytes(SMALL)
"""A field that no message has, of such a size that its message is counted."""


def lists_of(message: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """The way to every list and map of a request, through the messages around it."""
    for field in message.fields:
        if field.is_repeated:
            yield (*path, field)
        part = field.message_type
        if part is not None and field not in path and not part.GetOptions().map_entry:
            yield from lists_of(part, (*path, field))


LISTS = {
    f"{method.input_type.name}.{'.'.join(field.name for field in path)}": (method.input_type, path)
    for method in METHODS
    for path in lists_of(method.input_type)
    if not any(field.name == "requests" for field in path[:-1])  # the parts of a batch are refused one by one
}


def overfill(message: Any, path: tuple[FieldDescriptor, ...]) -> None:
    """Puts 10,001 empty elements into the list at the end of the path."""
    field, *rest = path
    parts = getattr(message, field.name)
    part = field.message_type
    if rest:
        inside = parts.add() if field.is_repeated else parts
        inside.SetInParent()
        overfill(inside, tuple(rest))
    elif part is not None and part.GetOptions().map_entry:
        parts.update({str(number): "" for number in range(10_001)})
    elif part is not None:
        parts.extend([GetMessageClass(part)()] * 10_001)
    else:
        parts.extend(["" if field.cpp_type == FieldDescriptor.CPPTYPE_STRING else 0] * 10_001)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_too_long_is_refused_by_its_length(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its elements are looked at."""
    kind, path = LISTS[name]
    message = GetMessageClass(kind)()
    overfill(message, path)

    def walk(*_: object) -> None:
        raise AssertionError("the elements were looked at")

    monkeypatch.setattr(rules, "normalise_names", walk)
    with pytest.raises(FieldInvalid, match=r"must have (at most [\d,]+|no) entries, not 10,001$") as refusal:
        rules.validate(message)
    assert refusal.value.violations[0].field.endswith(path[-1].name)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_too_long_is_refused_before_it_is_parsed(name: str) -> None:
    kind, path = LISTS[name]
    message = GetMessageClass(kind)()
    overfill(message, path)
    with pytest.raises(FieldInvalid, match=r"must have (at most [\d,]+|no) entries") as refusal:
        check_counts(message.SerializeToString() + UNKNOWN, kind)
    assert refusal.value.violations[0].field.endswith(path[-1].name)


TOO_MANY: dict[str, tuple[Any, bytes]] = {
    "elements of all lists together": (
        orders.BatchCreateOrdersRequest,
        orders.BatchCreateOrdersRequest(
            requests=[orders.CreateOrderRequest(lines=[LINE()] * 2000)] * 200
        ).SerializeToString(),
    ),
    "numbers in one piece": (orders.WatchOrdersRequest, b"\x1a\x80\x80\x01" + bytes(16384)),
    "one field again and again": (orders.GetOrderRequest, b"\x0a\x00" * SMALL),
    "one message twice": (catalog.CreateProductRequest, b"\x0a\x02\x12\x00" * 2),
    "one message again and again": (catalog.CreateProductRequest, b"\x0a\x02\x12\x00" * SMALL),
    "unknown fields": (orders.GetOrderRequest, b"\x98\x3f\x00" * SMALL),
}
"""Of which each is small."""


@pytest.mark.parametrize("name", TOO_MANY)
def test_what_is_many_in_other_ways_is_refused_before_it_is_parsed(name: str) -> None:
    kind, raw = TOO_MANY[name]
    kind.FromString(raw)  # so it is a message
    with pytest.raises(FieldInvalid):
        check_counts(raw, kind.DESCRIPTOR)


LARGEST: list[Any] = [
    orders.BatchCreateOrdersRequest(requests=[orders.CreateOrderRequest(lines=[LINE(sku="A")] * 1000)] * 200),
    catalog.CreateProductRequest(
        product=catalog.Product(
            variants=[
                catalog.Variant(sku=f"S{number}", options={str(option): "x" for option in range(10)})
                for number in range(2048)
            ]
        )
    ),
    HttpBody(data=bytes(1 << 20)),
]


@pytest.mark.parametrize("message", LARGEST, ids=lambda message: type(message).__name__)
def test_the_largest_legal_messages_are_not_refused(message: Any) -> None:
    raw = message.SerializeToString() + UNKNOWN
    check_counts(raw, message.DESCRIPTOR)
    assert len(raw) <= max_bytes(message.DESCRIPTOR)
    for cut in range(1, 100):  # what ends too soon is the parser's to refuse
        check_counts(raw[:-cut], message.DESCRIPTOR)


def test_a_list_is_refused_at_its_beginning() -> None:
    """What follows is not looked at, or it would be found to be no message, which is left to the parser."""
    raw = b"\x0a\x00" * 2 * STEP + b"\x0a\x7f"
    with pytest.raises(FieldInvalid, match="must have at most 1,000 entries"):
        check_counts(raw, orders.CreateOrderRequest.DESCRIPTOR)


async def test_a_large_message_is_counted_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []
    monkeypatch.setattr(rules, "check_counts", lambda *_: threads.append(current_thread() is main_thread()))
    message = orders.CreateOrderRequest(lines=[LINE(sku="A", quantity=1)] * 1000, reference="x" * SMALL)
    with pytest.raises(FieldInvalid):
        await rules.Rules(10**6).read(message.SerializeToString(), orders.CreateOrderRequest)
    assert threads == [False]


def test_the_parts_of_a_batch_are_counted_together() -> None:
    order = orders.CreateOrderRequest(lines=[LINE()] * 2000)
    batch = orders.BatchCreateOrdersRequest(requests=[order] * 100)
    assert count_elements(batch) == 100 + 100 * 2000
    batch.requests.extend([order] * 100)
    with pytest.raises(FieldInvalid, match=f"{MAX_ELEMENTS:,} are allowed"):
        rules.validate(batch)


def test_of_many_elements_the_first_fault_is_named() -> None:
    """One is enough to refuse it, and each that is looked for takes as long as the first."""
    with pytest.raises(FieldInvalid) as refusal:
        rules.validate(orders.CreateOrderRequest(lines=[LINE()] * 1000))
    assert [each.field for each in refusal.value.violations] == ["lines[0].sku"]
    with pytest.raises(FieldInvalid) as refusal:
        rules.validate(orders.CreateOrderRequest(lines=[LINE()] * 3))
    assert len(refusal.value.violations) == 6


def test_what_is_attached_to_a_webhook_is_refused() -> None:
    with pytest.raises(FieldInvalid, match="extensions: must have no entries"):
        rules.validate(HttpBody(data=b"{}", extensions=[AnyMessage()]))


@pytest.mark.timed
def test_a_thousand_empty_lines_cost_no_more_than_a_thousand_good_ones() -> None:
    def seconds(lines: list[Any]) -> float:
        message = orders.CreateOrderRequest(lines=lines)
        best = float("inf")
        for _ in range(5):
            since = time.perf_counter()
            with contextlib.suppress(FieldInvalid):
                rules.validate(message)
            best = min(best, time.perf_counter() - since)
        return best

    good = seconds([LINE(sku=f"S{number}", quantity=1) for number in range(1000)])
    assert seconds([LINE()] * 1000) < 2 * good
    assert seconds([LINE()] * 1_000_000) < 2 * good + 0.2
