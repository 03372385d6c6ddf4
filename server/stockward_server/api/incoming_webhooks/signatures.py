"""Signatures of webhooks that come in, checked on the raw body: Standard Webhooks 1.0, and Stripe's own scheme.

Stripe's is ten lines over `hmac`; its package would bring a client of its whole API along.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from standardwebhooks import Webhook, WebhookVerificationError

from stockward_server.domain.errors import WebhookSignatureInvalid, WebhookTimestampStale

TOLERANCE = 300.0
"""Seconds that a timestamp may be away from our clock, either way."""

Headers = Mapping[str, str]
"""By name in lower case."""


def verify_standard(body: bytes, headers: Headers, secrets: Sequence[str]) -> tuple[str, str]:
    """Returns the webhook's id and the secret that has signed it; WebhookSignatureInvalid or WebhookTimestampStale."""
    webhook_id, timestamp, _ = [_header(headers, f"webhook-{name}") for name in ("id", "timestamp", "signature")]
    _check_time(timestamp, "webhook-timestamp")
    for secret in secrets:
        try:
            Webhook(secret).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):  # the latter for what is no signature or no text at all
            continue
        return webhook_id, secret
    raise WebhookSignatureInvalid.by_no_secret("webhook-signature")


def verify_stripe(body: bytes, headers: Headers, secrets: Sequence[str]) -> None:
    """Passes when one of the secrets has signed `<t>.<body>` and the header has it as a `v1`; raises as above."""
    parts = [part.strip().partition("=") for part in _header(headers, "stripe-signature").split(",")]
    timestamp = next((value for key, _, value in parts if key == "t"), "")
    signatures = [value.encode() for key, _, value in parts if key == "v1"]
    _check_time(timestamp, "stripe-signature")
    signed = timestamp.encode() + b"." + body
    for secret in secrets:
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return
    raise WebhookSignatureInvalid.by_no_secret("stripe-signature")


def _header(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if not value:
        raise WebhookSignatureInvalid.without_header(name)
    return value


def _check_time(timestamp: str, header: str) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise WebhookSignatureInvalid.without_time(header)
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        raise WebhookTimestampStale(header, TOLERANCE)
