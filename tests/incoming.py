"""Webhooks to send in, signed by the book: HMAC-SHA256 as the two schemes describe it, without a library of theirs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from stockward.webhook.v1.incoming_pb2 import ReceiveWebhookResponse

from tests.shop import Shop

SECRET, OLD_SECRET, FOREIGN_SECRET, STOREFRONT_SECRET = (
    "whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in range(4)
)
STRIPE_SECRET = "whsec_stripe_test"

Headers = dict[str, str]


def body_of(type_: str, data: Message | dict[str, Any], **fields: object) -> bytes:
    """`data` as proto3 JSON; `fields` come beside it."""
    content = MessageToDict(data) if isinstance(data, Message) else data
    return json.dumps({"type": type_, "timestamp": "2026-11-22T10:00:00Z", "data": content, **fields}).encode()


def signed(body: bytes, webhook_id: str = "", secret: str = SECRET, at: float | None = None) -> Headers:
    """The headers of Standard Webhooks; `at` in seconds since 1970, now unless said."""
    webhook_id = webhook_id or f"msg_{uuid.uuid4()}"
    timestamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


def stripe_signed(body: bytes, secret: str = STRIPE_SECRET, at: float | None = None) -> Headers:
    """Stripe's header."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={timestamp},v1={digest}"}


async def post(shop: Shop, audience: str, body: bytes, headers: Headers) -> ReceiveWebhookResponse:
    """What the edge makes of `POST /api/<audience>/webhook`: raw bytes, headers as metadata, no key."""
    method = getattr(shop.keyless.incoming, f"Receive{audience.capitalize()}Webhook")
    request = HttpBody(content_type="application/json", data=body)
    response: ReceiveWebhookResponse = await method(request, metadata=tuple(headers.items()))
    return response


async def deliver(shop: Shop, audience: str, type_: str, data: Message | dict[str, Any], webhook_id: str = "") -> str:
    """Sends a webhook that must be taken; answers its id."""
    body = body_of(type_, data)
    headers = signed(body, webhook_id)
    response = await post(shop, audience, body, headers)
    assert (response.webhook_id, response.type) == (headers["webhook-id"], type_)
    return response.webhook_id


async def deliver_stripe(shop: Shop, event: dict[str, Any]) -> ReceiveWebhookResponse:
    """Sends an event as Stripe does, which must be accepted."""
    body = json.dumps(event).encode()
    response = await post(shop, "stripe", body, stripe_signed(body))
    assert (response.webhook_id, response.type) == (event["id"], event["type"])
    return response
