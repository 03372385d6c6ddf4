"""`stockward doctor`: whether everything is well, and what to do where it is not."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from stockward_server.commands.options import AsJson
from stockward_server.config import (
    WEBHOOK_PARTIES,
    WEBHOOK_SECRETS,
    Environment,
    Settings,
    SettingsError,
    Use,
    load_settings,
    variable,
)

if TYPE_CHECKING:
    from stockward_server.application.ports.status import Finding
    from stockward_server.observability.diagnostics import Subject

app = typer.Typer()

SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "bold red")}

EPILOG = "Exit codes: 0 nothing is wrong (there may be warnings), 1 something is, 2 wrong usage."


@app.command(epilog=EPILOG)
def doctor(as_json: AsJson = False) -> None:
    """Check settings, database, NATS, server, queues, endpoints and stock; nothing is changed."""
    from rich.console import Console

    with Console(stderr=True).status("Looking") as status:
        findings = asyncio.run(_look(lambda finding: status.update(f"Looking: {finding.check} is done")))
    if as_json:
        typer.echo(json.dumps({"findings": [dataclasses.asdict(each) for each in findings]}, indent=2))
    else:
        _show(findings)
    raise typer.Exit(any(each.verdict == "problem" for each in findings))


async def _look(progress: Callable[[Finding], None]) -> list[Finding]:
    from stockward_server.observability.diagnostics import check_up, problem

    try:
        settings = load_settings(Use.RELAY)
    except SettingsError as error:
        return [problem("settings", text, "correct the variable, here or in .env") for text in error.problems]
    findings = [_check_settings(settings)]
    async for finding in check_up(_subject(settings)):
        progress(finding)
        findings.append(finding)
    return findings


def _subject(settings: Settings) -> Subject:
    from stockward_server.commands.connection import channel_to
    from stockward_server.config.run_file import RunFile
    from stockward_server.observability.diagnostics import Subject

    stack = RunFile.read(settings.home)
    here = stack is not None and stack.database == settings.database_url.get_secret_value()
    return Subject(
        database_url=settings.database_url.get_secret_value(),
        nats_url=settings.event_queue_url.get_secret_value(),
        nats_api=settings.event_queue_api,
        stream_name=settings.stream_name,
        stream_age=timedelta(days=settings.event_retention_days),
        stream_replicas=settings.stream_replicas,
        grpc_address=stack.grpc if stack and here else settings.grpc_address,
        channel_to=channel_to,
        certificates=settings.certificates,
        database_read_url=settings.database_read_url.get_secret_value() if settings.database_read_url else "",
        replica_seconds=settings.replica_max_lag_seconds,
    )


def _check_settings(settings: Settings) -> Finding:
    from stockward_server.observability.diagnostics import ok, warning

    if settings.webhook_secret is not None:
        own = ", ".join(variable(field) for field in WEBHOOK_SECRETS)
        return warning("settings", "WEBHOOK_SECRET goes with the next release", f"set {own} in its place")
    missing = [
        variable(f"{endpoint}_webhook_secret")
        for endpoint in WEBHOOK_PARTIES
        if getattr(settings, f"{endpoint}_webhook_url") and endpoint not in settings.signing_secrets
    ]
    if missing:
        found = f"{' and '.join(missing)} not set: no webhook is sent there"
        return warning("settings", found, "set it; `stockward config` shows all")
    if settings.environment is not Environment.PRODUCTION:
        return ok("settings", "for development; STOCKWARD_ENVIRONMENT=production is stricter")
    return ok("settings", "for production")


def _show(findings: list[Finding]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

    table = Table("", "Check", "Found", box=SIMPLE)
    for each in findings:
        sign, style = SIGNS[each.verdict]
        lines = [Text(each.found), *([Text(f"→ {each.next_step}", "bold")] if each.next_step else [])]
        table.add_row(Text(sign, style), each.check, Group(*lines))
    table.columns[1].no_wrap = True
    console = Console()
    console.print(table)
    wrong = sum(each.verdict == "problem" for each in findings)
    look = sum(each.verdict == "warning" for each in findings)
    if wrong:
        console.print(f"✗ Problems: {wrong}, warnings: {look}", style="bold red")
    elif look:
        console.print(f"! No problem, warnings: {look}", style="yellow")
    else:
        console.print("✓ All is well", style="green")
