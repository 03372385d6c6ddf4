"""Large products hold nobody up: while a page of them is made, others get their turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import Any

from stockward.catalog.v1 import catalog_pb2 as catalog

from stockward_server.application.stock_views import PAGE_BYTES, Page
from stockward_server.domain.product import ProductState
from stockward_server.grpc_api.pages import read_page
from stockward_server.storage.product_rows import products_of

NOW = datetime.now(UTC)


async def turns_during(work: Awaitable[Any]) -> int:
    """How often somebody else had a turn."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await work
    other.cancel()
    return turns


def row(variants: int) -> Any:
    """One of SELECT_PRODUCTS."""
    columns = dict.fromkeys(("title", "barcode", "image_url"), "") | dict.fromkeys(("compare_at_price", "cost"))
    texts = dict.fromkeys(("product_id", "handle", "title", "description", "vendor", "product_type"), "")
    times = {"create_time": NOW, "update_time": NOW, "scheduled_publish_time": None, "publish_time": None}
    return {
        **texts,
        **times,
        "state": ProductState.DRAFT,
        "tags": [],
        "images": [],
        "attributes": {},
        "version": 1,
        "variants": json.dumps(
            [
                {**columns, "sku": f"S{n}", "currency": "EUR", "price": 1, "options": {}, "weight_grams": 0}
                | {"cost_currency": None, "untracked": False}
                for n in range(variants)
            ]
        ),
    }


async def test_products_are_made_of_rows_in_turns() -> None:
    assert await turns_during(products_of([row(2048)] * 10)) >= 10
    assert await turns_during(products_of([row(3)] * 10)) == 0


async def test_a_page_is_made_in_turns() -> None:
    large = catalog.Product(description="x" * 100_000)

    async def load(page: Page) -> Sequence[int]:
        return range(page.size)

    async def read(message: catalog.Product) -> int:
        page = await read_page(load, Page(1000, None), lambda _: message, lambda row: [row], first_step=1000)
        return len(page.messages)

    assert await read(large) == PAGE_BYTES // 100_000
    assert await turns_during(read(large)) >= 20
