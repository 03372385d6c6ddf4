"""Endpoints, deliveries and replays that are refused: where webhooks may go, what they carry, and what is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.webhook.v1 import webhook_pb2 as pb

from tests.endpoints import create_endpoint
from tests.known_shop import UNKNOWN_ID, Bad, Known, assert_refused, cases, invalid


def bad(request: Message | Callable[[Known], Message], reason: str, field: str, /, **metadata: str) -> Bad:
    return Bad(request, "INVALID_ARGUMENT", reason, [field], metadata)


URLS = {
    url: bad(create_endpoint(url), "ENDPOINT_URL_INVALID", "endpoint.url")
    for url in (
        "ftp://shop.example/in",
        "javascript:alert(1)",
        "//shop.example/in",
        "/in",
        "https://",
        "https:///in",
        "https://shop.example:0x50/in",
        "https://shop.example:99999/in",
        "https://user@shop.example/in",
        "https://user:secret@shop.example/in",
        "https://@shop.example/in",
        "https://shop.example/in#part",
        "https://shop.example/a b",
        "https://shop.example/\r\nhost: other",
        "https://shöp.example/in",
        "https://[::1/in",
    )
} | {
    "none": invalid(create_endpoint(""), "endpoint.url"),
    "too long": invalid(create_endpoint("https://shop.example/" + "x" * 2048), "endpoint.url"),
    "updated": bad(
        lambda known: pb.UpdateEndpointRequest(
            endpoint=pb.Endpoint(endpoint_id=known.endpoints["ENABLED"], url="ftp://shop.example")
        ),
        "ENDPOINT_URL_INVALID",
        "endpoint.url",
    ),
}

REPLAY: Callable[..., Message] = lambda *types: pb.ReplayEventsRequest(endpoint_id=UNKNOWN_ID, types=types)  # noqa: E731
TYPES = {
    "name": bad(
        create_endpoint(types=["order.*", "order.shipped"]),
        "ENDPOINT_TYPE_UNKNOWN",
        "endpoint.types[1]",
        type="order.shipped",
        known="order.*, order.created, order.processing, order.partially_fulfilled, order.fulfilled, order.cancelled, "
        "order.expired, order.returned, order.charged, order.updated, order.edited, order.noted, "
        "order.held, order.released, order.fulfillment_updated, order.fulfillment_cancelled, "
        "order.return_announced, o…",  # no text of a refusal is longer
    ),
    "area": bad(
        create_endpoint(types=["invoice.*"]),
        "ENDPOINT_TYPE_UNKNOWN",
        "endpoint.types[0]",
        known="*, product.*, stock.*, reservation.*, order.*, payment.*, endpoint.*",
    ),
    "list": bad(pb.ListDeliveriesRequest(types=["stock.gone"]), "ENDPOINT_TYPE_UNKNOWN", "types[0]"),
    "replay": bad(REPLAY("stock.*", "x.y"), "ENDPOINT_TYPE_UNKNOWN", "types[1]"),
    "none": invalid(create_endpoint(types=[]), "endpoint.types"),
    "twice": invalid(create_endpoint(types=["order.*", "order.*"]), "endpoint.types"),
    "no type at all": invalid(create_endpoint(types=["order"]), "endpoint.types[0]"),
    "wildcard inside": invalid(create_endpoint(types=["order.c*"]), "endpoint.types[0]"),
    "too many": invalid(create_endpoint(types=[f"order.{'x' * n}" for n in range(1, 52)]), "endpoint.types"),
}


def header(name: str, value: str = "x", **others: str) -> Message:
    return create_endpoint(headers={name: value, **others})


HEADERS = {
    name: bad(header(name), "ENDPOINT_HEADER_INVALID", f'endpoint.headers["{name}"]', header=name)
    for name in (
        *("webhook-id", "Webhook-Signature", "webhook-anything", "content-type", "Content-Length", "content-encoding"),
        *("host", "Connection", "keep-alive", "te", "trailer", "transfer-encoding", "Upgrade", "expect"),
        *("proxy-authorization", "proxy-connection"),
    )
} | {
    "twice": bad(header("X-Key", **{"x-key": "y"}), "ENDPOINT_HEADER_INVALID", 'endpoint.headers["x-key"]'),
    "too much": bad(
        create_endpoint(headers={f"x-{n}": "x" * 1500 for n in range(3)}), "ENDPOINT_HEADER_INVALID", "endpoint.headers"
    ),
    "too many": invalid(create_endpoint(headers={f"x-{n}": "x" for n in range(21)}), "endpoint.headers"),
    "blank in the name": invalid(header("a b"), 'endpoint.headers["a b"]'),
    "colon in the name": invalid(header("a:"), 'endpoint.headers["a:"]'),
    "no name": invalid(header(""), 'endpoint.headers[""]'),
    "no value": invalid(header("x-a", ""), 'endpoint.headers["x-a"]'),
    "second line": invalid(header("x-a", "b\r\nhost: other"), 'endpoint.headers["x-a"]'),
    "not ASCII": invalid(header("x-a", "ü"), 'endpoint.headers["x-a"]'),
}

LIMITS = {
    "rate": invalid(create_endpoint(rate_limit=-1), "endpoint.rate_limit"),
    "rate of next to nothing": invalid(create_endpoint(rate_limit=0.001), "endpoint.rate_limit"),
    "rate that is no number": invalid(create_endpoint(rate_limit=float("nan")), "endpoint.rate_limit"),
    "in flight": invalid(create_endpoint(max_in_flight=257), "endpoint.max_in_flight"),
    "body": invalid(create_endpoint(max_body_bytes=1023), "endpoint.max_body_bytes"),
    "great body": invalid(create_endpoint(max_body_bytes=2**20 + 1), "endpoint.max_body_bytes"),
    "description": invalid(create_endpoint(description="x" * 1001), "endpoint.description"),
    "reason": invalid(pb.DisableEndpointRequest(endpoint_id=UNKNOWN_ID, reason="x" * 301), "reason"),
    "overlap": invalid(pb.RotateSecretRequest(endpoint_id=UNKNOWN_ID, overlap=Duration(seconds=31 * 86400)), "overlap"),
    "overlap of less": invalid(pb.RotateSecretRequest(endpoint_id=UNKNOWN_ID, overlap=Duration(seconds=-1)), "overlap"),
    "kind": invalid(pb.RotateSecretRequest(endpoint_id=UNKNOWN_ID, kind=7), "kind"),  # type: ignore[arg-type]
    "recovery": invalid(
        pb.RecoverDeliveriesRequest(endpoint_id=UNKNOWN_ID, start_time=Timestamp(), limit=10_001), "limit"
    ),
    "recovery since": invalid(pb.RecoverDeliveriesRequest(endpoint_id=UNKNOWN_ID), "start_time"),
    "replay": invalid(pb.ReplayEventsRequest(endpoint_id=UNKNOWN_ID, types=["*"], limit=-1), "limit"),
    "replay of all": invalid(pb.ReplayEventsRequest(endpoint_id=UNKNOWN_ID), "start_time"),
    "state": invalid(pb.ListDeliveriesRequest(states=[0]), "states[0]"),  # type: ignore[list-item]
    "mask": invalid(
        pb.UpdateEndpointRequest(endpoint=pb.Endpoint(endpoint_id=UNKNOWN_ID), update_mask=FieldMask(paths=["secret"])),
        "update_mask",
    ),
    "update to nothing": invalid(
        lambda known: pb.UpdateEndpointRequest(
            endpoint=pb.Endpoint(endpoint_id=known.endpoints["ENABLED"]), update_mask=FieldMask(paths=["types"])
        ),
        "endpoint.types",
    ),
    "name": invalid(pb.UpdateEndpointRequest(endpoint=pb.Endpoint(endpoint_id="a/b")), "endpoint.endpoint_id"),
    "position": Bad(
        pb.ReplayEventsRequest(endpoint_id=UNKNOWN_ID, types=["*"], cursor="AAAA"),
        "INVALID_ARGUMENT",
        "PAGE_TOKEN_INVALID",
        ["cursor"],
    ),
}


def missing(request: Any, **fields: Any) -> Bad:
    metadata = {"endpoint_id": UNKNOWN_ID}
    return Bad(request(endpoint_id=UNKNOWN_ID, **fields), "NOT_FOUND", "ENDPOINT_NOT_FOUND", ["endpoint_id"], metadata)


def no_delivery(request: Any) -> Bad:
    return Bad(
        lambda known: request(endpoint_id=known.endpoints["ENABLED"], event_id=UNKNOWN_ID),
        "NOT_FOUND",
        "DELIVERY_NOT_FOUND",
        [],
        {"event_id": UNKNOWN_ID},
    )


ENDPOINTS = {
    "get": missing(pb.GetEndpointRequest),
    "update": missing(lambda endpoint_id: pb.UpdateEndpointRequest(endpoint=pb.Endpoint(endpoint_id=endpoint_id))),
    "delete": missing(pb.DeleteEndpointRequest),
    "enable": missing(pb.EnableEndpointRequest),
    "disable": missing(pb.DisableEndpointRequest),
    "rotate": missing(pb.RotateSecretRequest),
    "expire": missing(pb.ExpireSecretsRequest),
    "ping": missing(pb.PingEndpointRequest),
    "deliveries": missing(pb.ListDeliveriesRequest),
    "delivery": missing(pb.GetDeliveryRequest, event_id=UNKNOWN_ID),
    "retry": missing(pb.RetryDeliveryRequest, event_id=UNKNOWN_ID),
    "skip": missing(pb.SkipDeliveryRequest, event_id=UNKNOWN_ID),
    "recover": missing(pb.RecoverDeliveriesRequest, start_time=Timestamp()),
    "replay": missing(pb.ReplayEventsRequest, types=["*"]),
}
DELIVERIES = {
    "get": no_delivery(pb.GetDeliveryRequest),
    "retry": no_delivery(pb.RetryDeliveryRequest),
    "skip": no_delivery(pb.SkipDeliveryRequest),
}

CASES = cases(url=URLS, type=TYPES, header=HEADERS, limit=LIMITS, endpoint=ENDPOINTS, delivery=DELIVERIES)


@pytest.mark.parametrize("name", CASES)
async def test_it_is_refused_with_a_reason_and_without_effect(known: Known, name: str) -> None:
    await assert_refused(known, CASES[name])
