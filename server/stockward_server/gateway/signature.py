"""Signatures of Standard Webhooks 1.0: `v1` (HMAC-SHA256) by `whsec_` secrets, `v1a` (ed25519) by `whsk_` keys."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Signer = Callable[[bytes], str]
"""Signs `<id>.<timestamp>.<body>`."""

SEED_BYTES = 32
"""Size of an ed25519 private key, in bytes; the public key may follow it."""


@lru_cache(maxsize=1024)
def signer(secret: str) -> Signer:
    """Returns a function that signs with the secret. Raises ValueError when the secret is malformed."""
    prefix, _, encoded = secret.partition("_")
    key = b64decode(encoded, validate=True)
    if prefix == "whsec":
        return lambda signed: "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()
    if prefix == "whsk":
        sign = Ed25519PrivateKey.from_private_bytes(key[:SEED_BYTES]).sign
        return lambda signed: "v1a," + b64encode(sign(signed)).decode()
    raise ValueError("a secret that begins neither with whsec_ nor with whsk_")
