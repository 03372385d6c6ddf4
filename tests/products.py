"""Words to arrange products with."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.catalog.v1 import catalog_pb2 as pb
from stockward.event.v1 import event_pb2

from stockward_server.storage.database import Pool
from tests.shop import Callers, money

Code = grpc.StatusCode
State = pb.Product.State


def draft(title: str = "Tee", *skus: str, price: str = "19.90", **fields: Any) -> pb.Product:
    """A product that could be published: each SKU is an option of its own."""
    variants = [pb.Variant(sku=sku, price=money(price), options={"Size": sku}) for sku in skus]
    return pb.Product(title=title, variants=variants, **fields)


async def create(pms: Callers, title: str = "Tee", *skus: str, **fields: Any) -> pb.Product:
    return await made(pms, draft(title, *skus, **fields))


async def made(pms: Callers, product: pb.Product) -> pb.Product:
    created: pb.Product = await pms.catalog.CreateProduct(pb.CreateProductRequest(product=product))
    return created


async def get(pms: Callers, product: pb.Product) -> pb.Product:
    found: pb.Product = await pms.catalog.GetProduct(pb.GetProductRequest(product_id=product.product_id))
    return found


async def update(pms: Callers, product: pb.Product, *mask: str, request_id: str = "", **fields: Any) -> pb.Product:
    """An update of one product to `fields`, with the field mask `mask`."""
    updated: pb.Product = await pms.catalog.UpdateProduct(
        pb.UpdateProductRequest(
            product=pb.Product(product_id=product.product_id, **fields),
            update_mask=FieldMask(paths=mask),
            request_id=request_id,
        )
    )
    return updated


async def step(pms: Callers, name: str, product: pb.Product, **fields: Any) -> pb.Product:
    """`Publish`, `Unpublish`, `Archive` or `Restore`."""
    request = getattr(pb, f"{name}ProductRequest")(product_id=product.product_id, **fields)
    changed: pb.Product = await getattr(pms.catalog, f"{name}Product")(request)
    return changed


def moment(seconds: float) -> Timestamp:
    """So many seconds from now."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
    return stamp


async def events(database: Pool, product: pb.Product) -> list[event_pb2.Event]:
    """What was recorded of a product, in the order of its versions."""
    rows = await database.fetch("SELECT payload FROM events WHERE aggregate_id = $1 ORDER BY seq", product.product_id)
    recorded = [event_pb2.Event.FromString(row["payload"]) for row in rows]
    assert [event.aggregate_version for event in recorded] == [*range(1, len(recorded) + 1)]
    return recorded


async def event_types(database: Pool, product: pb.Product) -> list[str]:
    return [event.type.removeprefix("product.") for event in await events(database, product)]


async def until(database: Pool, product: pb.Product, condition: str) -> None:
    """Waits for the product's row to be so, with nobody connected to the server."""
    async with asyncio.timeout(60):
        while not await database.fetchval(
            f"SELECT {condition} FROM products WHERE product_id = $1", product.product_id
        ):
            await asyncio.sleep(0.02)
