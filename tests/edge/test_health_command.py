"""`stockward health`, by which anyone who keeps containers running learns whether a process serves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stockward_dev import free_port
from stockward_server.bootstrap.server import running_server
from stockward_server.cli import app
from stockward_server.config import Settings, variable
from tests.authority import Authority
from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.events import until
from tests.shop import Shop


async def health(part: str, field: str, address: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setenv(variable(field), address)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["health", *([part] if part else [])])
    return result.exit_code, result.output


async def serving(part: str, field: str, address: str, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits until the command calls it serving: on a busy machine an answer may take longer than the command waits."""
    name = part or "server"

    async def told() -> bool:
        return await health(part, field, address, monkeypatch) == (0, f"{name} at {at}: serving\n")

    await until(told)


async def test_what_serves_and_what_does_not(
    edge_shop: Shop, edge: Edge, start_edge: StartEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = "127.0.0.1:1"
    await serving("edge", "edge_address", edge.address, edge.address, monkeypatch)
    code, output = await health("gateway", "gateway_address", nothing, monkeypatch)
    assert (code, output) == (1, f"gateway at {nothing}: not serving\n")
    async with start_edge(nothing) as alone:
        assert (await health("edge", "edge_address", alone.address, monkeypatch))[0] == 1, "no server is behind it"


@pytest.mark.parametrize("tls", [False, True], ids=["plaintext", "TLS"])
async def test_a_server_serves_until_it_is_stopping(
    edge_settings: Settings, tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = free_port()
    update: dict[str, Any] = {"grpc_address": f"127.0.0.1:{free_port()}"}
    if tls:
        update["tls_cert"], update["tls_key"] = Authority(tmp_path).issue("server", "server")
    async with running_server(edge_settings.model_copy(update=update), f"127.0.0.1:{admin}") as server:
        for name, value in update.items():
            monkeypatch.setenv(variable(name), str(value))
        await serving("", "server_admin_address", f"0.0.0.0:{admin}", f"127.0.0.1:{admin}", monkeypatch)
        server.exposition.readiness.stopping = True
        assert (await health("server", "server_admin_address", f"0.0.0.0:{admin}", monkeypatch))[0] == 1
    assert (await health("server", "server_admin_address", f"0.0.0.0:{admin}", monkeypatch))[0] == 1
