"""Products with 2,048 variants, the most there can be."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.event.v1 import event_pb2

from stockward_dev import Nats
from stockward_server.config import Settings
from stockward_server.domain.money import Money
from stockward_server.domain.product import Product, ProductState, Variant
from stockward_server.domain.readiness import readiness
from tests.events import drained, relaying, stored, until
from tests.shop import Shop, money, refused

MAX_VARIANTS = 2048
EPOCH = datetime.fromtimestamp(0, UTC)


def product(count: int, title: str = "", options: int = 1) -> catalog.Product:
    return catalog.Product(
        title="Many",
        handle="many",
        variants=[
            catalog.Variant(
                sku=f"緑-{number}",
                title=title,
                price=money("5.00"),
                options={f"Option {n}": f"Value {number}" for n in range(options)},
            )
            for number in range(count)
        ],
    )


async def test_it_is_imported_published_sold_and_told(shop: Shop, settings: Settings, nats: Nats) -> None:
    """With the longest titles, of three bytes a character: an event of 2 MiB, which the relay takes as any other."""
    row = catalog.ImportProductsRequest(product=product(MAX_VARIANTS, title="緑" * 300))
    (result,) = (await shop.pms.catalog.ImportProducts(iter([row]))).results
    assert result.action == catalog.ImportResult.ACTION_CREATED, result.error
    published = await shop.pms.catalog.PublishProduct(catalog.PublishProductRequest(product_id=result.product_id))
    assert len(published.variants) == MAX_VARIANTS
    await shop.receive("緑-2047", 3)
    seen = await shop.storefront.catalog.GetAvailableProduct(
        catalog.GetAvailableProductRequest(product_id=result.product_id)
    )
    assert seen.variants[2047].available == 3
    renamed = await shop.pms.catalog.RenameSku(catalog.RenameSkuRequest(sku="緑-2047", new_sku="緑"))
    assert renamed.variants[2047].sku == "緑"

    async with relaying(settings.database_url.get_secret_value(), nats.url):
        await until(lambda: drained(shop.pool))
    told = [event_pb2.Event.FromString(each.data) for each in await stored(nats.url)]
    mine = [each for each in told if each.aggregate_id == result.product_id]
    assert [each.type.partition(".")[2] for each in mine] == ["created", "published", "sku_renamed", "updated"]
    assert {len(each.product.variants) for each in mine} == {MAX_VARIANTS}


async def test_one_variant_more_is_refused(shop: Shop) -> None:
    creation = shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=product(MAX_VARIANTS + 1)))
    refusal = await refused(creation)
    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["product.variants"])


async def test_what_does_not_fit_into_a_message_is_refused_as_too_large(shop: Shop) -> None:
    """4 MiB for all of a product: some 2,000 bytes for each of so many variants."""
    large = product(MAX_VARIANTS, "緑" * 300, options=50)
    assert 4 * 2**20 < large.ByteSize() < 8 * 2**20
    creation = shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=large))
    assert (await refused(creation)).reason == "MESSAGE_TOO_LARGE"


def test_readiness_takes_a_time_that_grows_with_the_variants() -> None:
    """Compared with itself, so that a slow machine does not matter."""

    def seconds(count: int) -> float:
        variants = tuple(Variant(f"S{n}", Money("EUR", 0), options={"Size": "M"}) for n in range(count))
        each = Product("1", "many", "Many", ProductState.DRAFT, EPOCH, EPOCH, variants=variants)
        since = time.perf_counter()
        blocking, _ = readiness(each)
        assert len(blocking) == 2 * count - 1
        return time.perf_counter() - since

    seconds(MAX_VARIANTS)
    assert min(seconds(8 * MAX_VARIANTS) for _ in range(3)) < 40 * min(seconds(MAX_VARIANTS) for _ in range(3))
