"""What is done to the stack: each attack once, to be repeated by several tasks until its time is over."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from tests.attack.bodies import SIZES, crowded_bodies, json_bodies, messages
from tests.http2 import Http2

ATTACKER_KEY = "swk_storefront_attacker_key"
"""The smallest role."""

BULK_SKUS = [f"BULK-{number:04}" for number in range(1000)]

CREATE_ORDER = "/stockward.order.v1.OrderService/CreateOrder"
CREATE_ORDERS = "/stockward.order.v1.OrderService/BatchCreateOrders"
AVAILABILITY = "/stockward.inventory.v1.InventoryService/GetAvailability"
AVAILABILITIES = "/stockward.inventory.v1.InventoryService/BatchGetAvailability"
WATCH_AVAILABILITY = "/stockward.inventory.v1.InventoryService/WatchAvailability"
LIST_PRODUCTS = "/stockward.catalog.v1.CatalogService/ListAvailableProducts"
WEBHOOK = "/stockward.webhook.v1.IncomingWebhookService/ReceiveStorefrontWebhook"
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"

ORDERS = "/api/storefront/orders/create"
"""The path of CreateOrder."""

PRODUCTS = "/api/pms/products/create"
"""The path of CreateProduct."""

MADE_UP = "swk_storefront_{}"
"""A key that nobody has."""

Line = orders.CreateOrderRequest.Line


@dataclass(slots=True)
class Target:
    """Where the stack is, and what was sent to it so far: bytes, those of a compressed body as they come out of it."""

    grpc_address: str
    edge_address: str
    channel: Any
    http: aiohttp.ClientSession
    sent: int = 0
    kept: list[Any] = field(default_factory=list)
    """Connections and streams that are held open."""

    def address(self, edge: bool) -> str:
        """Where HTTP/2 is spoken: at the edge or at the gRPC port."""
        return self.edge_address if edge else self.grpc_address

    async def call(self, path: str, body: bytes, key: str = ATTACKER_KEY, **options: Any) -> None:
        """A unary call; the answer is of no matter."""
        metadata = (("authorization", f"Bearer {key}"),) if key else ()
        self.sent += len(body)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self.channel.unary_unary(path)(body, metadata=metadata, timeout=20, **options)

    async def post(self, path: str, body: bytes, *, key: str = "", headers: dict[str, str] | None = None) -> None:
        """JSON to the edge."""
        await self.request("POST", path, body, key=key, headers=headers)

    async def request(
        self, verb: str, path: str, body: bytes = b"", *, key: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Anything to the edge; an edge that closes its connection has every right to."""
        named = {"authorization": f"Bearer {key}"} if key else {}
        self.sent += len(body) + len(path)
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self.http.request(
                verb,
                f"http://{self.edge_address}{path}",
                data=body or None,
                headers={"content-type": "application/json", **named, **(headers or {})},
            ) as answer:
                await answer.read()


Do = Callable[[Target], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """What somebody does over and over."""

    name: str
    by: str
    """Whose credential it has."""
    way: str
    """Through which door."""
    do: Do
    tasks: int = 4
    """So many at the same time."""


def encoded(message: Message) -> bytes:
    return message.SerializeToString()


# Through gRPC


def message(path: str, body: bytes, key: str = ATTACKER_KEY, **options: Any) -> Do:
    return lambda target: target.call(path, body, key, **options)


def wrong_names(size: int) -> bytes:
    """A batch of orders whose SKUs are all wrong, in a way that takes long to describe."""
    order = orders.CreateOrderRequest(lines=[Line(sku="\u202e" * 60, quantity=1)] * 1000)
    return encoded(orders.BatchCreateOrdersRequest(requests=[order] * max(1, size // order.ByteSize())))


def unsigned(size: int) -> bytes:
    return encoded(HttpBody(content_type="application/json", data=json_bodies(size)["nests"]))


async def big_orders(target: Target) -> None:
    """20 orders of 1,000 lines each, all of which are right."""
    lines = [Line(sku=sku, quantity=1) for sku in BULK_SKUS]
    batch = orders.BatchCreateOrdersRequest(
        requests=[orders.CreateOrderRequest(lines=lines, request_id=str(uuid.uuid4())) for _ in range(20)]
    )
    await target.call(CREATE_ORDERS, encoded(batch))


async def many_orders(target: Target) -> None:
    """As many small orders as it can."""
    order = orders.CreateOrderRequest(lines=[Line(sku="BULK-0001", quantity=1)], request_id=str(uuid.uuid4()))
    await target.call(CREATE_ORDER, encoded(order))


async def many_availabilities(target: Target) -> None:
    await target.call(AVAILABILITIES, encoded(inventory.BatchGetAvailabilityRequest(skus=BULK_SKUS)))


async def largest_pages(target: Target) -> None:
    await target.call(LIST_PRODUCTS, encoded(catalog.ListAvailableProductsRequest(page_size=1000)))


def searches(query: str) -> Do:
    body = encoded(catalog.ListAvailableProductsRequest(search=query, page_size=1000))
    return lambda target: target.call(LIST_PRODUCTS, body)


async def watches(target: Target) -> None:
    """One watch of 1,000 SKUs more, until a thousand are open."""
    if len(target.kept) >= 1000:
        await asyncio.sleep(0.1)
        return
    request = encoded(inventory.WatchAvailabilityRequest(skus=BULK_SKUS))
    target.sent += len(request)
    call = target.channel.unary_stream(WATCH_AVAILABILITY)(
        request, metadata=(("authorization", f"Bearer {ATTACKER_KEY}"),)
    )
    target.kept.append(call)
    with contextlib.suppress(grpc.aio.AioRpcError):
        await call.read()


# Through gRPC, without a key


async def unknown_keys(target: Target) -> None:
    await target.call(AVAILABILITY, encoded(inventory.GetAvailabilityRequest(sku="HOT")), key=f"swk_{uuid.uuid4().hex}")


async def wrong_tokens(target: Target) -> None:
    await target.call(
        AVAILABILITY, encoded(inventory.GetAvailabilityRequest(sku="HOT")), key=f"e30.{uuid.uuid4().hex}." + "A" * 8000
    )


async def health_watches(target: Target) -> None:
    if len(target.kept) >= 2000:
        await asyncio.sleep(0.1)
        return
    call = target.channel.unary_stream(HEALTH_WATCH)(encoded(health_pb2.HealthCheckRequest()))
    target.kept.append(call)
    with contextlib.suppress(grpc.aio.AioRpcError):
        await call.read()


HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "localhost"),
    (":path", AVAILABILITY),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


def begin(connection: Http2, key: str = "") -> int:
    """A call without an end."""
    stream = connection.http.get_next_available_stream_id()
    authorization = [("authorization", f"Bearer {key}")] if key else []
    connection.http.send_headers(stream, [*HEADERS, *authorization])
    return stream


def headers_only(key: str, *, edge: bool = False) -> Do:
    """Calls that never send their message, a hundred on each connection, until it is closed. A key may have a place for
    something random."""

    async def do(target: Target) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            async with Http2.connected(target.address(edge)) as connection:
                for _ in range(100):
                    begin(connection, key.format(uuid.uuid4().hex))
                target.sent += 100 * 200
                await connection.flush()
                await asyncio.sleep(1.0)

    return do


def resets(key: str = "", *, edge: bool) -> Do:
    async def do(target: Target) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            async with Http2.connected(target.address(edge)) as connection:
                for _ in range(500):
                    connection.http.reset_stream(begin(connection, key))
                    target.sent += 200
                    await connection.flush()

    return do


def pings(*, edge: bool) -> Do:
    async def do(target: Target) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            async with Http2.connected(target.address(edge)) as connection:
                for number in range(2000):
                    connection.http.ping(number.to_bytes(8, "big"))
                    target.sent += 17
                    await connection.flush()

    return do


def silence(edge: bool) -> Do:
    """Connections that say nothing, 50 at a time, up to 2,000 open at once."""

    async def do(target: Target) -> None:
        if len(target.kept) >= 2000:
            await asyncio.sleep(0.1)
            return
        host, _, port = target.address(edge).rpartition(":")
        for _ in range(50):
            with contextlib.suppress(OSError):
                target.kept.append(await asyncio.open_connection(host, int(port)))
        await asyncio.sleep(0.01)

    return do


# Through the edge, without a key


def json_body(body: bytes, path: str = ORDERS, key: str = "") -> Do:
    return lambda target: target.post(path, body, key=key)


def compressed_json(size: int) -> Do:
    body = gzip.compress(json_bodies(size)["zeros"])

    async def do(target: Target) -> None:
        target.sent += size
        await target.post(ORDERS, body, headers={"content-encoding": "gzip"})

    return do


async def requests_without_key(target: Target) -> None:
    await target.request("GET", "/api/storefront/stock/HOT")


async def pages(target: Target) -> None:
    await target.request("GET", "/docs")


async def largest_address(target: Target) -> None:
    skus = "&".join(f"skus={sku}" for sku in BULK_SKUS)
    await target.request("GET", f"/api/storefront/stock?{skus}")


async def slow_bodies(target: Target) -> None:
    """Connections that send a byte now and then, up to a thousand."""
    if len(target.kept) < 1000:
        host, _, port = target.edge_address.rpartition(":")
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"POST {ORDERS} HTTP/1.1\r\nhost: edge\r\ncontent-length: 100000\r\n\r\n{{".encode())
            target.sent += 100
            target.kept.append((reader, writer))
    for _, writer in itertools.islice(reversed(target.kept), 20):
        writer.write(b" ")
        target.sent += 1
    await asyncio.sleep(0.005)


QUICK = {"gRPC: empty lines, 4 MiB", "edge: zeros, 256 KiB", "gRPC: batches of 20 orders of 1,000 lines"}
"""Attacks that are part of `make test`."""


def _attacks() -> Sequence[Attack]:
    storefront, nobody, direct, edge = "storefront", "nobody", "gRPC", "edge"
    few = encoded(orders.CreateOrderRequest(lines=[Line()] * 10_000))
    found = [Attack("empty lines, 20 KB", storefront, direct, message(CREATE_ORDER, few))]
    for called, size in SIZES.items():
        found += [
            Attack(f"{full_of}, {called}", storefront, direct, message(path, body))
            for full_of, (path, body) in messages(size).items()
        ]
        long = encoded(orders.CreateOrderRequest(lines=[Line(sku="HOT", quantity=1)], reference="x" * (size - 100)))
        found += [
            Attack(f"wrong SKUs, {called}", storefront, direct, message(CREATE_ORDERS, wrong_names(size))),
            Attack(
                f"a compressed text, {called}",
                storefront,
                direct,
                message(CREATE_ORDER, long, compression=grpc.Compression.Gzip),
            ),
            Attack(f"empty lines without a key, {called}", nobody, direct, message(*messages(size)["empty lines"], "")),
            Attack(f"an unsigned webhook, {called}", nobody, direct, message(WEBHOOK, unsigned(size), "")),
        ]
        found += [
            Attack(f"{full_of}, {called}", nobody, edge, json_body(body)) for full_of, body in json_bodies(size).items()
        ]
        webhook = json_bodies(size)["nests"]
        found += [
            Attack(f"compressed zeros, {called}", nobody, edge, compressed_json(size)),
            Attack(f"an unsigned webhook, {called}", nobody, edge, json_body(webhook, "/api/storefront/webhook")),
        ]
    largest = json_bodies(SIZES["4 MiB"])
    found += [
        Attack(f"{full_of} with a key, 4 MiB", storefront, edge, json_body(largest[full_of], key=ATTACKER_KEY))
        for full_of in ("nests", "strings", "one long string", "escapes", "blanks")
    ]
    found += [
        Attack(f"{full_of} with a key", storefront, edge, json_body(body, path, ATTACKER_KEY), tasks=16)
        for full_of, (path, body) in crowded_bodies().items()
    ]
    return [
        *found,
        Attack("batches of 20 orders of 1,000 lines", storefront, direct, big_orders, tasks=8),
        Attack("orders as fast as it can", storefront, direct, many_orders, tasks=64),
        Attack("availability of 1,000 SKUs", storefront, direct, many_availabilities, tasks=16),
        Attack("pages of 1,000 products", storefront, direct, largest_pages, tasks=16),
        Attack("searches that find all", storefront, direct, searches("bulk"), tasks=16),
        Attack("1,000 watches of 1,000 SKUs", storefront, direct, watches, tasks=16),
        Attack("unknown keys", nobody, direct, unknown_keys, tasks=64),
        Attack("tokens of 8 KB that are none", nobody, direct, wrong_tokens, tasks=64),
        Attack("2,000 watches of health", nobody, direct, health_watches, tasks=16),
        Attack("calls without a message", nobody, direct, headers_only(""), tasks=10),
        Attack("calls without a message, with a key", storefront, direct, headers_only(ATTACKER_KEY), tasks=10),
        Attack("streams that are reset at once", nobody, direct, resets(edge=False)),
        Attack("pings", nobody, direct, pings(edge=False)),
        Attack("calls without a message", nobody, edge, headers_only("", edge=True), tasks=10),
        Attack("calls without a message, with made-up keys", nobody, edge, headers_only(MADE_UP, edge=True), 10),
        Attack("calls without a message, with a key", storefront, edge, headers_only(ATTACKER_KEY, edge=True), 10),
        Attack("streams that are reset at once", nobody, edge, resets(edge=True)),
        Attack("streams that are reset at once, with a key", storefront, edge, resets(ATTACKER_KEY, edge=True)),
        Attack("pings", nobody, edge, pings(edge=True)),
        Attack("2,000 silent connections", nobody, direct, silence(edge=False)),
        Attack("2,000 silent connections", nobody, edge, silence(edge=True)),
        Attack("bodies by the byte", nobody, edge, slow_bodies),
        Attack("requests without a key", nobody, edge, requests_without_key, tasks=64),
        Attack("addresses of 16 KB", nobody, edge, largest_address, tasks=16),
        Attack("the reference page", nobody, edge, pages, tasks=16),
    ]


ATTACKS = {f"{attack.way}: {attack.name}": attack for attack in _attacks()}
"""By the name of each: its door and what it is."""
