"""A cache of products by version: products are read far more often than changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from sys import getsizeof

from asyncpg import Record
from cachetools import LRUCache

from stockward_server.domain.product import Product
from stockward_server.storage.any_of import ANY_ID
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.product_rows import SELECT_PRODUCTS, products_of

VERSION = "p.product_id::text, p.version, p.update_time"
"""Columns of `products p` that identify a product and its version."""

MEBIBYTES = 128
"""Approximate memory for all cached products: some 40,000 products with a few variants."""


def kibibytes(product: Product) -> int:
    """Returns the approximate memory of a product in KiB: one for itself and for each variant, plus its texts."""
    texts = [product.description, *product.tags, *_texts(product.attributes)]
    texts += (text for image in product.images for text in (image.url, image.alt_text))
    texts += (text for variant in product.variants for text in (variant.image_url, *_texts(variant.options)))
    return 1 + len(product.variants) + sum(map(_bytes_of, texts)) // 1024


def _bytes_of(text: str) -> int:
    """Returns the memory of a text: Python stores up to four bytes a character."""
    return getsizeof(text) - _EMPTY


_EMPTY = getsizeof("")


def _texts(values: Mapping[str, str]) -> Iterable[str]:
    return (*values.keys(), *values.values())


class ProductCache:
    """Returns products as they are in the database now. Only products whose version is not cached are read completely;
    a cached object is never changed."""

    def __init__(self, pool: Pool, most: int = MEBIBYTES * 1024) -> None:
        """`most` is the capacity in KiB; products read least recently are evicted."""
        self._pool = pool
        self._known: LRUCache[str, Product] = LRUCache(most, getsizeof=kibibytes)

    async def by_id(self, product_ids: Sequence[str]) -> Mapping[str, Product]:
        """Returns the existing products by id, in any state. An unchanged product is the same object as before."""
        rows = await self._pool.fetch(f"SELECT {VERSION} FROM products p WHERE p.product_id = {ANY_ID}", product_ids)
        return {product.product_id: product for product in await self.of_versions(self._pool, rows)}

    async def of_versions(self, connection: Executor | Pool, rows: Sequence[Record]) -> list[Product]:
        """Returns the products of rows of VERSION, in their order. Versions that are not cached are read: in a snapshot
        that is the same version, otherwise perhaps a later one; products deleted meanwhile are left out."""
        found = {row[0]: self._known_as(*row[:3]) for row in rows}
        changed = [product_id for product_id, product in found.items() if product is None]
        if changed:
            rows = await connection.fetch(f"{SELECT_PRODUCTS} WHERE p.product_id = {ANY_ID}", changed)
            read = {product.product_id: product for product in await products_of(rows)}
            self._known.update(read)
            found |= read
        return [product for product in found.values() if product is not None]

    def _known_as(self, product_id: str, version: int, update_time: datetime) -> Product | None:
        product = self._known.get(product_id)
        # Compare the time, too: a restored database repeats version numbers.
        if product is not None and product.version == version and product.update_time == update_time:
            return product
        return None
