"""The TypeScript client's tests, `clients/typescript/test`, against a stack of `stockward run` or a server with TLS."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockward_dev import free_port
from stockward_server.bootstrap.database import ensure_key
from stockward_server.bootstrap.server import running_server
from stockward_server.config import Settings
from tests.authority import Authority
from tests.clients.test_subjects import TYPED, published
from tests.shop import KEYS
from tests.stack import Stack, new_stack
from tests.terminal import clean_environment

pytestmark = pytest.mark.long

PACKAGE = Path(__file__).resolve().parents[2] / "clients" / "typescript"
IN_CI = os.environ.get("CI") == "true"

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def package() -> Path:
    """The client, compiled: `tsc` checks its types strictly, those of its tests and examples included."""
    if not IN_CI and not shutil.which("node"):
        pytest.skip("Node.js is not installed")
    if not IN_CI and not (PACKAGE / "node_modules").is_dir():
        pytest.skip("the TypeScript client's packages are not installed: npm ci --prefix clients/typescript")
    shutil.rmtree(PACKAGE / "dist", ignore_errors=True)
    compiled = subprocess.run(["npm", "run", "build"], cwd=PACKAGE, capture_output=True, text=True, timeout=100)
    assert compiled.returncode == 0, compiled.stdout
    return PACKAGE


@pytest.fixture(scope="module")
def stack(package: Path) -> Iterator[Stack]:
    for stack in new_stack():
        stack.up()
        yield stack


IN_BROWSER = ("browser.test", "console.test", "console_pages.test")

FILES = sorted({path.stem for path in PACKAGE.glob("test/*.test.ts")} - {"tls.test"})


@pytest.mark.parametrize(
    "file", [pytest.param(each, marks=pytest.mark.long) if each in IN_BROWSER else each for each in FILES]
)
def test_the_client(file: str, package: Path, stack: Stack) -> None:
    if file in IN_BROWSER and not CHROMIUM.exists() and (not IN_CI or "WITHOUT_BROWSER" in os.environ):
        pytest.skip(f"there is no {CHROMIUM}")
    ended = node(stack, "--test", "--test-timeout=110000", str(package / "dist" / "test" / f"{file}.js"))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_subjects_agree_with_the_relay(package: Path) -> None:
    module = (package / "dist" / "src" / "subjects.js").as_uri()
    script = f"""
        import {{ readFileSync }} from "node:fs";
        import {{ subjectFor }} from "{module}";
        const skus = JSON.parse(readFileSync(0, "utf8"));
        console.log(JSON.stringify(skus.map((sku) => subjectFor(sku, "changed"))));
    """
    command = ("node", "--input-type=module", "--eval", script)
    ended = subprocess.run(command, input=json.dumps(TYPED), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [published(sku) for sku in TYPED]


async def test_the_client_over_tls(package: Path, settings: Settings, tmp_path: Path) -> None:
    authority, strange = Authority(tmp_path), Authority(tmp_path, "strange")
    (cert, key), (client_cert, client_key) = authority.issue("server", "server"), authority.issue("client", "client")
    address = f"127.0.0.1:{free_port()}"
    update = {"grpc_address": address, "tls_cert": cert, "tls_key": key, "tls_client_ca": authority.ca}
    await ensure_key(settings, "pms", "pms", KEYS["pms"])
    async with running_server(settings.model_copy(update=update)):
        process = await asyncio.create_subprocess_exec(
            *("node", "--test", "--test-timeout=110000", str(package / "dist" / "test" / "tls.test.js")),
            env=clean_environment()
            | {"ADDRESS": address, "KEY": KEYS["pms"], "CA": str(authority.ca), "STRANGE_CA": str(strange.ca)}
            | {"CLIENT_CERT": str(client_cert), "CLIENT_KEY": str(client_key)},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


def node(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it where the stack's `.stockward/run.json` is."""
    return subprocess.run(
        ["node", *arguments],
        cwd=stack.directory,
        env=clean_environment()
        | {"CHROMIUM": str(CHROMIUM), "PYTHON": sys.executable, "NATS_PUBLISHER": stack.nats_publisher},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_order_of_the_readme(package: Path, stack: Stack) -> None:
    _, _, code = (package / "examples" / "order.ts").read_text().partition("*/\n\n")
    assert f"```ts\n{code}```" in (PACKAGE.parents[1] / "README.md").read_text()
    ended = node(stack, str(package / "dist" / "examples" / "order.js"))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("FULFILLED {")
    assert "available: 8n" in ended.stdout
