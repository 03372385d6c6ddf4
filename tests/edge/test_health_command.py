"""`stockward health`, by which whoever keeps containers running learns whether a process serves."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

from stockward_server.cli import app
from stockward_server.config import variable
from stockward_server.embedded import free_port
from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.shop import Shop


async def health(part: str, field: str, address: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setenv(variable(field), address)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["health", *([part] if part else [])])
    return result.exit_code, result.output


async def test_what_serves_and_what_does_not(
    edge_shop: Shop, edge: Edge, start_edge: StartEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = f"127.0.0.1:{free_port()}"
    everywhere = f"0.0.0.0:{edge_shop.address.rpartition(':')[2]}"
    assert await health("", "grpc_address", everywhere, monkeypatch) == (0, f"server at {edge_shop.address}: serving\n")
    assert await health("edge", "edge_address", edge.address, monkeypatch) == (0, f"edge at {edge.address}: serving\n")
    assert (await health("server", "grpc_address", nothing, monkeypatch))[0] == 1
    code, output = await health("gateway", "gateway_address", nothing, monkeypatch)
    assert (code, output) == (1, f"gateway at {nothing}: not serving\n")
    async with start_edge(nothing) as alone:
        assert (await health("edge", "edge_address", alone.address, monkeypatch))[0] == 1, "no server is behind it"
