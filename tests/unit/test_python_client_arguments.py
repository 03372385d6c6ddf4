"""What the Python client makes of its arguments: amounts, enums by their short names, one of several."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2

import stockward_client
from stockward_client import Money, OrderNotFound, Stockward, eur, money, to_decimal
from stockward_client.status import typed_errors
from stockward_server.api.server import SERVICES


@pytest.mark.parametrize(
    ("text", "units", "nanos"),
    [
        ("12.50", 12, 500_000_000),
        ("0", 0, 0),
        ("-0.05", 0, -50_000_000),
        ("1000000000000", 10**12, 0),
        ("3.141", 3, 141_000_000),
    ],
)
def test_money_is_exact_both_ways(text: str, units: int, nanos: int) -> None:
    assert eur(text) == Money(currency_code="EUR", units=units, nanos=nanos) == eur(Decimal(text))
    assert to_decimal(eur(text)) == Decimal(text)


def test_money_is_shown_with_two_decimals_or_as_many_as_it_needs() -> None:
    assert str(to_decimal(eur(12))) == "12.00"
    assert str(to_decimal(money("1200", "JPY"))) == "1200.00"
    assert str(to_decimal(money("0.1250", "EUR"))) == "0.125"


@pytest.mark.parametrize("wrong", ["", "12,50", "a", "1.0000000001", "NaN", "Infinity"])
def test_what_is_no_amount_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        eur(wrong)


def test_a_float_is_no_amount() -> None:
    with pytest.raises(TypeError, match="float"):
        eur(12.5)  # type: ignore[arg-type]


class Sent(Exception):
    """Carries the request that a call would have sent."""

    def __init__(self, request: Message) -> None:
        self.request: Any = request


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Stockward:
    def unary(self: object, method: object, request: Message, timeout: float | None) -> None:
        raise Sent(request)

    monkeypatch.setattr("stockward_client.calls.Calls.unary", unary)
    return Stockward("127.0.0.1:1", "any")


def test_enums_have_short_names(client: Stockward) -> None:
    with pytest.raises(Sent) as sent:
        client.inventory.adjust_stock(sku="TEE", delta=1, reason="received")
    assert sent.value.request.reason == inventory_pb2.ADJUSTMENT_REASON_RECEIVED
    with pytest.raises(Sent) as sent:
        client.inventory.adjust_stock(sku="TEE", delta=1, reason=inventory_pb2.ADJUSTMENT_REASON_LOST)
    assert sent.value.request.reason == inventory_pb2.ADJUSTMENT_REASON_LOST
    with pytest.raises(Sent) as sent:
        list(client.orders.list_orders(states=["pending", order_pb2.Order.STATE_PROCESSING]))
    assert sent.value.request.states == [1, 2]


def test_a_name_that_no_value_has_is_refused_by_mypy_and_at_once(client: Stockward) -> None:
    with pytest.raises(ValueError, match="'recieved' is none of received, counted"):
        client.inventory.adjust_stock(sku="TEE", delta=1, reason="recieved")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is none of"):
        client.orders.list_orders(states=["unspecified"])  # type: ignore[list-item]


def test_arguments_that_exclude_each_other_are_refused_at_once(client: Stockward) -> None:
    with pytest.raises(ValueError, match="delta and on_hand exclude each other"):
        client.inventory.adjust_stock(sku="TEE", reason="counted", delta=1, on_hand=4)
    with pytest.raises(Sent) as sent:
        client.inventory.adjust_stock(sku="TEE", reason="counted", on_hand=0)
    assert sent.value.request.HasField("on_hand")


def test_all_messages_come_from_one_place() -> None:
    for service in SERVICES:
        for method in service.methods:
            for message in (method.input_type, method.output_type):
                if message.file.package.startswith("stockward."):
                    assert getattr(stockward_client, message.name).DESCRIPTOR.full_name == message.full_name


def test_an_error_is_raised_from_nothing() -> None:
    class Failed(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.NOT_FOUND

        def details(self) -> str:
            return "no"

        def trailing_metadata(self) -> tuple[()]:
            return ()

    with pytest.raises(stockward_client.NotFound) as refused, typed_errors():
        raise Failed
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert issubclass(OrderNotFound, stockward_client.NotFound)
