"""A stack of processes of its own on a primary with a synchronous standby, customers, and what came of it all."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import grpc
from stockward.event.v1.event_pb2 import Event
from stockward.order.v1 import order_pb2

from stockward_dev import Nats, free_port
from stockward_dev.worker import Worker
from stockward_server.config import Settings
from stockward_server.runtime.probes import answers, grpc_serves
from stockward_server.runtime.supervision import end
from stockward_server.storage import database as storage
from tests.commands import sell, verify_counters
from tests.events import stored, until, versions
from tests.pgbouncer import PgBouncer, version
from tests.receiver import SECRET, Hook, Receiver, receiver
from tests.replication import Member, in_step, replicated, several
from tests.shop import KEYS, Callers, callers, ensure_keys

SKU, UNITS = "MUG", 1_000_000

AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""What a client of ours takes for a reason to send the same request again."""

CALL_SECONDS = 2.0

QUICK = "server_login_retry = 1"
"""Of PgBouncer, which waits for 15 s otherwise after PostgreSQL refused it."""


@dataclass
class Bench:
    """What runs, and what customers saw."""

    primary: Member
    standby: Member
    nats: Nats
    servers: Sequence[Worker]
    addresses: Sequence[str]
    admin: Sequence[str]
    relay: Worker
    gateway: Worker
    relay_admin: str
    gateway_address: str
    receiver: Receiver
    pooler: PgBouncer | None
    """Between servers and PostgreSQL."""
    acknowledged: dict[str, str] = field(default_factory=dict)
    """order_id by request_id."""
    times: list[float] = field(default_factory=list)
    """Of each acknowledgement."""
    hooks: dict[str, float] = field(default_factory=dict)
    """When the webhook of each order came first."""
    codes: Counter[str] = field(default_factory=Counter)
    """Errors that customers saw."""
    longest: float = 0.0
    """Seconds of the longest call."""

    customers: Sequence[asyncio.Task[None]] = ()
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def close(self) -> None:
        """Lets the customers finish what they began."""
        self.closing.set()
        await asyncio.wait_for(asyncio.gather(*self.customers), 60)

    async def buy_more(self, count: int = 30, seconds: float = 60) -> None:
        """Waits until so many more orders are acknowledged."""
        goal = len(self.acknowledged) + count
        await until(lambda: len(self.acknowledged) >= goal, seconds)

    def first_order_after(self, moment: float) -> float:
        """Seconds from `moment` until an order was acknowledged."""
        return min(each for each in self.times if each > moment) - moment

    def first_webhook_after(self, moment: float) -> float:
        """Seconds from `moment` until the webhook of an order came that was created later."""
        since = {
            order_id
            for order_id, acknowledged in zip(self.acknowledged.values(), self.times, strict=True)
            if acknowledged > moment
        }
        return min(when for order_id, when in self.hooks.items() if order_id in since) - moment

    async def judge(self, member: Member) -> None:
        """Nothing acknowledged is lost, nothing is there twice, and all of it is reported once and in order."""
        assert not self.codes["INTERNAL"] + self.codes["UNKNOWN"], self.codes
        async with storage.opened_pool(member.url(), 2) as pool:
            orders = {str(row[0]) for row in await pool.fetch("SELECT order_id FROM orders")}
            assert set(self.acknowledged.values()) == orders
            assert len(self.acknowledged) == len(orders)
            sold = await pool.fetchval("SELECT allocated FROM stock WHERE sku = $1", SKU)
            assert sold == len(orders)
            await verify_counters(pool)
            await until(lambda: pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"))
            epoch = await pool.fetchval("SELECT max(first_seq) FROM log_epochs")
            events = {str(row[0]) for row in await pool.fetch("SELECT event_id FROM events")}
        told = [Event.FromString(message.data) for message in await stored(self.nats.url)]
        assert len({each.event_id for each in told}) == len(told)
        assert {each.event_id for each in told} == events
        for aggregate_id, found in versions(told).items():
            for before, after in pairwise((0, *found)):
                assert after in (before + 1, max(before + 1, epoch)), f"{aggregate_id}: {after} after {before}"
        await until(lambda: orders <= set(self.hooks))
        for aggregate_id, found in self.receiver.first_versions().items():
            assert found == sorted(found), aggregate_id


@asynccontextmanager
async def bench(directory: Path, servers: int = 2, customers: int = 8, *, pooled: bool = False) -> AsyncIterator[Bench]:
    """Runs everything, with customers that buy until the end of the block; each repeats a request until it is
    acknowledged."""
    async with AsyncExitStack() as stack:
        primary, standby = await stack.enter_async_context(replicated())
        nats = await stack.enter_async_context(Nats(directory / "nats"))
        await until(lambda: in_step(primary))
        await storage.migrate(primary.url())
        await ensure_keys(Settings.model_validate({"database_url": primary.url()}))
        async with storage.opened_pool(primary.url(), 2) as pool:
            await sell(pool, **{SKU: UNITS})
        hooks = await stack.enter_async_context(receiver())
        url = several(primary, standby)  # the one that stands still is the first
        pooler = None
        if pooled:
            place = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="stockward-pgbouncer-"))
            stack.callback(shutil.rmtree, place)
            place.chmod(0o777)  # it runs as PostgreSQL's user
            mode = "transaction" if version() >= (1, 21) else "session"  # it knows prepared statements since then
            pooler = await stack.enter_async_context(PgBouncer(primary, place, mode=mode, sessions=40, further=QUICK))
        processes = {}
        for name in (*(f"server-{number}" for number in range(1, servers + 1)), "relay", "gateway"):
            address, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
            command = name.partition("-")[0]
            processes[name] = (
                address,
                admin,
                Worker(
                    name,
                    "serve" if command == "server" else command,
                    variables={
                        "DATABASE_URL": pooler.url(primary.url()) if pooler and command == "server" else url,
                        "EVENT_QUEUE_URL": nats.url,
                        "STOCKWARD_GRPC_ADDRESS": address,
                        "STOCKWARD_GATEWAY_ADDRESS": address,
                        "STOCKWARD_SERVER_ADMIN_ADDRESS": admin,
                        "STOCKWARD_RELAY_ADMIN_ADDRESS": admin,
                        "PMS_WEBHOOK_URL": hooks.url,
                        "WEBHOOK_SECRET": SECRET,
                    },
                    ready=_ready(command, address, admin),
                    stop_within=15,
                    log=directory / f"{name}.log",
                    lock=directory / f"{name}.lock",
                ),
            )
        for _, _, process in processes.values():
            stack.push_async_callback(process.kill)
        await asyncio.gather(*(process.start() for _, _, process in processes.values()))
        serving = [each for name, each in processes.items() if name.startswith("server")]
        running = Bench(
            primary,
            standby,
            nats,
            [process for _, _, process in serving],
            [address for address, _, _ in serving],
            [admin for _, admin, _ in serving],
            processes["relay"][2],
            processes["gateway"][2],
            processes["relay"][1],
            processes["gateway"][0],
            hooks,
            pooler,
        )

        async def note(hook: Hook) -> None:
            running.hooks.setdefault(hook.aggregate_id, time.monotonic())

        hooks.behaviour = note
        stubs = [callers(address, KEYS["storefront"]) for address in running.addresses]
        for each in stubs:
            stack.push_async_callback(each.channel.close)
        running.customers = [asyncio.create_task(_customer(running, stubs, number)) for number in range(customers)]
        try:
            yield running
        finally:
            await end(*running.customers)


async def _customer(running: Bench, stubs: Sequence[Callers], number: int) -> None:
    while not running.closing.is_set():
        request = order_pb2.CreateOrderRequest(
            request_id=str(uuid.uuid4()), lines=[order_pb2.CreateOrderRequest.Line(sku=SKU, quantity=1)]
        )
        while request.request_id not in running.acknowledged:
            since = time.monotonic()
            try:
                order = await stubs[number % len(stubs)].orders.CreateOrder(request, timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                running.codes[error.code().name] += 1
                number += 1
                await asyncio.sleep(0.05)
            else:
                running.acknowledged[request.request_id] = order.order_id
                running.times.append(time.monotonic())
            running.longest = max(running.longest, time.monotonic() - since)


def _ready(command: str, address: str, admin: str) -> Callable[[], Awaitable[bool]]:
    if command == "server":
        return lambda: grpc_serves(address)
    if command == "gateway":
        return lambda: answers(f"http://{address}/healthz")
    return lambda: answers(f"http://{admin}/readyz")
