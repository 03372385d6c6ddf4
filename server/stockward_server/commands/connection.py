"""How commands reach the server, and how they report what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc
import typer
from rich.console import Console

from stockward_client import AsyncStockward, DeadlineExceeded, StockwardError, Unavailable
from stockward_server.commands.output import printable
from stockward_server.config import Plaintext, Settings, Use, load_settings, variable
from stockward_server.config.run_file import RunFile

CALL_SECONDS = 60.0
"""Deadline of a call, its retries included."""

RETRY_SECONDS = 2.0
"""How long a call is tried again while the server is unavailable, such as between two releases."""

REFUSED, WRONG_USAGE, UNREACHABLE = 1, 2, 3
"""Exit codes: the server refused; the command was used wrongly (typer's own code); no server answered in time."""

MAX_LINE = 4000
"""Characters of a line of an error message."""

NO_ANSWER = (Unavailable, DeadlineExceeded)
"""Errors after which the same call may succeed later."""

Result = TypeVar("Result")


def open_client(address: str, key: str) -> AsyncStockward:
    """Returns a client of the server at `address`, over TLS where the settings say so and else away from this
    machine. Made within the event loop, and to be closed."""
    settings = load_settings(Use.NONE)
    credentials = _credentials(settings)
    return AsyncStockward(
        address,
        key,
        timeout=CALL_SECONDS,
        retry_for=RETRY_SECONDS,
        credentials=credentials,
        plaintext=True if settings.plaintext is Plaintext.ANYWHERE and not credentials else None,
        options=[("grpc.enable_http_proxy", 0)],
    )


def _credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    """Returns the certificates that the settings name; None where they name none."""
    if not (settings.server_ca or settings.client_cert):
        return None
    roots, key, cert = (_read(settings, field) for field in ("server_ca", "client_key", "client_cert"))
    return grpc.ssl_channel_credentials(roots, key, cert)


def _read(settings: Settings, field: str) -> bytes | None:
    path: Path | None = getattr(settings, field)
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        fail(f"{variable(field)}: expected a readable file in PEM ({error.strerror})", WRONG_USAGE)


@asynccontextmanager
async def channel_to(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """Opens a connection that sends no key."""
    async with open_client(address, "") as client:
        yield client.channel


@asynccontextmanager
async def connected(address: str | None, key: str | None) -> AsyncIterator[AsyncStockward]:
    """Opens a client of the server named, or else of the stack running here, whose key of staff is the default."""
    stack = RunFile.read(load_settings(Use.NONE).home)
    if stack and address in (None, stack.grpc):
        address, key = stack.grpc, key or stack.keys["pms"]
    if address is None:
        fail(f"{nothing_runs()}, or name a server with --address and --key", UNREACHABLE)
    if key is None:
        fail(f"{address} asks for an API key: give it as --key or in STOCKWARD_KEY", WRONG_USAGE)
    async with open_client(address, key) as client:
        yield client


def nothing_runs() -> str:
    """Returns where a running stack was looked for, and how to start one."""
    settings = load_settings(Use.NONE)
    if "home" in settings.model_fields_set:
        return f"No stack is running in {settings.home.absolute()}: start it with `make run`"
    return (
        f"No stack was found: {Path.cwd()} and the folders above it have no {settings.home}. Start one with `make run`"
    )


def run_call(work: Coroutine[Any, Any, Result], repetition: str = "") -> Result:
    """Runs `work` and returns its result. A refusal is printed and ends the command with exit code 1, no answer with 3.

    `repetition` says how to repeat the command where it is not known whether the change was made.
    """
    try:
        return asyncio.run(work)
    except NO_ANSWER as error:
        message = describe(error) if error.reason else f"The server cannot be reached: {error.message}"
        fail("\n".join(filter(None, (message, repetition))), UNREACHABLE)
    except StockwardError as error:
        fail(describe(error))


def describe(error: StockwardError) -> str:
    """Returns message and reason, and a line for each field at fault that the message does not name already."""

    def is_named(field: str, text: str) -> bool:
        return text == error.message or (text in error.message and field in error.message)

    lines = [f"  {field}: {text}" for field, text in faults(error) if field and text and not is_named(field, text)]
    return "\n".join([str(error), *lines])


def faults(error: StockwardError) -> list[tuple[str, str]]:
    """Returns the path of each field at fault, or the subject of each unmet condition, and what is wrong with it."""
    found = [(each.field, each.description) for each in error.violations]
    found += [(each.subject, each.description) for each in error.preconditions]
    if not found and "field" in error.metadata:
        found = [(error.metadata["field"], error.message)]
    return found


def fail(message: str, code: int = REFUSED) -> NoReturn:
    """Prints the message on stderr and ends the command with this exit code."""
    text = "\n".join(printable(line, MAX_LINE) for line in message.splitlines())
    Console(stderr=True).print(f"✗ {text}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
