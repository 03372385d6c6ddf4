"""The contract itself: its routes, its request_ids and its comments."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from buf.validate import validate_pb2
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from stockward.event.v1.event_pb2 import Event
from stockward.order.v1.order_pb2 import Order

from stockward_server.api.server import SERVICES
from stockward_server.domain import errors
from stockward_server.wire.storefront_view import hide_event, hide_order
from tests.declarations import declarations

ROUTES = {
    "CreateProduct": "POST /api/pms/products/create *",
    "GetProduct": "GET /api/pms/products/{product_id}",
    "ListProducts": "GET /api/pms/products",
    "UpdateProduct": "PATCH /api/pms/products/{product.product_id} product",
    "CheckReadiness": "GET /api/pms/products/{product_id}/readiness",
    "PublishProduct": "PUT /api/pms/products/{product_id}/publish *",
    "UnpublishProduct": "PUT /api/pms/products/{product_id}/unpublish *",
    "ArchiveProduct": "PUT /api/pms/products/{product_id}/archive *",
    "RestoreProduct": "PUT /api/pms/products/{product_id}/restore *",
    "RenameSku": "PUT /api/pms/products/skus/{sku}/rename *",
    "ListAvailableProducts": "GET /api/storefront/products",
    "GetAvailableProduct": "GET /api/storefront/products/{product_id}",
    "GetAvailability": "GET /api/storefront/stock/{sku}",
    "BatchGetAvailability": "GET /api/storefront/stock",
    "ReserveStock": "POST /api/storefront/reservations/create *",
    "ExtendReservation": "PUT /api/storefront/reservations/{reservation_id}/extend *",
    "ReleaseReservation": "PUT /api/storefront/reservations/{reservation_id}/release *",
    "GetReservation": "GET /api/storefront/reservations/{reservation_id}",
    "ListReservations": "GET /api/pms/inventory/reservations",
    "BatchAdjustStock": "POST /api/pms/inventory/batchAdjust *",
    "BatchSetStock": "POST /api/pms/inventory/batchSet *",
    "BatchImportProducts": "POST /api/pms/products/batchImport *",
    "AdjustStock": "POST /api/pms/inventory/adjust *",
    "SetStockPolicy": "PUT /api/pms/inventory/policy *",
    "ListStockLevels": "GET /api/pms/inventory/stock",
    "ListStockAlerts": "GET /api/pms/inventory/alerts",
    "ListStockMovements": "GET /api/pms/inventory/history",
    "ExplainAvailability": "GET /api/pms/inventory/explain/{sku}",
    "ReadStockHistory": "GET /api/pms/inventory/counters/{sku}",
    "VerifyStock": "GET /api/pms/inventory/verify",
    "CreateLocation": "POST /api/pms/locations/create *",
    "UpdateLocation": "PATCH /api/pms/locations/{location.location_id} location",
    "ListLocations": "GET /api/pms/locations",
    "CreateOrder": "POST /api/storefront/orders/create *",
    "BatchCreateOrders": "POST /api/storefront/orders/batchCreate *",
    "GetOrder": "GET /api/storefront/orders/{order_id}, GET /api/pms/orders/{order_id}",
    "ListOrders": "GET /api/pms/orders, GET /api/storefront/orders",
    "CountOrders": "GET /api/pms/orders/counts",
    "ListPendingOrders": "GET /api/pms/orders/pending",
    "BatchProcessOrders": "POST /api/pms/orders/batchProcess *",
    "BatchFulfillOrders": "POST /api/pms/orders/batchFulfill *",
    "BatchCancelOrders": "POST /api/pms/orders/batchCancel *",
    "ProcessOrder": "PUT /api/pms/orders/{order_id}/process *",
    "FulfillOrder": "PUT /api/pms/orders/{order_id}/fulfill *",
    "CancelOrder": "PUT /api/pms/orders/{order_id}/cancel *, PUT /api/storefront/orders/{order_id}/cancel *",
    "ReturnOrder": "PUT /api/pms/orders/{order_id}/return *",
    "AnnounceReturn": "POST /api/pms/orders/{order_id}/returns *, POST /api/storefront/orders/{order_id}/returns *",
    "UpdateReturn": "PATCH /api/pms/orders/{order_id}/returns/{return_id} *",
    "ReceiveReturn": "PUT /api/pms/orders/{order_id}/returns/{return_id}/receive *",
    "CloseReturn": "PUT /api/pms/orders/{order_id}/returns/{return_id}/close *",
    "WithdrawReturn": "PUT /api/pms/orders/{order_id}/returns/{return_id}/withdraw *, "
    "PUT /api/storefront/orders/{order_id}/returns/{return_id}/withdraw *",
    "UpdateOrder": "PATCH /api/pms/orders/{order_id} *",
    "EditOrderLines": "PUT /api/pms/orders/{order_id}/lines *",
    "UpdateFulfillment": "PATCH /api/pms/orders/{order_id}/fulfillments/{fulfillment_id} *",
    "CancelFulfillment": "PUT /api/pms/orders/{order_id}/fulfillments/{fulfillment_id}/cancel *",
    "ListPackingSlips": "GET /api/pms/orders/packing",
    "AddOrderNote": "POST /api/pms/orders/{order_id}/notes *",
    "ListOrderTimeline": "GET /api/pms/orders/{order_id}/timeline, GET /api/storefront/orders/{order_id}/timeline",
    "ListPayments": "GET /api/pms/orders/{order_id}/payments",
    "HoldOrder": "PUT /api/pms/orders/{order_id}/hold *",
    "ReleaseOrder": "PUT /api/pms/orders/{order_id}/release *",
    "AddCharge": "POST /api/pms/orders/{order_id}/charges *",
    "RecordPayment": "POST /api/pms/orders/{order_id}/payments *",
    "ListEvents": "GET /api/storefront/events, GET /api/pms/events",
    "CreateEndpoint": "POST /api/pms/webhooks/endpoints/create *",
    "GetEndpoint": "GET /api/pms/webhooks/endpoints/{endpoint_id}",
    "ListEndpoints": "GET /api/pms/webhooks/endpoints",
    "UpdateEndpoint": "PATCH /api/pms/webhooks/endpoints/{endpoint.endpoint_id} endpoint",
    "DeleteEndpoint": "DELETE /api/pms/webhooks/endpoints/{endpoint_id}",
    "EnableEndpoint": "PUT /api/pms/webhooks/endpoints/{endpoint_id}/enable *",
    "DisableEndpoint": "PUT /api/pms/webhooks/endpoints/{endpoint_id}/disable *",
    "RotateSecret": "POST /api/pms/webhooks/endpoints/{endpoint_id}/secrets/rotate *",
    "ExpireSecrets": "PUT /api/pms/webhooks/endpoints/{endpoint_id}/secrets/expire *",
    "PingEndpoint": "POST /api/pms/webhooks/endpoints/{endpoint_id}/ping *",
    "ListDeliveries": "GET /api/pms/webhooks/deliveries",
    "GetDelivery": "GET /api/pms/webhooks/deliveries/{endpoint_id}/{event_id}",
    "RetryDelivery": "PUT /api/pms/webhooks/deliveries/{endpoint_id}/{event_id}/retry *",
    "SkipDelivery": "PUT /api/pms/webhooks/deliveries/{endpoint_id}/{event_id}/skip *",
    "RecoverDeliveries": "POST /api/pms/webhooks/endpoints/{endpoint_id}/recover *",
    "ReplayEvents": "POST /api/pms/webhooks/endpoints/{endpoint_id}/replay *",
    "ReceiveStorefrontWebhook": "POST /api/storefront/webhook *",
    "ReceivePmsWebhook": "POST /api/pms/webhook *",
    "CreateKey": "POST /api/admin/keys/create *",
    "ListKeys": "GET /api/admin/keys",
    "RotateKey": "PUT /api/admin/keys/{key_id}/rotate *",
    "RevokeKey": "PUT /api/admin/keys/{key_id}/revoke *",
    "WhoAmI": "GET /api/storefront/whoami, GET /api/pms/whoami",
    "CreateSession": "POST /api/pms/sessions/create *",
    "EndSession": "PUT /api/pms/sessions/{key_id}/end *",
    "GetStatus": "GET /api/pms/status",
    "ReceiveStripeWebhook": "POST /api/storefront/webhook/stripe *",
}
"""Verb, path and body of every unary method; programs out there are written against them."""

METHODS: list[MethodDescriptor] = [method for service in SERVICES for method in service.methods]


def is_unary(method: MethodDescriptor) -> bool:
    return not (method.client_streaming or method.server_streaming)


def routes(method: MethodDescriptor) -> list[str]:
    http: Any = annotations_pb2.http  # its stub has another type for extensions
    rule: Any = method.GetOptions().Extensions[http]
    return [_route(each) for each in (rule, *rule.additional_bindings) if each.WhichOneof("pattern")]


def _route(rule: Any) -> str:
    verb = rule.WhichOneof("pattern")
    return f"{verb.upper()} {getattr(rule, verb)} {rule.body}".strip()


def test_every_unary_method_has_its_route_and_no_other() -> None:
    assert {method.name: ", ".join(routes(method)) for method in METHODS if is_unary(method)} == ROUTES
    assert not any(routes(method) for method in METHODS if not is_unary(method))


def test_no_two_routes_are_the_same() -> None:
    """Names of variables do not tell routes apart; a literal segment goes before a variable."""
    patterns = Counter(re.sub(r"\{.*?\}", "*", " ".join(each.split()[:2])) for m in METHODS for each in routes(m))
    assert [pattern for pattern, count in patterns.items() if count > 1] == []


@pytest.mark.parametrize("method", [m for m in METHODS if is_unary(m)], ids=lambda method: method.name)
def test_variables_of_a_path_are_fields_of_the_request(method: MethodDescriptor) -> None:
    for route in routes(method):
        for path in re.findall(r"\{(.*?)\}", route):
            message: Descriptor | None = method.input_type
            for name in path.split("."):
                assert message is not None
                message = message.fields_by_name[name].message_type
            assert message is None, f"{path} is a message"


def test_the_verb_tells_whether_a_call_changes_anything() -> None:
    reads = ("Get", "List", "Read", "Count", "BatchGet", "Check", "Explain", "Verify", "WhoAmI")
    for name, route in ROUTES.items():
        assert route.startswith("GET ") == name.startswith(reads), name


def changes_something(method: MethodDescriptor) -> bool:
    """Webhooks apart: they are done once per webhook-id."""
    reads = any(route.startswith("GET ") for route in routes(method))
    return not reads and not method.name.startswith("Watch") and not method.name.endswith("Webhook")


def carriers(message: Descriptor) -> Iterator[Descriptor]:
    """The message itself or, in a batch, the messages of its rows, where they have a request_id."""
    if "request_id" in message.fields_by_name:
        yield message
    else:
        rows = [field.message_type for field in message.fields if field.message_type]
        yield from (row for row in rows if "request_id" in row.fields_by_name)


@pytest.mark.parametrize("method", [m for m in METHODS if changes_something(m)], ids=lambda method: method.name)
def test_every_mutation_has_a_request_id(method: MethodDescriptor) -> None:
    (carrier,) = carriers(method.input_type)
    rules = carrier.fields_by_name["request_id"].GetOptions().Extensions[validate_pb2.field]
    if carrier.name == "ImportProductsRequest":  # a row that breaks a rule is refused in its result
        assert rules.ignore == validate_pb2.IGNORE_ALWAYS
    else:
        assert rules.string.uuid
        assert rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE


def test_no_read_has_a_request_id() -> None:
    assert [m.name for m in METHODS if not changes_something(m) and "request_id" in m.input_type.fields_by_name] == []


def test_everything_is_commented(files: list[FileDescriptorProto]) -> None:
    silent: list[str] = []
    declared = 0
    for file in files:
        comments = {tuple(each.path): each.leading_comments.strip() for each in file.source_code_info.location}
        for path, name in declarations(file, (), file.package):
            declared += 1
            if not comments.get(path):
                silent.append(name)
    assert silent == []
    assert declared > 500, "the walk went past the declarations"


def filled(message: Any) -> Any:
    """The message, with something in each of its fields, and of theirs."""
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value["x"] = "x"
        elif field.message_type is not None:
            filled(value.add() if field.is_repeated else value)
        elif field.is_repeated:
            value.append(1 if field.cpp_type != field.CPPTYPE_STRING else "x")
        else:
            setattr(message, field.name, "x" if field.cpp_type == field.CPPTYPE_STRING else 1)
    return message


def fields_of(message: Any) -> Iterator[str]:
    """Full names of the fields that are set, in all that it consists of."""
    for field, value in message.ListFields():
        yield field.full_name
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else [value]:
                yield from fields_of(each)


def test_storefronts_are_shown_nothing_that_is_for_staff_only(files: list[FileDescriptorProto]) -> None:
    staff_only = set()
    for file in files:
        comments = {tuple(each.path): each.leading_comments.strip() for each in file.source_code_info.location}
        staff_only |= {
            name for path, name in declarations(file, (), file.package) if comments[path].endswith("Staff only.")
        }
    order, event = filled(Order()), Event(actor="x")
    filled(event.order)
    assert len(staff_only & {*fields_of(order), *fields_of(event)}) >= 8
    hide_order(order)
    hide_event(event)
    assert not staff_only & {*fields_of(order), *fields_of(event)}
    assert not event.actor


def test_reasons_are_documented_with_an_example(files: list[FileDescriptorProto]) -> None:
    """Every reason says its code and shows an ErrorInfo that names it."""
    for file in files:
        comments = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
        for index, enum in enumerate(file.enum_type):
            if enum.name != "ErrorReason":
                continue
            for position, value in enumerate(enum.value[1:], start=1):
                comment = comments[5, index, 2, position]
                assert re.match(r" [A-Z_]+( or [A-Z_]+)?: ", comment), value.name
                assert f'"reason": "{value.name.removeprefix("ERROR_REASON_")}"' in comment, value.name


def test_the_server_raises_documented_reasons_only(files: list[FileDescriptorProto]) -> None:
    """One class a reason, with the code that its comment states first."""
    documented: dict[str, str] = {}
    for file in files:
        comments = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}
        for index, enum in enumerate(file.enum_type):
            if enum.name == "ErrorReason":
                for position, value in enumerate(enum.value[1:], start=1):
                    code = comments[5, index, 2, position].split(":")[0].split()[0]
                    documented[value.name.removeprefix("ERROR_REASON_")] = code
    raised = {each.reason: each.code.name for each in errors.Refusal.__subclasses__()}
    assert raised == documented
