"""The stack under torture: PostgreSQL, NATS, and servers, relays and gateways, with proxies between all of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from stockward_dev import Postgres, free_port
from stockward_dev.service import Service
from stockward_dev.worker import Worker
from stockward_server.bootstrap.database import ensure_key
from stockward_server.config import Settings, variable
from stockward_server.runtime.probes import grpc_serves
from stockward_server.storage import database as storage
from stockward_server.storage.database import Pool
from tests.faults.full_disk import LimitedNats
from tests.faults.proxy import PostgresProxy, Proxy
from tests.faults.wrong_clock import Clock, wrong_clock
from tests.incoming import SECRET
from tests.shop import KEYS
from torture.listeners import Receiver
from torture.usage import Usage, usage_of

DATABASE = "torture"
MAX_CONNECTIONS = 60
RELAYS = GATEWAYS = 2
POOL_SIZE = 6
CLOCK_OFFSET = 120
"""Seconds by which clocks are slow or fast. Signed webhooks tolerate five minutes."""

ENTRY = re.compile(r"\d{4}-\d\d-\d\d ")
"""Beginning of a log entry; other lines belong to the traceback of the entry before."""

LINES = 12
"""Maximum number of last lines of a traceback that are printed."""


def most_connections(servers: int) -> int:
    """Returns the maximum connections of servers, relays, gateways (a pool and the feed), monitors, and this
    process."""
    return servers * POOL_SIZE + RELAYS + GATEWAYS * (4 + 1) + 2 * (servers + RELAYS) + 4


@dataclass(frozen=True, slots=True)
class Ways:
    """The proxies to and from a process."""

    postgres: PostgresProxy
    nats: Proxy
    clients: Proxy | None = None
    """Proxy from clients to a server."""

    @property
    def all(self) -> list[Proxy]:
        return [way for way in (self.postgres, self.nats, self.clients) if way]


class Process(Worker):
    """`python -m torture.process`."""

    def __init__(
        self, name: str, role: str, broken: str, ways: Ways, clock: Clock | None = None, **options: object
    ) -> None:
        super().__init__(name, role, **options)  # type: ignore[arg-type]
        self.role = role
        self.ways = ways
        self.clock = clock
        self._arguments = [role, broken] if broken else [role]

    def command(self) -> list[str]:
        return [sys.executable, "-m", "torture.process", *self._arguments]

    def directory(self) -> Path:
        return Path(__file__).resolve().parents[1]


class Stack:
    """The running stack and its controls. `pool` and `database_url` bypass all proxies."""

    def __init__(
        self,
        postgres: Postgres,
        nats: LimitedNats,
        processes: Mapping[str, Process],
        addresses: list[str],
        receivers: Mapping[str, Receiver],
        pool: Pool,
    ) -> None:
        self.postgres = postgres
        self.nats = nats
        self.processes = processes
        self.addresses = addresses
        """Addresses of the proxies in front of the servers."""
        self.receivers = receivers
        self.pool = pool
        self.most_connections = most_connections(len(addresses))

    @property
    def database_url(self) -> str:
        return self.postgres.url(DATABASE)

    @property
    def nats_url(self) -> str:
        return self.nats.url

    def of(self, role: str) -> list[Process]:
        return [each for each in self.processes.values() if each.role == role]

    def service(self, name: str) -> Service:
        """Returns a service by name: `postgres`, `nats`, `server-1` and so on."""
        return {"postgres": self.postgres, "nats": self.nats, **self.processes}[name]

    async def heal(self) -> None:
        """Restarts all processes and reopens all proxies."""
        for process in self.processes.values():
            for way in process.ways.all:
                way.heal()
            if process.clock:
                process.clock.turn(process.clock.seconds)
        if self.nats.room is not None:
            await self.nats.limit(None)
        for service in (self.postgres, self.nats, *self.processes.values()):
            thaw(service)
            if service.pid is None:
                await service.start()

    @property
    def commits_lost(self) -> int:
        """Number of COMMITs lost so far, in any way."""
        return sum(process.ways.postgres.losses for process in self.processes.values())

    async def usage(self) -> Usage:
        """Returns the usage of servers, relays and gateways."""
        tasks = 0
        for process in self.processes.values():
            tasks += await count_tasks(process)
        return await usage_of([each.pid for each in self.processes.values() if each.pid], tasks, self.pool)

    def errors(self) -> list[str]:
        """Returns unexpected errors that the processes logged."""
        return [line for process in self.processes.values() for line in errors_in(process)]


def errors_in(process: Worker) -> list[str]:
    """Returns unexpected errors that the process logged."""
    entries: list[list[str]] = []
    for line in process.log.read_text(errors="replace").splitlines() if process.log.exists() else []:
        if ENTRY.match(line) or not entries:
            entries.append([])
        entries[-1].append(line)
    return [f"{process.name}: {' '.join([head, *trace[-LINES:]])}" for head, *trace in entries if " ERROR " in head]


def family(service: Service) -> list[int]:
    """Returns the pids of its process and children, which for PostgreSQL are the sessions."""
    if service.pid is None:
        return []
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text()
        return [service.pid, *map(int, children.split())]
    return [service.pid]


def freeze(service: Service) -> None:
    _signal(service, signal.SIGSTOP)


def thaw(service: Service) -> None:
    _signal(service, signal.SIGCONT)


def _signal(service: Service, number: signal.Signals) -> None:
    for pid in family(service):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def count_tasks(process: Process) -> int:
    """Returns the number of asyncio tasks of a process, which it logs on a signal."""
    if process.pid is None:
        return 0
    async with asyncio.timeout(30):
        while not _hears(process.pid, signal.SIGUSR1):  # a new process without a handler would die of it
            await asyncio.sleep(0.02)
        size = process.log.stat().st_size
        os.kill(process.pid, signal.SIGUSR1)
        while True:
            with process.log.open("rb") as log:
                log.seek(size)
                if found := re.search(rb"torture: (\d+) tasks", log.read()):
                    return int(found[1])
            await asyncio.sleep(0.02)


def _hears(pid: int, number: signal.Signals) -> bool:
    """Returns whether the process has a handler for the signal."""
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


@asynccontextmanager
async def running_stack(broken: str = "", servers: int = 2) -> AsyncIterator[Stack]:
    """Runs the stack in a directory that is deleted afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="stockward-torture-"))
    directory.chmod(0o711)  # PostgreSQL may run as another user, who needs access
    async with AsyncExitStack() as running:
        running.callback(shutil.rmtree, directory, ignore_errors=True)
        settings = {"max_connections": str(MAX_CONNECTIONS), "checkpoint_timeout": "30s", "shared_buffers": "64MB"}
        postgres = await running.enter_async_context(Postgres(directory / "postgres", settings=settings))
        nats = await running.enter_async_context(LimitedNats(directory / "nats"))
        url = await postgres.create_database(DATABASE)
        await storage.migrate(url)
        for role, key in KEYS.items():
            await ensure_key(Settings.model_validate({"database_url": url}), role, role, key)
        receivers = {name: await running.enter_async_context(Receiver.listening()) for name in ("storefront", "pms")}
        pool = await storage.open_pool(url, 4)
        running.push_async_callback(pool.close)

        library = wrong_clock(directory)
        processes: dict[str, Process] = {}
        addresses: list[str] = []
        for role, count in (("server", servers), ("relay", RELAYS), ("gateway", GATEWAYS)):
            for number in range(1, count + 1):
                name, address = f"{role}-{number}", f"127.0.0.1:{free_port()}"
                ways = Ways(
                    await running.enter_async_context(PostgresProxy(url)),
                    await running.enter_async_context(Proxy(f"127.0.0.1:{nats.port}")),
                    await running.enter_async_context(Proxy(address)) if role == "server" else None,
                )
                clock = Clock(library, name, CLOCK_OFFSET * (-1) ** number) if library else None
                processes[name] = Process(
                    name,
                    role,
                    broken,
                    ways,
                    clock,
                    variables={
                        **variables(ways.postgres.url, f"nats://{ways.nats.address}", address, receivers),
                        **(clock.variables if clock else {}),
                    },
                    ready=ready(role, address),
                    stop_within=8.0,
                    log=directory / f"{name}.log",
                    lock=directory / f"{name}.lock",
                )
                if ways.clients:
                    addresses.append(ways.clients.address)
        for process in processes.values():
            running.push_async_callback(process.kill)
        await asyncio.gather(*(process.start() for process in processes.values()))
        yield Stack(postgres, nats, processes, addresses, receivers, pool)


def variables(database_url: str, nats_url: str, address: str, receivers: Mapping[str, Receiver]) -> Mapping[str, str]:
    """Returns settings with short times, so that expiries occur during the run."""
    return {
        variable(field): str(value)
        for field, value in {
            "database_url": database_url,
            "event_queue_url": nats_url,
            "grpc_address": address,
            "gateway_address": address,
            "server_admin_address": f"127.0.0.1:{free_port()}",
            "relay_admin_address": f"127.0.0.1:{free_port()}",
            "storefront_webhook_url": receivers["storefront"].url,
            "pms_webhook_url": receivers["pms"].url,
            "webhook_secret": SECRET,
            "sweep_interval_seconds": 0.3,
            "payment_due_seconds": 4,
            "shutdown_grace_seconds": 2,
            "pool_size": POOL_SIZE,
            "watch_heartbeat_seconds": 2,
            "idempotency_retention_days": 1,
        }.items()
    }


def ready(role: str, address: str) -> Callable[[], Awaitable[bool]] | None:
    if role == "server":
        return lambda: grpc_serves(address)
    return (lambda: _healthy(address)) if role == "gateway" else None


async def _healthy(address: str) -> bool:
    """Returns whether the gateway listens, regardless of the state of its database."""
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://{address}/healthz"):
            return True
    except (aiohttp.ClientError, OSError):
        return False
