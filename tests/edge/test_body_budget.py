"""What one caller's JSON bodies may take of the edge's time: while one is parsed, nobody else is served."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from stockward_server.edge import Limits
from tests.attack.bodies import MIB, crowded_bodies, json_bodies
from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.incoming import signed
from tests.shop import Shop

pytestmark = pytest.mark.long

ORDER = "/api/storefront/orders/create"
BATCH = "/api/storefront/orders/batchCreate"
PRODUCT = "/api/pms/products/create"

EXPENSIVE = {
    **crowded_bodies(),
    **{name: (ORDER, json_bodies(4 * MIB - 1024)[name]) for name in ("one long string", "escapes", "blanks")},
}


@pytest.fixture
async def mean_edge(edge_shop: Shop, start_edge: StartEdge) -> AsyncIterator[Edge]:
    """One that gives nobody credit again in the time of a test; one connection is one worker's."""
    async with (
        start_edge(edge_shop.address, limits=Limits(body_share=1e-9)) as edge,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
    ):
        yield Edge(edge.address, session)


@pytest.mark.parametrize("name", EXPENSIVE)
async def test_large_bodies_use_up_the_credit_of_their_caller(mean_edge: Edge, name: str) -> None:
    path, body = EXPENSIVE[name]
    answers = [await mean_edge.call("POST", path, body, by="storefront") for _ in range(3)]
    assert answers[0].http != 429
    assert (answers[2].http, answers[2].reason) == (429, "BODY_BUDGET_SPENT")
    assert int(answers[2].headers["retry-after"]) > 0
    assert (await mean_edge.call("POST", path, body, by="pms")).http != 429, "another caller has credit"
    answer = await mean_edge.call("POST", ORDER, {"lines": [{"sku": "NONE", "quantity": 1}]}, by="storefront")
    assert answer.reason == "SKU_UNKNOWN", "small bodies are not counted"


async def test_bodies_in_pieces_are_counted_as_well(mean_edge: Edge) -> None:
    path, body = EXPENSIVE["attributes, 525 KiB"]

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    answers = [await mean_edge.call("POST", path, pieces(), by="pms") for _ in range(3)]
    assert answers[2].reason == "BODY_BUDGET_SPENT"


async def test_credit_comes_back(edge: Edge) -> None:
    path, body = EXPENSIVE["one long string"]
    async with asyncio.timeout(60):
        answer = await edge.call("POST", path, body, by="pms")
        while answer.http == 429:
            await asyncio.sleep(int(answer.headers["retry-after"]))
            answer = await edge.call("POST", path, body, by="pms")


def order(line_count: int) -> dict[str, Any]:
    """An order with the longest names that a SKU may have."""
    price = {"currencyCode": "EUR", "units": "1234567", "nanos": 990_000_000}
    lines = [{"sku": f"{number:064}", "quantity": 1, "shownUnitPrice": price} for number in range(line_count)]
    return {"lines": lines, "reference": "x" * 200}


PICTURES = [{"url": f"https://shop.example/{'p' * 2000}/{number}", "altText": "a" * 500} for number in range(250)]

DRAFT = {
    "title": "€" * 255,
    "description": "€" * 100_000,
    "images": PICTURES,
    "tags": [f"{number:060}" for number in range(50)],
}

LEGAL: dict[str, tuple[str, Any, str]] = {
    "an order of 1,000 lines": (ORDER, order(1000), "SKU_UNKNOWN"),
    "the same, indented": (ORDER, json.dumps(order(1000), indent=8).encode(), "SKU_UNKNOWN"),
    "200 orders": (BATCH, {"requests": [order(20)] * 200}, ""),
    "a product with the longest texts": (PRODUCT, {"product": DRAFT}, ""),
}
"""Large bodies that keep the contract's rules: path, body, and the reason of the refusal, if any."""


@pytest.mark.parametrize("name", LEGAL)
async def test_large_bodies_that_are_legal_pass(mean_edge: Edge, name: str) -> None:
    path, body, reason = LEGAL[name]
    answer = await mean_edge.call("POST", path, body)
    assert (answer.reason if reason else answer.http) == (reason or 200), answer.body[:500]


async def test_large_webhooks_pass(mean_edge: Edge) -> None:
    body = json.dumps({"type": "ping", "timestamp": "2026-11-22T10:00:00Z", "data": {"text": "x" * 3 * MIB}}).encode()
    for _ in range(3):
        answer = await mean_edge.call("POST", "/api/storefront/webhook", body, by=None, headers=signed(body))
        assert answer.http != 429
        assert answer.reason == "WEBHOOK_TYPE_UNKNOWN"
