"""The calls of one caller go through the edge at an even pace, so that many at once keep nobody waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest

from stockward_server.edge import Limits
from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.shop import KEYS, Shop, open_channel

pytestmark = pytest.mark.long

STOCK = "/api/storefront/stock?skus=NONE"
LOCATIONS = "/stockward.inventory.v1.InventoryService/ListLocations"

AT_ONCE = 32
"""Calls that wait for nothing."""


@pytest.fixture
async def slow_edge(edge_shop: Shop, start_edge: StartEdge) -> AsyncIterator[Edge]:
    """One that lets a caller have a call in 1,000 seconds behind the first ones; one connection is one worker's."""
    async with (
        start_edge(edge_shop.address, limits=Limits(calls_per_second=0.001, keyless_per_second=0)) as edge,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
    ):
        yield Edge(edge.address, session)


async def test_a_call_whose_turn_is_far_off_is_refused(slow_edge: Edge) -> None:
    for by in ("storefront", "pms"):  # each has turns of its own, once the edge knows it
        assert (await slow_edge.call("GET", STOCK, by=by)).http == 200
        answers = [await slow_edge.call("GET", STOCK, by=by) for _ in range(AT_ONCE + 5)]
        refused = [answer for answer in answers if answer.http != 200]
        assert refused, by
        assert {(answer.http, answer.reason) for answer in refused} == {(429, "CALLS_TOO_FAST")}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}


async def test_stubs_are_told_so_as_well(slow_edge: Edge) -> None:
    metadata = (("authorization", f"Bearer {KEYS['pms']}"),)
    async with open_channel(slow_edge.address) as channel:
        stub: Any = channel.unary_unary(LOCATIONS)
        assert await stub(b"", metadata=metadata).code() is grpc.StatusCode.OK
        calls = [stub(b"", metadata=metadata) for _ in range(AT_ONCE + 10)]
        codes = [await call.code() for call in calls]
        refused = next(call for call, code in zip(calls, codes, strict=True) if code is not grpc.StatusCode.OK)
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert "waiting at the edge" in await refused.details()
        trailers = dict(iter(await refused.trailing_metadata()))
        assert b"CALLS_TOO_FAST" in trailers["grpc-status-details-bin"]


async def test_strangers_are_counted_by_their_address(slow_edge: Edge) -> None:
    reasons = set()
    for number in range(AT_ONCE + 5):
        made_up = {"authorization": f"Bearer swk_storefront_{number}"}
        reasons.add((await slow_edge.call("GET", STOCK, by=None, headers=made_up)).reason)
    assert reasons == {"CREDENTIALS_INVALID", "CALLS_TOO_FAST"}


async def test_many_calls_at_once_are_all_answered(edge_shop: Shop, start_edge: StartEdge) -> None:
    """They wait for their turn."""
    metadata = (("authorization", f"Bearer {KEYS['admin']}"),)
    async with start_edge(edge_shop.address) as edge, open_channel(edge.address) as channel:
        stub: Any = channel.unary_unary(LOCATIONS)
        calls = [stub(b"", metadata=metadata) for _ in range(1000)]
        codes = Counter([(await call.code(), await call.details()) for call in calls])
    assert codes == {(grpc.StatusCode.OK, ""): 1000}


async def test_nobody_else_says_how_long_a_call_waits(edge: Edge) -> None:
    async with asyncio.timeout(60):
        answer = await edge.call("GET", STOCK, headers={"x-envoy-fault-delay-request": "3600000"})
    assert answer.http == 200
