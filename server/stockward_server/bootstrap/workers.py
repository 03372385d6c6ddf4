"""`stockward serve --workers N`: several server processes behind one port.

Each is a separate program, since gRPC does not support forking. The kernel distributes new connections among them
(SO_REUSEPORT).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import time
from functools import partial

from stockward_server.config import Settings, variable
from stockward_server.runtime.back_off import BackOff

log = logging.getLogger(__name__)

FIRST_DELAY, MAX_DELAY = 0.5, 15.0
"""Seconds before a worker that ended is restarted; doubled each time."""

STEADY = 30.0
"""Seconds after which a worker counts as healthy, so that the next delay is the first one again."""

PR_SET_PDEATHSIG = 1
"""Option of prctl(2): the signal that the kernel sends when the parent ends."""


async def serve(settings: Settings, count: int, stop: asyncio.Event) -> None:
    """Keeps `count` servers running until `stop` is set, then drains them. Raises OSError when the port is in use."""
    with _reserve(settings.grpc_address):
        async with asyncio.TaskGroup() as workers:
            for number in range(1, count + 1):
                workers.create_task(_keep(number, settings, stop))


async def _keep(number: int, settings: Settings, stop: asyncio.Event) -> None:
    back_off = BackOff(FIRST_DELAY, MAX_DELAY, steady=STEADY)
    stopping = asyncio.create_task(stop.wait())
    while not stop.is_set():
        since = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "stockward_server.cli", "serve"),
            env={
                **os.environ,
                variable("share_port"): "true",
                variable("worker"): str(number),
                variable("server_admin_address"): _nth_port(settings.server_admin_address, number),
            },
            start_new_session=True,  # Ctrl-C in a terminal reaches this process, which notifies them
            preexec_fn=partial(_end_with_parent, os.getpid()) if sys.platform == "linux" else None,
        )
        log.info("worker %d is process %d", number, process.pid)
        ended = asyncio.create_task(process.wait())
        await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            await _end(process, settings.stop_seconds)
            return
        delay = back_off.next(time.monotonic() - since)
        log.warning("worker %d (process %d) ended with %d; again in %g s", number, process.pid, ended.result(), delay)
        await asyncio.wait((stopping,), timeout=delay)


def _nth_port(address: str, number: int) -> str:
    """Returns the admin address of worker `number` (from 1): the address itself, then the following ports."""
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + number - 1}"


async def _end(process: asyncio.subprocess.Process, seconds: float) -> None:
    """Asks the process to drain, and kills it if it still runs after `seconds`."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        log.warning("process %d had to be killed", process.pid)
        process.kill()
        await process.wait()


def _reserve(address: str) -> socket.socket:
    """Reserves the port, also while no worker runs, with a socket that is bound but never listens. Raises OSError."""
    host, _, port = address.rpartition(":")
    family, kind, protocol, _, target = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    shared = socket.socket(family, kind, protocol)
    try:
        with socket.socket(family, kind, protocol) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(target)  # fails where another process shares the port
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(target)
    except OSError as error:
        shared.close()
        raise OSError(f"cannot listen on {address}: {error.strerror}") from error
    return shared


def _end_with_parent(parent: int) -> None:
    """Makes the kernel end this child when its parent is killed; runs in the child before exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # killed before the line above
        os._exit(1)
