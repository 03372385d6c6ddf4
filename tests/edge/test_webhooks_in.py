"""Webhooks in, over HTTP: the bytes arrive as they were signed, and the answers have fitting statuses."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from tests.edge.caller import Edge
from tests.incoming import FOREIGN_SECRET, body_of, signed, stripe_signed
from tests.shop import Shop
from tests.stripe import charge, fresh, intent, refund

PMS, STOREFRONT = "/api/pms/webhook", "/api/storefront/webhook"


def adjusted(sku: str) -> bytes:
    """With white space and an umlaut, which nobody may touch."""
    reason = inventory.ADJUSTMENT_REASON_RECEIVED
    body = body_of("stock.adjusted", inventory.AdjustStockRequest(sku=sku, delta=5, reason=reason, note="für"))
    return b" " + body.replace(b"\\u00fc", "ü".encode()) + b"\n"


async def test_a_webhook_is_done_once(edge: Edge, edge_shop: Shop) -> None:
    await edge_shop.sell("SIGNED")
    body = adjusted("SIGNED")
    headers = signed(body)
    for _ in range(2):
        answer = await edge.call("POST", PMS, body, by=None, headers=headers)
        assert (answer.http, answer.json) == (200, {"webhookId": headers["webhook-id"], "type": "stock.adjusted"})
    assert await edge_shop.counters("SIGNED") == (5, 0, 0)


async def test_stripe_reports_a_payment_from_authorization_to_refund(edge: Edge, edge_shop: Shop) -> None:
    await edge_shop.sell("PAID", 1, price="20.00")
    order = await edge.done("POST", "/api/storefront/orders/create", {"lines": [{"sku": "PAID", "quantity": 1}]})
    named = {"metadata": {"order_id": order["orderId"]}}

    async def reported(event: dict[str, Any]) -> tuple[str, str | None]:
        """State of the payment after the event, and why nothing was done."""
        body = json.dumps(event, ensure_ascii=False).encode()
        answer = await edge.call("POST", f"{STOREFRONT}/stripe", body, by=None, headers=stripe_signed(body))
        assert answer.http == 200, answer.body
        content = answer.json
        ignored = content.pop("ignored", None)
        assert content == {"webhookId": event["id"], "type": event["type"]}
        paid = await edge.get(f"/api/pms/orders/{order['orderId']}", by="pms")
        return paid["payment"]["state"].removeprefix("STATE_"), ignored

    authorized = fresh("payment_intent.amount_capturable_updated", intent(amount_capturable=2000) | named)
    assert await reported(authorized) == ("AUTHORIZED", None)
    captured = fresh("payment_intent.succeeded", intent(amount_received=1500, description="für") | named)
    assert await reported(captured) == ("PARTIALLY_PAID", None)
    released = charge(amount_captured=1500, amount_refunded=500) | named
    assert await reported(fresh("charge.refunded", released)) == ("PARTIALLY_PAID", None)
    assert await reported(fresh("refund.created", refund())) == ("PARTIALLY_REFUNDED", None)
    assert await reported(fresh("refund.failed", refund(status="failed"))) == ("PARTIALLY_PAID", None)
    other = fresh("payment_intent.succeeded", intent(id="pi_other", metadata={}))
    assert await reported(other) == ("PARTIALLY_PAID", "NO_ORDER")
    assert await reported(fresh("invoice.paid", {"object": "invoice"})) == ("PARTIALLY_PAID", "NO_MONEY_MOVED")


@pytest.mark.parametrize("path", [PMS, STOREFRONT, f"{STOREFRONT}/stripe"])
async def test_odd_headers_have_a_documented_status(edge: Edge, path: str) -> None:
    body = body_of("coffee.made", {})
    right = signed(body) | stripe_signed(body)
    for name in right:
        for value in ("", ",", "=", "t=,v1=", "v1," * 500, "\u00e9", "t=9" * 1000, "\u00ff" * 20):
            answer = await edge.call("POST", path, body, by=None, headers=right | {name: value})
            assert (answer.http, answer.reason) in (
                (400, "WEBHOOK_BODY_INVALID"),  # the header is the other scheme's
                (401, "WEBHOOK_SIGNATURE_INVALID"),
                (422, "WEBHOOK_TYPE_UNKNOWN"),
            ), (name, value)


@pytest.mark.parametrize("path", [PMS, STOREFRONT])
async def test_whatever_is_wrong_has_its_status(edge: Edge, path: str) -> None:
    async def refusal(body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        answer = await edge.call("POST", path, body, by=None, headers=headers)
        assert "x-http-status" not in answer.headers
        return answer.http, answer.reason

    unknown = body_of("coffee.made", {})
    assert await refusal(unknown, {}) == (401, "WEBHOOK_SIGNATURE_INVALID")
    assert await refusal(unknown, signed(unknown, secret=FOREIGN_SECRET)) == (401, "WEBHOOK_SIGNATURE_INVALID")
    assert await refusal(unknown + b" ", signed(unknown)) == (401, "WEBHOOK_SIGNATURE_INVALID")
    assert await refusal(unknown, signed(unknown, at=time.time() - 301)) == (401, "WEBHOOK_TIMESTAMP_STALE")
    assert await refusal(unknown, signed(unknown)) == (422, "WEBHOOK_TYPE_UNKNOWN")
    for torn in (b"{", b""):
        assert await refusal(torn, signed(torn)) == (400, "WEBHOOK_BODY_INVALID"), torn


async def test_what_a_webhook_wants_may_be_refused(edge: Edge) -> None:
    body = body_of("order.cancelled", orders.CancelOrderRequest(order_id="01900000-0000-7000-8000-000000000000"))
    answer = await edge.call("POST", STOREFRONT, body, by=None, headers=signed(body))
    assert (answer.http, answer.reason) == (404, "ORDER_NOT_FOUND")
