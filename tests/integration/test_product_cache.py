"""What was made of a product's rows is used again, as long as they are the same."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpg import Record
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.catalog.v1 import catalog_pb2

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.ports.catalog import ProductFilter
from stockward_server.application.ports.pages import Page
from stockward_server.domain.product import Product, ProductState
from stockward_server.storage.catalog import SqlCatalog
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.read.product_cache import ProductCache
from stockward_server.storage.write.mutation import Mutations
from tests.shop import Shop


async def read(known: ProductCache, product_id: str) -> Product | None:
    return (await known.by_id([product_id])).get(product_id)


async def test_a_product_is_made_anew_when_it_has_changed(shop: Shop) -> None:
    product_id = await shop.sell("TEE", 5)
    known = ProductCache(shop.pool)
    first = await read(known, product_id)
    assert first is not None
    assert await read(known, product_id) is first
    await shop.receive("TEE", 1)
    assert await read(known, product_id) is first, "its stock is not a part of it"
    product = await shop.pms.catalog.GetProduct(catalog_pb2.GetProductRequest(product_id=product_id))
    product.variants[0].price.units += 1
    await shop.pms.catalog.UpdateProduct(
        catalog_pb2.UpdateProductRequest(product=product, update_mask=FieldMask(paths=["variants"]))
    )
    second = await read(known, product_id)
    assert second is not None
    assert second.variants[0].price.minor == first.variants[0].price.minor + 100


async def test_a_restored_database_is_believed(shop: Shop) -> None:
    """It counts the versions after the backup once more."""
    product_id = await shop.sell("TEE", 5)
    known = ProductCache(shop.pool)
    assert await read(known, product_id)
    await shop.pool.execute("UPDATE products SET title = 'another', update_time = update_time - interval '1 second'")
    product = await read(known, product_id)
    assert product is not None
    assert product.title == "another"


async def test_what_does_not_exist_is_left_out_and_nothing_is_kept_without_end(shop: Shop) -> None:
    product_ids = [await shop.sell(f"TEE-{size}") for size in "SML"]
    known = ProductCache(shop.pool, most=5)  # two with a variant each
    unknown = "01a206f4-f6a6-7077-81d1-9fe855cfa7b1"
    for _ in range(2):
        found = await known.by_id([*product_ids, unknown])
        assert {product_id: product.product_id for product_id, product in found.items()} == {
            product_id: product_id for product_id in product_ids
        }


async def test_what_is_kept_is_counted_by_its_size(shop: Shop) -> None:
    small, great = await shop.sell("TEE"), await shop.sell("MUG")
    await shop.pms.catalog.UpdateProduct(
        catalog_pb2.UpdateProductRequest(
            product=catalog_pb2.Product(
                product_id=great, description="x" * 25_000, attributes={f"a{n}": "x" * 1000 for n in range(25)}
            ),
            update_mask=FieldMask(paths=["description", "attributes"]),
        )
    )
    known = ProductCache(shop.pool, most=50)
    first = await read(known, small)
    assert await read(known, small) is first
    assert await read(known, great) is await read(known, great)
    assert await read(known, small) is not first


async def test_a_storefront_sees_each_change_at_once(shop: Shop) -> None:
    """The message that was made before is used again only for the same product with the same units."""
    product_id = await shop.sell("TEE", 5)
    await shop.sell("MUG", 3)

    async def shown(expected: str, units: int) -> None:
        one = await shop.storefront.catalog.GetAvailableProduct(
            catalog_pb2.GetAvailableProductRequest(product_id=product_id)
        )
        for search in ("", expected.lower()):
            answer = await shop.storefront.catalog.ListAvailableProducts(
                catalog_pb2.ListAvailableProductsRequest(search=search)
            )
            listed = [each for each in answer.products if each.product_id == product_id]
            assert [(each.title, each.variants[0].available) for each in (one, *listed)] == [(expected, units)] * 2

    for units in (5, 6, 7):
        await shown("Product TEE", units)
        await shop.receive("TEE", 1)
    await shop.pms.catalog.UpdateProduct(
        catalog_pb2.UpdateProductRequest(
            product=catalog_pb2.Product(product_id=product_id, title="Shirt"), update_mask=FieldMask(paths=["title"])
        )
    )
    await shown("Shirt", 8)


async def test_a_list_for_staff_has_each_change_at_once(shop: Shop) -> None:
    product_id = await shop.sell("TEE", 5)
    for title in ("Shirt", "Blouse", "Tunic"):
        await shop.pms.catalog.UpdateProduct(
            catalog_pb2.UpdateProductRequest(
                product=catalog_pb2.Product(product_id=product_id, title=title), update_mask=FieldMask(paths=["title"])
            )
        )
        for search in ("", title):
            answer = await shop.pms.catalog.ListProducts(catalog_pb2.ListProductsRequest(search=search))
            assert [product.title for product in answer.products] == [title]


async def test_a_list_is_of_one_moment(database: Pool) -> None:
    """What is listed and not known is read by a second statement: no change may come in between."""
    await database.execute(
        """
        INSERT INTO products (product_id, handle, title, description, vendor, product_type, tags, images, attributes,
                              state, create_time, update_time, version, search)
        SELECT gen_random_uuid(), 'p-' || n, n::text, '', '', '', '{}', '[]', '{}', 2, now(), now(), 1, ''
        FROM generate_series(1, 5) AS n
        """
    )

    class Interrupted(ProductCache):
        async def of_versions(self, connection: Executor | Pool, rows: Sequence[Record]) -> list[Product]:
            await database.execute("UPDATE products SET state = 3, version = version + 1")
            return await super().of_versions(connection, rows)

    catalog = SqlCatalog(database, Mutations(database, encode_event), Interrupted(database))
    products = await catalog.products(Page(10, None), ProductFilter([ProductState.PUBLISHED]))
    assert [(product.state, product.version) for product in products] == [(ProductState.PUBLISHED, 1)] * 5
