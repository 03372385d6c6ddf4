"""How commands reach the running system, and how they tell what went wrong."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import grpc
import typer
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from rich.console import Console
from stockward.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from stockward.event.v1.event_pb2_grpc import EventServiceStub
from stockward.inventory.v1.inventory_pb2_grpc import InventoryServiceStub
from stockward.order.v1.order_pb2_grpc import OrderServiceStub
from stockward.webhook.v1.webhook_pb2_grpc import WebhookServiceStub

from stockward_server.commands.tables import printable
from stockward_server.config import Plaintext, Settings, Use, is_loopback, load_settings, variable
from stockward_server.config.run_file import RunFile

if TYPE_CHECKING:
    from stockward.catalog.v1.catalog_pb2_grpc import CatalogServiceAsyncStub
    from stockward.event.v1.event_pb2_grpc import EventServiceAsyncStub
    from stockward.inventory.v1.inventory_pb2_grpc import InventoryServiceAsyncStub
    from stockward.order.v1.order_pb2_grpc import OrderServiceAsyncStub
    from stockward.webhook.v1.webhook_pb2_grpc import WebhookServiceAsyncStub

CALL_SECONDS = 60.0
"""Deadline of every call."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024

REFUSED, WRONG_USAGE, UNREACHABLE = 1, 2, 3
"""Exit codes: the server said no; so does typer, before it is asked; there is none, or it cannot answer now."""

MAX_LINE = 4000
"""Characters of a line of an error message."""

NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""Answers that may be another one later."""

Result = TypeVar("Result")


class Callers:
    """The services, called with one key."""

    def __init__(self, channel: grpc.aio.Channel, key: str) -> None:
        keyed = cast(grpc.aio.Channel, _Keyed(channel, key))
        self.catalog: CatalogServiceAsyncStub = CatalogServiceStub(keyed)
        self.inventory: InventoryServiceAsyncStub = InventoryServiceStub(keyed)
        self.orders: OrderServiceAsyncStub = OrderServiceStub(keyed)
        self.events: EventServiceAsyncStub = EventServiceStub(keyed)
        self.webhooks: WebhookServiceAsyncStub = WebhookServiceStub(keyed)


class _Keyed:
    """A channel whose every call presents a key and has a deadline."""

    def __init__(self, channel: grpc.aio.Channel, key: str) -> None:
        self._channel = channel
        self._every_call = {"metadata": (("authorization", f"Bearer {key}"),), "timeout": CALL_SECONDS}

    def __getattr__(self, kind: str) -> Any:
        make = getattr(self._channel, kind)  # unary_unary, stream_unary ...
        return lambda *method, **codec: functools.partial(make(*method, **codec), **self._every_call)


@dataclass(frozen=True, slots=True)
class Answer:
    """A refusal, taken apart."""

    code: str
    """Such as FAILED_PRECONDITION."""
    reason: str
    """Such as INSUFFICIENT_STOCK; empty when the answer is not the server's own."""
    message: str
    fields: list[tuple[str, str]]
    """Path of each field at fault, and what is wrong with it."""

    @classmethod
    def of(cls, status: status_pb2.Status) -> Answer:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        precondition = error_details_pb2.PreconditionFailure()
        for detail in status.details:
            for kind in (info, request, precondition):
                detail.Unpack(kind)  # changes it only if it is of that kind
        fields = [(each.field, each.description) for each in request.field_violations]
        fields += [(each.subject, each.description) for each in precondition.violations]
        if not fields and "field" in info.metadata:
            fields = [(info.metadata["field"], status.message)]
        return cls(code_pb2.Code.Name(status.code), info.reason, status.message, fields)

    @classmethod
    def of_error(cls, error: grpc.aio.AioRpcError) -> Answer:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        return cls.of(status) if status else cls(error.code().name, "", error.details() or "", [])

    def __str__(self) -> str:
        said = f"{self.message} ({self.reason or self.code})"
        told = [f"  {field}: {text}" for field, text in self.fields if field and text]
        return "\n".join([said, *told])


@asynccontextmanager
async def calling(address: str, *keys: str) -> AsyncIterator[list[Callers]]:
    """The server at `address`, with each of the keys."""
    async with channel_to(address) as channel:
        yield [Callers(channel, key) for key in keys]


@asynccontextmanager
async def channel_to(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """Over TLS where the settings say so."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", MAX_ANSWER_BYTES)]
    credentials = _credentials(load_settings(Use.NONE), address)
    async with (
        grpc.aio.secure_channel(address, credentials, options)
        if credentials
        else grpc.aio.insecure_channel(address, options)
    ) as channel:
        yield channel


def _credentials(settings: Settings, address: str) -> grpc.ChannelCredentials | None:
    """TLS where certificates are named, and else away from this machine; None for plaintext."""
    named = settings.server_ca or settings.client_cert
    if not named and (is_loopback(address) or settings.plaintext is Plaintext.ANYWHERE):
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
async def connected(address: str | None, key: str | None) -> AsyncIterator[Callers]:
    """The server that was named, or else that of the stack running here; with staff's key where none is given."""
    stack = RunFile.read(load_settings(Use.NONE).home)
    if stack and address in (None, stack.grpc):
        address, key = stack.grpc, key or stack.keys["pms"]
    if address is None:
        fail(f"{nothing_runs()}, or name a server with --address and --key", UNREACHABLE)
    if key is None:
        fail(f"{address} asks for an API key: give it as --key or in STOCKWARD_KEY", WRONG_USAGE)
    async with calling(address, key) as (callers,):
        yield callers


def nothing_runs() -> str:
    """Returns where a running stack was looked for, and how to start one."""
    settings = load_settings(Use.NONE)
    if "home" in settings.model_fields_set:
        return f"No stack is running in {settings.home.absolute()}: start it with `make run`"
    return (
        f"No stack was found: {Path.cwd()} and the folders above it have no {settings.home}. Start one with `make run`"
    )


def told(work: Coroutine[Any, Any, Result], repetition: str = "") -> Result:
    """Do the work; an error answer is told and ends the command with exit code 1, no answer with 3.

    `repetition` says how to do it again where it is not known whether it was done.
    """
    try:
        return asyncio.run(work)
    except grpc.aio.AioRpcError as error:
        answer = Answer.of_error(error)
        if error.code() not in NO_ANSWER:
            fail(str(answer))
        message = str(answer) if answer.reason else f"The server cannot be reached: {answer.message}"
        fail("\n".join(filter(None, (message, repetition))), UNREACHABLE)


def fail(message: str, code: int = REFUSED) -> NoReturn:
    """Say on stderr what is wrong, and end with this exit code."""
    said = "\n".join(printable(line, MAX_LINE) for line in message.splitlines())
    Console(stderr=True).print(f"✗ {said}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
