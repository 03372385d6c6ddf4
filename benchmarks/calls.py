"""The measured calls: their messages, and how a request is made."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from google.protobuf.message import Message
from stockward.catalog.v1 import catalog_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2

STOREFRONT_KEY = "swk_storefront_benchmark"
PMS_KEY = "swk_pms_benchmark"


def sku(number: int) -> str:
    """Returns the SKU with this number, from 0."""
    return f"SKU-{number:06}"


def product_id(number: int) -> str:
    """Returns the id of the product of the SKU with this number."""
    return f"01900000-0000-7000-8000-{number:012x}"


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a load's requests."""

    skus: int = 1
    """Number of SKUs from which requests draw."""
    lines: int = 1
    """Lines of an order, each with a different SKU."""
    orders: int = 1
    """Orders of a batch."""
    contact: bool = False
    """Whether an order has a reference and a customer with name and addresses."""


@dataclass(frozen=True, slots=True)
class Method:
    """A unary method of the contract."""

    path: str
    request: type[Message]
    response: type[Message]
    make: Callable[[Shape], Message]
    """Makes a request, a different one each time."""


def order_request(shape: Shape) -> order_pb2.CreateOrderRequest:
    """Returns an order of one unit a line, with a request_id."""
    numbers = random.sample(range(shape.skus), shape.lines)
    lines = [order_pb2.CreateOrderRequest.Line(sku=sku(number), quantity=1) for number in numbers]
    request = order_pb2.CreateOrderRequest(lines=lines, request_id=str(uuid4()))
    if shape.contact:
        number = random.randrange(1_000_000)
        request.reference = f"WEB-{number}"
        request.customer.CopyFrom(_contact(number))
    return request


def _contact(number: int) -> order_pb2.Customer:
    """Returns what a usual storefront sends along."""
    name = f"First{number % 500} Last{number % 3000}"
    address = order_pb2.Address(
        recipient=name, lines=["Street 1"], city="City", postal_code=f"{number % 100_000:05}", country_code="DE"
    )
    email = f"first{number % 500}.last{number % 3000}@example.com"
    return order_pb2.Customer(email=email, name=name, shipping_address=address)


def _batch_request(shape: Shape) -> order_pb2.BatchCreateOrdersRequest:
    return order_pb2.BatchCreateOrdersRequest(requests=[order_request(shape) for _ in range(shape.orders)])


def _availability_request(shape: Shape) -> inventory_pb2.GetAvailabilityRequest:
    return inventory_pb2.GetAvailabilityRequest(sku=sku(random.randrange(shape.skus)))


def _product_request(shape: Shape) -> catalog_pb2.GetAvailableProductRequest:
    return catalog_pb2.GetAvailableProductRequest(product_id=product_id(random.randrange(shape.skus)))


CREATE_ORDER = Method(
    "/stockward.order.v1.OrderService/CreateOrder", order_pb2.CreateOrderRequest, order_pb2.Order, order_request
)
BATCH_CREATE_ORDERS = Method(
    "/stockward.order.v1.OrderService/BatchCreateOrders",
    order_pb2.BatchCreateOrdersRequest,
    order_pb2.BatchCreateOrdersResponse,
    _batch_request,
)
GET_AVAILABILITY = Method(
    "/stockward.inventory.v1.InventoryService/GetAvailability",
    inventory_pb2.GetAvailabilityRequest,
    inventory_pb2.Availability,
    _availability_request,
)
GET_AVAILABLE_PRODUCT = Method(
    "/stockward.catalog.v1.CatalogService/GetAvailableProduct",
    catalog_pb2.GetAvailableProductRequest,
    catalog_pb2.AvailableProduct,
    _product_request,
)
METHODS = {
    method.path: method for method in (CREATE_ORDER, BATCH_CREATE_ORDERS, GET_AVAILABILITY, GET_AVAILABLE_PRODUCT)
}


def refusals(answer: Any) -> int:
    """Returns how many orders of a batch were refused; 0 for other responses, as a refused call has none."""
    if isinstance(answer, order_pb2.BatchCreateOrdersResponse):
        return sum(result.HasField("error") for result in answer.results)
    return 0
