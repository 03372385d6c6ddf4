"""How many streams one caller, and one customer, may have open in a process: the others keep theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1.order_pb2 import WatchOrdersRequest

from stockward_server.config import Settings
from tests.events import until
from tests.issuer import Issuer
from tests.shop import Callers, Refused, Shop, callers, refused, running_shop

WATCH = inventory.WatchAvailabilityRequest(skus=["TEE"])
ROW = inventory.SyncStockRequest(rows=[inventory.SyncStockRequest.Row(sku="TEE", delta=1)])


async def forever(*messages: Any) -> AsyncIterator[Any]:
    """An upload that sends these messages and does not end."""
    for message in messages:
        yield message
    await asyncio.Event().wait()


async def begun(stream: Any) -> Any:
    """The stream, once its first response is there."""
    await anext(aiter(stream))
    return stream


async def refusal_of(by: Callers) -> Refused:
    refusal = await refused(anext(aiter(by.inventory.WatchAvailability(WATCH))))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STREAM_LIMIT_REACHED")
    assert refusal.retry_after > 0
    return refusal


async def succeeds(by: Callers) -> bool:
    """Whether one more stream could be opened; it is ended at once."""
    stream = by.inventory.WatchAvailability(WATCH)
    try:
        await anext(aiter(stream))
    except grpc.aio.AioRpcError:
        return False
    stream.cancel()
    return True


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with running_shop(settings.model_copy(update={"max_streams_per_caller": 4})) as shop:
        await shop.sell("TEE")
        yield shop


async def test_watches_and_uploads_of_one_caller_are_counted_together(shop: Shop) -> None:
    importing = shop.pms.catalog.ImportProducts(forever())
    streams = [
        await begun(shop.pms.inventory.WatchAvailability(WATCH)),
        await begun(shop.pms.orders.WatchOrders(WatchOrdersRequest())),
        await begun(shop.pms.inventory.SyncStock(forever(ROW))),
    ]
    refusal = await refusal_of(shop.pms)
    assert refusal.metadata == {"limit": "4", "counted": "caller"}
    assert (await refused(shop.pms.catalog.ImportProducts(forever()))).reason == "STREAM_LIMIT_REACHED"
    assert await succeeds(shop.storefront)
    assert await shop.pms.catalog.ListProducts(catalog.ListProductsRequest())
    for stream in (importing, *streams):
        stream.cancel()
    await until(lambda: succeeds(shop.pms))


async def test_what_is_refused_or_ends_in_an_error_is_not_counted(shop: Shop) -> None:
    for _ in range(6):
        unnamed = shop.storefront.inventory.WatchAvailability(inventory.WatchAvailabilityRequest())
        assert (await refused(anext(aiter(unnamed)))).reason == "FIELD_INVALID"
    streams = [await begun(shop.storefront.inventory.WatchAvailability(WATCH)) for _ in range(4)]
    for _ in range(6):
        await refusal_of(shop.storefront)
    streams[0].cancel()
    await until(lambda: succeeds(shop.storefront))
    for stream in streams[1:]:
        stream.cancel()


async def test_a_customer_is_counted_over_all_of_its_tokens(tmp_path: Path, database_url: str, nats_url: str) -> None:
    issuer = Issuer()
    issuer.add("k", "EdDSA")
    changed = {"max_streams_per_customer": 2, "max_streams_per_caller": 1}
    settings = issuer.settings(tmp_path, database_url, nats_url).model_copy(update=changed)
    async with running_shop(settings) as shop:
        await shop.sell("TEE")

        def customer(subject: str, customer_id: str) -> Callers:
            token = issuer.token("k", sub=subject, customer_id=customer_id, role="storefront")
            return callers(shop.address, token)

        phone, laptop, bob = customer("phone", "ada"), customer("laptop", "ada"), customer("bob", "bob")
        streams = [await begun(each.inventory.WatchAvailability(WATCH)) for each in (phone, laptop)]
        for each in (phone, laptop):
            assert (await refusal_of(each)).metadata == {"limit": "2", "counted": "customer"}
        assert await succeeds(bob)
        streams[0].cancel()
        await until(lambda: succeeds(laptop))
        for each in (phone, laptop, bob):
            await each.channel.close()
