"""REST: every route of the contract, as JSON in lower camel case."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from stockward.catalog.v1 import catalog_pb2 as catalog

from stockward_server.edge.contract import Route, installed_contract, routes
from stockward_server.gateway.message import thin_body_of
from stockward_server.wire.consistency_token import HEADER
from tests.edge.caller import Edge
from tests.known_shop import METHODS, UNKNOWN_ID
from tests.shop import Shop, money

ROUTES = routes(installed_contract())


def filled(route: Route) -> str:
    """The path, with the id of nothing in it."""
    return re.sub(r"\{.*?\}", UNKNOWN_ID, route.path)


def test_every_unary_method_has_a_route() -> None:
    unary = {method.name for method in METHODS if not (method.client_streaming or method.server_streaming)}
    assert {route.method.name for route in ROUTES} == unary


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.verb} {route.path}")
async def test_a_route_leads_to_its_method(edge: Edge, route: Route) -> None:
    """A caller whom the method does not know is refused by the server, and nobody else."""
    unknown = {"authorization": "Bearer swk_nobody"}
    body: dict[str, str] | None = {} if route.body else None
    answer = await edge.call(route.verb, filled(route), body, by=None, headers=unknown)
    missing = "WEBHOOK_SIGNATURE_INVALID" if route.is_signed else "CREDENTIALS_INVALID"
    assert (answer.http, answer.reason) == (401, missing)
    if route.is_signed:
        return
    answer = await edge.call(route.verb, filled(route), body)
    assert answer.http in (200, 400, 404), answer.body
    if answer.http != 200:
        assert answer.reason not in ("ROUTE_UNKNOWN", "REQUEST_MALFORMED", "FIELD_UNKNOWN")
    else:
        assert answer.json is not None


@pytest.mark.parametrize("path", sorted({filled(route) for route in ROUTES}))
async def test_other_verbs_are_refused(edge: Edge, path: str) -> None:
    allowed = {route.verb for route in ROUTES if re.fullmatch(route.pattern, path)}
    for verb in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
        answer = await edge.call(verb, path, {} if verb != "GET" else None)
        assert (answer.http, answer.reason) == (405, "METHOD_NOT_ALLOWED")
        assert set(answer.headers["allow"].split(", ")) == allowed
    assert (await edge.call("HEAD", path)).http == 405


async def test_a_change_answers_with_the_token_of_its_commit(edge: Edge, edge_shop: Shop) -> None:
    """Callers send it with what they read next; the answer to a read has none."""
    await edge_shop.sell("TOKEN", 2)
    body = {"lines": [{"sku": "TOKEN", "quantity": "1"}]}
    tokens = []
    for _ in range(2):
        answer = await edge.call("POST", "/api/storefront/orders/create", body, by="storefront")
        assert answer.http == 200
        tokens.append(answer.headers[HEADER])
    assert tokens == sorted(set(tokens))
    answer = await edge.call("GET", "/api/pms/orders", by="pms", headers={HEADER: tokens[1]})
    assert (answer.http, HEADER in answer.headers) == (200, False)


async def test_an_order_from_first_to_last(edge: Edge) -> None:
    product = await edge.done(
        "POST",
        "/api/pms/products/create",
        {
            "product": {
                "title": "Tee",
                "productType": "shirt",
                "attributes": {"any key": "any value"},
                "variants": [{"sku": "TEE/L", "price": {"currencyCode": "EUR", "units": "19", "nanos": 900000000}}],
            }
        },
        by="pms",
    )
    assert (product["productType"], product["state"]) == ("shirt", "STATE_DRAFT")
    product_id = product["productId"]
    patch = f"/api/pms/products/{product_id}?updateMask=title,vendor"
    changed = await edge.done("PATCH", patch, {"title": "Shirt", "vendor": "Weaver"}, by="pms")
    assert (changed["title"], changed["vendor"], changed["productType"]) == ("Shirt", "Weaver", "shirt")
    await edge.done("PUT", f"/api/pms/products/{product_id}/publish", {}, by="pms")

    # Zero is there for all to see, and so is what is empty.
    stock = await edge.get("/api/storefront/stock/TEE%2FL", by="storefront")
    assert (stock["available"], stock["inStock"]) == ("0", False)
    assert (await edge.get("/api/pms/orders/pending", by="pms"))["nextPageToken"] == ""

    received = {"sku": "TEE/L", "delta": 5, "reason": "ADJUSTMENT_REASON_RECEIVED"}
    assert (await edge.done("POST", "/api/pms/inventory/adjust", received, by="pms"))["onHand"] == "5"
    lines = [{"sku": "TEE/L", "quantity": "2"}]
    held = await edge.done(
        "POST", "/api/storefront/reservations/create", {"lines": lines, "ttl": "60s"}, by="storefront"
    )
    order = await edge.done(
        "POST", "/api/storefront/orders/create", {"reservationId": held["reservationId"]}, by="storefront"
    )
    assert order["totals"]["net"] == {"currencyCode": "EUR", "units": "39", "nanos": 800000000}
    assert (await edge.get("/api/storefront/stock/TEE%2FL", by="storefront"))["available"] == "3"
    pending = await edge.get("/api/pms/orders/pending?pageSize=1000", by="pms")
    assert order["orderId"] in [each["orderId"] for each in pending["orders"]]

    path = f"/api/pms/orders/{order['orderId']}"
    payment = {
        "provider": "test",
        "providerEventId": order["orderId"],
        "kind": "KIND_CAPTURED",
        "amount": order["totals"]["net"],
    }
    assert (await edge.done("POST", f"{path}/payments", payment, by="pms"))["payment"]["state"] == "STATE_PAID"
    await edge.done("PUT", f"{path}/process", {}, by="pms")
    await edge.done("PUT", f"{path}/fulfill", None, by="pms")  # no body at all is an empty message
    assert (await edge.get(path, by="pms"))["state"] == "STATE_FULFILLED"
    history = await edge.get("/api/pms/inventory/history?sku=TEE%2FL&pageSize=2", by="pms")
    assert [each["kind"] for each in history["movements"]] == ["KIND_FULFILLED", "KIND_CONVERTED"]
    events = await edge.get("/api/storefront/events?pageSize=1000", by="storefront")
    assert events["events"]


async def test_a_repetition_answers_the_same(edge: Edge, edge_shop: Shop) -> None:
    await edge_shop.sell("AGAIN", 5)
    body = {"lines": [{"sku": "AGAIN", "quantity": 1}], "requestId": "6b1e7c1a-6d5e-4c39-8f53-0d4a2d1c8c11"}
    first, second = [await edge.done("POST", "/api/storefront/orders/create", body) for _ in range(2)]
    assert first == second
    assert (await edge_shop.counters("AGAIN"))[2] == 1


async def test_the_trace_of_a_caller_comes_through(edge: Edge, edge_shop: Shop) -> None:
    await edge_shop.sell("TRACED", 1)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"lines": [{"sku": "TRACED", "quantity": "1"}]}
    order = await edge.done("POST", "/api/storefront/orders/create", body, headers={"traceparent": trace})
    told = await edge_shop.pool.fetch("SELECT traceparent FROM events WHERE aggregate_id = $1", order["orderId"])
    assert [row["traceparent"] for row in told] == [trace]


async def test_a_storefront_cannot_tell_what_is_not_for_sale_from_nothing(edge: Edge, edge_shop: Shop) -> None:
    product_id = await edge_shop.sell("WITHDRAWN", 3)
    assert (await edge.get("/api/storefront/stock/WITHDRAWN", by="storefront"))["available"] == "3"
    await edge.done("PUT", f"/api/pms/products/{product_id}/unpublish", {}, by="pms")
    assert (await edge.get("/api/storefront/stock/WITHDRAWN", by="pms"))["available"] == "3"
    line = {"sku": "WITHDRAWN", "quantity": "1"}
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/api/storefront/stock/WITHDRAWN", None),
        ("GET", "/api/storefront/stock?skus=WITHDRAWN", None),
        ("GET", "/api/storefront/events?aggregate_id=WITHDRAWN@main", None),
        ("GET", "/api/storefront/products?search=WITHDRAWN", None),
        ("POST", "/api/storefront/reservations/create", {"lines": [line]}),
        ("POST", "/api/storefront/orders/create", {"lines": [line]}),
    ]
    for verb, path, body in asked:
        told = await edge.call(verb, path, body, by="storefront")
        other = json.loads(json.dumps(body).replace("WITHDRAWN", "NOBODYHAS"))
        nothing = await edge.call(verb, path.replace("WITHDRAWN", "NOBODYHAS"), other, by="storefront")
        assert (told.http, told.body.replace(b"WITHDRAWN", b"NOBODYHAS")) == (nothing.http, nothing.body), path


async def test_products_are_found_by_a_search_a_handle_or_a_sku(edge: Edge, edge_shop: Shop) -> None:
    product = catalog.Product(title="Brûlé bracelet", variants=[catalog.Variant(sku="KT-INS114-DRE", price=money("5"))])
    made = await edge_shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=product))
    for query in (
        "search=brule",
        "search=BR%C3%9BL%C3%89+brac",
        "search=INS114",
        "handle=brule-bracelet",
        "sku=KT-INS114-DRE",
    ):
        found = await edge.get(f"/api/pms/products?{query}", by="pms")
        assert [each["productId"] for each in found["products"]] == [made.product_id], query
        assert (await edge.get(f"/api/storefront/products?{query}", by="storefront"))["products"] == []
    await edge_shop.pms.catalog.PublishProduct(catalog.PublishProductRequest(product_id=made.product_id))
    seen = await edge.get("/api/storefront/products?handle=brule-bracelet", by="storefront")
    assert [each["productId"] for each in seen["products"]] == [made.product_id]


async def test_a_thousand_skus_fit_into_an_address(edge: Edge) -> None:
    skus = [f"{number:0>64}" for number in range(1000)]
    answer = await edge.get(f"/api/storefront/stock?{'&'.join(f'skus={sku}' for sku in skus)}")
    assert answer["unknownSkus"] == skus


async def test_an_answer_of_megabytes(edge: Edge, edge_shop: Shop) -> None:
    for number in range(60):
        variants = [catalog.Variant(sku=f"LONG-{number}", price=money("1.00"))]
        product = catalog.Product(title="Long", description="x" * 50_000, variants=variants)
        await edge_shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=product))
    answer = await edge.call("GET", "/api/pms/products?pageSize=1000&search=Long", by="pms")
    assert answer.http == 200
    assert 2_000_000 < len(answer.body) < 2_500_000  # as many products as 2 MiB have room for
    token = quote(answer.json["nextPageToken"])
    rest = await edge.get(f"/api/pms/products?pageSize=1000&search=Long&pageToken={token}", by="pms")
    assert len(answer.json["products"]) + len(rest["products"]) == 60


async def test_the_link_of_a_thin_webhook_answers_its_event(edge: Edge, edge_shop: Shop) -> None:
    sku = "THIN #1/&"
    await edge_shop.sell(sku, 3)
    row = await edge_shop.pool.fetchrow(
        "SELECT event_id::text, payload FROM events WHERE type = 'stock.changed' AND aggregate_id = $1", f"{sku}@main"
    )
    assert row
    link = json.loads(thin_body_of(row["payload"], edge.url))["data"]["link"]
    answer = await edge.get(link.removeprefix(edge.url), by="storefront")
    assert [each["eventId"] for each in answer["events"]] == [row["event_id"]]
    assert answer["events"][0]["stock"]["onHand"] == "3"
