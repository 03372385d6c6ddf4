"""`stockward serve --workers`: several processes behind one port, each replaced when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import pytest

from stockward_dev import free_port
from stockward_server.config import Settings, variable
from stockward_server.runtime.probes import grpc_serves
from tests.scrape import ask, scrape, value
from tests.shop import is_answered

pytestmark = pytest.mark.long

WORKERS = 2
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a program's children are looked up in Linux's /proc")


class Server:
    """The command under test."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, admin: Sequence[str]) -> None:
        self.process = process
        self.address = address
        self.admin = admin
        """Where each worker reports its state."""

    def workers(self) -> set[int]:
        """Process ids."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return set(map(int, children.split()))

    async def answers(self, connections: int = 16) -> list[bool]:
        """Whether a call is answered, over each of so many connections."""

        async def ask() -> bool:
            options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
            async with grpc.aio.insecure_channel(self.address, options=options) as channel:
                return await is_answered(channel, seconds=2)

        return await asyncio.gather(*(ask() for _ in range(connections)))

    def listening(self) -> int:
        """Sockets that take connections at the port, see proc_net_tcp(5)."""
        port = f"{int(self.address.rpartition(':')[2]):04X}"
        tables = (Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
        sockets = [line.split() for table in tables for line in table]
        return sum(fields[1].endswith(f":{port}") and fields[3] == "0A" for fields in sockets)

    async def until_all_answer(self) -> None:
        async with asyncio.timeout(30):
            while self.listening() < WORKERS or not all(await self.answers()) or not all(await self.report()):
                await asyncio.sleep(0.05)

    async def report(self) -> list[bool]:
        """Whether the metrics of each worker can be read: they begin to be beside the calls, at no fixed moment."""
        return [(await ask(address, "/metrics"))[0] == 200 for address in self.admin]


def admin_addresses() -> list[str]:
    """Ports that follow on one another."""
    first = free_port()
    while free_port(first + 1) != first + 1:
        first = free_port()
    return [f"127.0.0.1:{first}", f"127.0.0.1:{first + 1}"]


def command(settings: Settings, address: str, admin: str = "127.0.0.1:9464") -> tuple[list[str], dict[str, str]]:
    environment = {
        variable("database_url"): settings.database_url.get_secret_value(),
        variable("event_queue_url"): settings.event_queue_url.get_secret_value(),
        variable("grpc_address"): address,
        variable("server_admin_address"): admin,
    }
    program = [sys.executable, "-P", "-m", "stockward_server.cli", "serve", "--workers", str(WORKERS)]
    return program, {**os.environ, **environment}


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Server]:
    address = f"127.0.0.1:{free_port()}"
    admin = admin_addresses()
    program, environment = command(settings, address, admin[0])
    process = await asyncio.create_subprocess_exec(*program, env=environment)
    try:
        assert await grpc_serves(address, 60)
        yield Server(process, address, admin)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@LINUX
async def test_connections_are_spread_and_a_dead_worker_is_replaced(server: Server) -> None:
    await server.until_all_answer()
    for address in server.admin:
        samples = await scrape(address)
        assert (value(samples, "stockward_ready"), value(samples, "stockward_database_up")) == (1, 1)
    by_first, by_second = [await scrape(address) for address in server.admin]
    assert "stockward_audit_discrepancies" in by_first, "it audits for all"
    assert "stockward_audit_discrepancies" not in by_second
    first, second = server.workers()
    os.kill(first, signal.SIGSTOP)
    spread = await server.answers()
    os.kill(first, signal.SIGKILL)
    assert any(spread), "every connection went to the worker that was stopped"
    assert not all(spread), "no connection went to the worker that was stopped"
    await server.until_all_answer()
    assert first not in server.workers()
    assert second in server.workers()


@LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_no_worker_outlives_it(server: Server, number: signal.Signals) -> None:
    await server.until_all_answer()
    workers = server.workers()
    server.process.send_signal(number)
    assert await server.process.wait() == (0 if number == signal.SIGTERM else -number)
    async with asyncio.timeout(20):
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            await asyncio.sleep(0.02)


async def test_a_port_that_is_taken_is_refused(server: Server, settings: Settings) -> None:
    program, environment = command(settings, server.address)
    process = await asyncio.create_subprocess_exec(*program, env=environment, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert f"cannot listen on {server.address}" in errors.decode()
