"""An event as a webhook: its body, and the headers of Standard Webhooks 1.0."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from urllib.parse import urlencode

from cachetools import LRUCache, cached
from stockward.event.v1.event_pb2 import Event

from stockward_server import __version__
from stockward_server.gateway.json_text import json_text
from stockward_server.gateway.signature import signer
from stockward_server.wire.storefront_view import hide_event

USER_AGENT = f"Stockward/{__version__}"

EVENTS_PATH = "/api/storefront/events"
"""Path of EventService.ListEvents, which every key may call."""

BODY_BYTES = 16 * 2**20
"""Approximate size of the cache of bodies, in bytes."""


@cached(LRUCache(BODY_BYTES, getsizeof=lambda body: 2 * len(body)))  # an event usually goes to several endpoints
def body_of(payload: bytes, for_storefront: bool = False) -> bytes:
    """Returns the body `{"type": "order.created", "timestamp": ..., "data": <the Event in proto JSON>}`.

    `data` has `eventId`, `aggregateId` and `aggregateVersion` beside the event's own fields. Fields that are zero or
    empty are written, too: `"available": "0"` is information. The same event always has the same body; the body for a
    storefront differs, without the fields for staff only.
    """
    event = Event.FromString(payload)
    if for_storefront:
        hide_event(event)
    timestamp = json_text(event.time) if event.HasField("time") else "null"
    return f'{{"type":{json.dumps(event.type)},"timestamp":{timestamp},"data":{json_text(event)}}}'.encode()


def thin_body_of(payload: bytes, public_url: str) -> bytes:
    """Returns a body without the event's own fields, for an event whose full body would be too large.

    `link` lists the aggregate's events of this type, this one among them: below `public_url`, the edge's public
    address, or relative when that is not known (empty).
    """
    event = Event.FromString(payload)
    time = event.time.ToJsonString() if event.HasField("time") else None
    query = urlencode({"aggregate_id": event.aggregate_id, "types": event.type})
    data = {
        "eventId": event.event_id,
        "type": event.type,
        "aggregateType": event.aggregate_type,
        "aggregateId": event.aggregate_id,
        "aggregateVersion": str(event.aggregate_version),
        "time": time,
        "truncated": True,
        "link": f"{public_url.rstrip('/')}{EVENTS_PATH}?{query}",
    }
    body = {"type": event.type, "timestamp": time, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(
    event_id: str,
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
    custom: Mapping[str, str] = MappingProxyType({}),
    traceparent: str = "",
) -> Mapping[str, str]:
    """Returns the headers, signed with each of the secrets: the receiver needs to know one of them.

    `custom` headers, by name in lower case, are added; they cannot replace those of the message and its signature.
    Raises ValueError without a secret.
    """
    if not secrets:
        raise ValueError("nothing to sign with")
    timestamp = str(int(now.timestamp()))
    signed = b"%b.%b.%b" % (event_id.encode(), timestamp.encode(), body)
    return {
        "user-agent": USER_AGENT,
        **custom,
        **({"traceparent": traceparent} if traceparent else {}),
        "content-type": "application/json; charset=utf-8",
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join([signer(secret)(signed) for secret in secrets]),
    }
