"""How old an answer of the read cache may be: never older than an own write, nor than the bound after another's."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.config import Settings
from tests.events import until
from tests.shop import Shop, refused, running_shop

BOUND = 12.0
"""Seconds."""


@pytest.fixture
async def shops(settings: Settings) -> AsyncIterator[tuple[Shop, Shop]]:
    """Two servers of one shop, neither of which learns of the other's commits."""
    settings = settings.model_copy(update={"cache_seconds": BOUND})
    async with running_shop(settings) as one, running_shop(settings) as other:
        yield one, other


async def ask(shop: Shop) -> inventory.Availability:
    answer: inventory.Availability = await shop.storefront.inventory.GetAvailability(
        inventory.GetAvailabilityRequest(sku="TEE")
    )
    return answer


async def available(shop: Shop) -> int:
    return int((await ask(shop)).available)


async def test_a_writer_reads_its_own_write(shops: tuple[Shop, Shop]) -> None:
    writer, _ = shops
    product_id = await writer.sell("TEE", 5)
    for units in range(6, 16):
        assert await available(writer) == units - 1
        await writer.receive("TEE", 1)
        assert await available(writer) == units
    await writer.pms.catalog.UnpublishProduct(catalog.UnpublishProductRequest(product_id=product_id))
    assert (await refused(ask(writer))).reason == "SKU_UNKNOWN"


@pytest.mark.long
async def test_another_process_reads_it_within_the_bound(shops: tuple[Shop, Shop]) -> None:
    writer, reader = shops
    await writer.sell("TEE", 5)
    assert await available(reader) == 5
    await writer.receive("TEE", 1)
    committed = time.monotonic()
    answers = [await available(reader)]
    while time.monotonic() <= committed + BOUND:
        answers.append(await available(reader))
    assert answers[0] == 5, "nothing was remembered, so this shows nothing"
    assert await available(reader) == 6
    assert answers == sorted(answers), "it went back in time"


@pytest.mark.long
async def test_a_withdrawal_shows_within_the_bound(shops: tuple[Shop, Shop]) -> None:
    writer, reader = shops
    product_id = await writer.sell("TEE", 5)
    wanted = catalog.GetAvailableProductRequest(product_id=product_id)
    await reader.storefront.catalog.GetAvailableProduct(wanted)
    assert [await available(shop) for shop in shops] == [5, 5]
    await writer.pms.catalog.UnpublishProduct(catalog.UnpublishProductRequest(product_id=product_id))
    withdrawn = time.monotonic()
    assert (await refused(writer.storefront.catalog.GetAvailableProduct(wanted))).reason == "PRODUCT_NOT_FOUND"
    assert (await refused(ask(writer))).reason == "SKU_UNKNOWN"
    await reader.storefront.catalog.GetAvailableProduct(wanted)  # still remembered
    assert await available(reader) == 5
    await until(lambda: time.monotonic() > withdrawn + BOUND)
    assert (await refused(reader.storefront.catalog.GetAvailableProduct(wanted))).reason == "PRODUCT_NOT_FOUND"
    assert (await refused(ask(reader))).reason == "SKU_UNKNOWN"


@pytest.mark.long
async def test_a_product_that_is_known_before_its_stock_has_none_yet(shops: tuple[Shop, Shop]) -> None:
    writer, reader = shops
    missing = inventory.GetAvailabilityRequest(sku="TEE")
    assert (await refused(reader.storefront.inventory.GetAvailability(missing))).reason == "SKU_UNKNOWN"
    product_id = await writer.sell("TEE", 5)
    wanted = catalog.GetAvailableProductRequest(product_id=product_id)
    product = await reader.storefront.catalog.GetAvailableProduct(wanted)
    assert [variant.available for variant in product.variants] == [0]
    (listed,) = (await reader.storefront.catalog.ListAvailableProducts(catalog.ListAvailableProductsRequest())).products
    assert listed == product
    await until(lambda: has_units(reader, wanted))


async def has_units(shop: Shop, wanted: catalog.GetAvailableProductRequest) -> bool:
    product = await shop.storefront.catalog.GetAvailableProduct(wanted)
    return bool(product.variants[0].available == 5)
