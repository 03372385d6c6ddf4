"""A process that is asked to stop ends within its grace, whatever has become of PostgreSQL and NATS meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from stockward.catalog.v1 import catalog_pb2
from stockward.inventory.v1 import inventory_pb2

from stockward_dev import Nats, Postgres, free_port
from stockward_dev.service import Service
from stockward_dev.worker import Worker
from stockward_server.bootstrap.database import ensure_key, migrate
from stockward_server.config import Settings, variable
from stockward_server.runtime.probes import answers
from tests.events import until
from tests.receiver import SECRET
from tests.scrape import ask, scrape, value
from tests.shop import KEYS, Callers, callers, money
from torture.stack import freeze, thaw

GRACE_SECONDS = 2.0
CALLERS = 4


@dataclass(frozen=True, slots=True)
class Stack:
    """PostgreSQL and NATS, and server, relay and gateway at work."""

    postgres: Postgres
    nats: Nats
    processes: Mapping[str, Worker]
    admin: Mapping[str, str]
    """Where each process reports its state (HOST:PORT)."""
    settings: Settings

    def service(self, name: str) -> Service:
        return self.postgres if name == "postgres" else self.nats


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    directory = Path(tempfile.mkdtemp(prefix="stockward-stopping-"))
    directory.chmod(0o711)  # PostgreSQL's user must pass, where that is another one
    async with AsyncExitStack() as running:
        running.callback(shutil.rmtree, directory, ignore_errors=True)
        postgres = await running.enter_async_context(Postgres(directory / "postgres", settings={"fsync": "off"}))
        nats = await running.enter_async_context(Nats(directory / "nats", durable=False))
        admin = {name: f"127.0.0.1:{free_port()}" for name in ("serve", "relay", "gateway")}
        variables = {
            "database_url": await postgres.create_database("shop"),
            "event_queue_url": nats.url,
            "grpc_address": f"127.0.0.1:{free_port()}",
            "server_admin_address": admin["serve"],
            "relay_admin_address": admin["relay"],
            "gateway_address": admin["gateway"],
            "webhook_secret": SECRET,
            "pms_webhook_url": "http://127.0.0.1:1/",
            "shutdown_grace_seconds": str(GRACE_SECONDS),
            "sweep_interval_seconds": "0.1",
        }
        settings = Settings.model_validate(variables)
        await migrate(settings)
        await ensure_key(settings, "pms", "pms", KEYS["pms"])
        processes = {
            name: Worker(
                name,
                name,
                variables={variable(field): text for field, text in variables.items()},
                ready=is_ready(address),
                stop_within=60.0,
                log=directory / f"{name}.log",
                lock=directory / f"{name}.lock",
            )
            for name, address in admin.items()
        }
        for process in processes.values():
            running.push_async_callback(process.kill)
        await asyncio.gather(*(process.start() for process in processes.values()))
        found = Stack(postgres, nats, processes, admin, settings)
        pms = callers(settings.grpc_address, KEYS["pms"])
        running.push_async_callback(pms.channel.close)
        await until(lambda: sells(pms))
        work = asyncio.create_task(keep_busy(pms))
        running.callback(work.cancel)
        try:
            await until(lambda: delivers(found))
        except AssertionError as error:
            for name in admin:
                error.add_note(f"{name}:\n{(directory / f'{name}.log').read_text()[-3000:]}")
            raise
        yield found
        for service in (postgres, nats):
            thaw(service)


def is_ready(address: str) -> Callable[[], Awaitable[bool]]:
    return lambda: answers(f"http://{address}/readyz")


async def sells(pms: Callers) -> bool:
    """Creates the product; returns whether the server could be asked yet."""
    mug = catalog_pb2.Product(
        title="Mug", handle="mug", variants=[catalog_pb2.Variant(sku="MUG", price=money("9.90", "EUR"))]
    )
    try:
        await pms.catalog.CreateProduct(
            catalog_pb2.CreateProductRequest(product=mug, request_id="6f6e1c3a-5d3c-4b5f-9a52-0c6d8f6f1c11")
        )
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    return True


async def keep_busy(pms: Callers) -> None:
    """Changes stock again and again, so that there is something to commit, publish and deliver."""

    async def adjust() -> None:
        while True:
            with suppress(grpc.aio.AioRpcError):
                await pms.inventory.AdjustStock(
                    inventory_pb2.AdjustStockRequest(
                        sku="MUG", delta=1, reason=inventory_pb2.ADJUSTMENT_REASON_RECEIVED
                    )
                )
            await asyncio.sleep(0.01)

    await asyncio.gather(*(adjust() for _ in range(CALLERS)))


async def delivers(stack: Stack) -> bool:
    """Whether an event has come all the way to the gateway's attempts."""
    attempts = (await scrape(stack.admin["gateway"])).get("stockward_delivery_attempts_total", [])
    return bool(attempts)


async def not_ready(stack: Stack) -> bool:
    """Whether every process has noticed that PostgreSQL is away."""
    found = [await ask(address, "/readyz") for address in stack.admin.values()]
    return all(status == 503 for status, _ in found)


async def without_nats(stack: Stack) -> bool:
    """Whether every process has noticed that NATS is away."""
    found = {name: await scrape(stack.admin[name]) for name in stack.admin}
    connected = [value(found[name], "stockward_nats_connected") for name in ("serve", "relay")]
    return not any([*connected, value(found["gateway"], "stockward_gateway_feeding")])


@pytest.mark.parametrize("noticed", [False, True], ids=["at once", "noticed"])
@pytest.mark.parametrize("fault", ["stopped", "frozen"])
@pytest.mark.parametrize("name", ["postgres", "nats"])
async def test_every_process_ends_within_its_grace(stack: Stack, name: str, fault: str, noticed: bool) -> None:
    service = stack.service(name)
    if fault == "frozen":
        freeze(service)
    else:
        await service.kill()
    if noticed:
        await until(lambda: not_ready(stack) if name == "postgres" else without_nats(stack), 60)

    async def end(process: Worker) -> tuple[int, float]:
        since = time.monotonic()
        assert process.pid
        os.kill(process.pid, signal.SIGTERM)
        return await process.wait(), time.monotonic() - since

    ended = dict(zip(stack.processes, await asyncio.gather(*map(end, stack.processes.values())), strict=True))
    logs = "\n".join(process.log.read_text() for process in stack.processes.values())
    assert {name: code for name, (code, _) in ended.items()} == dict.fromkeys(ended, 0), logs
    late = {name: seconds for name, (_, seconds) in ended.items() if seconds > stack.settings.stop_seconds}
    assert not late, logs
