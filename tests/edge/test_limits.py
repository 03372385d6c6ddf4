"""What one caller may take of the edge: beyond it an answer says so, or the connection ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from h2.events import RemoteSettingsChanged
from h2.settings import SettingCodes

from stockward_server.edge import Limits
from tests.commands import locked
from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.events import until
from tests.http2 import Http2
from tests.shop import Shop

AVAILABILITY = "/api/storefront/stock?skus=NONE"


@asynccontextmanager
async def connected(edge: Edge) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which the edge was asked for its health."""
    reader, writer = await asyncio.open_connection(*edge.address.split(":"))
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: edge\r\n\r\n")
    yield reader
    writer.close()


async def is_answered(reader: asyncio.StreamReader) -> bool:
    try:
        return (await reader.readline()).startswith(b"HTTP/1.1 ")
    except ConnectionError:
        return False


async def test_too_many_headers(edge: Edge) -> None:
    for count, http in ((90, 200), (101, 431)):
        answer = await edge.call("GET", AVAILABILITY, headers={f"x-{number}": "x" for number in range(count)})
        assert answer.http == http
    assert answer.reason == "HEADERS_TOO_LARGE"


async def test_a_call_that_takes_too_long(hasty_edge: Edge, edge_shop: Shop) -> None:
    await edge_shop.sell("HELD", 1)
    order = {"lines": [{"sku": "HELD", "quantity": 1}]}
    async with locked(edge_shop.pool, "HELD"):
        answer = await hasty_edge.call("POST", "/api/storefront/orders/create", order, by="storefront")
    assert (answer.http, answer.reason) == (504, "SERVER_TIMEOUT")


async def test_connections_beyond_the_limit_are_closed(edge_shop: Shop, start_edge: StartEdge) -> None:
    async with start_edge(edge_shop.address, limits=Limits(connections=2)) as edge, AsyncExitStack() as others:

        async def is_let_in() -> bool:
            return await is_answered(await others.enter_async_context(connected(edge)))

        await until(is_let_in)  # anyone who looked whether it is ready may still be there
        await until(is_let_in)
        async with connected(edge) as third:
            assert not await is_answered(third)
        await others.aclose()
        await until(is_let_in)


@pytest.mark.long
async def test_a_silent_connection_is_closed(edge_shop: Shop, start_edge: StartEdge) -> None:
    async with (
        start_edge(edge_shop.address, limits=Limits(idle_seconds=0.5)) as edge,
        connected(edge) as reader,
    ):
        assert await is_answered(reader)
        await asyncio.wait_for(reader.read(), 30)


async def test_the_streams_of_a_connection_are_told(edge: Edge) -> None:
    async with Http2.connected(edge.address) as connection:
        told = (await connection.hear(RemoteSettingsChanged)).changed_settings
    assert told[SettingCodes.MAX_CONCURRENT_STREAMS].new_value == 1000
