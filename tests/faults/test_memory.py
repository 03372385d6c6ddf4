"""Whatever callers ask for and leave unread, server and gateway stay within the memory of their manifests.

The processes are real ones. Everything that they keep is filled with the largest orders that can be made: a thousand
lines with the longest titles, almost 4 MiB each.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf.message import Message
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as pb
from stockward.webhook.v1 import webhook_pb2 as webhooks

from stockward_dev import Nats, Postgres, free_port
from stockward_dev.worker import Worker
from stockward_server.bootstrap.database import ensure_key
from stockward_server.config import Settings, variable
from stockward_server.runtime.probes import grpc_serves
from stockward_server.storage.database import Pool, open_pool
from tests.events import until
from tests.shop import KEYS, Callers, all_callers, money
from tests.webhooks import is_up

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="memory is looked up in Linux's /proc"),
    pytest.mark.timeout(400),
]

WIDE = "\N{SHOPPING TROLLEY}"
"""A character of four bytes."""

LINES = 1000
SKUS = [f"{number:04}".ljust(64, "-") for number in range(LINES)]

CALLS = 100
"""Of one connection."""

DEAF = [
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 16_384),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
"""Options of a channel that takes no more than it has to before somebody reads."""


@dataclass(frozen=True)
class Load:
    """How much of each is asked for."""

    orders: int
    products: int
    """With the longest descriptions."""
    unread: int
    """Lists of orders, and watches of orders, that nobody reads."""
    watches: int
    """Watches of a thousand SKUs."""
    endpoints: int
    """Receivers that do not answer."""


LOAD = Load(orders=4, products=10, unread=30, watches=30, endpoints=8)


def limit_of(name: str) -> int:
    """Bytes that the manifest allows the container."""
    (deployment,) = [
        each
        for each in yaml.safe_load_all(Path(f"deploy/kubernetes/{name}.yaml").read_text())
        if each["kind"] in ("Deployment", "StatefulSet")
    ]
    (memory,) = [
        each["resources"]["limits"]["memory"] for each in deployment["spec"]["template"]["spec"]["containers"][:1]
    ]
    units = {"Mi": 2**20, "Gi": 2**30}
    return int(memory[:-2]) * units[memory[-2:]]


def peak_of(worker: Worker) -> int:
    """The most bytes that the process has had in memory."""
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


@dataclass
class Stack:
    """Processes of its own, and a catalogue of a thousand SKUs with the longest titles."""

    address: str
    pool: Pool
    callers: dict[str, Callers]
    server: Worker
    gateway: Worker
    deaf: AsyncExitStack
    calls: list[Any] = field(default_factory=list)
    """Kept, so that they go on."""

    async def order(self, lines: int = LINES) -> None:
        """The largest one of so many lines."""
        dear: dict[str, Any] = {"unit_price_override": money("4.00"), "price_override_reason": WIDE * 200}
        await self.callers["admin"].orders.CreateOrder(
            pb.CreateOrderRequest(
                lines=[pb.CreateOrderRequest.Line(sku=sku, quantity=1, **dear) for sku in SKUS[:lines]],
                reference=WIDE * 200,
            )
        )

    async def ask_unread(self, count: int, method: str, request: Message, key: str) -> None:
        """So many calls, none of which is read: what is beyond 64 KiB waits at the server."""
        for start in range(0, count, CALLS):
            channel = await self.deaf.enter_async_context(grpc.aio.insecure_channel(self.address, options=DEAF))
            call: Any = channel.unary_stream(method, request_serializer=lambda message: message.SerializeToString())
            for _ in range(start, min(start + CALLS, count)):
                self.calls.append(call(request, metadata=[("authorization", f"Bearer {key}")]))
            await asyncio.sleep(0)

    async def still_answers(self) -> None:
        async with asyncio.timeout(30):
            await self.callers["storefront"].inventory.GetAvailability(inventory.GetAvailabilityRequest(sku=SKUS[0]))


@pytest.fixture
async def stack(postgres: Postgres, database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with AsyncExitStack() as running:
        nats = await running.enter_async_context(Nats(tmp_path / "nats", durable=False))
        settings = Settings.model_validate({"database_url": database_url, "event_queue_url": nats.url})
        for role, key in KEYS.items():
            await ensure_key(settings, role, role, key)
        address, admin, relay_admin, gateway = [f"127.0.0.1:{free_port()}" for _ in range(4)]
        variables = {
            variable("database_url"): database_url,
            variable("event_queue_url"): nats.url,
            variable("grpc_address"): address,
            variable("server_admin_address"): admin,
            variable("relay_admin_address"): relay_admin,
            variable("gateway_address"): gateway,
            variable("webhook_networks"): "127.0.0.0/24",
            variable("webhook_timeout_seconds"): "5",
            variable("webhook_secret"): "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        }
        workers = [
            await running.enter_async_context(
                Worker(
                    name,
                    command,
                    variables=variables,
                    ready=ready,
                    stop_within=20.0,
                    log=tmp_path / f"{name}.log",
                    lock=tmp_path / f"{name}.lock",
                )
            )
            for name, command, ready in (
                ("server", "serve", lambda: grpc_serves(address)),
                ("relay", "relay", None),
                ("gateway", "gateway", lambda: is_up(gateway)),
            )
        ]
        pool = await open_pool(database_url, 4)
        running.push_async_callback(pool.close)
        callers = all_callers(address)
        for each in callers.values():
            running.push_async_callback(each.channel.close)
        deaf = await running.enter_async_context(AsyncExitStack())
        stack = Stack(address, pool, callers, workers[0], workers[2], deaf)
        await fill_catalog(callers["pms"])
        yield stack


async def fill_catalog(staff: Callers) -> None:
    for start in range(0, LINES, 500):
        variants = [
            catalog.Variant(sku=sku, title=WIDE * 300, price=money("5.00"), options={"Code": sku})
            for sku in SKUS[start : start + 500]
        ]
        await publish(staff, catalog.Product(title=WIDE * 300, handle=f"p-{start}", description="-", variants=variants))
    rows = [inventory.SyncStockRequest.Row(sku=sku, on_hand=10_000) for sku in SKUS]
    await anext(aiter(staff.inventory.SyncStock(iter([inventory.SyncStockRequest(rows=rows)]))))


async def publish(staff: Callers, product: catalog.Product) -> str:
    made = await staff.catalog.CreateProduct(catalog.CreateProductRequest(product=product))
    await staff.catalog.PublishProduct(catalog.PublishProductRequest(product_id=made.product_id))
    return str(made.product_id)


async def test_a_server_stays_within_the_memory_of_its_manifest(stack: Stack) -> None:
    staff, storefront = stack.callers["pms"], stack.callers["storefront"]
    for _ in range(LOAD.orders):
        await stack.order()
    for number in range(LOAD.products):
        variant = catalog.Variant(sku=f"extra-{number}", title=WIDE * 300, price=money("5.00"), options={"a": "b"})
        product = catalog.Product(
            title=WIDE * 300, handle=f"extra-{number}", description=WIDE * 100_000, variants=[variant]
        )
        product_id = await publish(staff, product)
        await staff.catalog.GetProduct(catalog.GetProductRequest(product_id=product_id))
        await storefront.catalog.GetAvailableProduct(catalog.GetAvailableProductRequest(product_id=product_id))
    orders = "/stockward.order.v1.OrderService"
    await stack.ask_unread(LOAD.unread, f"{orders}/WatchOrders", pb.WatchOrdersRequest(), KEYS["pms"])
    await stack.ask_unread(
        LOAD.watches,
        "/stockward.inventory.v1.InventoryService/WatchAvailability",
        inventory.WatchAvailabilityRequest(skus=SKUS),
        KEYS["storefront"],
    )
    await stack.ask_unread(LOAD.unread, f"{orders}/ListOrders", pb.ListOrdersRequest(page_size=1000), KEYS["pms"])
    for _ in range(LOAD.orders):  # what waits for the watches
        await stack.order()
    await stack.still_answers()
    peak, limit = peak_of(stack.server), limit_of("server")
    print(f"server: {peak / 2**20:.0f} of {limit / 2**20:.0f} MiB")
    assert peak < limit


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts a connection, and reads nothing from it."""
    await asyncio.Event().wait()


async def test_a_gateway_stays_within_the_memory_of_its_manifest(stack: Stack) -> None:
    receivers = await asyncio.start_server(never, "127.0.0.1", 0)
    port = receivers.sockets[0].getsockname()[1]
    for number in range(LOAD.endpoints):
        await stack.callers["pms"].webhooks.CreateEndpoint(
            webhooks.CreateEndpointRequest(
                endpoint=webhooks.Endpoint(
                    url=f"http://127.0.0.1:{port}/{number}", types=["order.*"], max_body_bytes=2**20, max_in_flight=256
                )
            )
        )
    for _ in range(LOAD.orders):
        await stack.order()
        for _ in range(4):  # whose bodies are as large as they may be
            await stack.order(180)

    async def all_were_tried() -> bool:
        tried = await stack.pool.fetchval("SELECT count(DISTINCT endpoint_id) FROM delivery_attempts")
        return bool(tried >= LOAD.endpoints)

    await until(all_were_tried, 30 + 3 * LOAD.endpoints)
    peak, limit = peak_of(stack.gateway), limit_of("gateway")
    print(f"gateway: {peak / 2**20:.0f} of {limit / 2**20:.0f} MiB")
    assert peak < limit
    receivers.close()
