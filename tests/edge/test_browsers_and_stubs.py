"""Browsers (CORS, gRPC-Web) and gRPC stubs on the same port."""

from __future__ import annotations

import struct

import grpc
import pytest
from google.protobuf.message import Message
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.known_shop import line, order, sync
from tests.shop import KEYS, Shop, callers, refused

PAGE = "https://shop.example"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-grpc-web,stockward-consistency-token",
}


@pytest.mark.parametrize("path", ["/api/storefront/orders/create", "/stockward.order.v1.OrderService/CreateOrder"])
async def test_a_page_may_ask(edge: Edge, path: str) -> None:
    answer = await edge.call("OPTIONS", path, by=None, headers=PREFLIGHT)
    assert answer.http == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"]
    assert all(name in allowed for name in PREFLIGHT["access-control-request-headers"].split(","))


async def test_a_page_sees_answers_and_errors(edge: Edge) -> None:
    for path, http in (("/api/storefront/stock?skus=NONE", 200), ("/api/storefront/stock?color=red", 400)):
        answer = await edge.call("GET", path, headers={"origin": PAGE})
        assert (answer.http, answer.headers["access-control-allow-origin"]) == (http, PAGE)
        assert "grpc-status-details-bin" in answer.headers["access-control-expose-headers"]


async def test_other_sites_can_be_kept_out(edge_shop: Shop, start_edge: StartEdge) -> None:
    async with start_edge(edge_shop.address, origins=[PAGE]) as edge:
        for origin, allowed in ((PAGE, PAGE), ("https://elsewhere.example", None)):
            for verb, headers in (("OPTIONS", PREFLIGHT), ("GET", {})):
                answer = await edge.call(verb, "/api/storefront/stock?skus=NONE", headers={**headers, "origin": origin})
                assert (answer.http, answer.headers.get("access-control-allow-origin")) == (200, allowed)


async def web(edge: Edge, path: str, request: Message, by: str = "storefront") -> tuple[bytes, dict[str, str]]:
    """A gRPC-Web call: the message and the trailers, which may be headers where there is no message."""
    frame = struct.pack(">BI", 0, request.ByteSize()) + request.SerializeToString()
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": PAGE}
    answer = await edge.call("POST", path, frame, by=by, headers=headers)
    assert answer.http == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    message, trailers, rest = b"", dict(answer.headers), answer.body
    while rest:
        kind, size = struct.unpack(">BI", rest[:5])
        content, rest = rest[5 : 5 + size], rest[5 + size :]
        if kind & 0x80:
            trailers |= dict(each.split(":", 1) for each in content.decode().split("\r\n") if each)
        else:
            message = content
    return message, trailers


async def test_grpc_web(edge: Edge, edge_shop: Shop) -> None:
    await edge_shop.sell("WEB", 2)
    message, trailers = await web(
        edge,
        "/stockward.inventory.v1.InventoryService/GetAvailability",
        inventory.GetAvailabilityRequest(sku="WEB"),
    )
    assert inventory.Availability.FromString(message).available == 2
    assert trailers["grpc-status"] == "0"
    message, trailers = await web(edge, "/stockward.order.v1.OrderService/CreateOrder", order(line("WEB", 3)))
    assert (message, trailers["grpc-status"]) == (b"", "9")
    assert trailers["grpc-status-details-bin"]


async def test_stubs(edge: Edge, edge_shop: Shop) -> None:
    await edge_shop.sell("STUB", 3)
    stubs = callers(edge.address, KEYS["pms"])
    try:
        placed = await stubs.orders.CreateOrder(order(line("STUB", 2)))
        assert placed.state == orders.Order.STATE_PENDING
        refusal = await refused(stubs.orders.CreateOrder(order(line("STUB", 2))))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
        rows = [inventory.SyncStockRequest.Row(sku="STUB", on_hand=units) for units in (7, 8)]
        answers = [each async for each in stubs.inventory.SyncStock(iter([sync(row) for row in rows]))]
        assert [each.results[0].on_hand for each in answers] == [7, 8]
    finally:
        await stubs.channel.close()
