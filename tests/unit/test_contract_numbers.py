"""The domain's enums and reasons are those of the contract, number for number and name for name."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections import Counter
from enum import IntEnum
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import stockward
from google.protobuf.descriptor import EnumDescriptor
from google.rpc import code_pb2
from stockward.auth.v1 import auth_pb2, key_pb2
from stockward.catalog.v1 import catalog_pb2
from stockward.event.v1 import event_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2
from stockward.webhook.v1 import webhook_pb2

from stockward_server import application, domain
from stockward_server.application.catalog import ImportAction
from stockward_server.application.context import Role
from stockward_server.application.keys import KeyState
from stockward_server.domain.charge import ChargeKind
from stockward_server.domain.delivery import DeliveryState
from stockward_server.domain.endpoint import SecretKind
from stockward_server.domain.errors import Code, Refusal
from stockward_server.domain.event import EVENT_TYPES, EndpointState
from stockward_server.domain.order import FulfillmentState, HoldReason, OrderState, PaymentTerms
from stockward_server.domain.payment import PaymentKind, PaymentState
from stockward_server.domain.product import ProductState
from stockward_server.domain.reservation import ReservationState
from stockward_server.domain.returns import ReturnState
from stockward_server.domain.search import Rank
from stockward_server.domain.stock import AdjustmentReason, AlertLevel, MovementKind

ROOT = Path(__file__).resolve().parents[2]

CONTRACT: dict[type[IntEnum], Any] = {
    ProductState: catalog_pb2.Product.State,
    ImportAction: catalog_pb2.ImportResult.Action,
    ReservationState: inventory_pb2.Reservation.State,
    MovementKind: inventory_pb2.StockMovement.Kind,
    AdjustmentReason: inventory_pb2.AdjustmentReason,
    AlertLevel: inventory_pb2.StockAlert.Level,
    OrderState: order_pb2.Order.State,
    PaymentTerms: order_pb2.PaymentTerms,
    HoldReason: order_pb2.Hold.Reason,
    FulfillmentState: order_pb2.Fulfillment.State,
    ReturnState: order_pb2.OrderReturn.State,
    ChargeKind: order_pb2.Charge.Kind,
    PaymentKind: order_pb2.RecordPaymentRequest.Kind,
    PaymentState: order_pb2.Payment.State,
    Role: auth_pb2.Role,
    EndpointState: event_pb2.EndpointEvent.State,
    SecretKind: webhook_pb2.Endpoint.SecretKind,
    DeliveryState: webhook_pb2.Delivery.State,
    KeyState: key_pb2.Key.State,
}
NOT_IN_CONTRACT = {Code, Rank}
"""Code is compared with gRPC's below; Rank is only within page tokens."""
SAID_BY_A_REFUSAL = {(ImportAction, "REFUSED")}


def named(enum: EnumDescriptor) -> dict[str, int]:
    """Numbers by name, without the prefix that all values share and without the zero."""
    zero = next(value.name for value in enum.values if value.number == 0)
    prefix = zero.removesuffix("UNSPECIFIED")
    return {value.name.removeprefix(prefix): value.number for value in enum.values if value.number}


@pytest.mark.parametrize("enum", CONTRACT, ids=lambda enum: enum.__name__)
def test_an_enum_has_the_numbers_and_names_of_the_contract(enum: type[IntEnum]) -> None:
    contract = named(CONTRACT[enum].DESCRIPTOR).items()
    members = {(member.name, member.value) for member in enum if member}
    assert members == {(name, number) for name, number in contract if (enum, name) not in SAID_BY_A_REFUSAL}


def test_the_state_of_an_endpoint_is_what_its_events_tell() -> None:
    assert named(webhook_pb2.Endpoint.State.DESCRIPTOR) == named(event_pb2.EndpointEvent.State.DESCRIPTOR)


def test_the_types_of_events_are_those_that_the_contract_lists() -> None:
    text = (ROOT / "proto/stockward/event/v1/event.proto").read_text()
    listed = {
        (area, name)
        for area, names in re.findall(r"^//     ([a-z]+)\.\{?([a-z_,]+)\}?$", text, re.MULTILINE)
        for name in names.split(",")
    }
    assert listed == {(area, name) for area, names in EVENT_TYPES.items() for name in names}


def test_codes_are_those_of_google_rpc() -> None:
    assert {code.name: code.value for code in Code}.items() <= dict(code_pb2.Code.items()).items()


def modules_of(package: Any) -> list[Any]:
    return [import_module(each.name) for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]


def test_no_enum_was_forgotten() -> None:
    defined = {
        member
        for package in (domain, application)
        for module in modules_of(package)
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, IntEnum) and member.__module__ == module.__name__
    }
    assert defined - NOT_IN_CONTRACT == set(CONTRACT)


def documented_reasons() -> Counter[str]:
    """How often each reason is in an ErrorReason enum of the contract."""
    enums = [getattr(each, "ErrorReason", None) for each in modules_of(stockward) if each.__name__.endswith("_pb2")]
    return Counter(name for enum in enums if enum for name in named(enum.DESCRIPTOR))


def test_reasons_and_refusals_are_one_to_one() -> None:
    reasons = Counter(refusal.reason for refusal in Refusal.__subclasses__())
    assert set(reasons.values()) == {1}
    assert reasons == documented_reasons()
