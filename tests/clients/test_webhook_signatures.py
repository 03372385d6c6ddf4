"""What the gateway signs, receivers verify with standardwebhooks or svix, in Python or Node.js."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stockward_server.gateway.message import body_of, headers_of
from tests.events import event

PACKAGE = Path(__file__).resolve().parents[2] / "clients" / "typescript"

OLD, NEW, FOREIGN = (f"whsec_{b64encode(letter * 32).decode()}" for letter in (b"o", b"n", b"f"))
ED25519 = f"whsk_{b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()}"

BODY = body_of(event("größe €", 3).SerializeToString())

CASES = {
    "one secret": ([OLD], OLD),
    "rotating: the receiver has the old one": ([NEW, OLD], OLD),
    "rotating: the receiver has the new one": ([NEW, OLD], NEW),
    "beside an ed25519 key": ([ED25519, NEW, OLD], OLD),
}

VERIFY = """
import { Webhook } from "standardwebhooks";
import { Webhook as Svix } from "svix";
import { readFileSync } from "node:fs";

const results = [];
for (const { secret, body, headers } of JSON.parse(readFileSync(0, "utf8"))) {
  for (const library of [Webhook, Svix]) {
    try {
      new library(secret).verify(body, headers);
      results.push("genuine");
    } catch (error) {
      results.push(error.constructor.name);
    }
  }
}
console.log(JSON.stringify(results));
"""


def signed(secrets: list[str]) -> dict[str, str]:
    return dict(headers_of("0190-id", BODY, secrets, datetime.now(UTC)))


@pytest.mark.parametrize(("secrets", "known"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("library", [standardwebhooks, svix], ids=["standardwebhooks", "svix"])
def test_python(library: Any, secrets: list[str], known: str) -> None:
    headers = signed(secrets)
    library.Webhook(known).verify(BODY, headers)  # raises when it is not genuine
    with pytest.raises(library.webhooks.WebhookVerificationError):
        library.Webhook(FOREIGN).verify(BODY, headers)
    with pytest.raises(library.webhooks.WebhookVerificationError):
        library.Webhook(known).verify(BODY + b" ", headers)


def test_nodejs() -> None:
    """Every case right, with a secret that did not sign, and with a body that was changed."""
    if not (PACKAGE / "node_modules" / "svix").is_dir() and os.environ.get("CI") != "true":
        pytest.skip("the TypeScript client's packages are not installed: npm ci --prefix clients/typescript")
    node = shutil.which("node")
    assert node
    asked = []
    for secrets, known in CASES.values():
        headers, body = signed(secrets), BODY.decode()
        asked.append({"secret": known, "body": body, "headers": headers})
        asked.append({"secret": FOREIGN, "body": body, "headers": headers})
        asked.append({"secret": known, "body": body + " ", "headers": headers})
    verified = subprocess.run(
        [node, "--input-type=module", "-e", VERIFY],
        cwd=PACKAGE,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert verified.returncode == 0, verified.stderr
    each = ["genuine"] * 2 + ["WebhookVerificationError"] * 4
    assert json.loads(verified.stdout) == each * len(CASES)
