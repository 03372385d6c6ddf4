"""The processes of a benchmark: durable services, servers, workers; and their use of CPU time and memory."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.release import ROOT, Release
from stockward_dev import Nats, Postgres, Service, free_port
from stockward_server.config import PREFIX, variables
from stockward_server.runtime.probes import grpc_serves
from stockward_server.storage.database import migrate

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Ready = Callable[[], Awaitable[bool]]


class Program(Service):
    """A Python module in a separate process: `python -m MODULE ARGUMENT...`, in `directory`."""

    ready_within = 60.0

    def __init__(
        self, directory: Path, name: str, *command: str, environment: Mapping[str, str], ready: Ready | None
    ) -> None:
        super().__init__(name, log=directory / f"{name}.log", lock=directory / f"{name}.lock")
        self._directory = directory
        self._command = command
        self._environment = environment
        self._ready = ready

    def command(self) -> list[str]:
        return [sys.executable, "-P", "-m", *self._command]

    def environment(self) -> Mapping[str, str]:
        return {**_clean_environment(), **self._environment}

    def directory(self) -> Path:
        return self._directory  # a directory without `.env`

    async def is_ready(self) -> bool:
        return await self._ready() if self._ready else True


class Server(Program):
    """A gRPC server at `address`."""

    def __init__(self, directory: Path, name: str, *command: str, address: str, environment: Mapping[str, str]) -> None:
        self.address = address
        super().__init__(directory, name, *command, environment=environment, ready=lambda: grpc_serves(address))


class Worker:
    """A Python process that runs functions of these benchmarks, one at a time, on its own event loop."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Worker]:
        """Starts a worker. It ends when its standard input is closed, so it cannot outlive this process."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_clean_environment(),
            cwd=ROOT,
        )
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def call(self, function: Callable[..., Awaitable[Any]], **arguments: Any) -> Any:
        """Calls a module-level coroutine function in the worker; arguments and result are sent as JSON."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"module": function.__module__, "function": function.__qualname__, "arguments": arguments}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that ran {function.__qualname__} has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]


class Services:
    """Durable PostgreSQL and NATS of one benchmark, and the processes started with them.

    Everything ends, and its data is deleted, at the end of the block of `running`.
    """

    def __init__(
        self, directory: Path, postgres: Postgres, nats: Nats, stack: AsyncExitStack, release: Release | None
    ) -> None:
        self.directory = directory
        self.postgres = postgres
        self.nats = nats
        self.release = release
        self._stack = stack
        self._numbers = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def running(
        cls, postgres_settings: Mapping[str, str] | None = None, release: Release | None = None
    ) -> AsyncIterator[Services]:
        """`release`: the source whose programs are started; None for this one."""
        directory = Path(tempfile.mkdtemp(prefix="stockward-bench-"))
        try:
            directory.chmod(0o711)  # PostgreSQL may run as another user, who needs access
            async with AsyncExitStack() as stack:
                postgres = await stack.enter_async_context(Postgres(directory / "postgres", settings=postgres_settings))
                nats = await stack.enter_async_context(Nats(directory / "nats"))
                yield cls(directory, postgres, nats, stack, release)
        finally:
            shutil.rmtree(directory)

    async def server(self, database_url: str, **environment: str) -> Server:
        """Starts `stockward serve` on this database, with further settings by the names of their variables."""
        address = f"127.0.0.1:{free_port()}"
        return await self._stack.enter_async_context(
            Server(
                self.directory,
                f"server-{next(self._numbers)}",
                *("stockward_server.cli", "serve"),
                address=address,
                environment=self.settings(database_url) | {"STOCKWARD_GRPC_ADDRESS": address} | environment,
            )
        )

    async def empty_server(self, answers: Mapping[str, bytes]) -> Server:
        """Starts the bare grpc.aio server of `empty_server`, with one encoded response for each method's path."""
        number = next(self._numbers)
        file = self.directory / f"answers-{number}.json"
        file.write_text(json.dumps({path: answer.hex() for path, answer in answers.items()}))
        address = f"127.0.0.1:{free_port()}"
        return await self._stack.enter_async_context(
            Server(
                self.directory,
                f"empty-{number}",
                *("benchmarks.empty_server", address, str(file)),
                address=address,
                environment={"PYTHONPATH": str(ROOT)},
            )
        )

    async def by_hand_server(self, database_url: str) -> Server:
        """Starts the servicer of `by_hand_server` on this database."""
        address = f"127.0.0.1:{free_port()}"
        return await self._stack.enter_async_context(
            Server(
                self.directory,
                f"by-hand-{next(self._numbers)}",
                *("benchmarks.by_hand_server", address, database_url),
                address=address,
                environment={"PYTHONPATH": str(ROOT)},
            )
        )

    def program(self, command: str, database_url: str, ready: Ready | None = None, **environment: str) -> Program:
        """Returns `stockward COMMAND` on this database, not started yet."""
        return Program(
            self.directory,
            f"{command}-{next(self._numbers)}",
            *("stockward_server.cli", command),
            environment=self.settings(database_url) | environment,
            ready=ready,
        )

    def module(self, name: str, *arguments: str, ready: Ready) -> Program:
        """Returns `python -m NAME ARGUMENT...` of these benchmarks, not started yet."""
        return Program(
            self.directory,
            f"{name}-{next(self._numbers)}",
            *(name, *arguments),
            environment={"PYTHONPATH": str(ROOT)},
            ready=ready,
        )

    async def worker(self) -> Worker:
        return await self._stack.enter_async_context(Worker.running())

    async def migrate(self, database_url: str) -> None:
        """Brings a database to the schema of the programs that are started."""
        if self.release is None:
            await migrate(database_url)
            return
        program = self.program("migrate", database_url)
        async with program:
            if await program.wait():
                raise RuntimeError(f"{self.release.name} could not migrate: {program.log.read_text()}")

    def settings(self, database_url: str) -> dict[str, str]:
        return {
            **(self.release.environment if self.release else {}),
            "DATABASE_URL": database_url,
            "EVENT_QUEUE_URL": self.nats.url,
            "STOCKWARD_LOG_LEVEL": "warning",
        }


def _clean_environment() -> dict[str, str]:
    """Returns the environment without settings: a benchmark measures the defaults."""
    settings = variables()
    return {name: value for name, value in os.environ.items() if name not in settings and not name.startswith(PREFIX)}


def pid_of(service: Service) -> int:
    if service.pid is None:
        raise RuntimeError(f"{service.name} has ended")
    return service.pid


def cpu_seconds(pid: int) -> float:
    """Returns the user and system time of a process and all its descendants, including ended ones, from Linux's
    accounting.

    So PostgreSQL is one figure, although its backends change.
    """
    parents, used = {}, {}
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            # The name in parentheses may contain anything; numbers follow it, see proc_pid_stat(5).
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # the process has just ended
        number = int(directory.name)
        parents[number] = int(fields[1])
        used[number] = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime

    def belongs(number: int) -> bool:
        while number and number != pid:
            number = parents.get(number, 0)
        return number == pid

    return sum(ticks for number, ticks in used.items() if belongs(number)) / TICKS_PER_SECOND


@contextmanager
def cpu_used(processes: Mapping[str, int]) -> Iterator[dict[str, float]]:
    """Yields a mapping that receives, at the end of the block, the CPU seconds that each process (a pid by its name)
    used in it."""
    used: dict[str, float] = {}
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    yield used
    used |= {name: cpu_seconds(pid) - before[name] for name, pid in processes.items()}


def resident_bytes(pid: int) -> int:
    """Returns the resident memory of a process in bytes, shared pages included (RSS)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def running_nanoseconds(pid: int) -> int:
    """Returns the nanoseconds that a process and its running children spent on a core, all threads together: more exact
    than `cpu_seconds`, whose ticks are some milliseconds long. Children that ended in between are missing."""
    used = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # the process has just ended
            used += int((task / "schedstat").read_text().split()[0])
            used += sum(running_nanoseconds(int(child)) for child in (task / "children").read_text().split())
    return used
