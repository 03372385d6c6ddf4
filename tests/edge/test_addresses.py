"""What one address may take of the edge when nothing is known of its callers, and what others have of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import grpc
import pytest

from stockward_server.edge import Limits
from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.events import until
from tests.shop import KEYS, Shop, open_channel

pytestmark = pytest.mark.long

OTHERS = [f"127.0.0.{number}" for number in range(2, 30)]
"""Further addresses of this machine."""

DOCS = "/docs"
STOCK = "/api/storefront/stock?skus=NONE"


@asynccontextmanager
async def connected(edge: Edge, source: str = "127.0.0.1") -> AsyncIterator[tuple[asyncio.StreamReader, Any]]:
    reader, writer = await asyncio.open_connection(*edge.address.split(":"), local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.close()


async def is_served(edge: Edge, stack: AsyncExitStack, source: str = "127.0.0.1") -> bool:
    """Whether a connection from an address is, which then stays open."""
    reader, writer = await stack.enter_async_context(connected(edge, source))
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: edge\r\n\r\n")
    try:
        return (await reader.readline()).startswith(b"HTTP/1.1 ")
    except ConnectionError:
        return False


async def test_one_address_cannot_have_all_connections(edge_shop: Shop, start_edge: StartEdge) -> None:
    async with (
        start_edge(edge_shop.address, limits=Limits(connections_per_address=2)) as edge,
        AsyncExitStack() as held,
    ):

        async def is_full() -> bool:
            return not await is_served(edge, held)

        await until(is_full)
        served = [await is_served(edge, held, each) for each in OTHERS]
        assert served.count(True) >= 7, "each of the other buckets has room"
        await held.aclose()
        async with AsyncExitStack() as again:
            await until(lambda: is_served(edge, again))


async def test_behind_a_proxy_all_connections_are_its_own(edge_shop: Shop, start_edge: StartEdge) -> None:
    limits = Limits(connections_per_address=2, proxies=1)
    async with start_edge(edge_shop.address, limits=limits) as edge, AsyncExitStack() as held:
        assert all([await is_served(edge, held) for _ in range(10)])


async def test_a_connection_on_which_nothing_comes_is_closed(edge_shop: Shop, start_edge: StartEdge) -> None:
    """Long before one that was used and is silent."""
    limits = Limits(header_seconds=0.5, idle_seconds=300.0)
    async with start_edge(edge_shop.address, limits=limits) as edge, connected(edge) as (reader, _):
        assert await asyncio.wait_for(reader.read(), 30) == b""


@pytest.fixture
async def strict_edge(edge_shop: Shop, start_edge: StartEdge) -> AsyncIterator[Edge]:
    """One that takes ten requests without a key at once, and one a second."""
    async with start_edge(edge_shop.address, limits=Limits(keyless_per_second=1)) as edge:
        yield edge


async def exhaust(edge: Edge, path: str = DOCS, **options: Any) -> Any:
    """Calls without a key until that is too often, each time in the name of another address; the answer."""
    for number in range(100):
        named = {"headers": {"x-forwarded-for": f"10.0.1.{number}"}}
        answer = await edge.call("GET", path, by=None, **(named | options))
        if answer.http == 429:
            return answer
    raise AssertionError("it never was")


async def test_requests_without_a_key_are_counted_by_address(strict_edge: Edge) -> None:
    answer = await exhaust(strict_edge)
    assert answer.reason == "TOO_MANY_REQUESTS"
    assert answer.headers["retry-after"] == "1"
    assert (await strict_edge.call("GET", STOCK, by="storefront")).http == 200, "who has a key is counted by it"
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=connector) as session, session.get(strict_edge.url + DOCS) as other:
        assert other.status == 200, "others have their own count"

    async def is_over() -> bool:
        return (await strict_edge.call("GET", DOCS, by=None)).http == 200

    await until(is_over)


async def test_calls_of_stubs_without_a_key_are_counted_too(strict_edge: Edge) -> None:
    await exhaust(strict_edge)
    async with open_channel(strict_edge.address) as channel:
        call: Any = channel.unary_unary("/stockward.inventory.v1.InventoryService/ListLocations")
        assert grpc.StatusCode.RESOURCE_EXHAUSTED in [await call(b"").code() for _ in range(20)]
        await call(b"", metadata=(("authorization", f"Bearer {KEYS['admin']}"),))


async def test_behind_a_proxy_its_word_counts(edge_shop: Shop, start_edge: StartEdge) -> None:
    async with start_edge(edge_shop.address, limits=Limits(keyless_per_second=1, proxies=1)) as edge:
        await exhaust(edge, headers={"x-forwarded-for": "10.0.0.1"})
        other = await edge.call("GET", DOCS, by=None, headers={"x-forwarded-for": "10.0.0.1, 10.0.0.2"})
        assert other.http == 200


@pytest.mark.parametrize(
    ("verb", "path", "allowed", "refused"),
    [
        ("PUT", "/api/storefront/orders/0190aaaa-0000-7000-8000-000000000000/cancel", 200_000, 300_000),
        ("POST", "/api/storefront/reservations/create", 900_000, 1_000_000),
        ("POST", "/api/storefront/orders/create", 4_000_000, 4_200_000),
        ("GET", "/api/storefront/stock?skus=NONE", 1000, 1100),
    ],
)
async def test_a_body_is_no_longer_than_its_message_can_be(
    edge: Edge, verb: str, path: str, allowed: int, refused: int
) -> None:
    async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
        yield body

    for size, too_large in ((allowed, False), (refused, True)):
        body = b"{" + b" " * (size - 2) + b"}"
        for sent in (body, in_pieces(body)):
            answer = await edge.call(verb, path, sent, by="storefront")
            assert (answer.http == 413) is too_large
            assert not too_large or answer.reason == "BODY_TOO_LARGE"
