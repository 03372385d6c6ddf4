"""Key sets of token issuers with any content: they are read, or cannot be read."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stockward_server.auth.token_keys import TokenKeys
from stockward_server.domain.errors import TokenKeysUnavailable
from tests.contract.outside import NO_JSON, json_bytes, odd_json

NAMES = ("kty", "kid", "alg", "use", "key_ops", "k", "n", "e", "crv", "x", "y", "d")
USUAL = ("RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "RS256", "ES256", "EdDSA", "AQAB", "AA", "sig")

keys = st.fixed_dictionaries({}, optional={name: st.sampled_from(USUAL) | odd_json for name in NAMES})
key_sets = st.fixed_dictionaries({"keys": st.lists(keys | odd_json, max_size=3) | odd_json}) | odd_json


@settings(max_examples=300, deadline=None)
@given(key_sets.map(json_bytes) | st.sampled_from(NO_JSON))
@example(json_bytes({"keys": [{"kty": "oct"}]}))
@example(json_bytes({"keys": [{"kty": []}]}))
@example(json_bytes({"keys": [{"kty": "EC", "crv": {}}]}))
@example(json_bytes({"keys": [{"kty": "RSA", "alg": "RS256", "n": "AQAB", "e": "AQAB", "kid": {}}]}))
def test_a_key_set_with_any_content(content: bytes) -> None:
    async def read() -> bytes:
        return content

    async def refresh() -> Any:
        with contextlib.suppress(TokenKeysUnavailable):
            await TokenKeys(read, ("RS256", "ES256", "EdDSA"), 0).refresh()

    asyncio.run(refresh())
