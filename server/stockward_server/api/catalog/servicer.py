"""CatalogService on the wire: messages in, use cases, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from cachetools import LRUCache
from stockward.catalog.v1 import catalog_pb2 as pb
from stockward.catalog.v1 import catalog_pb2_grpc

from stockward_server.api.catalog.import_rows import import_rows
from stockward_server.api.catalog.messages import (
    IMPORTED,
    PRODUCT,
    available_product_message,
    masked_edit,
    product_edit,
    product_message,
    readiness_message,
)
from stockward_server.api.requests import Context, request_of
from stockward_server.application.catalog import Catalog, Decision, position, position_shape
from stockward_server.application.context import Role
from stockward_server.application.ports.catalog import ProductFilter, ProductSort
from stockward_server.application.ports.pages import Page
from stockward_server.application.storefront_cache import StorefrontCache
from stockward_server.domain.product import Product, ProductState
from stockward_server.domain.product_changes import (
    decide_archival,
    decide_publication,
    decide_restoration,
    decide_unpublication,
    decide_update,
)
from stockward_server.wire.pages import list_page
from stockward_server.wire.seal import Seals
from stockward_server.wire.times import moment
from stockward_server.wire.validation.names import normalise_names
from stockward_server.wire.validation.rules import validate

IMPORT_PRODUCTS = "/stockward.catalog.v1.CatalogService/ImportProducts"

NOT_ARCHIVED = (ProductState.DRAFT, ProductState.PUBLISHED, ProductState.UNPUBLISHED)

Change = (
    pb.UpdateProductRequest
    | pb.PublishProductRequest
    | pb.UnpublishProductRequest
    | pb.ArchiveProductRequest
    | pb.RestoreProductRequest
)
Listing = pb.ListProductsRequest | pb.ListAvailableProductsRequest
Message = TypeVar("Message", pb.Product, pb.AvailableProduct)

SKUS_AT_ONCE = 2048
"""SKUs whose availability is read at once, as many as one product may have."""

MESSAGE_BYTES = 32 * 2**20
"""Memory, roughly, for messages of products that are kept for each of staff and storefronts, those asked for last: some
8,000 small ones."""


class _Made(NamedTuple, Generic[Message]):
    """A message of a product, and what it was made of."""

    product: Product
    available: Mapping[str, int] | None
    message: Message


def _bytes_of(made: _Made[Any]) -> int:
    """Measured: 3 KB for a message of 0.3 KB."""
    return 2048 + 3 * int(made.message.ByteSize())


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """See catalog.proto; every method raises a Refusal for a documented error."""

    def __init__(self, catalog: Catalog, storefront_cache: StorefrontCache, seals: Seals) -> None:
        self._catalog = catalog
        self._seals = seals
        self._cache = storefront_cache
        self._for_staff: LRUCache[str, _Made[pb.Product]] = LRUCache(MESSAGE_BYTES, getsizeof=_bytes_of)
        self._for_storefronts: LRUCache[str, _Made[pb.AvailableProduct]] = LRUCache(MESSAGE_BYTES, getsizeof=_bytes_of)

    async def CreateProduct(self, request: pb.CreateProductRequest, context: Context) -> pb.Product:
        return await self._catalog.create(request_of(context, request), product_edit(request.product), PRODUCT)

    async def GetProduct(self, request: pb.GetProductRequest, context: Context) -> pb.Product:
        return product_message(await self._catalog.product(request.product_id))

    async def ListProducts(self, request: pb.ListProductsRequest, context: Context) -> pb.ListProductsResponse:
        states = [ProductState(state) for state in request.states] or NOT_ARCHIVED
        wanted = _filter(request, states)
        products, token = await list_page(
            self._seals,
            request,
            lambda page: self._catalog.products(page, wanted),
            self._product_message,
            lambda product: position(product, wanted),
            position_shape(wanted),
        )
        return pb.ListProductsResponse(products=products, next_page_token=token)

    async def UpdateProduct(self, request: pb.UpdateProductRequest, context: Context) -> pb.Product:
        validate(pb.GetProductRequest(product_id=request.product.product_id), "product.")
        edit = masked_edit(request)
        return await self._change(
            request,
            context,
            request.product.product_id,
            request.product.etag,
            lambda product, now: decide_update(product, edit, now),
        )

    async def CheckReadiness(self, request: pb.CheckReadinessRequest, context: Context) -> pb.CheckReadinessResponse:
        return readiness_message(await self._catalog.product(request.product_id))

    async def PublishProduct(self, request: pb.PublishProductRequest, context: Context) -> pb.Product:
        at = moment(request.publish_time, "publish_time") if request.HasField("publish_time") else None
        return await self._change(
            request,
            context,
            request.product_id,
            request.etag,
            lambda product, now: decide_publication(product, at, now),
        )

    async def UnpublishProduct(self, request: pb.UnpublishProductRequest, context: Context) -> pb.Product:
        return await self._change(request, context, request.product_id, request.etag, decide_unpublication)

    async def ArchiveProduct(self, request: pb.ArchiveProductRequest, context: Context) -> pb.Product:
        return await self._change(request, context, request.product_id, request.etag, decide_archival)

    async def RestoreProduct(self, request: pb.RestoreProductRequest, context: Context) -> pb.Product:
        return await self._change(request, context, request.product_id, request.etag, decide_restoration)

    async def RenameSku(self, request: pb.RenameSkuRequest, context: Context) -> pb.Product:
        return await self._catalog.rename_sku(
            request_of(context, request), request.sku, request.new_sku, request.etag, PRODUCT
        )

    async def ImportProducts(
        self, request_iterator: AsyncIterator[pb.ImportProductsRequest], context: Context
    ) -> pb.ImportProductsResponse:
        async def import_row(row: pb.ImportProductsRequest) -> pb.ImportResult:
            return await self.import_product(row, context)

        return pb.ImportProductsResponse(results=await import_rows(request_iterator, import_row))

    async def BatchImportProducts(
        self, request: pb.BatchImportProductsRequest, context: Context
    ) -> pb.BatchImportProductsResponse:
        async def rows() -> AsyncIterator[pb.ImportProductsRequest]:
            for row in request.requests:
                normalise_names(row)
                yield row

        async def import_row(row: pb.ImportProductsRequest) -> pb.ImportResult:
            return await self.import_product(row, context)

        return pb.BatchImportProductsResponse(results=await import_rows(rows(), import_row))

    async def import_product(self, row: pb.ImportProductsRequest, context: Context) -> pb.ImportResult:
        """One row of an import by itself: raises the Refusal that would stand in its result."""
        validate(pb.CreateProductRequest(product=row.product, request_id=row.request_id))
        result = await self._catalog.import_row(
            request_of(context, row, IMPORT_PRODUCTS),
            row.product.etag,
            product_edit(row.product),
            IMPORTED,
            validate_only=row.validate_only,
        )
        if row.validate_only and result.action == pb.ImportResult.ACTION_CREATED:
            result.product_id = ""
        return result

    async def ListAvailableProducts(
        self, request: pb.ListAvailableProductsRequest, context: Context
    ) -> pb.ListAvailableProductsResponse:
        wanted = _filter(request, [ProductState.PUBLISHED])

        async def load(page: Page) -> Sequence[tuple[Product, Mapping[str, int]]]:
            products = await self._catalog.products(page, wanted)
            available = await self._available(products)
            return [(product, available) for product in products]

        products, token = await list_page(
            self._seals,
            request,
            load,
            lambda row: self._available_product_message(*row),
            lambda row: position(row[0], wanted),
            position_shape(wanted),
        )
        return pb.ListAvailableProductsResponse(products=products, next_page_token=token)

    async def GetAvailableProduct(
        self, request: pb.GetAvailableProductRequest, context: Context
    ) -> pb.AvailableProduct:
        product = await self._cache.product(request.product_id)
        return self._available_product_message(product, await self._available([product]))

    def _product_message(self, product: Product) -> pb.Product:
        made = self._for_staff.get(product.product_id)
        if made is None or made.product is not product:
            made = self._for_staff[product.product_id] = _Made(product, None, product_message(product))
        return made.message

    def _available_product_message(self, product: Product, available: Mapping[str, int]) -> pb.AvailableProduct:
        """`available` may have SKUs of other products, too."""
        made = self._for_storefronts.get(product.product_id)
        own = {each.sku: available[each.sku] for each in product.variants if each.sku in available}
        if made is None or made.product is not product or made.available != own:
            made = _Made(product, own, available_product_message(product, own))
            self._for_storefronts[product.product_id] = made
        return made.message

    async def _available(self, products: Sequence[Product]) -> Mapping[str, int]:
        """Units of every SKU of these products that can be ordered now."""
        skus = [variant.sku for product in products for variant in product.variants]
        available: dict[str, int] = {}
        for start in range(0, len(skus), SKUS_AT_ONCE):
            rows = await self._cache.availability(skus[start : start + SKUS_AT_ONCE], Role.STOREFRONT)
            available |= {sku: row.available for sku, row in rows.items()}
        return available

    async def _change(
        self, message: Change, context: Context, product_id: str, etag: str, decide: Decision
    ) -> pb.Product:
        return await self._catalog.change(request_of(context, message), product_id.lower(), etag, decide, PRODUCT)


def _filter(request: Listing, states: Sequence[ProductState]) -> ProductFilter:
    search = request.search.strip()
    order_by = request.order_by or "relevance"
    if order_by == "relevance" and not search:
        order_by = "create_time desc"
    key, _, direction = order_by.partition(" ")
    return ProductFilter(
        states,
        vendor=request.vendor,
        product_type=request.product_type,
        tag=request.tag,
        search=search,
        handle=request.handle,
        sku=request.sku,
        sort=ProductSort(key),
        descending=direction == "desc" or key == "relevance",
    )
