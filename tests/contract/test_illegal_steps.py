"""Steps that the present state does not allow, and edits of what has changed since."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders
from stockward.webhook.v1 import webhook_pb2 as webhooks

from tests.known_shop import Bad, Known, adjust, assert_refused, cases, line, order
from tests.shop import money


def refused_step(places: str, state: str, request: Callable[[str], Message], reason: str, /, **metadata: str) -> Bad:
    """`request` takes the id of the order, hold or product (`places`) that is in the state."""
    return Bad(lambda known: request(getattr(known, places)[state]), "FAILED_PRECONDITION", reason, [], metadata)


def order_steps() -> Iterator[tuple[str, Bad]]:
    """Each step with each state that does not allow it."""
    units = [orders.LineQuantity(line_number=1, quantity=1)]
    back = [orders.ReturnOrderRequest.Line(line_number=1, quantity=1)]
    steps: dict[str, tuple[Callable[[str], Message], set[str]]] = {
        "process": (lambda each: orders.ProcessOrderRequest(order_id=each), {"PENDING"}),
        "fulfill": (
            lambda each: orders.FulfillOrderRequest(order_id=each),
            {"PROCESSING", "PARTIALLY_FULFILLED"},
        ),
        "cancel": (lambda each: orders.CancelOrderRequest(order_id=each), {"PENDING", "PROCESSING"}),
        "cancel units": (
            lambda each: orders.CancelOrderRequest(order_id=each, lines=units),
            {"PENDING", "PROCESSING", "PARTIALLY_FULFILLED"},
        ),
        "return": (
            lambda each: orders.ReturnOrderRequest(order_id=each, lines=back),
            {"PARTIALLY_FULFILLED", "FULFILLED"},
        ),
        "announce": (
            lambda each: orders.AnnounceReturnRequest(order_id=each, lines=units),
            {"PARTIALLY_FULFILLED", "FULFILLED"},
        ),
        "edit": (
            lambda each: orders.EditOrderLinesRequest(order_id=each, current_prices=True),
            {"PENDING"},
        ),
        "hold": (
            lambda each: orders.HoldOrderRequest(order_id=each, reason=orders.Hold.REASON_FRAUD),
            {"PENDING", "PROCESSING", "PARTIALLY_FULFILLED"},
        ),
        "charge": (
            lambda each: orders.AddChargeRequest(
                order_id=each, charge=orders.Charge(kind=orders.Charge.KIND_FEE, amount=money("1")), reason="x"
            ),
            {"PENDING", "PROCESSING", "PARTIALLY_FULFILLED", "FULFILLED", "CANCELLED"},
        ),
    }
    for step, (request, allowed) in steps.items():
        for value in orders.Order.State.keys()[1:]:
            state = value.removeprefix("STATE_")
            if state not in allowed:
                case = refused_step(
                    "orders", state, request, "ORDER_STATE_INVALID", state=state, action=step.split()[0]
                )
                yield f"{step}, {state}", case


def hold_steps() -> Iterator[tuple[str, Bad]]:
    """Each step with each hold that is over."""
    steps: dict[str, Callable[[str], Message]] = {
        "extend": lambda each: inventory.ExtendReservationRequest(reservation_id=each, ttl=Duration(seconds=60)),
        "release": lambda each: inventory.ReleaseReservationRequest(reservation_id=each),
        "order": lambda each: orders.CreateOrderRequest(reservation_id=each),
    }
    for step, request in steps.items():
        for state in ("CONVERTED", "RELEASED", "EXPIRED"):
            if state == "EXPIRED" and step != "release":
                yield f"{step}, {state}", refused_step("holds", state, request, "RESERVATION_EXPIRED")
            else:
                yield f"{step}, {state}", refused_step("holds", state, request, "RESERVATION_NOT_ACTIVE", state=state)


def product_steps() -> Iterator[tuple[str, Bad]]:
    later = Timestamp(seconds=4_000_000_000)
    steps: dict[str, tuple[Callable[[str], Message], str]] = {
        "publish": (lambda each: catalog.PublishProductRequest(product_id=each), "ARCHIVED"),
        "schedule": (lambda each: catalog.PublishProductRequest(product_id=each, publish_time=later), "PUBLISHED"),
        "unpublish": (lambda each: catalog.UnpublishProductRequest(product_id=each), "ARCHIVED"),
        "archive": (lambda each: catalog.ArchiveProductRequest(product_id=each), "PUBLISHED"),
        "restore": (lambda each: catalog.RestoreProductRequest(product_id=each), "PUBLISHED"),
    }
    for step, (request, state) in steps.items():
        case = refused_step("products", state, request, "PRODUCT_STATE_INVALID", state=state, action=step)
        yield f"{step}, {state}", case


def stale(request: Callable[[str, str], Message]) -> Bad:
    return Bad(lambda known: request(known.products["DRAFT"], "stale"), "ABORTED", "ETAG_MISMATCH", [], {"etag": "1"})


def stale_endpoint(request: Callable[..., Message]) -> Bad:
    return Bad(
        lambda known: request(endpoint_id=known.endpoints["ENABLED"], etag="stale"),
        "ABORTED",
        "ETAG_MISMATCH",
        [],
        {"etag": "1"},
    )


def stale_order(request: Callable[..., Message], state: str, **fields: object) -> Bad:
    return Bad(
        lambda known: request(order_id=known.orders[state], etag="stale", **fields), "ABORTED", "ETAG_MISMATCH", [], {}
    )


def update_endpoint(endpoint_id: str, etag: str) -> Message:
    return webhooks.UpdateEndpointRequest(endpoint=webhooks.Endpoint(endpoint_id=endpoint_id, etag=etag))


ETAGS = {
    "update": stale(
        lambda product_id, etag: catalog.UpdateProductRequest(
            product=catalog.Product(product_id=product_id, etag=etag, vendor="x"),
            update_mask=FieldMask(paths=["vendor"]),
        )
    ),
    "publish": stale(lambda product_id, etag: catalog.PublishProductRequest(product_id=product_id, etag=etag)),
    "unpublish": stale(lambda product_id, etag: catalog.UnpublishProductRequest(product_id=product_id, etag=etag)),
    "archive": stale(lambda product_id, etag: catalog.ArchiveProductRequest(product_id=product_id, etag=etag)),
    "restore": stale(lambda product_id, etag: catalog.RestoreProductRequest(product_id=product_id, etag=etag)),
    "update endpoint": stale_endpoint(update_endpoint),
    "delete endpoint": stale_endpoint(webhooks.DeleteEndpointRequest),
    "enable endpoint": stale_endpoint(webhooks.EnableEndpointRequest),
    "disable endpoint": stale_endpoint(webhooks.DisableEndpointRequest),
    "rotate secret": stale_endpoint(webhooks.RotateSecretRequest),
    "process order": stale_order(orders.ProcessOrderRequest, "PENDING"),
    "fulfill order": stale_order(orders.FulfillOrderRequest, "PROCESSING"),
    "cancel order": stale_order(orders.CancelOrderRequest, "PENDING"),
    "expire secrets": stale_endpoint(webhooks.ExpireSecretsRequest),
}


def untrack(product_id: str, sku: str) -> Message:
    variant = catalog.Variant(sku=sku, price=money("19.90"), untracked=True)
    product = catalog.Product(product_id=product_id, variants=[variant])
    return catalog.UpdateProductRequest(product=product, update_mask=FieldMask(paths=["variants"]))


def not_tracked(request: Message) -> Bad:
    return Bad(request, "FAILED_PRECONDITION", "STOCK_NOT_TRACKED", ["sku"], {"sku": "PDF"})


def parcel_from(location_id: str) -> Callable[[Known], Message]:
    return lambda known: orders.FulfillOrderRequest(order_id=known.orders["PROCESSING"], location_id=location_id)


STOCK = {
    "count of what is not tracked": not_tracked(adjust(sku="PDF", on_hand=0)),
    "change of what is not tracked": not_tracked(adjust(sku="PDF")),
    "policy of what is not tracked": not_tracked(inventory.SetStockPolicyRequest(sku="PDF", safety_stock=1)),
    "order of more than one may have": Bad(
        order(line("PDF", 10**9), line("PDF")),
        "FAILED_PRECONDITION",
        "INSUFFICIENT_STOCK",
        [],
        {"sku": "PDF", "available": str(10**9)},
    ),
    "tracked no longer, with open claims": Bad(
        lambda known: untrack(known.products["PUBLISHED"], "TEE"),
        "FAILED_PRECONDITION",
        "VARIANT_IN_USE",
        ["product.variants"],
        {"sku": "TEE"},
    ),
    "parcel from nowhere": Bad(
        parcel_from("paris"), "NOT_FOUND", "LOCATION_UNKNOWN", ["location_id"], {"location_id": "paris"}
    ),
    "parcel from where the goods are not": Bad(
        parcel_from("north"),
        "FAILED_PRECONDITION",
        "STOCK_NEGATIVE",
        ["location_id"],
        {"location_id": "north", "missing": "1", "sku": "TEE"},
    ),
}

WEBHOOKS = {
    "url of the settings": refused_step(
        "endpoints",
        "SETTINGS",
        lambda each: webhooks.UpdateEndpointRequest(
            endpoint=webhooks.Endpoint(endpoint_id=each, url="https://other.example")
        ),
        "ENDPOINT_MANAGED_BY_SETTINGS",
        setting="PMS_WEBHOOK_URL",
    ),
    "secret of the settings": refused_step(
        "endpoints",
        "SETTINGS",
        lambda each: webhooks.RotateSecretRequest(endpoint_id=each),
        "ENDPOINT_MANAGED_BY_SETTINGS",
        setting="PMS_WEBHOOK_SECRET",
    ),
    "old secret of the settings": refused_step(
        "endpoints",
        "SETTINGS",
        lambda each: webhooks.ExpireSecretsRequest(endpoint_id=each),
        "ENDPOINT_MANAGED_BY_SETTINGS",
        setting="PMS_WEBHOOK_SECRET",
    ),
    "endpoint of the settings": refused_step(
        "endpoints",
        "SETTINGS",
        lambda each: webhooks.DeleteEndpointRequest(endpoint_id=each),
        "ENDPOINT_MANAGED_BY_SETTINGS",
        setting="PMS_WEBHOOK_URL",
    ),
    "ping what is disabled": refused_step(
        "endpoints", "DISABLED", lambda each: webhooks.PingEndpointRequest(endpoint_id=each), "ENDPOINT_DISABLED"
    ),
    "a sixth secret": refused_step(
        "endpoints",
        "ROTATED",
        lambda each: webhooks.RotateSecretRequest(endpoint_id=each),
        "SECRET_LIMIT_REACHED",
        limit="5",
    ),
    "skip what was delivered": Bad(
        lambda known: webhooks.SkipDeliveryRequest(
            endpoint_id=known.endpoints["ENABLED"], event_id=known.deliveries["DELIVERED"]
        ),
        "FAILED_PRECONDITION",
        "DELIVERY_STATE_INVALID",
        [],
        {"state": "DELIVERED"},
    ),
}

CASES = cases(
    order=dict(order_steps()),
    hold=dict(hold_steps()),
    product=dict(product_steps()),
    stock=STOCK,
    webhook=WEBHOOKS,
    etag=ETAGS,
)


@pytest.mark.parametrize("name", CASES)
async def test_it_is_refused_with_the_present_state(known: Known, name: str) -> None:
    await assert_refused(known, CASES[name])
