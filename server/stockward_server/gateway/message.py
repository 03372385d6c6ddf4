"""An event as a webhook: its body, and the headers of Standard Webhooks 1.0."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from google.protobuf.json_format import MessageToDict
from standardwebhooks import Webhook
from stockward.event.v1.event_pb2 import Event

from stockward_server import __version__

USER_AGENT = f"Stockward/{__version__}"


@lru_cache(maxsize=128)  # an event usually goes to several endpoints
def body_of(payload: bytes) -> str:
    """`{"type": "order.created", "timestamp": ..., "data": <the Event in proto JSON>}`.

    `data` has `eventId`, `aggregateId` and `aggregateVersion` beside what happened. Fields that are zero or empty are
    written, too: `"available": "0"` is news. The same event always makes the same body.
    """
    event = Event.FromString(payload)
    data = MessageToDict(event, always_print_fields_with_no_presence=True)
    body = {"type": event.type, "timestamp": data.get("time"), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def headers_of(event_id: str, body: str, secrets: Sequence[str], now: datetime) -> Mapping[str, str]:
    """Signed with each of the secrets: one that the receiver knows is enough. ValueError when there is none."""
    if not secrets:
        raise ValueError("nothing to sign with")
    signatures = (Webhook(secret).sign(event_id, now, body) for secret in secrets)
    return {
        "content-type": "application/json; charset=utf-8",
        "user-agent": USER_AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
