"""Webhook endpoints: who is notified of events, where, and with which secrets."""

from __future__ import annotations

import base64
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from hashlib import sha256
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stockward_server.domain.etag import etag_of_version
from stockward_server.domain.event import EndpointNews, EndpointState

STOREFRONT = "storefront"
"""Id of the endpoint that STOREFRONT_WEBHOOK_URL makes. It is sent what a storefront may see; every other endpoint gets
the types that it names."""

MAX_IN_FLIGHT = 32
"""Requests to one endpoint at the same time, where nobody says otherwise."""

MAX_BODY_BYTES = 20_480

HIDDEN = "***"
"""Stands for the value of a header, which may be a credential: it is shown in its place, and keeps it in a change."""

SECRET_BYTES = 32
"""Random bytes of a secret; Standard Webhooks asks for 24 to 64."""

HMAC_PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX = "whsec_", "whsk_", "whpk_"
"""What Standard Webhooks puts before the base64 of a secret or key."""


class SecretKind(IntEnum):
    """How a secret signs; the numbers are those of webhook.v1.Endpoint.SecretKind."""

    HMAC = 1
    ED25519 = 2


@dataclass(frozen=True, slots=True)
class Secret:
    """What signs, until `expire_time` if it has one. `text` is the secret itself, with the prefix of its kind."""

    text: str = field(repr=False)
    create_time: datetime
    expire_time: datetime | None = None
    created_by: str = ""
    """Actor who made it; empty for what was done before it was recorded."""

    @property
    def kind(self) -> SecretKind:
        return SecretKind.ED25519 if self.text.startswith(PRIVATE_PREFIX) else SecretKind.HMAC

    @property
    def public_key(self) -> str:
        """What a receiver verifies with; empty for HMAC, where that is the secret itself."""
        if self.kind is SecretKind.HMAC:
            return ""
        private = base64.b64decode(self.text.removeprefix(PRIVATE_PREFIX))
        return PUBLIC_PREFIX + base64.b64encode(private[SECRET_BYTES:]).decode()

    @property
    def fingerprint(self) -> str:
        """Distinguishes secrets and gives none away, see `fingerprint_of`."""
        return fingerprint_of(self.public_key or self.text)


def fingerprint_of(receivers_half: str) -> str:
    """The first 8 hexadecimal digits of a hash of what the receiver has."""
    return sha256(receivers_half.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What a call makes a secret of: drawn once a call, so that a transaction that is done again makes the same one."""

    seed: bytes = field(default_factory=lambda: random.token_bytes(SECRET_BYTES), repr=False)

    def of(self, kind: SecretKind) -> str:
        """The text of that kind. An ed25519 key is its 32 bytes of chance and the 32 of its public half behind them."""
        if kind is SecretKind.HMAC:
            return HMAC_PREFIX + base64.b64encode(self.seed).decode()
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return PRIVATE_PREFIX + base64.b64encode(self.seed + public).decode()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somebody who is notified of events."""

    endpoint_id: str
    url: str
    types: Sequence[str]
    """Such as `order.created`, `order.*` or `*`."""
    create_time: datetime
    update_time: datetime
    description: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request; by name in lower case."""
    rate_limit: float | None = None
    """Requests a second of one gateway process; None: unlimited."""
    max_in_flight: int = MAX_IN_FLIGHT
    max_body_bytes: int = MAX_BODY_BYTES
    enabled: bool = True
    disable_reason: str = ""
    failing_since: datetime | None = None
    """The first failure since the last success."""
    managed: bool = True
    """Whether it was made by WebhookService; else by the settings."""
    secrets: Sequence[Secret] = ()
    """Those that sign now, newest first."""
    version: int = 1
    """Number of the last change by staff."""
    created_by: str = ""
    """Actor who made it; empty for what was done before it was recorded, as of the next one."""
    updated_by: str = ""
    """Actor of the last change."""

    @property
    def news(self) -> EndpointNews:
        """What events tell of it."""
        state = EndpointState.ENABLED if self.enabled else EndpointState.DISABLED
        return EndpointNews(self.endpoint_id, self.url, state, self.disable_reason, self.failing_since)

    @property
    def etag(self) -> str:
        """Changes with every change by staff (AIP-154)."""
        return etag_of_version(self.version)


class EndpointEdit(TypedDict, total=False):
    """What staff may set; a field that is not there stays as it is."""

    url: str
    description: str
    types: Sequence[str]
    headers: Mapping[str, str]
    rate_limit: float | None
    max_in_flight: int
    max_body_bytes: int
