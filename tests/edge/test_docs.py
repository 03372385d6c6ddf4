"""What README.md and the pages of the edge show can be typed as it stands."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, new_stack

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    for stack in new_stack():
        stack.up()
        yield stack


def shown(page: str, index: int) -> str:
    """One of the shell blocks of a page."""
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return blocks[index]


async def typed(commands: str, directory: Path) -> list[str]:
    """Runs them in a shell that ends at the first failure; the lines that they print."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", commands),
        cwd=directory,
        env={**os.environ, "PATH": path},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode().replace("}{", "}\n{").splitlines()


@pytest.mark.long
async def test_an_order_with_curl(stack: Stack) -> None:
    published, level, stock, order, pending = map(
        json.loads, await typed(shown("docs/how-to/storefront/order-with-curl.md", 0), stack.directory)
    )
    assert published["state"] == "STATE_PUBLISHED"
    assert (level["onHand"], stock["available"]) == ("10", "10")
    assert order["orderId"] in [each["orderId"] for each in pending["orders"]]
    assert order["totals"]["net"] == {"currencyCode": "EUR", "units": "25", "nanos": 0}


@pytest.mark.long
async def test_an_envoy_in_production(tmp_path: Path) -> None:
    said = await typed(shown("docs/how-to/operator/run-the-edge.md", 0).rstrip() + " --mode validate", tmp_path)
    assert said[-1].endswith("OK")
