"""A shop with something in every state, to try bad requests on, and what to expect of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.type.money_pb2 import Money
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders
from stockward.webhook.v1 import webhook_pb2 as webhooks

from stockward_server.api.server import SERVICES
from stockward_server.domain.delivery import DeliveryState
from tests.endpoints import deliver, endpoint_of, endpoint_of_settings
from tests.events import until
from tests.shop import Refused, Shop, money, refused
from tests.snapshot import nothing_written

METHODS: list[MethodDescriptor] = [method for service in SERVICES for method in service.methods]
"""Every method of the contract."""

UNKNOWN_ID = "0190aaaa-0000-7000-8000-000000000000"
"""The id of nothing."""


class Known:
    """What the shop has: ids of orders, reservations, products and so on by the state that they are in."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.orders: dict[str, str] = {}
        self.holds: dict[str, str] = {}
        self.products: dict[str, str] = {}
        self.endpoints: dict[str, str] = {}
        self.deliveries: dict[str, str] = {}
        """Event ids of deliveries to the enabled endpoint."""

    def named(self, method: MethodDescriptor) -> dict[str, str]:
        """Returns the order that the method has to be asked about, if any."""
        return {"order_id": self.orders["PROCESSING"]} if "order_id" in method.input_type.fields_by_name else {}

    def endpoint(self, method: MethodDescriptor) -> dict[str, str]:
        """Returns an endpoint for a method that takes one."""
        return {"endpoint_id": self.endpoints["ENABLED"]} if "endpoint_id" in method.input_type.fields_by_name else {}


async def arrange(shop: Shop) -> Known:
    known = Known(shop)
    await arrange_products(known)
    await arrange_orders(known)
    await arrange_holds(known)
    await arrange_endpoints(known)
    return known


async def arrange_products(known: Known) -> None:
    """TEE and MUG in euros, CAP in dollars, ten each at `main`, none at `north`; GEM is dear beyond measure; FULL has
    all that can be counted; PDF is not tracked."""
    shop = known.shop
    known.products["PUBLISHED"] = await shop.sell("TEE", 10)
    for sku, currency in (("MUG", "EUR"), ("CAP", "USD")):
        await shop.sell(sku, 10, currency=currency)
    await shop.sell("GEM", 0, price="9000000000000")
    await shop.sell("FULL")
    await shop.receive("FULL", 1)
    await shop.pool.execute("UPDATE stock SET on_hand = 1e12 WHERE sku = 'FULL'")
    await shop.pool.execute("UPDATE movements SET on_hand_delta = 1e12, on_hand = 1e12 WHERE sku = 'FULL'")
    north = inventory.Location(location_id="north", priority=1)
    await shop.pms.inventory.CreateLocation(inventory.CreateLocationRequest(location=north))
    known.products["UNTRACKED"] = await shop.sell("PDF", untracked=True)
    for state in ("DRAFT", "ARCHIVED", "EMPTY"):
        variants = [] if state == "EMPTY" else [catalog.Variant(sku=state, price=money("1.00"))]
        draft = catalog.Product(title=state, variants=variants)
        made = await shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=draft))
        known.products[state] = made.product_id
    archive = catalog.ArchiveProductRequest(product_id=known.products["ARCHIVED"])
    await shop.pms.catalog.ArchiveProduct(archive)


async def arrange_orders(known: Known) -> None:
    """An order of one TEE and two MUG in each state."""
    shop = known.shop
    lines = [orders.CreateOrderRequest.Line(sku=sku, quantity=units) for sku, units in (("TEE", 1), ("MUG", 2))]
    for state in orders.Order.State.keys()[1:]:
        name = state.removeprefix("STATE_")
        order = await shop.storefront.orders.CreateOrder(orders.CreateOrderRequest(lines=lines))
        known.orders[name] = order.order_id
        if name in ("PROCESSING", "PARTIALLY_FULFILLED", "FULFILLED"):
            await shop.pay(order)
            await shop.pms.orders.ProcessOrder(orders.ProcessOrderRequest(order_id=order.order_id))
        if name in ("PARTIALLY_FULFILLED", "FULFILLED"):
            parcel = [orders.LineQuantity(line_number=2, quantity=1)] if name.startswith("PART") else []
            await shop.pms.orders.FulfillOrder(orders.FulfillOrderRequest(order_id=order.order_id, lines=parcel))
        if name == "CANCELLED":
            await shop.pms.orders.CancelOrder(orders.CancelOrderRequest(order_id=order.order_id))
        if name == "EXPIRED":
            await shop.pool.execute("UPDATE orders SET payment_due_time = now() WHERE order_id = $1", order.order_id)
            await until(lambda: shop.pool.fetchval("SELECT true FROM orders WHERE state = 6"))


async def arrange_holds(known: Known) -> None:
    """A hold of one TEE in each state."""
    shop = known.shop
    wanted = inventory.ReserveStockRequest(lines=[inventory.StockLine(sku="TEE", quantity=1)])
    for state in ("ACTIVE", "CONVERTED", "RELEASED", "EXPIRED"):
        hold = await shop.storefront.inventory.ReserveStock(wanted)
        known.holds[state] = hold.reservation_id
        if state == "CONVERTED":
            await shop.storefront.orders.CreateOrder(orders.CreateOrderRequest(reservation_id=hold.reservation_id))
        if state == "RELEASED":
            await shop.storefront.inventory.ReleaseReservation(
                inventory.ReleaseReservationRequest(reservation_id=hold.reservation_id)
            )
        if state == "EXPIRED":
            await shop.pool.execute(
                "UPDATE reservations SET expire_time = now() WHERE reservation_id = $1", hold.reservation_id
            )
            await until(lambda: shop.pool.fetchval("SELECT true FROM reservations WHERE state = 4"))


async def arrange_endpoints(known: Known) -> None:
    """An endpoint in each state, one of the settings, and one whose secrets are as many as may be; a delivery to the
    first in each state."""
    shop = known.shop
    for state in ("ENABLED", "DISABLED", "ROTATED"):
        known.endpoints[state] = await endpoint_of(shop, description=state)
    await shop.pms.webhooks.DisableEndpoint(webhooks.DisableEndpointRequest(endpoint_id=known.endpoints["DISABLED"]))
    for _ in range(4):
        await shop.pms.webhooks.RotateSecret(webhooks.RotateSecretRequest(endpoint_id=known.endpoints["ROTATED"]))
    known.endpoints["SETTINGS"] = await endpoint_of_settings(shop.pool)
    kinds = ("order.created", "product.created", "order.expired", "order.cancelled")
    for reached, kind in zip(DeliveryState, kinds, strict=True):
        ids = await deliver(shop.pool, known.endpoints["ENABLED"], reached, [kind])
        known.deliveries[reached.name] = ids[0]


def method_of(request: Message) -> MethodDescriptor:
    """The one method that takes such a message."""
    (method,) = (each for each in METHODS if each.input_type.full_name == request.DESCRIPTOR.full_name)
    return method


async def send(shop: Shop, request: Message, by: str = "") -> Message:
    """Calls the method that takes the message; by staff, or an administrator where staff may not."""
    method = method_of(request)
    assert method.containing_service is not None
    area = method.containing_service.full_name.split(".")[1]
    by = by or ("admin" if area == "auth" else "pms")
    service = method.containing_service.name
    if service in ("SessionService", "StatusService"):
        by, area = "pms" if by == "admin" else by, {"SessionService": "sessions", "StatusService": "status"}[service]
    names = {"auth": "keys", "order": "orders", "event": "events", "webhook": "webhooks"}
    stub = getattr(getattr(shop, by), names.get(area, area))
    call = getattr(stub, method.name)
    if not method.client_streaming:
        answer: Message = await call(request)
        return answer
    answers: AsyncIterator[Message] = aiter(call(iter([request])))
    return await anext(answers)


async def refusal_of(shop: Shop, request: Message, by: str = "") -> Refused:
    """The refusal of a call that has written nothing."""
    async with nothing_written(shop.pool):
        return await refused(send(shop, request, by))


@dataclass(frozen=True)
class Bad:
    """A request and its refusal."""

    request: Message | Callable[[Known], Message]
    """Made from the shop where it names something of it."""
    code: str
    reason: str
    fields: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    """What must be in it, at the least."""


def invalid(request: Message | Callable[[Known], Message], *fields: str) -> Bad:
    """Fields that break their rules."""
    return Bad(request, "INVALID_ARGUMENT", "FIELD_INVALID", list(fields))


async def assert_refused(known: Known, case: Bad) -> None:
    """Sends it, and holds the refusal against what the case says."""
    request = case.request if isinstance(case.request, Message) else case.request(known)
    refusal = await refusal_of(known.shop, request)
    assert (refusal.code.name, refusal.reason) == (case.code, case.reason), refusal.message
    assert set(refusal.fields) == set(case.fields), refusal.message
    assert refusal.metadata.items() >= case.metadata.items()
    assert refusal.message
    if case.fields:
        assert refusal.metadata["field"] in case.fields


def cases(**groups: Mapping[str, Bad]) -> dict[str, Bad]:
    """By `group: name`, which is what a failing test is called."""
    return {f"{group}: {name}": case for group, named in groups.items() for name, case in named.items()}


def line(sku: str = "TEE", quantity: int = 1, **fields: Any) -> orders.CreateOrderRequest.Line:
    return orders.CreateOrderRequest.Line(sku=sku, quantity=quantity, **fields)


def order(*lines: orders.CreateOrderRequest.Line, **fields: Any) -> orders.CreateOrderRequest:
    return orders.CreateOrderRequest(lines=lines, **fields)


def hold(*lines: tuple[str, int], **fields: Any) -> inventory.ReserveStockRequest:
    stock_lines = [inventory.StockLine(sku=sku, quantity=quantity) for sku, quantity in lines]
    return inventory.ReserveStockRequest(lines=stock_lines, **fields)


def adjust(**fields: Any) -> inventory.AdjustStockRequest:
    return inventory.AdjustStockRequest(
        **{"sku": "TEE", "delta": 1, "reason": inventory.ADJUSTMENT_REASON_FOUND, **fields}
    )


def sync(*rows: inventory.SyncStockRequest.Row) -> inventory.SyncStockRequest:
    return inventory.SyncStockRequest(rows=rows)


def product(price: Money | None, **fields: Any) -> catalog.CreateProductRequest:
    variant = catalog.Variant(sku="NEW", price=price, **fields)
    return catalog.CreateProductRequest(product=catalog.Product(title="New", variants=[variant]))


def payment(amount: Money, order_state: str = "PENDING") -> Callable[[Known], Message]:
    return lambda known: orders.RecordPaymentRequest(
        order_id=known.orders[order_state],
        provider="test",
        provider_event_id="evt",
        kind=orders.RecordPaymentRequest.KIND_CAPTURED,
        amount=amount,
    )
