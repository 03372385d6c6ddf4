"""A caller that does not read what it asked for: it is refused more, and nobody else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from stockward.catalog.v1 import catalog_pb2 as catalog

from stockward_server.config import Settings
from tests.events import until
from tests.shop import KEYS, Shop, money, refused, running_shop

WIDE = "\N{SHOPPING TROLLEY}"
"""A character of four bytes."""

DEAF = [
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 16_384),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
"""Options of a channel that takes no more than it has to before somebody reads."""


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with running_shop(settings.model_copy(update={"max_unread_bytes": 2**20})) as shop:
        yield shop


async def test_who_leaves_responses_unread_is_refused_until_they_are_read(shop: Shop) -> None:
    variant = catalog.Variant(sku="TEE", title="Tee", price=money("5.00"))
    product = catalog.Product(title="Tee", handle="tee", description=WIDE * 100_000, variants=[variant])
    made = await shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=product))
    await shop.pms.catalog.PublishProduct(catalog.PublishProductRequest(product_id=made.product_id))
    wanted = catalog.GetProductRequest(product_id=made.product_id)

    async with grpc.aio.insecure_channel(shop.address, options=DEAF) as channel:
        method = "/stockward.catalog.v1.CatalogService/GetProduct"
        ask: Any = channel.unary_stream(method, lambda message: message.SerializeToString(), catalog.Product.FromString)
        unread = ask(wanted, metadata=[("authorization", f"Bearer {KEYS['pms']}")])
        await unread.initial_metadata()  # it has its place, and is not the one that is refused

        async def refused_more() -> bool:
            try:
                await shop.pms.catalog.GetProduct(wanted)
            except grpc.aio.AioRpcError:
                return True
            return False

        await until(refused_more)
        refusal = await refused(shop.pms.catalog.GetProduct(wanted))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESPONSES_UNREAD")
        assert refusal.metadata["limit_bytes"] == str(2**20)
        for _ in range(3):  # small responses, and other callers, go on
            await shop.pms.catalog.CheckReadiness(catalog.CheckReadinessRequest(product_id=made.product_id))
            await shop.storefront.catalog.GetAvailableProduct(
                catalog.GetAvailableProductRequest(product_id=made.product_id)
            )
        assert len((await anext(aiter(unread))).description) == 100_000

        async def served_again() -> bool:
            return not await refused_more()

        await until(served_again)
