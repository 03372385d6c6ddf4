"""Published products are read far more often than changed: what was made of their rows is used again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from sys import getsizeof

from asyncpg import Record
from cachetools import LRUCache

from stockward_server.domain.product import Product
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.product_rows import SELECT_PRODUCTS, products_of

VERSION = "p.product_id::text, p.version, p.update_time"
"""Columns of `products p` that say which product it is and how it stands."""

MEBIBYTES = 128
"""What they may take all together, roughly: some 40,000 products with a few variants."""


def kibibytes(product: Product) -> int:
    """What a product takes in memory, roughly: one for itself and for each variant, and the texts that staff wrote."""
    texts = [product.description, *product.tags, *_texts(product.attributes)]
    texts += (text for image in product.images for text in (image.url, image.alt_text))
    texts += (text for variant in product.variants for text in (variant.image_url, *_texts(variant.options)))
    return 1 + len(product.variants) + sum(map(_bytes_of, texts)) // 1024


def _bytes_of(text: str) -> int:
    """Python keeps up to four bytes for a character."""
    return getsizeof(text) - _EMPTY


_EMPTY = getsizeof("")


def _texts(values: Mapping[str, str]) -> Iterable[str]:
    return (*values.keys(), *values.values())


class ProductCache:
    """Products as they stand in the database now. Only those whose version is not the one that is known are read whole;
    what was made of a version is never changed."""

    def __init__(self, pool: Pool, most: int = MEBIBYTES * 1024) -> None:
        """`most`: kibibytes of products that are kept, those read last."""
        self._pool = pool
        self._known: LRUCache[str, Product] = LRUCache(most, getsizeof=kibibytes)

    async def by_id(self, product_ids: Sequence[str]) -> Mapping[str, Product]:
        """Those that exist, in any state. A product that did not change since is the same object as before."""
        rows = await self._pool.fetch(
            f"SELECT {VERSION} FROM products p WHERE p.product_id = ANY($1::uuid[])", product_ids
        )
        return {product.product_id: product for product in await self.of_versions(self._pool, rows)}

    async def of_versions(self, connection: Executor | Pool, rows: Sequence[Record]) -> list[Product]:
        """Returns the products of rows of VERSION, in their order. Those that are not known as they are there are read
        whole: in a snapshot that is the same version, otherwise a later one, and what is gone meanwhile is left out."""
        found = {row[0]: self._known_as(*row[:3]) for row in rows}
        changed = [product_id for product_id, product in found.items() if product is None]
        if changed:
            rows = await connection.fetch(f"{SELECT_PRODUCTS} WHERE p.product_id = ANY($1::uuid[])", changed)
            read = {product.product_id: product for product in await products_of(rows)}
            self._known.update(read)
            found |= read
        return [product for product in found.values() if product is not None]

    def _known_as(self, product_id: str, version: int, update_time: datetime) -> Product | None:
        product = self._known.get(product_id)
        # The time, too: a database that was restored counts its versions once more.
        if product is not None and product.version == version and product.update_time == update_time:
            return product
        return None
