"""The TypeScript client's tests, `clients/typescript/test`, against a stack that `stockward run` starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, new_stack
from tests.terminal import clean_environment

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


@pytest.mark.parametrize("file", sorted(path.stem for path in PACKAGE.glob("test/*.test.ts")))
def test_the_client(file: str, package: Path, stack: Stack) -> None:
    if file == "browser.test" and not CHROMIUM.exists() and (not IN_CI or "WITHOUT_BROWSER" in os.environ):
        pytest.skip(f"there is no {CHROMIUM}")
    ended = node(stack, "--test", "--test-timeout=60000", str(package / "dist" / "test" / f"{file}.js"))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def node(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it where the stack's `.stockward/run.json` is."""
    return subprocess.run(
        ["node", *arguments],
        cwd=stack.directory,
        env=clean_environment() | {"CHROMIUM": str(CHROMIUM), "PYTHON": sys.executable},
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
