"""What the edge does for callers whose credential is not known to be good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import aiohttp
import grpc
import pytest

from stockward_server.edge import Limits
from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.handlers import serving
from tests.shop import KEYS, Shop, open_channel

pytestmark = pytest.mark.long

CREATE = "/api/storefront/orders/create"
STOCK = "/api/storefront/stock?skus=NONE"
LOCATIONS = "/stockward.inventory.v1.InventoryService/ListLocations"

Metadata = tuple[tuple[str, str], ...]


async def answer_to(edge: Edge, headers: str) -> bytes:
    """What is answered to the headers of an order, of whose body nothing comes."""
    reader, writer = await asyncio.open_connection(*edge.address.split(":"))
    writer.write(f"POST {CREATE} HTTP/1.1\r\nhost: edge\r\n{headers}\r\n".encode())
    async with asyncio.timeout(30):
        answer = await reader.readuntil(b"}]")
    writer.close()
    return answer


@pytest.fixture
async def near_edge(edge_shop: Shop, start_edge: StartEdge) -> AsyncIterator[Edge]:
    async with start_edge(edge_shop.address) as edge:
        yield edge


LARGE = ["content-length: 4000000\r\n", "transfer-encoding: chunked\r\n"]


@pytest.mark.parametrize("length", LARGE, ids=["long", "in pieces"])
@pytest.mark.parametrize("credential", ["", "authorization: Bearer swk_made_up\r\n"], ids=["none", "made up"])
async def test_a_large_body_of_an_unknown_caller_is_refused_before_it_is_read(
    near_edge: Edge, credential: str, length: str
) -> None:
    answer = await answer_to(near_edge, credential + length)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"CREDENTIALS_INVALID"' in answer
    assert b'"stockward.edge"' in answer


@pytest.mark.parametrize("length", LARGE, ids=["long", "in pieces"])
async def test_a_large_body_is_not_read_where_no_server_can_say_whose_it_is(start_edge: StartEdge, length: str) -> None:
    async with start_edge("127.0.0.1:1") as edge:
        answer = await answer_to(edge, f"authorization: Bearer {KEYS['storefront']}\r\n{length}")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"SERVER_UNAVAILABLE"' in answer


async def test_small_bodies_are_refused_by_the_server_itself(edge: Edge) -> None:
    answer = await edge.call("POST", CREATE, {}, by=None)
    assert (answer.http, answer.reason) == (401, "CREDENTIALS_INVALID")
    assert b'"stockward"' in answer.body


async def test_a_large_body_of_somebody_whose_role_is_too_small_is_read(edge: Edge) -> None:
    """The server says so: the edge asks whose credential it is, and nothing else."""
    answer = await edge.call("POST", "/api/pms/products/create", {"product": {"title": "x" * 70_000}}, by="storefront")
    assert (answer.http, answer.reason) == (403, "ROLE_NOT_ALLOWED")


@pytest.fixture
async def strict_edge(edge_shop: Shop, start_edge: StartEdge) -> AsyncIterator[Edge]:
    """One that takes ten requests without a key at once, and one a second; one connection is one worker's."""
    async with (
        start_edge(edge_shop.address, limits=Limits(keyless_per_second=1)) as edge,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
    ):
        yield Edge(edge.address, session)


async def test_made_up_keys_are_counted_as_none(strict_edge: Edge) -> None:
    assert (await strict_edge.call("GET", STOCK, by="storefront")).http == 200
    for number in count():
        made_up = {"authorization": f"Bearer swk_storefront_{number}"}
        answer = await strict_edge.call("GET", STOCK, by=None, headers=made_up)
        if answer.http == 429:
            break
        assert answer.http == 401
        assert number < 1000
    assert answer.reason == "TOO_MANY_REQUESTS"
    assert (await strict_edge.call("GET", STOCK, by="storefront")).http == 200, "whose key is known is not counted"


async def test_made_up_keys_of_stubs_are_counted_too(strict_edge: Edge) -> None:
    """A call that needs no key makes none of them known."""
    async with open_channel(strict_edge.address) as channel:

        def call(path: str, key: str) -> Any:
            metadata: Metadata = (("authorization", f"Bearer {key}"),)
            stub: Any = channel.unary_unary(path)
            return stub(b"", metadata=metadata).code()

        assert await call(LOCATIONS, KEYS["admin"]) is grpc.StatusCode.OK
        for number in range(1000):
            assert await call("/grpc.health.v1.Health/Check", f"swk_{number}") in (
                grpc.StatusCode.OK,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
            )
            code = await call(LOCATIONS, f"swk_{number}")
            if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                break
            assert code is grpc.StatusCode.UNAUTHENTICATED
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await call(LOCATIONS, KEYS["admin"]) is grpc.StatusCode.OK


class Doorkeeper(grpc.GenericRpcHandler):
    """A server that knows these credentials and no others."""

    def __init__(self, *credentials: str) -> None:
        self.known = {*credentials}

    def service(self, details: Any) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            if dict(details.invocation_metadata).get("authorization") not in self.known:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who is there?")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


async def test_a_credential_that_is_good_no_longer_is_counted_as_none(start_edge: StartEdge) -> None:
    server = Doorkeeper("Bearer mine")
    async with (
        serving(server) as address,
        start_edge(address, limits=Limits(keyless_per_second=1)) as edge,
        open_channel(edge.address) as channel,
    ):

        async def call(credential: str) -> grpc.StatusCode:
            stub: Any = channel.unary_unary(LOCATIONS)
            code: grpc.StatusCode = await stub(b"", metadata=(("authorization", credential),)).code()
            return code

        assert await call("Bearer mine") is grpc.StatusCode.OK
        server.known.clear()
        for _ in range(3):  # few refusals are no flood
            assert await call("Bearer mine") is grpc.StatusCode.UNAUTHENTICATED
        codes = [await call("Bearer mine") for _ in range(100)]
        assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes


async def test_without_a_limit_nothing_is_counted(edge_shop: Shop, start_edge: StartEdge) -> None:
    async with start_edge(edge_shop.address, limits=Limits(keyless_per_second=0)) as edge:
        for number in range(30):
            made_up = {"authorization": f"Bearer swk_storefront_{number}"}
            assert (await edge.call("GET", STOCK, by=None, headers=made_up)).http == 401
