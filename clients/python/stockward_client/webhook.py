"""Webhooks that Stockward sends: is it really from there, and what does it say."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict, ParseError
from standardwebhooks import Webhook, WebhookVerificationError
from stockward.event.v1.event_pb2 import Event

from stockward_client.errors import WebhookNotVerified


def verify_webhook(body: bytes | str, headers: Mapping[str, str], secret: str | Iterable[str]) -> Event:
    """The event that a webhook carries; the same as on NATS and from ListEvents.

    Checks the signature as Standard Webhooks 1.0 says, and that the timestamp is within five minutes of now. The same
    event may come more than once: compare `event_id`. A large event comes thin, with its `data` unset: read the
    resource that `aggregate_id` names, or the event itself from ListEvents.

    Args:
        body: The raw body, as it was received.
        headers: The request's headers; case does not matter.
        secret: `whsec_...`; several while they are being changed, any of which will do.

    Raises:
        WebhookNotVerified: It is not from there: answer 401.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    message = "there is no secret to check it with"
    for each in secrets:
        try:
            content: Any = Webhook(each).verify(body, dict(headers))
            # A newer server may tell more than this client knows.
            return ParseDict(content["data"], Event(), ignore_unknown_fields=True)
        except WebhookVerificationError as error:
            message = str(error)
        except (binascii.Error, ValueError, KeyError, TypeError, ParseError) as error:
            message = f"not a webhook of Stockward: {error}"
    raise WebhookNotVerified(message, code=grpc.StatusCode.UNAUTHENTICATED)
