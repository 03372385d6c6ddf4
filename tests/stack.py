"""`stockward run` in a directory of its own, as a person starts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stockward_dev import free_port
from stockward_dev.home import Keys
from tests.terminal import clean_environment


class Stack:
    """`stockward run` in a directory of its own, started as often as a test wants."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / ".stockward"
        self.run_file = self.home / "run.json"
        self._output = directory / "output"
        self._environment = clean_environment() | {
            "STOCKWARD_GRPC_ADDRESS": f"127.0.0.1:{free_port()}",
            "STOCKWARD_EDGE_ADDRESS": f"127.0.0.1:{free_port()}",
            "STOCKWARD_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
            "STOCKWARD_SERVER_ADMIN_ADDRESS": f"127.0.0.1:{free_port()}",
            "STOCKWARD_RELAY_ADMIN_ADDRESS": f"127.0.0.1:{free_port()}",
            "STOCKWARD_DEMO_ADDRESS": f"127.0.0.1:{free_port()}",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start it as a terminal would: in a process group that Ctrl-C reaches as a whole."""
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stockward_server.cli", "run"],
                cwd=self.directory,
                env=self._environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self._process

    def up(self, **environment: str) -> dict[str, Any]:
        """Start it, wait until it says so, and return its run.json."""
        process = self.launch(**environment)
        # A killed run may have left its run.json: wait for the one of this process.
        wait_until(
            lambda: (
                process.poll() is not None
                or (self.run_file.exists() and self.running["pids"]["supervisor"] == process.pid)
            ),
            120,
        )
        assert process.poll() is None, f"it ended instead:\n{self.output}"
        return self.running

    def signal(self, number: signal.Signals) -> int:
        """Send ``number`` to its process group; the exit code."""
        assert self._process is not None
        os.killpg(self._process.pid, number)
        return self._process.wait(60)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGTERM)

    def once(self) -> subprocess.CompletedProcess[str]:
        """Run the command while it is up already."""
        return subprocess.run(
            [sys.executable, "-m", "stockward_server.cli", "run"],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    @property
    def running(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run_file.read_text())
        return found

    @property
    def nats_publisher(self) -> str:
        """The address of NATS for the relay, which alone may publish."""
        keys = Keys(**json.loads((self.home / "keys.json").read_text()))
        return f"nats://relay:{keys.nats_password('relay')}@{self.running['nats'].rpartition('@')[2]}"

    @property
    def output(self) -> str:
        return self._output.read_text()


def new_stack() -> Iterator[Stack]:
    directory = Path(tempfile.mkdtemp(prefix="stockward-run-"))
    directory.chmod(0o711)  # as root, PostgreSQL's user has to pass
    stack = Stack(directory)
    try:
        yield stack
    finally:
        stack.end()
        shutil.rmtree(directory)


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not reaped by a new parent yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
