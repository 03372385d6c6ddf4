"""Converts products and variants from rows and to rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asyncpg import Record

from stockward_server.domain.money import Money
from stockward_server.domain.product import Image, Product, ProductState, Variant
from stockward_server.domain.search import search_document
from stockward_server.runtime.turns import Turns
from stockward_server.storage.database import Executor
from stockward_server.storage.search_index import INDEX_PRODUCT, index_row
from stockward_server.storage.statement import Statement

# One statement is one snapshot, so the variants always belong to the same version as the product.
SELECT_PRODUCTS = """
    SELECT p.product_id::text, p.handle, p.title, p.state, p.create_time, p.update_time, p.description, p.vendor,
           p.product_type, p.tags, p.images, p.attributes, p.scheduled_publish_time, p.publish_time, p.version,
           (SELECT coalesce(json_agg(to_json(v) ORDER BY v.position), '[]')::text
            FROM variants v WHERE v.product_id = p.product_id) AS variants
    FROM products p
"""

IS_INDEXED = "CASE WHEN products.indexed_version = products.version THEN {} ELSE products.indexed_version END"
"""Marks the next version of a product as indexed if the current one is, as its search document is unchanged."""


async def load_product(connection: Executor, product_id: str) -> Product | None:
    row = await connection.fetchrow(f"{SELECT_PRODUCTS} WHERE p.product_id = $1", product_id)
    return product_of(row) if row else None


async def write_content(connection: Executor, product: Product, *, is_found_as_before: bool = False) -> None:
    """Inserts or replaces a product without its variants; also its search document unless `is_found_as_before`."""
    columns = {
        "product_id": product.product_id,
        "handle": product.handle,
        "title": product.title,
        "state": product.state,
        "create_time": product.create_time,
        "update_time": product.update_time,
        "description": product.description,
        "vendor": product.vendor,
        "product_type": product.product_type,
        "tags": product.tags,
        "images": [(image.url, image.alt_text) for image in product.images],
        "attributes": product.attributes,
        "scheduled_publish_time": product.scheduled_publish_time,
        "publish_time": product.publish_time,
        "version": product.version,
    }
    indexed = IS_INDEXED.format("EXCLUDED.version")
    statement = Statement()
    if not is_found_as_before:
        document = search_document(product)
        columns |= {
            "search_parts": document.parts,
            "title_key": document.title_key,
            "search": document.title_words,
            "indexed_version": product.version,
        }
        indexed = "EXCLUDED.indexed_version"
        statement.add(INDEX_PRODUCT, *index_row(product, document))
    values = {name: f"${number}" for number, name in enumerate(columns, start=1)}
    if "search" in values:
        values["search"] = f"to_tsvector('english', {values['search']})"  # for servers of the previous release
    kept = ("product_id", "create_time", "indexed_version")
    changes = [f"{name} = EXCLUDED.{name}" for name in columns if name not in kept]
    statement.add(
        f"""
        INSERT INTO products ({", ".join(columns)}) VALUES ({", ".join(values.values())})
        ON CONFLICT (product_id) DO UPDATE SET {", ".join(changes)}, indexed_version = {indexed}
        """,
        *columns.values(),
    )
    await statement.execute(connection)


async def write_state(connection: Executor, product: Product) -> None:
    """Stores the state of a product, not its content."""
    await connection.execute(
        f"""
        UPDATE products SET state = $2, scheduled_publish_time = $3, publish_time = $4, update_time = $5, version = $6,
            indexed_version = {IS_INDEXED.format("$6")}
        WHERE product_id = $1
        """,
        product.product_id,
        product.state,
        product.scheduled_publish_time,
        product.publish_time,
        product.update_time,
        product.version,
    )


async def write_variants(connection: Executor, product_id: str, rows: Sequence[tuple[int, Variant]]) -> None:
    """Inserts or updates variants of a product with their positions.

    Raises UniqueViolationError when a concurrent transaction gave one of the SKUs to another product.
    """
    if not rows:
        return
    await connection.execute(
        """
        MERGE INTO variants v
        USING unnest($2::text[], $3::int[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
                     $9::bigint[], $10::jsonb[], $11::text[], $12::bigint[], $13::text[], $14::boolean[])
            AS n (sku, position, title, currency, price, compare_at_price, cost_currency, cost, options, barcode,
                  weight_grams, image_url, untracked)
        ON v.sku = n.sku AND v.product_id = $1
        WHEN MATCHED THEN UPDATE SET
            position = n.position, title = n.title, currency = n.currency, price = n.price,
            compare_at_price = n.compare_at_price, cost_currency = n.cost_currency, cost = n.cost, options = n.options,
            barcode = n.barcode, weight_grams = n.weight_grams, image_url = n.image_url, untracked = n.untracked
        WHEN NOT MATCHED THEN INSERT (
            sku, product_id, position, title, currency, price, compare_at_price, cost_currency, cost, options, barcode,
            weight_grams, image_url, untracked
        ) VALUES (
            n.sku, $1, n.position, n.title, n.currency, n.price, n.compare_at_price, n.cost_currency, n.cost,
            n.options, n.barcode, n.weight_grams, n.image_url, n.untracked)
        """,
        product_id,
        *zip(*(_variant_row(position, variant) for position, variant in rows), strict=True),
    )


def _variant_row(position: int, variant: Variant) -> tuple[Any, ...]:
    former, cost = variant.compare_at_price, variant.cost
    return (
        variant.sku,
        position,
        variant.title,
        variant.price.currency,
        variant.price.minor,
        former.minor if former else None,
        cost.currency if cost else None,
        cost.minor if cost else None,
        variant.options,
        variant.barcode,
        variant.weight_grams,
        variant.image_url,
        variant.untracked,
    )


async def products_of(rows: Iterable[Record]) -> list[Product]:
    """Builds products from rows of SELECT_PRODUCTS, pausing for other tasks: a product may have thousands of
    variants."""
    products: list[Product] = []
    turns = Turns()
    for row in rows:
        products.append(product_of(row))
        await turns.give()
    return products


def product_of(row: Record) -> Product:
    """Builds a product from a row of SELECT_PRODUCTS."""
    return Product(
        product_id=row["product_id"],
        handle=row["handle"],
        title=row["title"],
        state=ProductState(row["state"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
        description=row["description"],
        vendor=row["vendor"],
        product_type=row["product_type"],
        tags=tuple(row["tags"]),
        images=tuple(Image(url, alt_text) for url, alt_text in row["images"]),
        variants=tuple(map(_variant, json.loads(row["variants"]))),
        attributes=row["attributes"],
        scheduled_publish_time=row["scheduled_publish_time"],
        publish_time=row["publish_time"],
        version=row["version"],
    )


def _variant(row: Mapping[str, Any]) -> Variant:
    currency = row["currency"]
    return Variant(
        sku=row["sku"],
        price=Money(currency, row["price"]),
        title=row["title"],
        compare_at_price=None if row["compare_at_price"] is None else Money(currency, row["compare_at_price"]),
        cost=None if row["cost"] is None else Money(row["cost_currency"], row["cost"]),
        options=row["options"],
        barcode=row["barcode"],
        weight_grams=row["weight_grams"],
        image_url=row["image_url"],
        untracked=row["untracked"],
    )
