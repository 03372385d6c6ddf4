"""Webhooks in, over HTTP: the bytes arrive as they were signed, and the answers have fitting statuses."""

from __future__ import annotations

import json
import time

import pytest
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from tests.edge.caller import Edge
from tests.incoming import FOREIGN_SECRET, body_of, signed, stripe_signed
from tests.shop import Shop
from tests.stripe import fresh, intent

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


async def test_stripe_reports_a_payment(edge: Edge, edge_shop: Shop) -> None:
    await edge_shop.sell("PAID", 1)
    order = await edge.done("POST", "/api/storefront/orders/create", {"lines": [{"sku": "PAID", "quantity": 1}]})
    due = order["totals"]["due"]
    cents = int(due["units"]) * 100 + due["nanos"] // 10**7
    metadata = {"order_id": order["orderId"]}
    event = fresh("payment_intent.succeeded", intent(amount=cents, amount_received=cents, metadata=metadata))
    body = json.dumps(event).encode()
    answer = await edge.call("POST", f"{STOREFRONT}/stripe", body, by=None, headers=stripe_signed(body))
    assert answer.http == 200, answer.body
    paid = await edge.get(f"/api/pms/orders/{order['orderId']}", by="pms")
    assert paid["payment"]["state"] == "STATE_PAID"


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
