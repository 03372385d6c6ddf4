"""A stack of its own, as small as it can be: what one attacker meets first."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stockward_dev import Envoy, Nats, Postgres, free_port
from stockward_dev.worker import Worker
from stockward_server.bootstrap.database import ensure_key
from stockward_server.config import Settings, variable
from stockward_server.edge import Limits, envoy_config, installed_contract, pages
from stockward_server.runtime.probes import grpc_serves
from stockward_server.storage import database as storage
from tests.attack.attacks import ATTACKER_KEY, BULK_SKUS
from tests.attack.unguarded import removed
from tests.commands import sell
from tests.incoming import SECRET
from tests.shop import KEYS
from torture.stack import errors_in

PAGE_BYTES = 4096


class Server(Worker):
    """`stockward serve`, without one of its guards where `without` names it."""

    without = ""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.attack.process", *([self.without] if self.without else [])]

    def directory(self) -> Path:
        return Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs."""

    server: Server
    edge: Envoy
    grpc_address: str

    @property
    def memory(self) -> int:
        """Resident bytes of server and edge."""
        return sum(resident(service.pid) for service in (self.server, self.edge))

    @property
    def descriptors(self) -> int:
        """Files and connections that server and edge have open."""
        return sum(len(list(Path(f"/proc/{service.pid}/fd").iterdir())) for service in (self.server, self.edge))

    def errors(self) -> list[str]:
        """What the server has logged as unforeseen."""
        return errors_in(self.server)


def resident(pid: int | None) -> int:
    """Bytes of a process in RAM; none once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


@asynccontextmanager
async def running_stack(without: str = "", limits: Limits | None = None) -> AsyncIterator[Stack]:
    """PostgreSQL, NATS, a server with the limits of production, and an edge, in a directory that is deleted. Server and
    edge are without one of their guards where `without` names it."""
    directory = Path(tempfile.mkdtemp(prefix="stockward-attack-"))
    directory.chmod(0o711)  # PostgreSQL's user must pass, where that is another one
    async with AsyncExitStack() as running:
        running.callback(shutil.rmtree, directory, ignore_errors=True)
        postgres = await running.enter_async_context(Postgres(directory / "postgres"))
        nats = await running.enter_async_context(Nats(directory / "nats"))
        url = await postgres.create_database("attack")
        await storage.migrate(url)
        settings = Settings.model_validate({"database_url": url})
        for name, key in {**KEYS, "attacker": ATTACKER_KEY}.items():
            await ensure_key(settings, name, name if name in KEYS else "storefront", key)
        pool = await storage.open_pool(url, 2)
        await sell(pool, HOT=10**8, **dict.fromkeys(BULK_SKUS, 10**6))
        await pool.close()
        address, edge_address = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        variables = {
            "database_url": url,
            "event_queue_url": nats.url,
            "grpc_address": address,
            "server_admin_address": f"127.0.0.1:{free_port()}",
            "webhook_secret": SECRET,
            "reads_per_second": "1000",
            "writes_per_second": "500",
            "bulk_per_second": "100",
        }
        server = Server(
            "server",
            "serve",
            variables={variable(name): value for name, value in variables.items()},
            ready=lambda: grpc_serves(address),
            stop_within=10.0,
            log=directory / "server.log",
            lock=directory / "server.lock",
        )
        server.without = without
        await running.enter_async_context(server)
        with removed(without):
            configuration = envoy_config(installed_contract(), edge_address, [address], pages=pages(), limits=limits)
        edge = await running.enter_async_context(
            Envoy(directory / "edge", {"envoy.json": configuration}, address=edge_address)
        )
        yield Stack(server, edge, address)
