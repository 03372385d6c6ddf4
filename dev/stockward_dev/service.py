"""A child process that is started until it is ready, stopped within a deadline, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import sysconfig
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

LAUNCH = Path(__file__).with_name("launch.py")
POLL = 0.02
"""Seconds between two polls of a condition that has no event to wait for."""


class StartError(Exception):
    """A service did not start. The message is for people; ``log`` is the file with the details, if any."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


class Service(ABC):
    """One program run as a child in its own session, writing to a log file.

    Subclasses define ``command`` and ``is_ready``. The child ends with this process (see ``launch``);
    ``lock`` is locked for as long as the child or one of its children lives.
    """

    ready_within = 30.0
    """Seconds from start to ready."""

    stop_within = 10.0
    """Seconds from the stop signal to the exit, before SIGKILL."""

    stop_signal = signal.SIGTERM

    def __init__(self, name: str, *, log: Path, lock: Path) -> None:
        self.name = name
        self.log = log
        self.lock = lock
        self._process: asyncio.subprocess.Process | None = None

    async def prepare(self) -> None:  # noqa: B027 (many have nothing to prepare)
        """Creates the files and directories that the program needs."""

    @abstractmethod
    def command(self) -> list[str]:
        """Returns the program's absolute path and its arguments."""

    def environment(self) -> Mapping[str, str]:
        """Returns the program's environment variables."""
        return os.environ

    def user(self) -> str:
        """Returns `UID:GID` to run as, or `-` for the current user."""
        return "-"

    def directory(self) -> Path:
        """Returns the program's working directory."""
        return Path.cwd()

    async def is_ready(self) -> bool:
        """Returns whether the running program can be used."""
        return True

    @property
    def pid(self) -> int | None:
        """Process id while the program runs, else None."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts the program and waits until it is ready. Raises StartError, with nothing left running."""
        deadline = time.monotonic() + self.ready_within
        if not await unlocked(self.lock, deadline):
            raise StartError(f"{self.name} is running already (pid {locked_by(self.lock)})")
        await self.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(self.stop_signal))),
                *(str(self.lock), self.user(), *self.command()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd=self.directory(),
                start_new_session=True,  # Ctrl-C in a terminal reaches this process alone
            )
        try:
            while not await self.is_ready():
                if (code := self._process.returncode) is not None:
                    raise StartError(f"{self.name} {ended(code)} while starting", self.log)
                if time.monotonic() > deadline:
                    raise StartError(f"{self.name} was not ready within {self.ready_within:g} s", self.log)
                await asyncio.sleep(POLL)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Waits for the end and returns the exit code (minus the signal's number where a signal ended it)."""
        assert self._process is not None, f"{self.name} was never started"
        return await self._process.wait()

    async def stop(self) -> bool:
        """Sends the stop signal, and SIGKILL after ``stop_within``. Returns False where it had to be killed."""
        if self._process is None or self._process.returncode is not None:
            return True
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(self.stop_signal)
        try:
            await asyncio.wait_for(self._process.wait(), self.stop_within)
        except TimeoutError:
            await self.kill()
            return False
        return True

    async def kill(self) -> None:
        """Sends SIGKILL, which has the effect of a crash; returns once the program and its children have ended."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await unlocked(self.lock, time.monotonic() + self.stop_within)

    async def restart(self) -> None:
        """Stops and starts the program, at the same address."""
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def program(name: str, package: str) -> str:
    """Returns the path of a program beside the running Python, else on the PATH. Raises StartError if there is none."""
    beside = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    path = shutil.which(name, path=":".join(beside)) or shutil.which(name)
    if path is None:
        raise StartError(f"{name} is not installed: it comes with the package {package}")
    return path


def locked_by(lock: Path) -> int | None:
    """Returns the pid in a locked lock file (0 where it is not written yet); None if it is not locked."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return int(os.read(descriptor, 32) or b"0")
    finally:
        os.close(descriptor)


async def unlocked(lock: Path, deadline: float) -> bool:
    """Waits until ``lock`` is free. Returns False where it is still locked at ``deadline`` (monotonic)."""
    while locked_by(lock) is not None:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL)
    return True


async def stop_leftover(lock: Path, seconds: float = 15.0) -> int | None:
    """Ends the program that still holds ``lock`` after its owner was killed. Returns its pid, None if there is none.

    Sends SIGINT, on which all services shut down cleanly, and SIGKILL after ``seconds``. Raises StartError.
    """
    pid = locked_by(lock)
    if pid is None:
        return None
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            if pid:
                os.kill(pid, number)
        if await unlocked(lock, time.monotonic() + seconds):
            return pid
    raise StartError(f"{lock.name} of an earlier run (pid {pid}) does not end: stop it by hand")


def ended(code: int) -> str:
    """Describes the exit code of a process."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
