"""`stockward serve`, `relay` and `gateway`: the processes of a deployment."""

from __future__ import annotations

import asyncio
import logging
import platform
import signal
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from stockward_server import __version__
from stockward_server.commands.parsers import whole
from stockward_server.config import Settings, Use, load_settings, unknown_variables
from stockward_server.runtime.build import commit
from stockward_server.runtime.last_resort import end_by_force

app = typer.Typer()

log = logging.getLogger(__name__)

Process = Callable[[Settings, asyncio.Event], Awaitable[None]]


@app.command()
def serve(
    workers: Annotated[
        int, typer.Option(parser=whole(1, 64), metavar="N", help="Server processes behind the one port.")
    ] = 1,
) -> None:
    """Run the gRPC server.

    A connection belongs to one worker for its life, so calls are balanced over workers only when clients have several
    connections: see docs/how-to/contributor/benchmarks.md.
    """
    settings = load_settings()
    from stockward_server.bootstrap.server import serve
    from stockward_server.bootstrap.transport import check_transport

    check_transport(settings)
    if workers > 1:
        from stockward_server.bootstrap.workers import serve as serve_with_workers

        # A worker that has to be killed is waited for.
        run_process(lambda settings, stop: serve_with_workers(settings, workers, stop), settings, more_seconds=2.0)
        return
    run_process(serve, settings)


@app.command()
def relay() -> None:
    """Run the relay, which publishes committed events to NATS."""
    settings = load_settings(Use.RELAY)
    from stockward_server.bootstrap.relay import relay

    run_process(relay, settings)


@app.command()
def gateway() -> None:
    """Run the webhook gateway."""
    settings = load_settings(Use.GATEWAY)
    from stockward_server.bootstrap.gateway import gateway

    run_process(gateway, settings)


def run_process(process: Process, settings: Settings, more_seconds: float = 0.0) -> None:
    """Runs a process until SIGINT or SIGTERM, which set its event. One that has not ended
    `stop_seconds` later, and `more_seconds`, is ended by force, as it keeps nothing that is not in PostgreSQL."""
    import uvloop

    from stockward_server.observability import logs
    from stockward_server.runtime import garbage, supervision

    logs.set_up(settings.log_level, settings.log_format)
    note_start(settings)
    garbage.collect_seldom()

    async def until_stopped() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def end() -> None:
            if not stop.is_set():
                stop.set()
                end_by_force(settings.stop_seconds + more_seconds, loop)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        loop.set_exception_handler(logs.note_unhandled)
        try:
            await process(settings, stop)
        finally:
            await supervision.end(*asyncio.all_tasks() - {asyncio.current_task()})

    uvloop.run(until_stopped())


def note_start(settings: Settings) -> None:
    """Logs which release starts, and warns of variables that were meant as settings."""
    about = {"version": __version__, "commit": commit(), "python": platform.python_version()}
    log.info("stockward %(version)s, commit %(commit)s, Python %(python)s", about, extra=about)
    if settings.worker <= 1:  # of several workers one says so
        for warning in unknown_variables():
            log.warning("%s", warning)
