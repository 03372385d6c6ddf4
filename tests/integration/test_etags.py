"""Etags (AIP-154) of orders, stock policies, locations and keys: a change based on an old reading is refused.

Those of products and endpoints are in test_catalog.py and webhook_service.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from stockward.auth.v1 import auth_pb2
from stockward.auth.v1 import key_pb2 as keys
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_server.api.server import SERVICES
from tests.shop import Shop, money, refused
from tests.snapshot import nothing_written

Request = Callable[[Any, str, str], Message]
"""Builds the request of a method from the resource, an etag and a request_id."""


@dataclass(frozen=True)
class Change:
    """One method that takes an etag."""

    arrange: Callable[[Shop], Awaitable[Any]]
    """Makes the resource, in a state that allows the method."""
    read: Callable[[Shop, Any], Awaitable[Any]]
    """Returns the resource as it is now."""
    disturb: Callable[[Shop, Any], Awaitable[object]]
    """Changes the resource in a way that still allows the method."""
    call: Callable[[Shop], Any]
    """Returns the method."""
    request: Request
    etag: str = "etag"
    """Name of the field that holds the etag of the resource."""


# Orders


async def pending(shop: Shop) -> orders.Order:
    await shop.sell("TEE", 10)
    return await shop.pay(await shop.order("TEE", 3))


async def processing(shop: Shop) -> orders.Order:
    order = await pending(shop)
    processed: orders.Order = await shop.pms.orders.ProcessOrder(orders.ProcessOrderRequest(order_id=order.order_id))
    return processed


async def fulfilled(shop: Shop) -> orders.Order:
    order = await processing(shop)
    shipped: orders.Order = await shop.pms.orders.FulfillOrder(orders.FulfillOrderRequest(order_id=order.order_id))
    return shipped


async def held(shop: Shop) -> orders.Order:
    order = await pending(shop)
    hold = orders.HoldOrderRequest(order_id=order.order_id, reason=orders.Hold.REASON_STOCK)
    on_hold: orders.Order = await shop.pms.orders.HoldOrder(hold)
    return on_hold


async def read_order(shop: Shop, order: orders.Order) -> Any:
    return await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=order.order_id))


async def charge(shop: Shop, order: orders.Order) -> object:
    fee = orders.Charge(kind=orders.Charge.KIND_FEE, amount=money("1"))
    return await shop.pms.orders.AddCharge(
        orders.AddChargeRequest(order_id=order.order_id, charge=fee, reason="gift wrap")
    )


def of_order(
    arrange: Callable[[Shop], Awaitable[Any]], name: str, build: Callable[..., Message], **fields: Any
) -> Change:
    def request(order: orders.Order, etag: str, request_id: str) -> Message:
        return build(order_id=order.order_id, etag=etag, request_id=request_id, **fields)

    return Change(arrange, read_order, charge, lambda shop: getattr(shop.pms.orders, name), request)


def of_parcel(name: str, build: Callable[..., Message], **fields: Any) -> Change:
    def request(order: orders.Order, etag: str, request_id: str) -> Message:
        ids = {"order_id": order.order_id, "fulfillment_id": order.fulfillments[0].fulfillment_id}
        return build(**ids, etag=etag, request_id=request_id, **fields)

    return Change(fulfilled, read_order, charge, lambda shop: getattr(shop.pms.orders, name), request)


def of_return(name: str, build: Callable[..., Message], received: int = 0, **fields: Any) -> Change:
    """Of two units that are announced, after `received` of them came."""

    async def arrange(shop: Shop) -> orders.Order:
        order: orders.Order = await fulfilled(shop)
        lines = [orders.LineQuantity(line_number=1, quantity=2)]
        order = await shop.pms.orders.AnnounceReturn(orders.AnnounceReturnRequest(order_id=order.order_id, lines=lines))
        if received:
            came = [orders.ReturnOrderRequest.Line(line_number=1, quantity=received)]
            order = await shop.pms.orders.ReceiveReturn(
                orders.ReceiveReturnRequest(order_id=order.order_id, return_id=order.returns[0].return_id, lines=came)
            )
        return order

    def request(order: orders.Order, etag: str, request_id: str) -> Message:
        ids = {"order_id": order.order_id, "return_id": order.returns[0].return_id}
        return build(**ids, etag=etag, request_id=request_id, **fields)

    return Change(arrange, read_order, charge, lambda shop: getattr(shop.pms.orders, name), request)


# Stock policies


async def policy(shop: Shop) -> inventory.StockLevel:
    await shop.sell("MUG", 10)
    return await shop.level("MUG")


async def set_policy(shop: Shop, level: inventory.StockLevel) -> object:
    return await shop.pms.inventory.SetStockPolicy(
        inventory.SetStockPolicyRequest(sku=level.sku, safety_stock=level.safety_stock + 1)
    )


def policy_request(level: inventory.StockLevel, etag: str, request_id: str) -> Message:
    return inventory.SetStockPolicyRequest(sku=level.sku, reorder_point=5, etag=etag, request_id=request_id)


# Locations


async def location(shop: Shop) -> Any:
    paris = inventory.Location(location_id="paris", name="Paris", priority=2)
    return await shop.pms.inventory.CreateLocation(inventory.CreateLocationRequest(location=paris))


async def read_location(shop: Shop, wanted: inventory.Location) -> Any:
    found = await shop.pms.inventory.ListLocations(inventory.ListLocationsRequest())
    return next(each for each in found.locations if each.location_id == wanted.location_id)


async def rename(shop: Shop, wanted: inventory.Location) -> object:
    named = inventory.Location(location_id=wanted.location_id, name="Lutetia")
    return await shop.pms.inventory.UpdateLocation(inventory.UpdateLocationRequest(location=named))


def location_request(wanted: inventory.Location, etag: str, request_id: str) -> Message:
    changed = inventory.Location(location_id=wanted.location_id, priority=7, etag=etag)
    return inventory.UpdateLocationRequest(location=changed, request_id=request_id)


# Keys


async def key(shop: Shop) -> Any:
    made = await shop.admin.keys.CreateKey(keys.CreateKeyRequest(name="till", role=auth_pb2.ROLE_STOREFRONT))
    return made.key


async def read_key(shop: Shop, wanted: keys.Key) -> Any:
    found = await shop.admin.keys.ListKeys(keys.ListKeysRequest(include_ended=True))
    return next(each for each in found.keys if each.key_id == wanted.key_id)


async def rotate(shop: Shop, wanted: keys.Key) -> object:
    return await shop.admin.keys.RotateKey(keys.RotateKeyRequest(key_id=wanted.key_id))


def key_request(build: Callable[..., Message]) -> Request:
    return lambda wanted, etag, request_id: build(key_id=wanted.key_id, etag=etag, request_id=request_id)


CHANGES = {
    "ProcessOrder": of_order(pending, "ProcessOrder", orders.ProcessOrderRequest),
    "FulfillOrder": of_order(processing, "FulfillOrder", orders.FulfillOrderRequest),
    "CancelOrder": of_order(pending, "CancelOrder", orders.CancelOrderRequest),
    "ReturnOrder": of_order(
        fulfilled,
        "ReturnOrder",
        orders.ReturnOrderRequest,
        lines=[orders.ReturnOrderRequest.Line(line_number=1, quantity=1)],
    ),
    "AddCharge": of_order(
        pending,
        "AddCharge",
        orders.AddChargeRequest,
        charge=orders.Charge(kind=orders.Charge.KIND_FEE, amount=money("2")),
        reason="express",
    ),
    "UpdateOrder": of_order(pending, "UpdateOrder", orders.UpdateOrderRequest, reference="A-1"),
    "EditOrderLines": of_order(
        pending,
        "EditOrderLines",
        orders.EditOrderLinesRequest,
        changes=[orders.EditOrderLinesRequest.Change(line_number=1, quantity=1)],
    ),
    "UpdateFulfillment": of_parcel("UpdateFulfillment", orders.UpdateFulfillmentRequest, tracking_number="T2"),
    "CancelFulfillment": of_parcel("CancelFulfillment", orders.CancelFulfillmentRequest),
    "AnnounceReturn": of_order(
        fulfilled,
        "AnnounceReturn",
        orders.AnnounceReturnRequest,
        lines=[orders.LineQuantity(line_number=1, quantity=1)],
    ),
    "UpdateReturn": of_return("UpdateReturn", orders.UpdateReturnRequest, tracking_number="R2"),
    "ReceiveReturn": of_return("ReceiveReturn", orders.ReceiveReturnRequest),
    "CloseReturn": of_return("CloseReturn", orders.CloseReturnRequest, received=1),
    "WithdrawReturn": of_return("WithdrawReturn", orders.WithdrawReturnRequest),
    "AddOrderNote": of_order(pending, "AddOrderNote", orders.AddOrderNoteRequest, note="call first"),
    "HoldOrder": of_order(pending, "HoldOrder", orders.HoldOrderRequest, reason=orders.Hold.REASON_STOCK),
    "ReleaseOrder": of_order(held, "ReleaseOrder", orders.ReleaseOrderRequest),
    "SetStockPolicy": Change(
        policy,
        lambda shop, level: shop.level(level.sku),
        set_policy,
        lambda shop: shop.pms.inventory.SetStockPolicy,
        policy_request,
        etag="policy_etag",
    ),
    "UpdateLocation": Change(
        location, read_location, rename, lambda shop: shop.pms.inventory.UpdateLocation, location_request
    ),
    "RevokeKey": Change(
        key, read_key, rotate, lambda shop: shop.admin.keys.RevokeKey, key_request(keys.RevokeKeyRequest)
    ),
    "RotateKey": Change(
        key, read_key, rotate, lambda shop: shop.admin.keys.RotateKey, key_request(keys.RotateKeyRequest)
    ),
}


def new_id() -> str:
    return str(uuid.uuid4())


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_of_an_old_reading_is_refused(shop: Shop, name: str) -> None:
    change = CHANGES[name]
    stale = await change.read(shop, await change.arrange(shop))
    await change.disturb(shop, stale)
    now = await change.read(shop, stale)
    etags = getattr(stale, change.etag), getattr(now, change.etag)
    assert etags[0]
    assert etags[0] != etags[1]
    async with nothing_written(shop.pool):
        refusal = await refused(change.call(shop)(change.request(stale, etags[0], new_id())))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert refusal.metadata["etag"] == etags[1]
    assert await change.read(shop, stale) == now


@pytest.mark.parametrize("name", CHANGES)
async def test_a_repetition_gets_the_first_answer_though_its_etag_is_old_by_now(shop: Shop, name: str) -> None:
    change = CHANGES[name]
    found = await change.read(shop, await change.arrange(shop))
    request = change.request(found, getattr(found, change.etag), new_id())
    first = await change.call(shop)(request)
    changed = await change.read(shop, found)
    assert getattr(changed, change.etag) != getattr(found, change.etag)
    again = await change.call(shop)(request)
    for answer in (first, again):
        if isinstance(answer, keys.RotateKeyResponse):
            answer.secret = ""  # shown once
    assert again == first
    assert await change.read(shop, found) == changed


@pytest.mark.parametrize("name", CHANGES)
async def test_of_several_changes_of_one_reading_one_is_done(shop: Shop, name: str) -> None:
    change = CHANGES[name]
    found = await change.read(shop, await change.arrange(shop))
    calls = [change.call(shop)(change.request(found, getattr(found, change.etag), new_id())) for _ in range(4)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    lost = [answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert lost == [grpc.StatusCode.ABORTED] * 3


async def test_the_etag_of_a_policy_is_not_that_of_the_counters(shop: Shop) -> None:
    level = await policy(shop)
    later = await shop.receive("MUG", 5)
    assert (later.version, later.policy_etag) == (level.version + 1, level.policy_etag)


async def test_an_answer_of_the_release_before_stays_as_it_was(shop: Shop) -> None:
    """It was stored without an etag, and without one a change is not checked."""
    order = await pending(shop)
    request = orders.ProcessOrderRequest(order_id=order.order_id, request_id=new_id())
    processed = await shop.pms.orders.ProcessOrder(request)
    processed.ClearField("etag")
    await shop.pool.execute(
        "UPDATE idempotency SET response = $2 WHERE request_id = $1", request.request_id, processed.SerializeToString()
    )
    again = await shop.pms.orders.ProcessOrder(request)
    assert again == processed
    await shop.pms.orders.FulfillOrder(orders.FulfillOrderRequest(order_id=again.order_id, etag=again.etag))


WITHOUT = {
    "RecordPayment": "what a provider reports is a fact, whatever has become of the order",
    "AdjustStock": "it compares counters, by expected_on_hand",
    "EndSession": "a session that has changed since is ended all the same",
}


def etags_of(message: Descriptor) -> set[str]:
    """Names of the etags that a message holds, its own and those of the resources in it."""
    inside = [field.message_type for field in message.fields if field.message_type and not field.is_repeated]
    return {field.full_name for field in message.fields if field.name.endswith("etag")}.union(
        *(etags_of(each) for each in inside if each.full_name.startswith("stockward."))
    )


def changes() -> list[MethodDescriptor]:
    return [
        method
        for service in SERVICES
        for method in service.methods
        if "request_id" in method.input_type.fields_by_name
        and not method.client_streaming
        and not method.name.startswith("Create")
        and etags_of(method.output_type)
    ]


@pytest.mark.parametrize("method", changes(), ids=lambda method: method.name)
def test_every_change_of_a_resource_with_an_etag_takes_one(method: MethodDescriptor) -> None:
    assert bool(etags_of(method.input_type)) == (method.name not in WITHOUT)


def test_every_method_of_these_resources_is_tested() -> None:
    areas = {"order", "inventory", "auth"}
    taking = {method.name for method in changes() if method.containing_service.file.package.split(".")[1] in areas}
    assert taking - set(WITHOUT) == set(CHANGES)
