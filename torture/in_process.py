"""The same stack in this process, for builds that are broken by patching: servers, a relay and a gateway as tasks."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stockward_dev import Nats, free_port
from stockward_server import gateway
from stockward_server.api.events.encoder import encode_event
from stockward_server.bootstrap.database import ensure_key
from stockward_server.bootstrap.server import running_server
from stockward_server.config import Settings
from stockward_server.gateway import LOOPBACK, Egress
from stockward_server.storage.database import Pool, open_pool
from tests.events import STREAM, relaying, running
from tests.incoming import SECRET
from tests.shop import KEYS
from torture.listeners import Receiver
from torture.process import BREAKER, RETRY_DELAYS
from torture.usage import Usage, usage_of

SERVERS = 2


@dataclass
class InProcess:
    """The subject of run.py in this process."""

    addresses: list[str]
    receivers: Mapping[str, Receiver]
    pool: Pool
    nats_url: str
    most_connections: int
    log: ErrorLog

    async def heal(self) -> None:
        """Does nothing, as there are no faults."""

    async def usage(self) -> Usage:
        return await usage_of([os.getpid()], len(asyncio.all_tasks()), self.pool)

    def errors(self) -> list[str]:
        return self.log.lines


class ErrorLog(logging.Handler):
    """Collects logged errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@asynccontextmanager
async def in_process(database_url: str, directory: Path) -> AsyncIterator[InProcess]:
    """Runs the stack on a migrated database."""
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(Nats(directory / "nats", durable=False))
        receivers = {name: await stack.enter_async_context(Receiver.listening()) for name in ("storefront", "pms")}
        pool = await open_pool(database_url, 4)
        stack.push_async_callback(pool.close)
        log = ErrorLog()
        logging.getLogger().addHandler(log)
        stack.callback(logging.getLogger().removeHandler, log)
        await stack.enter_async_context(relaying(database_url, nats.url))
        await stack.enter_async_context(
            running(
                lambda stop: gateway.run(
                    database_url,
                    nats.url,
                    STREAM,
                    address=f"127.0.0.1:{free_port()}",
                    urls={name: receiver.url for name, receiver in receivers.items()},
                    secrets=dict.fromkeys(receivers, SECRET),
                    encode_event=encode_event,
                    egress=Egress.of(LOOPBACK, require_https=False),
                    breaker=BREAKER,
                    stop=stop,
                    grace_seconds=0.2,
                    retry_delays=RETRY_DELAYS,
                    poll_seconds=0.1,
                )
            )
        )
        addresses = []
        for _ in range(SERVERS):
            address = f"127.0.0.1:{free_port()}"
            settings = Settings.model_validate(
                {
                    "database_url": database_url,
                    "event_queue_url": nats.url,
                    "grpc_address": address,
                    "webhook_secret": SECRET,
                    "sweep_interval_seconds": 0.1,
                    "payment_due_seconds": 1,
                    "shutdown_grace_seconds": 0.2,
                    "watch_heartbeat_seconds": 1,
                    "pool_size": 4,
                }
            )
            for role, key in KEYS.items():
                await ensure_key(settings, role, role, key)
            await stack.enter_async_context(running_server(settings))
            addresses.append(address)
        yield InProcess(addresses, receivers, pool, nats.url, SERVERS * 4 + 1 + 5 + 4 + 20, log)
