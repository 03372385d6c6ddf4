"""Indexes products that servers of an earlier release wrote."""

from __future__ import annotations

import asyncio

from stockward_server.domain.search import search_document
from stockward_server.runtime.turns import beside
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.product_rows import SELECT_PRODUCTS, products_of
from stockward_server.storage.search_index import INDEX_PRODUCT, index_row

BATCH = 100
"""Products indexed in one transaction."""

UNINDEXED = """
    SELECT p.product_id::text FROM products p WHERE p.indexed_version <> p.version
    ORDER BY p.product_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
"""
WITHOUT_PAIRS = """
    SELECT p.product_id::text FROM product_search s JOIN products p USING (product_id) WHERE s.pairs IS NULL
    ORDER BY s.product_id LIMIT $1 FOR NO KEY UPDATE OF p SKIP LOCKED
"""


async def refresh_search(pool: Pool) -> int:
    """Indexes products that a server of an earlier release wrote.

    Returns the number of products. BATCH products are locked at a time; products that are already locked are skipped.
    """
    refreshed = 0
    while count := await _refresh_some(pool):
        refreshed += count
        await asyncio.sleep(0)
    return refreshed


async def _refresh_some(pool: Pool) -> int:
    async with transaction(pool) as connection:
        locked = await connection.fetch(UNINDEXED, BATCH) or await connection.fetch(WITHOUT_PAIRS, BATCH)
        rows = await connection.fetch(
            f"{SELECT_PRODUCTS} WHERE p.product_id = ANY($1::uuid[])", [row["product_id"] for row in locked]
        )
        products = await products_of(rows)
        documents = await beside(lambda: [(product, search_document(product)) for product in products])
        await connection.executemany(INDEX_PRODUCT, [index_row(*each) for each in documents])
        await connection.executemany(
            "UPDATE products SET indexed_version = version, search_parts = $2, title_key = $3 WHERE product_id = $1",
            [(product.product_id, document.parts, document.title_key) for product, document in documents],
        )
        return len(rows)
