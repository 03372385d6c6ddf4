"""What a client can do wrong: a clear 4xx with a google.rpc.Status in JSON, never a 5xx."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from stockward_server.edge import installed_contract
from stockward_server.edge.contract import routes
from tests.edge.caller import Edge
from tests.known_shop import UNKNOWN_ID
from tests.shop import KEYS, Shop

ORDER = "/api/storefront/orders/create"
MIB = 1024 * 1024


def line(**fields: Any) -> dict[str, Any]:
    return {"lines": [{"sku": "TEE", "quantity": 1, **fields}]}


BODIES: dict[str, tuple[Any, str, list[str]]] = {
    "no JSON": (b'{"lines":[', "REQUEST_MALFORMED", []),
    "nothing but text": (b"hello", "REQUEST_MALFORMED", []),
    "something behind it": (b"{} {}", "REQUEST_MALFORMED", []),
    "a list": ([], "REQUEST_MALFORMED", []),
    "a number": (7, "REQUEST_MALFORMED", []),
    "null": (None, "FIELD_INVALID", ["lines"]),
    "no UTF-8": (b'{"reference":"\xff\xfe"}', "REQUEST_MALFORMED", []),
    "half a character": (b'{"reference":"\\ud800"}', "REQUEST_MALFORMED", []),
    "too deep": (b'{"lines":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "REQUEST_MALFORMED", []),
    "a text for a number": (line(quantity="many"), "REQUEST_MALFORMED", []),
    "a fraction for a number": (line(quantity=1.5), "REQUEST_MALFORMED", []),
    "a number beyond all": (line(quantity=10**30), "REQUEST_MALFORMED", []),
    "a number for a text": (line(sku={"a": 1}), "REQUEST_MALFORMED", []),
    "an object for a list": ({"lines": {"sku": "TEE"}, "reference": 5}, "REQUEST_MALFORMED", []),
    "an enum that is none": ({"paymentTerms": "NEVER"}, "REQUEST_MALFORMED", []),
    "an unknown field": ({**line(), "coupon": "X"}, "FIELD_UNKNOWN", ["coupon"]),
    "an unknown field inside": (line(qty=1), "FIELD_UNKNOWN", ["lines[0].qty"]),
    "an unknown field further on": (
        {"lines": [*line()["lines"], {"sku": 'a \\ " b', "shownUnitPrice": {"currencyCode": "EUR", "cents": 1}}]},
        "FIELD_UNKNOWN",
        ["lines[1].shownUnitPrice.cents"],
    ),
    "an unknown field in disguise": (b'{"l\\u0069nes":[],"c\\u006fupon":1}', "FIELD_UNKNOWN", ["coupon"]),
    "a field that breaks its rule": (line(quantity=-1), "FIELD_INVALID", ["lines[0].quantity"]),
    "a SKU that does not exist": (line(sku="NONE"), "SKU_UNKNOWN", ["lines[0].sku"]),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body(edge: Edge, name: str) -> None:
    body, reason, fields = BODIES[name]
    answer = await edge.call("POST", ORDER, body, by="storefront")
    assert 400 <= answer.http < 500
    assert (answer.reason, answer.fields) == (reason, fields)


ADDRESSES = {
    "unknown path": ("/nothing", 404, "ROUTE_UNKNOWN"),
    "a segment too many": ("/api/storefront/stock/TEE/more", 404, "ROUTE_UNKNOWN"),
    "a segment too few": ("/api/storefront/stock/", 404, "ROUTE_UNKNOWN"),
    "a slash too many": ("/api//storefront/stock/TEE", 404, "ROUTE_UNKNOWN"),
    "another case": ("/API/storefront/stock/TEE", 404, "ROUTE_UNKNOWN"),
    "the path of gRPC": ("/stockward.order.v1.OrderService/GetOrder", 404, "ROUTE_UNKNOWN"),
    "unknown parameter": ("/api/storefront/stock/TEE?color=red", 400, "REQUEST_MALFORMED"),
    "a parameter of another type": ("/api/pms/orders?pageSize=many", 400, "REQUEST_MALFORMED"),
    "an enum that is none": ("/api/pms/orders?states=OPEN", 400, "REQUEST_MALFORMED"),
    "a message as a parameter": (f"/api/pms/orders/{UNKNOWN_ID}?orderId.x=1", 400, "REQUEST_MALFORMED"),
    "a parameter in place of the path": (
        f"/api/pms/orders/{UNKNOWN_ID}?order_id={UNKNOWN_ID}",
        400,
        "REQUEST_MALFORMED",
    ),
    "the same in JSON's spelling": (
        f"/api/pms/orders/{UNKNOWN_ID}?pageSize=1&orderId={UNKNOWN_ID}",
        400,
        "REQUEST_MALFORMED",
    ),
    "the same in disguise": (f"/api/pms/orders/{UNKNOWN_ID}?order%5fI%64={UNKNOWN_ID}", 400, "REQUEST_MALFORMED"),
    "a path that is not UTF-8": ("/api/storefront/stock/%ff%fe", 400, "REQUEST_MALFORMED"),
    "a surrogate in a path": ("/api/storefront/stock/%ED%A0%80", 400, "REQUEST_MALFORMED"),
    "a parameter that is not UTF-8": ("/api/storefront/stock?skus=%C3", 400, "REQUEST_MALFORMED"),
    "NUL": ("/api/storefront/stock/%00", 400, "FIELD_INVALID"),
    "no UUID": ("/api/pms/orders/seven", 400, "FIELD_INVALID"),
    "nothing there": (f"/api/pms/orders/{UNKNOWN_ID}", 404, "ORDER_NOT_FOUND"),
}


@pytest.mark.parametrize("name", ADDRESSES)
async def test_an_address(edge: Edge, name: str) -> None:
    path, http, reason = ADDRESSES[name]
    answer = await edge.call("GET", path, by="pms")
    assert (answer.http, answer.reason) == (http, reason)


SAID = {
    "nothing but text": "the body is not JSON: Unexpected token",
    "a list": "the body must be an object",
    "a text for a number": 'lines[0].quantity: must be a whole number, not "many"',
    "a fraction for a number": "lines[0].quantity: must be a whole number, not 1.5",
    "a number for a text": "lines[0].sku: must not be an object",
    "an object for a list": "reference: must be text, not 5",
    "an enum that is none": 'payment_terms: must be PAYMENT_TERMS_PREPAID or PAYMENT_TERMS_ON_ACCOUNT, not "NEVER"',
}


@pytest.mark.parametrize("name", SAID)
async def test_what_is_wrong_with_a_body_is_said_in_words(edge: Edge, name: str) -> None:
    answer = await edge.call("POST", ORDER, BODIES[name][0], by="storefront")
    assert answer.json["message"] == SAID[name]


async def test_what_is_wrong_is_said_in_words_elsewhere(edge: Edge) -> None:
    async def said(verb: str, path: str, body: Any = None) -> Any:
        return (await edge.call(verb, path, body, by="pms")).json["message"]

    draft = {"product": {"title": "Tee", "publishTime": "yesterday"}}
    time = "product.publish_time: must be a time with its offset, such as 2026-11-22T10:00:00Z"
    assert await said("POST", "/api/pms/products/create", draft) == time
    both = {"sku": "TEE", "delta": 1, "onHand": 2}
    assert await said("POST", "/api/pms/inventory/adjust", both) == "onHand: another field is given that excludes it"
    assert await said("GET", "/api/pms/orders?pageSize=many") == 'page_size: must be a whole number, not "many"'
    assert await said("GET", "/api/storefront/stock/TEE?color=red") == "color: there is no such parameter"
    states = await said("GET", "/api/pms/orders?states=OPEN")
    assert states.startswith("states: must be STATE_PENDING, STATE_PROCESSING, ")
    assert states.endswith(' or STATE_EXPIRED, not "OPEN"')
    hostile = line(quantity='", "message": "x: invalid value 1 for type TYPE_BOOL\n\\ for type TYPE_INT64')
    assert (await said("POST", ORDER, hostile)).startswith("lines[0].quantity: must be a whole number, not ")
    answer = await edge.call("POST", ORDER, line(quantity="x" * MIB), by="storefront")
    assert answer.reason == "REQUEST_MALFORMED"


async def test_no_parameter_replaces_what_stands_in_a_path(edge: Edge) -> None:
    for route in routes(installed_contract()):
        path = re.sub(r"\{.*?\}", UNKNOWN_ID, route.path)
        for name in route.variables:
            for spelled in {name, re.sub("_(.)", lambda found: found[1].upper(), name)}:
                answer = await edge.call(route.verb, f"{path}?{spelled}=other", {} if route.body else None)
                assert (answer.http, answer.reason) == (400, "REQUEST_MALFORMED"), (route.path, spelled)
                assert spelled in answer.json["message"]


@pytest.mark.parametrize("text", ["é", "€", "𝄞", "\ud7fb", "\ufb00", "\U0001f9ff", "a€b𝄞é"])
async def test_text_beyond_ascii_is_read(edge: Edge, text: str) -> None:
    answer = await edge.get(f"/api/storefront/stock?skus=%{text.encode().hex('%')}")
    assert answer["unknownSkus"] == [text]


@pytest.mark.parametrize("text", ["\ud7ff", "\ue000", "\U0010ffff"])
async def test_text_at_the_ends_of_unicode_is_read_and_refused_by_the_server(edge: Edge, text: str) -> None:
    """They are UTF-8, but no characters that a SKU may have."""
    answer = await edge.call("GET", f"/api/storefront/stock?skus=%{text.encode().hex('%')}")
    assert (answer.http, answer.reason, answer.fields) == (400, "FIELD_INVALID", ["skus[0]"])
    assert f"U+{ord(text):04X}" in answer.json["message"]


async def test_who_may_not(edge: Edge) -> None:
    answer = await edge.call("GET", "/api/storefront/stock/TEE", by=None)
    assert (answer.http, answer.reason) == (401, "CREDENTIALS_INVALID")
    answer = await edge.call("GET", "/api/pms/orders", by="storefront")
    assert (answer.http, answer.reason) == (403, "ROLE_NOT_ALLOWED")


async def test_conflicts_and_conditions(edge: Edge, edge_shop: Shop) -> None:
    await edge_shop.sell("RARE", 1)
    answer = await edge.call("POST", ORDER, line(sku="RARE", quantity=2), by="storefront")
    assert (answer.http, answer.reason) == (400, "INSUFFICIENT_STOCK")
    body = {**line(sku="RARE"), "requestId": UNKNOWN_ID}
    await edge.done("POST", ORDER, body, by="storefront")
    answer = await edge.call("POST", ORDER, {**body, "reference": "other"}, by="storefront")
    assert (answer.http, answer.reason) == (409, "REQUEST_ID_REUSED")


async def test_a_huge_body(edge: Edge) -> None:
    for size, http, reason in ((4 * MIB - 100, 400, "FIELD_INVALID"), (4 * MIB + 1, 413, "BODY_TOO_LARGE")):
        body = b'{"product":{"description":"' + b"x" * (size - 29) + b'"}}'
        answer = await edge.call("POST", "/api/pms/products/create", body)
        assert (answer.http, answer.reason) == (http, reason)


CROWDED = {
    "zeros": (b"0", b",", b""),
    "blanks": (b" 0", b" , ", b" "),
    "texts": (b'""', b",", b""),
    "empty objects": (b"{}", b",", b""),
    "nests": (b"[" * 50 + b"]" * 50, b",", b""),
    "lines": (b'{"sku":"TEE","quantity":1}', b",", b""),
}
"""What a list can be full of: an element, what stands between two, and what stands behind the last."""


@pytest.mark.parametrize("name", CROWDED)
async def test_a_body_of_too_many_elements(edge: Edge, name: str) -> None:
    item, between, last = CROWDED[name]
    for size in (MIB, 4 * MIB - 1000):
        count = size // (len(item) + len(between))
        answer = await edge.call("POST", ORDER, b'{"lines":[' + between.join([item] * count) + last + b"]}")
        assert (answer.http, answer.reason) == (413, "BODY_TOO_LARGE")


async def test_names_are_elements_too(edge: Edge) -> None:
    body = b'{"lines":[{' + b",".join([b'"sku":""'] * 100_000) + b"}]}"
    answer = await edge.call("POST", ORDER, body)
    assert (answer.http, answer.reason) == (413, "BODY_TOO_LARGE")


async def test_a_body_of_many_elements_that_are_allowed(edge: Edge) -> None:
    lines = [{"sku": f"NONE-{number}", "quantity": 1} for number in range(800)]
    answer = await edge.done("POST", "/api/storefront/orders/batchCreate", {"requests": [{"lines": lines}] * 20})
    assert {each["error"]["details"][0]["reason"] for each in answer["results"]} == {"SKU_UNKNOWN"}


async def test_a_huge_body_without_a_length(edge: Edge) -> None:
    key = f"authorization: Bearer {KEYS['storefront']}"
    head = f"POST {ORDER} HTTP/1.1\r\nhost: edge\r\n{key}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    chunk = b"%x\r\n" % MIB + b"x" * MIB + b"\r\n"
    answer = await answer_to(edge, head + chunk * 4 + b"1\r\nx\r\n")
    assert b" 413 " in answer.splitlines()[0]
    assert b"BODY_TOO_LARGE" in answer


async def test_huge_headers(edge: Edge) -> None:
    answer = await edge.call("GET", "/api/storefront/stock/TEE", headers={"x-long": "x" * 100_000})
    assert (answer.http, answer.reason) == (431, "HEADERS_TOO_LARGE")
    answer = await edge.call(
        "GET", "/api/storefront/stock?skus=NONE", headers={"x-long": "x" * 50_000, "odd|name": "x"}
    )
    assert answer.http == 200, "the server, which takes less, never sees them"


@pytest.mark.long
@pytest.mark.parametrize(
    "start",
    [
        f"POST {ORDER} HTTP/1.1\r\nhost: edge\r\ncontent-length: 100\r\n\r\n{{",
        f"POST {ORDER} HTTP/1.1\r\nhost: ed",
    ],
    ids=["body", "headers"],
)
async def test_a_slow_client_is_cut_off(hasty_edge: Edge, start: str) -> None:
    answer = await asyncio.wait_for(answer_to(hasty_edge, start.encode()), 20)
    assert b" 408 " in answer.splitlines()[0]
    assert b"REQUEST_TIMEOUT" in answer


async def test_a_client_that_trickles_is_cut_off(hasty_edge: Edge) -> None:
    """Never idle, and never done."""
    reader, writer = await asyncio.open_connection(*hasty_edge.address.split(":"))
    writer.write(f"POST {ORDER} HTTP/1.1\r\nhost: edge\r\ncontent-length: 1000\r\n\r\n".encode())
    answer = asyncio.create_task(reader.readline())
    while not answer.done():
        writer.write(b" ")
        await asyncio.wait((answer,), timeout=0.1)
    assert b" 408 " in answer.result()
    writer.close()


async def test_what_is_no_http(edge: Edge) -> None:
    answer = await answer_to(edge, b"HELO edge\r\n\r\n")
    assert b" 400 " in answer.splitlines()[0]
    assert b"REQUEST_MALFORMED" in answer


async def answer_to(edge: Edge, request: bytes) -> bytes:
    """All that comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection(*edge.address.split(":"))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer
