"""A token issuer to test with: real keys, tokens signed by them, and a real HTTP server for the public halves."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from stockward_dev import free_port
from stockward_server.config import Settings

ISSUER = "https://id.shop.example"
AUDIENCE = "stockward"


def new_key(algorithm: str) -> Any:
    """A private key for that algorithm."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key: Any, key_id: str, algorithm: str) -> dict[str, Any]:
    """Its public half, as key sets have it."""
    kinds: dict[str, Any] = {"ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    jwk: dict[str, Any] = json.loads(kinds.get(algorithm, RSAAlgorithm).to_jwk(key.public_key()))
    return jwk | {"kid": key_id, "alg": algorithm, "use": "sig"}


class Issuer:
    """Signs tokens, and serves its keys."""

    def __init__(self) -> None:
        self.private: dict[str, tuple[Any, str]] = {}
        self.url = ""
        self.reads = 0
        self.status = 200
        self.body: bytes | None = None
        """Served in place of the keys."""

    def add(self, key_id: str, algorithm: str) -> None:
        self.private[key_id] = new_key(algorithm), algorithm

    def key_set(self) -> dict[str, Any]:
        return {"keys": [public_jwk(key, key_id, algorithm) for key_id, (key, algorithm) in self.private.items()]}

    def settings(self, folder: Path, database_url: str, event_queue_url: str) -> Settings:
        """Returns the settings of a server that accepts the issuer's tokens, those of customers too."""
        key_set = folder / "keys.json"
        key_set.write_text(json.dumps(self.key_set()))
        return Settings.model_validate(
            {
                "database_url": database_url,
                "event_queue_url": event_queue_url,
                "jwks_file": key_set,
                "jwt_issuer": ISSUER,
                "jwt_audience": AUDIENCE,
                "jwt_customer_claim": "customer_id",
            }
        )

    def token(self, key_id: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A good token of staff, but for `claims`; None leaves one out."""
        key, algorithm = self.private[key_id]
        said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 600, "role": "pms", **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, key, algorithm, headers={"kid": key_id, **(header or {})})

    async def _answer(self, request: web.Request) -> web.Response:
        self.reads += 1
        body = json.dumps(self.key_set()).encode() if self.body is None else self.body
        if self.status == 302 and request.path == "/keys":
            raise web.HTTPFound("/moved")
        return web.Response(body=body, status=200 if self.status == 302 else self.status)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Issuer]:
        """On a free port, at `url`."""
        app = web.Application()
        app.router.add_get("/keys", self._answer)
        app.router.add_get("/moved", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}/keys"
        try:
            yield self
        finally:
            await runner.cleanup()
