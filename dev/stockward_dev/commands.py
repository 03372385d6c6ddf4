"""The commands `stockward run` and `stockward demo`, which only a development installation has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from stockward_dev import demo

if TYPE_CHECKING:
    from stockward_server.config import Settings

app = typer.Typer()
app.add_typer(demo.app)


@app.command()
def run() -> None:
    """Run the whole stack here: PostgreSQL, NATS, server, relay, gateway and edge, until Ctrl-C."""
    from stockward_server.config import Environment, SettingsError, load_settings

    settings = load_settings()
    if settings.environment is Environment.PRODUCTION:
        raise SettingsError(["STOCKWARD_ENVIRONMENT: expected development for `run`, which makes its own keys"])
    from stockward_dev.screen import Screen
    from stockward_dev.supervisor import Supervisor
    from stockward_server.bootstrap.database import ensure_key, migrate
    from stockward_server.bootstrap.edge import check_edge, edge_files
    from stockward_server.bootstrap.transport import check_transport
    from stockward_server.relay.accounts import SUBSCRIBER_API, accounts

    check_transport(settings)
    check_edge(settings)

    def configure_edge(settings: Settings, directory: Path) -> Mapping[str, Any]:
        return edge_files(settings, directory=directory)

    async def prepare(settings: Settings, keys: Mapping[str, str]) -> list[str]:
        migrations = await migrate(settings)
        for role, key in keys.items():
            await ensure_key(settings, role, role, key)
        return migrations

    supervisor = Supervisor(settings, prepare, configure_edge, accounts, SUBSCRIBER_API, Screen())
    raise typer.Exit(asyncio.run(supervisor.run()))
