"""The command `stockward`."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from typing import Annotated

import asyncpg
import typer
from rich.box import SIMPLE
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from stockward_server import __version__
from stockward_server.commands import (
    audit,
    customers,
    deliveries,
    doctor,
    edge,
    events,
    health,
    imports,
    keys,
    orders,
    products,
    stock,
    webhooks,
)
from stockward_server.commands.parsers import whole
from stockward_server.config import Settings, SettingsError, Use, load_settings, variables
from stockward_server.runtime.last_resort import end_by_force

app = typer.Typer(
    help="Commerce core: catalog, inventory and orders over gRPC, with durable events and webhooks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

# Subcommands of other modules, a line each.
app.add_typer(products.app)
app.add_typer(stock.app)
app.add_typer(orders.app)
app.add_typer(imports.app)
app.add_typer(audit.app)
app.add_typer(doctor.app)
app.add_typer(events.app)
app.add_typer(webhooks.app)
app.add_typer(deliveries.app)
app.add_typer(keys.app)
app.add_typer(customers.app)
app.add_typer(edge.app)
app.add_typer(health.app)

# Those of other distributions, such as `run` and `demo` of stockward-dev.
for _commands in entry_points(group="stockward.commands"):
    app.add_typer(_commands.load())

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
        _run_process(lambda settings, stop: serve_with_workers(settings, workers, stop), settings, more_seconds=2.0)
        return
    _run_process(serve, settings)


@app.command()
def relay() -> None:
    """Run the relay, which publishes committed events to NATS."""
    settings = load_settings(Use.RELAY)
    from stockward_server.bootstrap.relay import relay

    _run_process(relay, settings)


@app.command()
def gateway() -> None:
    """Run the webhook gateway."""
    settings = load_settings(Use.GATEWAY)
    from stockward_server.bootstrap.gateway import gateway

    _run_process(gateway, settings)


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    settings = load_settings(Use.DATABASE)
    from stockward_server.bootstrap.database import migrate

    applied = asyncio.run(migrate(settings))
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo("up to date")


@app.command()
def config(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the settings in force, secrets masked."""
    settings = load_settings(Use.NONE)
    if as_json:
        typer.echo(json.dumps({name: settings.shown(field) for name, field in variables().items()}, indent=2))
        return
    table = Table("Variable", "Value", box=SIMPLE)
    for name, field in variables().items():
        value, is_set = settings.shown(field), field in settings.model_fields_set
        shown = Text("not set" if value is None else str(value), "bold" if is_set else "")
        meaning = Text(Settings.model_fields[field].description or "", "dim")
        table.add_row(name, Group(shown, meaning), end_section=True)
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    Console().print(table)
    typer.echo("Bold values are set in the environment, in .env or by the stack running here; others are defaults.")


@app.command()
def version() -> None:
    """Show the version."""
    typer.echo(f"stockward {__version__}")


def _run_process(process: Process, settings: Settings, more_seconds: float = 0.0) -> None:
    """Run one of our processes until SIGINT or SIGTERM, which set an event. One that has not ended
    `stop_seconds` later, and `more_seconds`, is ended by force, as it keeps nothing that is not in PostgreSQL."""
    import uvloop

    from stockward_server.observability import logs
    from stockward_server.runtime import garbage, supervision

    logs.set_up(settings.log_level, settings.log_format)
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


def main() -> None:
    """Entry point: wrong settings are reported by name with exit code 2, a service that cannot be reached with 1."""
    try:
        app()
    except SettingsError as error:
        errors = Console(stderr=True)
        errors.print("These settings cannot be used:", style="bold red")
        for problem in error.problems:
            errors.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(2) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        Console(stderr=True).print(f"stockward: {error}", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
