"""What the edge does about calls of stubs before a server is bothered with them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
import pytest
from h2.events import ConnectionTerminated

from stockward_server.api.server import SERVICES
from stockward_server.auth.identity import signed_methods
from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.http2 import Http2
from tests.shop import KEYS, Shop, open_channel

pytestmark = pytest.mark.long

LOCATIONS = "/stockward.inventory.v1.InventoryService/ListLocations"
HEALTH = "/grpc.health.v1.Health/Check"
METHODS = [f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods]

NO_SERVER = "127.0.0.1:1"


async def refusal(address: str, method: str) -> tuple[Any, str | None, bytes | None]:
    """The status, message and details that a call without a credential gets."""
    async with open_channel(address) as channel:
        stub: Any = channel.unary_unary(method)
        call = stub(b"")
        trailers = dict(iter(await call.trailing_metadata()))
        return await call.code(), await call.details(), trailers.get("grpc-status-details-bin")


async def test_calls_without_a_credential_get_the_same_from_edge_and_server(edge: Edge, edge_shop: Shop) -> None:
    from_server = await refusal(edge_shop.address, LOCATIONS)
    assert from_server[0] is grpc.StatusCode.UNAUTHENTICATED
    assert await refusal(edge.address, LOCATIONS) == from_server


async def test_the_edge_refuses_them_by_itself(start_edge: StartEdge) -> None:
    """But for the methods that need no credential."""
    open_ones = {*signed_methods(SERVICES), HEALTH}
    async with start_edge(NO_SERVER) as edge:
        codes = {method: (await refusal(edge.address, method))[0] for method in [*METHODS, HEALTH]}
    expected = {True: grpc.StatusCode.UNAVAILABLE, False: grpc.StatusCode.UNAUTHENTICATED}
    assert codes == {method: expected[method in open_ones] for method in codes}


@pytest.mark.parametrize("kind", ["application/grpc-web+proto", "application/grpc-web-text"])
async def test_browsers_get_the_same(edge: Edge, start_edge: StartEdge, kind: str) -> None:
    body = b"AAAAAAA=" if kind.endswith("text") else bytes(5)
    headers = {"content-type": kind}
    unknown = await edge.call("POST", LOCATIONS, body, by=None, headers={**headers, "authorization": "Bearer swk_x"})
    async with start_edge(NO_SERVER) as lonely:
        answer = await lonely.call("POST", LOCATIONS, body, by=None, headers=headers)
    assert answer.http == unknown.http == 200
    assert answer.headers["grpc-status"] == unknown.headers["grpc-status"] == "16"
    assert answer.headers["content-type"] == unknown.headers["content-type"]
    assert answer.headers["grpc-status-details-bin"]


async def test_an_answer_does_not_wait_for_a_message(start_edge: StartEdge) -> None:
    async with start_edge(NO_SERVER) as edge, Http2.connected(edge.address) as connection:
        streams = await connection.begin_silent(LOCATIONS, 300)
        assert {await connection.status(stream) for stream in streams} == {16}


async def test_a_connection_that_resets_what_it_begins_is_closed(edge: Edge) -> None:
    async with Http2.connected(edge.address) as connection:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            for _ in range(150):
                connection.http.reset_stream(connection.begin(LOCATIONS, KEYS["pms"]))
                await connection.flush()
            await connection.hear(ConnectionTerminated)  # TimeoutError when it goes on


async def test_a_connection_that_resets_some_of_it_stays(edge: Edge) -> None:
    async with Http2.connected(edge.address) as connection:
        for _ in range(60):
            connection.http.reset_stream(connection.begin(LOCATIONS, KEYS["pms"]))
            for _ in range(3):
                stream = connection.begin(LOCATIONS, KEYS["pms"])
                connection.http.send_data(stream, bytes(5), end_stream=True)
                assert await connection.status(stream) == 0
