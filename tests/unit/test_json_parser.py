"""What a person reads whose JSON is no message: where the fault is, and what is allowed there."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_server.wire.json_parser import JsonInvalid, parse
from tests.unit.test_rule_messages import assert_for_people

ADJUST, PAY, CANCEL = inventory.AdjustStockRequest, orders.RecordPaymentRequest, orders.CancelOrderRequest
IMPORT, CREATE, CHARGE = catalog.ImportProductsRequest, orders.CreateOrderRequest, orders.AddChargeRequest

FAULTS: list[tuple[type[Message], Any, str, str]] = [
    (ADJUST, [], "", "must be an object"),
    (ADJUST, {"delta": "x"}, "delta", "must be a whole number"),
    (ADJUST, {"delta": "9" * 30}, "delta", "must be a whole number"),
    (ADJUST, {"sku": 5}, "sku", "must be text"),
    (ADJUST, {"sku": "\ud800"}, "sku", "must be of whole characters"),
    (ADJUST, {"reason": "\ud800"}, "reason", "must be of whole characters"),
    (CHARGE, {"charge": {"kind": "é\udfff"}}, "charge.kind", "must be of whole characters"),
    (CREATE, {"charges": [{"kind": 1}, {"kind": "\ud800"}]}, "charges[1].kind", "must be of whole characters"),
    (ADJUST, {"delta": "1", "onHand": "2"}, "change", "give delta or onHand, not both"),
    (ADJUST, {"onHand": "1", "on_hand": "1"}, "", "must name each field once"),
    (ADJUST, {"sk\udfffu": 1}, "", "must have names of whole characters"),
    (PAY, {"amount": {"\ud800": 5}}, "amount", "must have names of whole characters"),
    (CANCEL, {"lines": [{"é\ud800": 5}]}, "lines[0]", "must have names of whole characters"),
    (CANCEL, {"lines": [{"lineNumber": float("inf")}]}, "lines[0].lineNumber", "must be a whole number"),
    (CANCEL, {"lines": {}}, "lines", "must be a list"),
    (CANCEL, {"lines": [{"lineNumber": 1}, {"lineNumber": "x"}]}, "lines[1].lineNumber", "must be a whole number"),
    (CANCEL, {"lines": [1]}, "lines[0]", "must be an object"),
    (PAY, {"amount": 5}, "amount", "must be an object"),
    (PAY, {"amount": {"units": 1.5}}, "amount.units", "must be a whole number"),
    (PAY, {"eventTime": "today"}, "eventTime", "must be a time with its offset, such as 2026-11-22T10:00:00Z"),
    (IMPORT, {"product": {"attributes": {"a": 1}}}, "product.attributes", "must be an object of names and texts"),
    (
        IMPORT,
        {"product": {"variants": [{"price": {"nanos": "x"}}]}},
        "product.variants[0].price.nanos",
        "must be a whole number",
    ),
]


@pytest.mark.parametrize(("build", "data", "path", "words"), FAULTS, ids=lambda each: str(each)[:60])
def test_a_fault_is_named_with_what_is_allowed(build: type[Message], data: Any, path: str, words: str) -> None:
    with pytest.raises(JsonInvalid) as invalid:
        parse(data, build())
    assert (invalid.value.path, invalid.value.words) == (path, words)
    assert_for_people(words)


def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(JsonInvalid, match="lines: there is no such field, but reservationId, ttl, requestId"):
        parse({"lines": []}, inventory.ExtendReservationRequest())
    with pytest.raises(JsonInvalid, match="reason: must be one of ADJUSTMENT_REASON_RECEIVED, ") as invalid:
        parse({"reason": "BROKEN"}, ADJUST())
    assert_for_people(str(invalid.value))


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 10**400])
def test_a_number_that_is_no_enum(number: float) -> None:
    """1e999 is JSON, and infinite to Python."""
    with pytest.raises(JsonInvalid, match="reason: must be one of ADJUSTMENT_REASON_RECEIVED, "):
        parse({"reason": number}, ADJUST())


def test_what_is_a_message_is_read() -> None:
    assert parse({"sku": "TEE", "delta": "5"}, ADJUST()) == ADJUST(sku="TEE", delta=5)
