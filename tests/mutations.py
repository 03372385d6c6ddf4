"""Every way to change something: two requests of each kind, and how to send one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders
from stockward.webhook.v1 import webhook_pb2 as webhooks

from stockward_server.domain.delivery import DeliveryState
from tests.endpoints import create_endpoint, deliver, endpoint_of
from tests.shop import Callers, Refused, Shop, money

Arrange = Callable[[Shop], Awaitable[tuple[Message, Message]]]
"""Prepares the shop and answers two requests, each of which would succeed, without their request_id."""

Send = Callable[[Callers, Any], Awaitable[Message]]
"""Sends a request as one of its methods takes it; answers the response, or the Status of a refusal."""


@dataclass(frozen=True)
class Mutation:
    """One way to change something."""

    arrange: Arrange
    send: Send


async def answer_or_status(call: Awaitable[Message]) -> Message:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return Refused(error).status


def unary(service: str, method: str) -> Send:
    return lambda callers, request: answer_or_status(getattr(getattr(callers, service), method)(request))


async def send_sync(callers: Callers, request: inventory.SyncStockRequest) -> Message:
    answers: AsyncIterator[Message] = aiter(callers.inventory.SyncStock(iter([request])))
    return await answer_or_status(anext(answers))


async def send_import(callers: Callers, request: catalog.ImportProductsRequest) -> Message:
    answer: Any = await answer_or_status(callers.catalog.ImportProducts(iter([request])))
    if isinstance(answer, Status):
        return answer
    (result,) = answer.results
    assert isinstance(result, catalog.ImportResult)
    return result.error if result.HasField("error") else result


def in_batch(verb: str, service: Any = orders) -> Any:
    """Sends a request by the method for many, alone."""

    async def send(callers: Callers, request: Message) -> Message:
        batch = getattr(service, f"{verb}Request")(requests=[request])
        stub = {orders: callers.orders, inventory: callers.inventory, catalog: callers.catalog}[service]
        answer: Any = await answer_or_status(getattr(stub, verb)(batch))
        if isinstance(answer, Status):
            return answer
        (result,) = answer.results
        if result.HasField("error"):
            return result.error  # type: ignore[no-any-return]
        outcome: Message = getattr(result, result.WhichOneof("outcome")) if result.DESCRIPTOR.oneofs else result
        return outcome

    return send


# What to send


async def two_products(shop: Shop) -> tuple[Message, Message]:
    return tuple(  # type: ignore[return-value]
        catalog.CreateProductRequest(
            product=catalog.Product(title=sku, variants=[catalog.Variant(sku=sku, price=money("5.00"))])
        )
        for sku in ("A", "B")
    )


async def two_rows(shop: Shop) -> tuple[Message, Message]:
    first, second = await two_products(shop)
    assert isinstance(first, catalog.CreateProductRequest)
    assert isinstance(second, catalog.CreateProductRequest)
    return (
        catalog.ImportProductsRequest(product=first.product),
        catalog.ImportProductsRequest(product=second.product),
    )


async def drafts(shop: Shop) -> tuple[str, str]:
    first, second = [await shop.pms.catalog.CreateProduct(each) for each in await two_products(shop)]
    return first.product_id, second.product_id


async def two_updates(shop: Shop) -> tuple[Message, Message]:
    first, second = await drafts(shop)
    return tuple(  # type: ignore[return-value]
        catalog.UpdateProductRequest(
            product=catalog.Product(product_id=each, vendor="Loom"), update_mask=FieldMask(paths=["vendor"])
        )
        for each in (first, second)
    )


def on_variants(request: Callable[[str], Message]) -> Arrange:
    """`request` for the SKUs of two drafts."""

    async def arrange(shop: Shop) -> tuple[Message, Message]:
        await drafts(shop)
        return request("A"), request("B")

    return arrange


def on_products(request: Any, *before: Any) -> Arrange:
    """`request` for two drafts, after each went through the requests `before` it."""

    async def arrange(shop: Shop) -> tuple[Message, Message]:
        ids = await drafts(shop)
        for product_id in ids:
            for step in before:
                await getattr(shop.pms.catalog, step.__name__.removesuffix("Request"))(step(product_id=product_id))
        first, second = (request(product_id=product_id) for product_id in ids)
        return first, second

    return arrange


def on_stock(request: Any) -> Arrange:
    """`request` takes a number that distinguishes the two; TEE has ten units on hand."""

    async def arrange(shop: Shop) -> tuple[Message, Message]:
        await shop.sell("TEE", 10)
        return request(1), request(2)

    return arrange


def on_reservations(request: Any) -> Arrange:
    async def arrange(shop: Shop) -> tuple[Message, Message]:
        await shop.sell("TEE", 10)
        hold = inventory.ReserveStockRequest(lines=[inventory.StockLine(sku="TEE", quantity=1)])
        first, second = [await shop.storefront.inventory.ReserveStock(hold) for _ in range(2)]
        return request(reservation_id=first.reservation_id), request(reservation_id=second.reservation_id)

    return arrange


def on_orders(request: Any, *, state: str = "PENDING", lines: Any = None) -> Arrange:
    """`request` for two orders that got as far as `state`."""

    async def arrange(shop: Shop) -> tuple[Message, Message]:
        await shop.sell("TEE", 10)
        requests = []
        for _ in range(2):
            order = await shop.order("TEE", 2)
            if state != "PENDING":
                await shop.pay(order)
            if state in ("PROCESSING", "FULFILLED"):
                await shop.pms.orders.ProcessOrder(orders.ProcessOrderRequest(order_id=order.order_id))
            if state == "FULFILLED":
                await shop.pms.orders.FulfillOrder(orders.FulfillOrderRequest(order_id=order.order_id))
            requests.append(request(order_id=order.order_id, **({"lines": lines} if lines else {})))
        return requests[0], requests[1]

    return arrange


async def on_held_orders(shop: Shop) -> tuple[Message, Message]:
    requests = await on_orders(orders.ReleaseOrderRequest)(shop)
    for each in requests:
        assert isinstance(each, orders.ReleaseOrderRequest)
        hold = orders.HoldOrderRequest(order_id=each.order_id, reason=orders.Hold.REASON_FRAUD)
        await shop.pms.orders.HoldOrder(hold)
    return requests


def on_parcels(request: Any) -> Arrange:
    """`request` for the parcels of two fulfilled orders."""

    async def arrange(shop: Shop) -> tuple[Message, Message]:
        requests: list[Any] = [*await on_orders(orders.GetOrderRequest, state="FULFILLED")(shop)]
        shipped = [await shop.pms.orders.GetOrder(each) for each in requests]
        first, second = (
            request(order_id=each.order_id, fulfillment_id=each.fulfillments[0].fulfillment_id) for each in shipped
        )
        return first, second

    return arrange


def on_returns(request: Any, *, received: int = 0) -> Arrange:
    """`request` for the returns of two fulfilled orders, which announce both units, after `received` came of each."""

    async def arrange(shop: Shop) -> tuple[Message, Message]:
        lines = [orders.LineQuantity(line_number=1, quantity=2)]
        requests: list[Any] = []
        for announce in await on_orders(orders.AnnounceReturnRequest, state="FULFILLED", lines=lines)(shop):
            assert isinstance(announce, orders.AnnounceReturnRequest)
            order = await shop.pms.orders.AnnounceReturn(announce)
            ids = {"order_id": order.order_id, "return_id": order.returns[0].return_id}
            if received:
                came = [orders.ReturnOrderRequest.Line(line_number=1, quantity=received)]
                await shop.pms.orders.ReceiveReturn(orders.ReceiveReturnRequest(**ids, lines=came))
            requests.append(request(**ids))
        return requests[0], requests[1]

    return arrange


def create_order(quantity: int) -> orders.CreateOrderRequest:
    return orders.CreateOrderRequest(lines=[orders.CreateOrderRequest.Line(sku="TEE", quantity=quantity)])


def adjustment(delta: int) -> inventory.AdjustStockRequest:
    return inventory.AdjustStockRequest(
        sku="TEE", delta=delta, reason=inventory.ADJUSTMENT_REASON_FOUND, reference="shelf"
    )


async def two_endpoints(shop: Shop) -> tuple[Message, Message]:
    return create_endpoint(description="one"), create_endpoint(description="two")


def on_endpoints(request: Any, *before: Any) -> Arrange:
    """`request` for two endpoints, after each went through the requests `before` it."""

    async def arrange(shop: Shop) -> tuple[Message, Message]:
        ids = [await endpoint_of(shop) for _ in range(2)]
        for endpoint_id in ids:
            for step in before:
                await getattr(shop.pms.webhooks, step.__name__.removesuffix("Request"))(step(endpoint_id=endpoint_id))
        first, second = (request(endpoint_id=endpoint_id) for endpoint_id in ids)
        return first, second

    return arrange


def on_deliveries(request: Any) -> Arrange:
    """`request` for two dead letters."""

    async def arrange(shop: Shop) -> tuple[Message, Message]:
        endpoint_id = await endpoint_of(shop)
        await shop.sell("TEE")
        first, second = await deliver(shop.pool, endpoint_id, DeliveryState.DEAD)
        return request(endpoint_id=endpoint_id, event_id=first), request(endpoint_id=endpoint_id, event_id=second)

    return arrange


async def two_recoveries(shop: Shop) -> tuple[Message, Message]:
    """Of two dead letters and of one."""
    await shop.sell("TEE", 1)
    requests = []
    for kind in ("product.%", "stock.%"):
        endpoint_id = await endpoint_of(shop)
        await deliver(shop.pool, endpoint_id, DeliveryState.DEAD, [kind])
        requests.append(webhooks.RecoverDeliveriesRequest(endpoint_id=endpoint_id, start_time=Timestamp()))
    return requests[0], requests[1]


async def two_replays(shop: Shop) -> tuple[Message, Message]:
    """Of two events and of one, which have been published."""
    await shop.sell("TEE", 1)
    await shop.pool.execute("DELETE FROM outbox")
    endpoint_id = await endpoint_of(shop)
    first, second = (webhooks.ReplayEventsRequest(endpoint_id=endpoint_id, types=[t]) for t in ("product.*", "stock.*"))
    return first, second


def payment(order_id: str) -> orders.RecordPaymentRequest:
    return orders.RecordPaymentRequest(
        order_id=order_id,
        provider="test",
        provider_event_id=order_id,
        kind=orders.RecordPaymentRequest.KIND_CAPTURED,
        amount=money("39.80"),
    )


def fee(order_id: str) -> orders.AddChargeRequest:
    charge = orders.Charge(kind=orders.Charge.KIND_FEE, amount=money("2.50"))
    return orders.AddChargeRequest(order_id=order_id, charge=charge, reason="gift wrap")


ONE_UNIT = [orders.LineQuantity(line_number=1, quantity=1)]
PROCESSING = on_orders(orders.ProcessOrderRequest, state="PAID")
SHIPPING = on_orders(orders.FulfillOrderRequest, state="PROCESSING", lines=ONE_UNIT)
CANCELLING = on_orders(orders.CancelOrderRequest, lines=ONE_UNIT)

MUTATIONS = {
    "CreateProduct": Mutation(two_products, unary("catalog", "CreateProduct")),
    "UpdateProduct": Mutation(two_updates, unary("catalog", "UpdateProduct")),
    "PublishProduct": Mutation(on_products(catalog.PublishProductRequest), unary("catalog", "PublishProduct")),
    "UnpublishProduct": Mutation(
        on_products(catalog.UnpublishProductRequest, catalog.PublishProductRequest),
        unary("catalog", "UnpublishProduct"),
    ),
    "ArchiveProduct": Mutation(on_products(catalog.ArchiveProductRequest), unary("catalog", "ArchiveProduct")),
    "RestoreProduct": Mutation(
        on_products(catalog.RestoreProductRequest, catalog.ArchiveProductRequest),
        unary("catalog", "RestoreProduct"),
    ),
    "RenameSku": Mutation(
        on_variants(lambda sku: catalog.RenameSkuRequest(sku=sku, new_sku=f"{sku}²")), unary("catalog", "RenameSku")
    ),
    "ImportProducts": Mutation(two_rows, send_import),
    "BatchImportProducts": Mutation(two_rows, in_batch("BatchImportProducts", catalog)),
    "ReserveStock": Mutation(
        on_stock(
            lambda n: inventory.ReserveStockRequest(lines=[inventory.StockLine(sku="TEE", quantity=n)], customer_id="c")
        ),
        unary("inventory", "ReserveStock"),
    ),
    "ExtendReservation": Mutation(
        on_reservations(
            lambda reservation_id: inventory.ExtendReservationRequest(
                reservation_id=reservation_id, ttl=Duration(seconds=7200)
            )
        ),
        unary("inventory", "ExtendReservation"),
    ),
    "ReleaseReservation": Mutation(
        on_reservations(inventory.ReleaseReservationRequest), unary("inventory", "ReleaseReservation")
    ),
    "AdjustStock": Mutation(on_stock(adjustment), unary("inventory", "AdjustStock")),
    "BatchAdjustStock": Mutation(on_stock(adjustment), in_batch("BatchAdjustStock", inventory)),
    "BatchSetStock": Mutation(
        on_stock(
            lambda n: inventory.BatchSetStockRequest(
                rows=[inventory.BatchSetStockRequest.Row(sku="TEE", on_hand=count) for count in (n, 100 + n)]
            )
        ),
        unary("inventory", "BatchSetStock"),
    ),
    "SyncStock": Mutation(
        on_stock(lambda n: inventory.SyncStockRequest(rows=[inventory.SyncStockRequest.Row(sku="TEE", delta=n)] * 2)),
        send_sync,
    ),
    "SetStockPolicy": Mutation(
        on_stock(lambda n: inventory.SetStockPolicyRequest(sku="TEE", safety_stock=n)),
        unary("inventory", "SetStockPolicy"),
    ),
    "CreateLocation": Mutation(
        on_stock(lambda n: inventory.CreateLocationRequest(location=inventory.Location(location_id=f"shop-{n}"))),
        unary("inventory", "CreateLocation"),
    ),
    "UpdateLocation": Mutation(
        on_stock(
            lambda n: inventory.UpdateLocationRequest(
                location=inventory.Location(location_id="main", name=f"Hall {n}"), update_mask=FieldMask(paths=["name"])
            )
        ),
        unary("inventory", "UpdateLocation"),
    ),
    "CreateOrder": Mutation(on_stock(create_order), unary("orders", "CreateOrder")),
    "BatchCreateOrders": Mutation(on_stock(create_order), in_batch("BatchCreateOrders")),
    "ProcessOrder": Mutation(PROCESSING, unary("orders", "ProcessOrder")),
    "BatchProcessOrders": Mutation(PROCESSING, in_batch("BatchProcessOrders")),
    "FulfillOrder": Mutation(SHIPPING, unary("orders", "FulfillOrder")),
    "BatchFulfillOrders": Mutation(SHIPPING, in_batch("BatchFulfillOrders")),
    "CancelOrder": Mutation(CANCELLING, unary("orders", "CancelOrder")),
    "BatchCancelOrders": Mutation(CANCELLING, in_batch("BatchCancelOrders")),
    "ReturnOrder": Mutation(
        on_orders(
            orders.ReturnOrderRequest,
            state="FULFILLED",
            lines=[orders.ReturnOrderRequest.Line(line_number=1, quantity=1)],
        ),
        unary("orders", "ReturnOrder"),
    ),
    "AddCharge": Mutation(on_orders(fee), unary("orders", "AddCharge")),
    "UpdateOrder": Mutation(
        on_orders(lambda order_id: orders.UpdateOrderRequest(order_id=order_id, tags=["vip"])),
        unary("orders", "UpdateOrder"),
    ),
    "EditOrderLines": Mutation(
        on_orders(
            lambda order_id: orders.EditOrderLinesRequest(
                order_id=order_id, changes=[orders.EditOrderLinesRequest.Change(line_number=1, quantity=1)]
            )
        ),
        unary("orders", "EditOrderLines"),
    ),
    "UpdateFulfillment": Mutation(
        on_parcels(lambda **ids: orders.UpdateFulfillmentRequest(**ids, tracking_number="T2")),
        unary("orders", "UpdateFulfillment"),
    ),
    "CancelFulfillment": Mutation(on_parcels(orders.CancelFulfillmentRequest), unary("orders", "CancelFulfillment")),
    "AnnounceReturn": Mutation(
        on_orders(
            orders.AnnounceReturnRequest,
            state="FULFILLED",
            lines=[orders.LineQuantity(line_number=1, quantity=1)],
        ),
        unary("orders", "AnnounceReturn"),
    ),
    "UpdateReturn": Mutation(
        on_returns(lambda **ids: orders.UpdateReturnRequest(**ids, tracking_number="R2")),
        unary("orders", "UpdateReturn"),
    ),
    "ReceiveReturn": Mutation(on_returns(orders.ReceiveReturnRequest), unary("orders", "ReceiveReturn")),
    "CloseReturn": Mutation(on_returns(orders.CloseReturnRequest, received=1), unary("orders", "CloseReturn")),
    "WithdrawReturn": Mutation(on_returns(orders.WithdrawReturnRequest), unary("orders", "WithdrawReturn")),
    "AddOrderNote": Mutation(
        on_orders(lambda order_id: orders.AddOrderNoteRequest(order_id=order_id, note="call first")),
        unary("orders", "AddOrderNote"),
    ),
    "HoldOrder": Mutation(
        on_orders(lambda order_id: orders.HoldOrderRequest(order_id=order_id, reason=orders.Hold.REASON_FRAUD)),
        unary("orders", "HoldOrder"),
    ),
    "ReleaseOrder": Mutation(on_held_orders, unary("orders", "ReleaseOrder")),
    "RecordPayment": Mutation(on_orders(payment), unary("orders", "RecordPayment")),
    "CreateEndpoint": Mutation(two_endpoints, unary("webhooks", "CreateEndpoint")),
    "UpdateEndpoint": Mutation(
        on_endpoints(
            lambda endpoint_id: webhooks.UpdateEndpointRequest(
                endpoint=webhooks.Endpoint(endpoint_id=endpoint_id, description="new")
            )
        ),
        unary("webhooks", "UpdateEndpoint"),
    ),
    "DeleteEndpoint": Mutation(on_endpoints(webhooks.DeleteEndpointRequest), unary("webhooks", "DeleteEndpoint")),
    "EnableEndpoint": Mutation(
        on_endpoints(webhooks.EnableEndpointRequest, webhooks.DisableEndpointRequest),
        unary("webhooks", "EnableEndpoint"),
    ),
    "DisableEndpoint": Mutation(on_endpoints(webhooks.DisableEndpointRequest), unary("webhooks", "DisableEndpoint")),
    "RotateSecret": Mutation(on_endpoints(webhooks.RotateSecretRequest), unary("webhooks", "RotateSecret")),
    "ExpireSecrets": Mutation(
        on_endpoints(webhooks.ExpireSecretsRequest, webhooks.RotateSecretRequest), unary("webhooks", "ExpireSecrets")
    ),
    "PingEndpoint": Mutation(on_endpoints(webhooks.PingEndpointRequest), unary("webhooks", "PingEndpoint")),
    "RetryDelivery": Mutation(on_deliveries(webhooks.RetryDeliveryRequest), unary("webhooks", "RetryDelivery")),
    "SkipDelivery": Mutation(on_deliveries(webhooks.SkipDeliveryRequest), unary("webhooks", "SkipDelivery")),
    "RecoverDeliveries": Mutation(two_recoveries, unary("webhooks", "RecoverDeliveries")),
    "ReplayEvents": Mutation(two_replays, unary("webhooks", "ReplayEvents")),
}
"""Every method that changes something. Most could be done twice: only the request_id keeps them from it."""


def as_repeated(answer: Message) -> Message:
    """What a repetition is answered: the same, but for a secret, which is shown once."""
    repeated = type(answer).FromString(answer.SerializeToString())
    if "secret" in answer.DESCRIPTOR.fields_by_name:
        repeated.ClearField("secret")
    return repeated
