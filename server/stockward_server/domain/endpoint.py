"""Webhook endpoints: their URLs, event types and secrets."""

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
"""Id of the endpoint that STOREFRONT_WEBHOOK_URL creates. It receives the events that a storefront may see; every other
endpoint receives the types that it names."""

MAX_IN_FLIGHT = 32
"""Default limit of concurrent requests to one endpoint."""

MAX_BODY_BYTES = 20_480

HIDDEN = "***"
"""Replaces the value of a header, which may be a credential, in responses; in an update it keeps the value."""

SECRET_BYTES = 32
"""Random bytes of a secret; Standard Webhooks asks for 24 to 64."""

HMAC_PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX = "whsec_", "whsk_", "whpk_"
"""Prefixes of Standard Webhooks for secrets and keys in base64."""


class SecretKind(IntEnum):
    """How a secret signs; the numbers are those of webhook.v1.Endpoint.SecretKind."""

    HMAC = 1
    ED25519 = 2


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that signs, until `expire_time` if it has one. `text` is the secret itself, with the prefix of its
    kind."""

    text: str = field(repr=False)
    create_time: datetime
    expire_time: datetime | None = None
    created_by: str = ""
    """Actor that created it; empty for secrets from before actors were recorded."""

    @property
    def kind(self) -> SecretKind:
        return SecretKind.ED25519 if self.text.startswith(PRIVATE_PREFIX) else SecretKind.HMAC

    @property
    def public_key(self) -> str:
        """The key that a receiver verifies with; empty for HMAC, where that is the secret itself."""
        if self.kind is SecretKind.HMAC:
            return ""
        private = base64.b64decode(self.text.removeprefix(PRIVATE_PREFIX))
        return PUBLIC_PREFIX + base64.b64encode(private[SECRET_BYTES:]).decode()

    @property
    def fingerprint(self) -> str:
        """Identifies a secret without revealing it, see `fingerprint_of`."""
        return fingerprint_of(self.public_key or self.text)


def fingerprint_of(receivers_half: str) -> str:
    """Returns the first 8 hexadecimal digits of a hash of the receiver's key or secret."""
    return sha256(receivers_half.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class NewSecret:
    """Random bytes for a secret: drawn once a call, so that a repeated transaction makes the same secret."""

    seed: bytes = field(default_factory=lambda: random.token_bytes(SECRET_BYTES), repr=False)

    def of(self, kind: SecretKind) -> str:
        """Returns the text of a secret of that kind. An ed25519 key is its 32 random bytes followed by the 32 of its
        public key."""
        if kind is SecretKind.HMAC:
            return HMAC_PREFIX + base64.b64encode(self.seed).decode()
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return PRIVATE_PREFIX + base64.b64encode(self.seed + public).decode()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of events."""

    endpoint_id: str
    url: str
    types: Sequence[str]
    """Event types, such as `order.created`, `order.*` or `*`."""
    create_time: datetime
    update_time: datetime
    description: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers of every request, by name in lower case."""
    rate_limit: float | None = None
    """Requests per second of one gateway process; None: unlimited."""
    max_in_flight: int = MAX_IN_FLIGHT
    max_body_bytes: int = MAX_BODY_BYTES
    enabled: bool = True
    disable_reason: str = ""
    failing_since: datetime | None = None
    """The first failure since the last success."""
    managed: bool = True
    """Whether WebhookService created it; otherwise it comes from the settings."""
    secrets: Sequence[Secret] = ()
    """Secrets that sign now, newest first."""
    version: int = 1
    """Number of the last change by staff."""
    created_by: str = ""
    """Actor that created it; empty for endpoints from before actors were recorded, as is `updated_by`."""
    updated_by: str = ""
    """Actor of the last change."""

    @property
    def news(self) -> EndpointNews:
        """The data of the endpoint's events."""
        state = EndpointState.ENABLED if self.enabled else EndpointState.DISABLED
        return EndpointNews(self.endpoint_id, self.url, state, self.disable_reason, self.failing_since)

    @property
    def etag(self) -> str:
        """Changes with every change by staff (AIP-154)."""
        return etag_of_version(self.version)


class EndpointEdit(TypedDict, total=False):
    """Fields that staff may set; an absent field keeps its value."""

    url: str
    description: str
    types: Sequence[str]
    headers: Mapping[str, str]
    rate_limit: float | None
    max_in_flight: int
    max_body_bytes: int
