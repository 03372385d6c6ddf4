"""References that only one order of a sales channel may have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from stockward.order.v1 import order_pb2 as pb

from stockward_server.config import Settings
from tests.shop import Callers, Shop, refused, running_shop
from tests.snapshot import nothing_written


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    strict = Settings.model_validate({**settings.model_dump(exclude_unset=True), "unique_references": True})
    async with running_shop(strict) as shop:
        await shop.sell("TEE", 100)
        yield shop


async def order(by: Callers, reference: str) -> pb.Order:
    lines = [pb.CreateOrderRequest.Line(sku="TEE", quantity=1)]
    made: pb.Order = await by.orders.CreateOrder(pb.CreateOrderRequest(lines=lines, reference=reference))
    return made


async def test_a_channel_has_a_reference_once(shop: Shop) -> None:
    first = await order(shop.storefront, "WEB-1")
    await shop.storefront.orders.CancelOrder(pb.CancelOrderRequest(order_id=first.order_id))
    for _ in range(2):  # the second time on what is remembered
        async with nothing_written(shop.pool):
            refusal = await refused(order(shop.storefront, "WEB-1"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REFERENCE_TAKEN")
        assert refusal.metadata == {"field": "reference", "reference": "WEB-1", "order_id": first.order_id}
    await order(shop.storefront, "web-1")
    await order(shop.pms, "WEB-1")
    for _ in range(2):
        await order(shop.storefront, "")
    await shop.verify()


async def test_one_of_several_at_once_has_it(shop: Shop) -> None:
    outcomes = await asyncio.gather(*(order(shop.storefront, "WEB-1") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, pb.Order) for outcome in outcomes) == 1
    batch = pb.BatchCreateOrdersRequest(
        requests=[
            pb.CreateOrderRequest(lines=[pb.CreateOrderRequest.Line(sku="TEE", quantity=1)], reference=reference)
            for reference in ("WEB-2", "WEB-2", "WEB-1", "WEB-3")
        ]
    )
    results = (await shop.storefront.orders.BatchCreateOrders(batch)).results
    assert sorted(result.order.reference for result in results if result.HasField("order")) == ["WEB-2", "WEB-3"]
    await shop.verify()


async def test_an_order_cannot_be_given_the_reference_of_another(shop: Shop) -> None:
    first, second = await order(shop.storefront, "WEB-1"), await order(shop.storefront, "WEB-2")
    taken = pb.UpdateOrderRequest(order_id=second.order_id, reference="WEB-1")
    async with nothing_written(shop.pool):
        assert (await refused(shop.pms.orders.UpdateOrder(taken))).reason == "REFERENCE_TAKEN"
    for reference in ("WEB-1", "WEB-3"):
        update = pb.UpdateOrderRequest(order_id=first.order_id, reference=reference, tags=["vip"])
        assert (await shop.pms.orders.UpdateOrder(update)).reference == reference
    assert (await shop.pms.orders.UpdateOrder(taken)).reference == "WEB-1"


async def test_references_repeat_unless_the_setting_says_otherwise(settings: Settings) -> None:
    async with running_shop(settings) as shop:
        await shop.sell("TEE", 100)
        orders = [await order(shop.storefront, "WEB-1") for _ in range(2)]
        assert len({made.order_id for made in orders}) == 2
