# Generated from proto/ by `make generate`; do not edit.
"""A method for each rpc of the contract."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping

import grpc
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.type import money_pb2
from stockward.auth.v1 import auth_pb2, key_pb2, key_pb2_grpc, session_pb2, session_pb2_grpc
from stockward.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from stockward.event.v1 import event_pb2, event_pb2_grpc
from stockward.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from stockward.order.v1 import order_pb2, order_pb2_grpc
from stockward.status.v1 import status_pb2, status_pb2_grpc
from stockward.webhook.v1 import webhook_pb2, webhook_pb2_grpc

from stockward_client import enums
from stockward_client.aio_calls import AsyncCalls, AsyncPages
from stockward_client.arguments import at_most_one, number_of, numbers_of


class AsyncKeyService:
    """Manages API keys. The methods name no role, so only administrators may call them. The command `stockward keys`
    does the same directly on the database, which is how the first key is created.
    """

    def __init__(self, channel: grpc.aio.Channel, calls: AsyncCalls) -> None:
        self._calls = calls
        self._stub = key_pb2_grpc.KeyServiceStub(channel)

    async def create_key(
        self,
        *,
        name: str,
        role: auth_pb2.Role.ValueType | enums.Role,
        expire_time: timestamp_pb2.Timestamp | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> key_pb2.CreateKeyResponse:
        """Creates a key, which is valid at once.

        Errors:
        - ALREADY_EXISTS (KEY_NAME_TAKEN): another key with that name is active.

        Args:
            name: Name of the caller that uses the key: 1 to 63 letters, digits, `_`, `.` or `-`, beginning with a
                letter or digit. `customer` and `system` are reserved.
            role: Role that the key grants.
            expire_time: When the key expires, in the future. Unset: it does not expire.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CreateKey,
            key_pb2.CreateKeyRequest(
                name=name, role=number_of(auth_pb2.Role, role), expire_time=expire_time, request_id=request_id
            ),
            timeout,
        )

    def list_keys(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        include_ended: bool = False,
        include_sessions: bool = False,
        timeout: float | None = None,
    ) -> AsyncPages[key_pb2.ListKeysResponse, key_pb2.Key]:
        """Lists keys, newest first; expired and revoked ones on request only.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            include_ended: Whether to list expired and revoked keys as well.
            include_sessions: Whether to list sessions as well, see SessionService.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListKeys,
            key_pb2.ListKeysRequest(
                page_size=page_size,
                page_token=page_token,
                include_ended=include_ended,
                include_sessions=include_sessions,
            ),
            lambda page: page.keys,
            timeout,
        )

    async def rotate_key(
        self,
        *,
        key_id: str,
        overlap: duration_pb2.Duration | None = None,
        expire_time: timestamp_pb2.Timestamp | None = None,
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> key_pb2.RotateKeyResponse:
        """Creates a new key with the same name and role, and ends the old one after an overlap in which both are
        valid.

        Errors:
        - NOT_FOUND (KEY_NOT_FOUND): no key has this id.
        - ABORTED (ETAG_MISMATCH): the key has changed since the etag was read.
        - FAILED_PRECONDITION (KEY_NOT_ACTIVE): the key is not ACTIVE.

        Args:
            key_id: Id of the key to replace, a UUID.
            overlap: How long the old key stays valid beside the new one: 0 to 30 days, 24 hours when unset. It never
                becomes valid for longer than it was.
            expire_time: When the new key expires, in the future. Unset: it lives as long as the old key was created
                for.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the key that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the key has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.RotateKey,
            key_pb2.RotateKeyRequest(
                key_id=key_id, overlap=overlap, expire_time=expire_time, request_id=request_id, etag=etag
            ),
            timeout,
        )

    async def revoke_key(
        self, *, key_id: str, request_id: str = "", etag: str = "", timeout: float | None = None
    ) -> key_pb2.Key:
        """Revokes a key, or a session: within 5 seconds no server accepts it, nor the sessions of the key, and the
        streams that they opened end. A key that is already revoked is returned unchanged.

        Errors:
        - NOT_FOUND (KEY_NOT_FOUND): no key has this id.
        - ABORTED (ETAG_MISMATCH): the key has changed since the etag was read.

        Args:
            key_id: Id of the key to revoke, a UUID.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the key that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the key has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.RevokeKey, key_pb2.RevokeKeyRequest(key_id=key_id, request_id=request_id, etag=etag), timeout
        )


class AsyncSessionService:
    """Says who the caller is, and makes and ends sessions."""

    def __init__(self, channel: grpc.aio.Channel, calls: AsyncCalls) -> None:
        self._calls = calls
        self._stub = session_pb2_grpc.SessionServiceStub(channel)

    async def who_am_i(self, *, timeout: float | None = None) -> session_pb2.WhoAmIResponse:
        """Returns who the caller is: name, role, and when its credential expires.

        Args:
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(self._stub.WhoAmI, session_pb2.WhoAmIRequest(), timeout)

    async def create_session(
        self,
        *,
        ttl: duration_pb2.Duration,
        role: auth_pb2.Role.ValueType | enums.Role | None = None,
        link: bool = False,
        request_id: str = "",
        timeout: float | None = None,
    ) -> session_pb2.CreateSessionResponse:
        """Creates a session with the API key that the caller presents. A link (`link`) is presented in place of the
        key, and used up by that.

        Errors:
        - UNAUTHENTICATED (CREDENTIALS_INVALID): the link was used before.
        - PERMISSION_DENIED (ROLE_NOT_ALLOWED): `role` may do more than the role of the caller.
        - FAILED_PRECONDITION (SESSION_NEEDS_KEY): the caller presents a session or a token.

        Args:
            ttl: How long the session, or the link, is valid: 1 minute to 24 hours, but no longer than the key.
            role: Role of the session, which may do no more than the caller's; unset: the caller's.
            link: Makes a link instead: its secret is valid for one call of CreateSession and for nothing else. Put it
                behind the `#` of an address, which browsers do not send.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CreateSession,
            session_pb2.CreateSessionRequest(
                ttl=ttl, role=number_of(auth_pb2.Role, role), link=link, request_id=request_id
            ),
            timeout,
        )

    async def end_session(self, *, key_id: str, request_id: str = "", timeout: float | None = None) -> key_pb2.Key:
        """Ends a session of the caller's name. One that has ended is returned unchanged. Administrators end those of
        others with RevokeKey.

        Errors:
        - NOT_FOUND (KEY_NOT_FOUND): no session of the caller's name has this id.

        Args:
            key_id: Id of the session, a UUID.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.EndSession, session_pb2.EndSessionRequest(key_id=key_id, request_id=request_id), timeout
        )


class AsyncCatalogService:
    """Manages products and their publication."""

    def __init__(self, channel: grpc.aio.Channel, calls: AsyncCalls) -> None:
        self._calls = calls
        self._stub = catalog_pb2_grpc.CatalogServiceStub(channel)

    async def create_product(
        self, *, product: catalog_pb2.Product, request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Creates a product in DRAFT.

        Errors:
        - ALREADY_EXISTS (SKU_TAKEN): a variant of another product has one of the SKUs, or two variants have the same.
        - ALREADY_EXISTS (HANDLE_TAKEN): another product has the handle.
        - INVALID_ARGUMENT (MONEY_INVALID): a price is malformed.

        Args:
            product: The product to create. Fields that only the server sets are ignored.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CreateProduct, catalog_pb2.CreateProductRequest(product=product, request_id=request_id), timeout
        )

    async def get_product(self, *, product_id: str, timeout: float | None = None) -> catalog_pb2.Product:
        """Returns one product in any state.

        Errors:
        - NOT_FOUND (PRODUCT_NOT_FOUND): no product has this id.

        Args:
            product_id: Id of the product, a UUID.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.GetProduct, catalog_pb2.GetProductRequest(product_id=product_id), timeout
        )

    def list_products(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        states: Iterable[catalog_pb2.Product.State.ValueType | enums.ProductState] = (),
        vendor: str = "",
        product_type: str = "",
        tag: str = "",
        search: str = "",
        order_by: str = "",
        handle: str = "",
        sku: str = "",
        timeout: float | None = None,
    ) -> AsyncPages[catalog_pb2.ListProductsResponse, catalog_pb2.Product]:
        """Lists products in any state: filtered, searched and sorted.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            states: Only products in one of these states; empty: all but ARCHIVED.
            vendor: Only products of exactly this vendor.
            product_type: Only products of exactly this type.
            tag: Only products with exactly this tag.
            search: Search text in the syntax of web search engines: words, "quoted phrases", `or`, `-without`; up to
                500 characters. A word is found in titles, SKUs, barcodes, handle, vendor, type, tags and options, by
                any part of it and in any script; in the first 50,000 characters of the description by its beginning;
                and everywhere in its other English forms. Case, accents and width do not matter. Phrases and `-without`
                match whole words. A search of only punctuation and symbols finds names that are exactly equal to it.
            order_by: Order of the list: `create_time`, `update_time` or `title`, followed by ` desc` for descending; or
                `relevance`. Empty: `relevance` for a search, else `create_time desc`. `relevance` lists products first
                whose title, handle, SKU or barcode equals the search, then those where every word of it begins a word
                of the title, then the others; newest first within each group. Titles are compared without accents and
                case, and whole numbers in them by value.
            handle: Only the product with exactly this handle.
            sku: Only the product with a variant of exactly this SKU.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListProducts,
            catalog_pb2.ListProductsRequest(
                page_size=page_size,
                page_token=page_token,
                states=numbers_of(catalog_pb2.Product.State, states),
                vendor=vendor,
                product_type=product_type,
                tag=tag,
                search=search,
                order_by=order_by,
                handle=handle,
                sku=sku,
            ),
            lambda page: page.products,
            timeout,
        )

    async def update_product(
        self,
        *,
        product: catalog_pb2.Product,
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> catalog_pb2.Product:
        """Updates the fields named in the mask (AIP-134). The list of variants is replaced as a whole.

        Errors:
        - NOT_FOUND (PRODUCT_NOT_FOUND): no product has this id.
        - ABORTED (ETAG_MISMATCH): the product has changed since the etag was read.
        - ALREADY_EXISTS (SKU_TAKEN, HANDLE_TAKEN): another product has one of the SKUs, or the handle.
        - FAILED_PRECONDITION (VARIANT_IN_USE): a variant to be removed has stock or an open order.
        - FAILED_PRECONDITION (PRODUCT_NOT_READY): the product is published and would no longer be ready.

        Args:
            product: The product with its new values. `product_id` names the product; `etag`, when set, must be that of
                the present version.
            update_mask: Fields to update: `handle`, `title`, `description`, `vendor`, `product_type`, `tags`, `images`,
                `variants`, `attributes`. Empty: those that are set in `product`; `*`: all of them (AIP-134). Fields
                that only the server sets are ignored, and an empty handle keeps the present one.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.UpdateProduct,
            catalog_pb2.UpdateProductRequest(product=product, update_mask=update_mask, request_id=request_id),
            timeout,
        )

    async def check_readiness(
        self, *, product_id: str, timeout: float | None = None
    ) -> catalog_pb2.CheckReadinessResponse:
        """Checks whether the product could be published now: what blocks it, and what would only improve it.

        Errors:
        - NOT_FOUND (PRODUCT_NOT_FOUND): no product has this id.

        Args:
            product_id: Id of the product, a UUID.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CheckReadiness, catalog_pb2.CheckReadinessRequest(product_id=product_id), timeout
        )

    async def publish_product(
        self,
        *,
        product_id: str,
        publish_time: timestamp_pb2.Timestamp | None = None,
        etag: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> catalog_pb2.Product:
        """Publishes the product now, or schedules its publication; a later call replaces the schedule. The product
        must be ready for both. It is checked again at the scheduled time: a product that is no longer ready stays
        as it is, without its schedule.

        Errors:
        - NOT_FOUND (PRODUCT_NOT_FOUND): no product has this id.
        - ABORTED (ETAG_MISMATCH): the product has changed since the etag was read.
        - FAILED_PRECONDITION (PRODUCT_NOT_READY): CheckReadiness lists what blocks it.
        - FAILED_PRECONDITION (PRODUCT_STATE_INVALID): the product is archived, or is published already and cannot be
          scheduled.

        Args:
            product_id: Id of the product, a UUID.
            publish_time: When to publish. Unset or in the past: now.
            etag: The `etag` of the product that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the product has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.PublishProduct,
            catalog_pb2.PublishProductRequest(
                product_id=product_id, publish_time=publish_time, etag=etag, request_id=request_id
            ),
            timeout,
        )

    async def unpublish_product(
        self, *, product_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Unpublishes a published product, or clears the schedule of one that is not published yet.

        Errors:
        - NOT_FOUND (PRODUCT_NOT_FOUND): no product has this id.
        - ABORTED (ETAG_MISMATCH): the product has changed since the etag was read.
        - FAILED_PRECONDITION (PRODUCT_STATE_INVALID): the product is archived.

        Args:
            product_id: Id of the product, a UUID.
            etag: The `etag` of the product that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the product has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.UnpublishProduct,
            catalog_pb2.UnpublishProductRequest(product_id=product_id, etag=etag, request_id=request_id),
            timeout,
        )

    async def archive_product(
        self, *, product_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Archives a product that is not published. Its SKUs stay taken and its orders stay readable.

        Errors:
        - NOT_FOUND (PRODUCT_NOT_FOUND): no product has this id.
        - ABORTED (ETAG_MISMATCH): the product has changed since the etag was read.
        - FAILED_PRECONDITION (PRODUCT_STATE_INVALID): the product is published.

        Args:
            product_id: Id of the product, a UUID.
            etag: The `etag` of the product that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the product has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ArchiveProduct,
            catalog_pb2.ArchiveProductRequest(product_id=product_id, etag=etag, request_id=request_id),
            timeout,
        )

    async def restore_product(
        self, *, product_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Restores an archived product: to UNPUBLISHED when it was ever published, else to DRAFT.

        Errors:
        - NOT_FOUND (PRODUCT_NOT_FOUND): no product has this id.
        - ABORTED (ETAG_MISMATCH): the product has changed since the etag was read.

        Args:
            product_id: Id of the product, a UUID.
            etag: The `etag` of the product that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the product has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.RestoreProduct,
            catalog_pb2.RestoreProductRequest(product_id=product_id, etag=etag, request_id=request_id),
            timeout,
        )

    async def rename_sku(
        self, *, sku: str, new_sku: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Renames the SKU of a variant, with its stock, reservations, orders and history, in one transaction.
        Afterwards both SKUs can be used for other goods, so two SKUs can be swapped by way of a third one. A
        later request that names the old SKU is refused like one with any unknown SKU. Lines of orders and
        reservations, past ones included, show the new SKU; past events keep the old one. Renaming a SKU to itself
        changes nothing.

        Records the events `product.sku_renamed` and `product.updated`, and `stock.renamed` twice for each
        location: under the old SKU and under the new one.

        Errors:
        - NOT_FOUND (SKU_UNKNOWN): no variant has the SKU.
        - ALREADY_EXISTS (SKU_TAKEN): a variant has the new SKU.
        - ABORTED (ETAG_MISMATCH): the product has changed since the etag was read.

        Args:
            sku: Present SKU of the variant.
            new_sku: New SKU of the variant; no other variant may have it.
            etag: The `etag` of the product that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the product has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.RenameSku,
            catalog_pb2.RenameSkuRequest(sku=sku, new_sku=new_sku, etag=etag, request_id=request_id),
            timeout,
        )

    async def import_products(
        self,
        requests: Iterable[catalog_pb2.ImportProductsRequest] | AsyncIterable[catalog_pb2.ImportProductsRequest],
        *,
        timeout: float | None = None,
    ) -> catalog_pb2.ImportProductsResponse:
        """Creates or updates many products, matched by handle. Each message is one row, and each row succeeds or
        fails on its own. A stream has up to 10,000 rows; results come in the order of the rows. Rows that share a
        handle or a SKU are processed one after another, others in parallel. A row can be checked without effect
        (`validate_only`).

        Args:
            timeout: Seconds for the whole stream; None: no limit.
        """
        return await self._calls.upload(self._stub.ImportProducts, requests, timeout)

    async def batch_import_products(
        self, *, requests: Iterable[catalog_pb2.ImportProductsRequest], timeout: float | None = None
    ) -> catalog_pb2.BatchImportProductsResponse:
        """Creates or updates up to 500 products: ImportProducts for callers that cannot stream. The message must fit
        into 4 MiB as a whole.

        Args:
            requests: Rows to import, 1 to 500. One that breaks a rule gets an error in its result.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.BatchImportProducts, catalog_pb2.BatchImportProductsRequest(requests=requests), timeout
        )

    def list_available_products(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        vendor: str = "",
        product_type: str = "",
        tag: str = "",
        search: str = "",
        order_by: str = "",
        handle: str = "",
        sku: str = "",
        timeout: float | None = None,
    ) -> AsyncPages[catalog_pb2.ListAvailableProductsResponse, catalog_pb2.AvailableProduct]:
        """Lists published products with their availability, for a storefront.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            vendor: Only products of exactly this vendor.
            product_type: Only products of exactly this type.
            tag: Only products with exactly this tag.
            search: Search text, as in ListProductsRequest.
            order_by: Order of the list, as in ListProductsRequest.
            handle: Only the product with exactly this handle.
            sku: Only the product with a variant of exactly this SKU.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListAvailableProducts,
            catalog_pb2.ListAvailableProductsRequest(
                page_size=page_size,
                page_token=page_token,
                vendor=vendor,
                product_type=product_type,
                tag=tag,
                search=search,
                order_by=order_by,
                handle=handle,
                sku=sku,
            ),
            lambda page: page.products,
            timeout,
        )

    async def get_available_product(
        self, *, product_id: str, timeout: float | None = None
    ) -> catalog_pb2.AvailableProduct:
        """Returns one published product with its availability.

        Errors:
        - NOT_FOUND (PRODUCT_NOT_FOUND): no product has this id, or it is not published. A storefront cannot tell which.

        Args:
            product_id: Id of the product, a UUID.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.GetAvailableProduct, catalog_pb2.GetAvailableProductRequest(product_id=product_id), timeout
        )


class AsyncInventoryService:
    """Manages stock, reservations, alerts, locations and the ledger."""

    def __init__(self, channel: grpc.aio.Channel, calls: AsyncCalls) -> None:
        self._calls = calls
        self._stub = inventory_pb2_grpc.InventoryServiceStub(channel)

    async def get_availability(self, *, sku: str, timeout: float | None = None) -> inventory_pb2.Availability:
        """Returns how many units of one SKU a customer can order now. A storefront can ask for SKUs of published
        products, staff for every SKU.

        Errors:
        - NOT_FOUND (SKU_UNKNOWN): no variant has the SKU; for a storefront also when its product is not published.

        Args:
            sku: Stock keeping unit of the goods, 1 to 64 characters.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.GetAvailability, inventory_pb2.GetAvailabilityRequest(sku=sku), timeout
        )

    async def batch_get_availability(
        self, *, skus: Iterable[str], timeout: float | None = None
    ) -> inventory_pb2.BatchGetAvailabilityResponse:
        """Returns the availability of up to 1,000 SKUs at once. SKUs that GetAvailability would not find are listed
        in the response.

        Args:
            skus: Stock keeping units of the goods, 1 to 1,000.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.BatchGetAvailability, inventory_pb2.BatchGetAvailabilityRequest(skus=skus), timeout
        )

    async def reserve_stock(
        self,
        *,
        lines: Iterable[inventory_pb2.StockLine],
        ttl: duration_pb2.Duration | None = None,
        customer_id: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.Reservation:
        """Reserves stock for a customer for a limited time: all lines or none. Lines with the same SKU are added up.
        A line may be taken from several locations, by their priority.

        Errors:
        - FAILED_PRECONDITION (INSUFFICIENT_STOCK): less is available than requested.
        - NOT_FOUND (SKU_UNKNOWN): no variant has a SKU; for a storefront also when its product is not published.
        - FAILED_PRECONDITION (PRODUCT_NOT_PUBLISHED): for staff, the product of a SKU is not published.
        - FAILED_PRECONDITION (HOLD_LIMIT_REACHED): the customer has too many reservations. Not for staff.

        Args:
            lines: What to reserve, 1 to 1,000 lines.
            ttl: How long to hold the units: from 1 second to the maximum that the server allows; the default of the
                server when unset.
            customer_id: The shop's id of the customer, up to 128 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ReserveStock,
            inventory_pb2.ReserveStockRequest(lines=lines, ttl=ttl, customer_id=customer_id, request_id=request_id),
            timeout,
        )

    async def extend_reservation(
        self,
        *,
        reservation_id: str,
        ttl: duration_pb2.Duration | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.Reservation:
        """Extends an active reservation, counted from now, within the maximum lifetime that the server allows. Its
        units were promised: it can be extended and ordered even when the product is no longer published.

        Errors:
        - NOT_FOUND (RESERVATION_NOT_FOUND): no reservation has this id.
        - FAILED_PRECONDITION (RESERVATION_EXPIRED): it has expired.
        - FAILED_PRECONDITION (RESERVATION_NOT_ACTIVE): it was released or became an order.
        - FAILED_PRECONDITION (RESERVATION_LIFETIME_EXCEEDED): it would exceed the maximum lifetime.

        Args:
            reservation_id: Id of the reservation, a UUID.
            ttl: How long to hold the units from now: at least 1 second; the default of the server when unset. Never
                shortens the reservation.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ExtendReservation,
            inventory_pb2.ExtendReservationRequest(reservation_id=reservation_id, ttl=ttl, request_id=request_id),
            timeout,
        )

    async def release_reservation(
        self, *, reservation_id: str, request_id: str = "", timeout: float | None = None
    ) -> inventory_pb2.Reservation:
        """Releases an active reservation, and with it its units.

        Errors:
        - NOT_FOUND (RESERVATION_NOT_FOUND): no reservation has this id.
        - FAILED_PRECONDITION (RESERVATION_EXPIRED, RESERVATION_NOT_ACTIVE): it is not ACTIVE.

        Args:
            reservation_id: Id of the reservation, a UUID.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ReleaseReservation,
            inventory_pb2.ReleaseReservationRequest(reservation_id=reservation_id, request_id=request_id),
            timeout,
        )

    def watch_availability(
        self, *, skus: Iterable[str], cursor: str = "", timeout: float | None = None
    ) -> AsyncIterator[inventory_pb2.WatchAvailabilityResponse]:
        """Watches the availability of SKUs: sends it as it is now, then every change of it, until the caller ends
        the stream. A SKU that is not for sale is listed in `unknown_skus`; its availability follows when its
        product is published, and it is listed again when the product is unpublished or loses the variant.

        Without a cursor the availability of all SKUs is sent first. With a cursor only what has changed after it
        is sent, and the SKUs that are not for sale. Changes in quick succession are combined into the last one. A
        response without any change is a checkpoint: it is sent every 15 seconds (a setting of the server) while
        nothing changes.

        A stream may end at any time. Open it again with the last cursor that was received: no change is missed.

        Errors:
        - UNAVAILABLE (DATABASE_UNAVAILABLE): the server is stopping, or its database cannot be reached.
        - OUT_OF_RANGE (CURSOR_EXPIRED): changes after the cursor are no longer kept. Watch without a cursor.
        - OUT_OF_RANGE (CURSOR_LOST): changes before the cursor were lost. Watch without a cursor.
        - INVALID_ARGUMENT (PAGE_TOKEN_INVALID): the cursor was not issued by these servers.
        - RESOURCE_EXHAUSTED (WATCH_LIMIT_REACHED, STREAM_LIMIT_REACHED): too many streams are open.

        Args:
            skus: Stock keeping units to watch, 1 to 1,000. Those that are not for sale are reported once they are.
            cursor: The last cursor that was received, to continue after it; empty: start from the present state.
                Cursors of ListEvents are valid as well.
            timeout: Seconds that the server may be away before the watch ends; None: it goes on for ever.
        """
        return self._calls.watch(
            self._stub.WatchAvailability, inventory_pb2.WatchAvailabilityRequest(skus=skus, cursor=cursor), timeout
        )

    def watch_stock(
        self, *, skus: Iterable[str] = (), location_id: str = "", cursor: str = "", timeout: float | None = None
    ) -> AsyncIterator[inventory_pb2.WatchStockResponse]:
        """Watches stock levels: sends them as they are now, then every version of each of them, in order and exactly
        once, until the caller ends the stream.

        Without a cursor the present levels are sent first; they are complete with the first response that has a
        cursor. With a cursor only changes after it are sent. A response without any change is a checkpoint: it is
        sent every 15 seconds (a setting of the server) while nothing changes. A response ends at about 2 MiB; the
        rest follows in the next one.

        A stream may end at any time. Open it again with the last cursor that was received: no change is missed.

        Errors:
        - UNAVAILABLE (DATABASE_UNAVAILABLE): the server is stopping, or its database cannot be reached.
        - ABORTED (WATCH_LAGGED): the caller reads more slowly than changes come.
        - OUT_OF_RANGE (CURSOR_EXPIRED): changes after the cursor are no longer kept. Watch without a cursor.
        - OUT_OF_RANGE (CURSOR_LOST): changes before the cursor were lost. Watch without a cursor.
        - INVALID_ARGUMENT (PAGE_TOKEN_INVALID): the cursor was not issued by these servers.
        - RESOURCE_EXHAUSTED (WATCH_LIMIT_REACHED, STREAM_LIMIT_REACHED): too many streams are open.

        Args:
            skus: Only stock levels of these SKUs, up to 1,000; empty: all SKUs.
            location_id: Only stock levels at this location; empty: all locations.
            cursor: The last cursor that was received, to continue after it; empty: start from the present state.
                Cursors of ListEvents are valid as well.
            timeout: Seconds that the server may be away before the watch ends; None: it goes on for ever.
        """
        return self._calls.watch(
            self._stub.WatchStock,
            inventory_pb2.WatchStockRequest(skus=skus, location_id=location_id, cursor=cursor),
            timeout,
        )

    async def get_reservation(self, *, reservation_id: str, timeout: float | None = None) -> inventory_pb2.Reservation:
        """Returns one reservation.

        Errors:
        - NOT_FOUND (RESERVATION_NOT_FOUND): no reservation has this id, or the caller may not see it.

        Args:
            reservation_id: Id of the reservation, a UUID.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.GetReservation, inventory_pb2.GetReservationRequest(reservation_id=reservation_id), timeout
        )

    def list_reservations(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        state: inventory_pb2.Reservation.State.ValueType | enums.ReservationState | None = None,
        sku: str = "",
        customer_id: str = "",
        timeout: float | None = None,
    ) -> AsyncPages[inventory_pb2.ListReservationsResponse, inventory_pb2.Reservation]:
        """Lists reservations, newest first.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            state: Only reservations in this state; unset: all states.
            sku: Only reservations that hold or held this SKU.
            customer_id: Only reservations of this customer.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListReservations,
            inventory_pb2.ListReservationsRequest(
                page_size=page_size,
                page_token=page_token,
                state=number_of(inventory_pb2.Reservation.State, state),
                sku=sku,
                customer_id=customer_id,
            ),
            lambda page: page.reservations,
            timeout,
        )

    async def adjust_stock(
        self,
        *,
        sku: str,
        reason: inventory_pb2.AdjustmentReason.ValueType | enums.AdjustmentReason,
        location_id: str = "",
        delta: int | None = None,
        on_hand: int | None = None,
        expected_on_hand: int | None = None,
        note: str = "",
        reference: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.StockLevel:
        """Adjusts on_hand of one SKU at one location: by an amount, or to a count.

        Errors:
        - NOT_FOUND (SKU_UNKNOWN, LOCATION_UNKNOWN): no variant has the SKU, or no location has the id.
        - FAILED_PRECONDITION (STOCK_NEGATIVE): on_hand would fall below zero.
        - FAILED_PRECONDITION (STOCK_CHANGED): on_hand is not the expected count.
        - FAILED_PRECONDITION (STOCK_NOT_TRACKED): the variant is `untracked`.
        - OUT_OF_RANGE (QUANTITY_OVERFLOW): a counter would exceed 1,000,000,000,000.

        Args:
            sku: Stock keeping unit of the goods, 1 to 64 characters.
            reason: Why the stock is adjusted.
            location_id: Id of the location; `main` when empty.
            delta: Units to add, or to remove when negative: -1,000,000,000 to 1,000,000,000, not zero.
            on_hand: Units counted: on_hand becomes this number, 0 to 1,000,000,000.
            expected_on_hand: Expected on_hand before the change (compare-and-set). Unset: no check.
            note: Note for people, up to 1,000 characters.
            reference: Reference to find the change by, such as a delivery note, up to 200 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        at_most_one(delta=delta, on_hand=on_hand)
        request = inventory_pb2.AdjustStockRequest(
            sku=sku,
            reason=number_of(inventory_pb2.AdjustmentReason, reason),
            location_id=location_id,
            expected_on_hand=expected_on_hand,
            note=note,
            reference=reference,
            request_id=request_id,
        )
        if delta is not None:
            request.delta = delta
        if on_hand is not None:
            request.on_hand = on_hand
        return await self._calls.unary(self._stub.AdjustStock, request, timeout)

    async def batch_adjust_stock(
        self, *, requests: Iterable[inventory_pb2.AdjustStockRequest], timeout: float | None = None
    ) -> inventory_pb2.BatchAdjustStockResponse:
        """Adjusts on_hand up to 500 times; each adjustment succeeds or fails on its own, as by AdjustStock, and has
        a request_id of its own. Results come in the order of the requests. Adjustments of the same SKU and
        location are applied in their order.

        Args:
            requests: Adjustments to make, 1 to 500. One that breaks a rule gets an error in its result.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.BatchAdjustStock, inventory_pb2.BatchAdjustStockRequest(requests=requests), timeout
        )

    async def batch_set_stock(
        self,
        *,
        rows: Iterable[inventory_pb2.BatchSetStockRequest.Row],
        reason: inventory_pb2.AdjustmentReason.ValueType | enums.AdjustmentReason | None = None,
        reference: str = "",
        request_id: str = "",
        validate_only: bool = False,
        timeout: float | None = None,
    ) -> inventory_pb2.BatchSetStockResponse:
        """Sets on_hand of up to 500 SKUs to what was counted: a message of SyncStock for callers that cannot stream.
        There is one result for each row, and a refused row does not stop the others. The rows are applied in one
        transaction, in their order. A row that changes nothing is not recorded, as by SyncStock.

        Args:
            rows: Counts to apply, 1 to 500. A row that breaks a rule gets an error in its result.
            reason: Why the stock is adjusted, for all rows; ADJUSTMENT_REASON_COUNTED when unset.
            reference: Reference to find the changes by, such as a count sheet, up to 200 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            validate_only: Whether to only check the rows: the results are what they would be, and nothing is changed,
                recorded or locked (AIP-163).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.BatchSetStock,
            inventory_pb2.BatchSetStockRequest(
                rows=rows,
                reason=number_of(inventory_pb2.AdjustmentReason, reason),
                reference=reference,
                request_id=request_id,
                validate_only=validate_only,
            ),
            timeout,
        )

    def sync_stock(
        self,
        requests: Iterable[inventory_pb2.SyncStockRequest] | AsyncIterable[inventory_pb2.SyncStockRequest],
        *,
        timeout: float | None = None,
    ) -> AsyncIterator[inventory_pb2.SyncStockResponse]:
        """Adjusts on_hand of many SKUs. Each message has up to 1,000 rows and is answered by one message with one
        result for each row; a refused row does not stop the others. Rows of a message with the same SKU and
        location are applied in their order. A row that changes nothing is not recorded, unless it is the first
        for its SKU and location: a count of zero creates the stock row with its movement and alert. A message can
        be checked without effect (`validate_only`).

        Args:
            timeout: Seconds for the whole stream; None: no limit.
        """
        return self._calls.exchange(self._stub.SyncStock, requests, timeout)

    async def set_stock_policy(
        self,
        *,
        sku: str,
        location_id: str = "",
        safety_stock: int = 0,
        reorder_point: int | None = None,
        backorder_limit: int = 0,
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.StockLevel:
        """Sets the policy of one SKU at one location: when stock counts as low, what is kept back, and how far it
        may be sold beyond what is there.

        Errors:
        - NOT_FOUND (SKU_UNKNOWN, LOCATION_UNKNOWN): no variant has the SKU, or no location has the id.
        - ABORTED (ETAG_MISMATCH): the policy has changed since the etag was read.
        - FAILED_PRECONDITION (STOCK_NOT_TRACKED): the variant is `untracked`.

        Args:
            sku: Stock keeping unit of the goods, 1 to 64 characters.
            location_id: Id of the location; `main` when empty.
            safety_stock: Units that are never offered, 0 to 1,000,000,000.
            reorder_point: Available units at or below which an alert is raised, 0 to 1,000,000,000; unset: at zero.
            backorder_limit: Units that may be promised beyond what is available, 0 to 1,000,000,000.
            update_mask: Fields to set: `safety_stock`, `reorder_point`, `backorder_limit`. Empty: all three.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `policy_etag` of the stock level that this change is based on (AIP-154). The change is refused
                with ABORTED (ETAG_MISMATCH) when the policy has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.SetStockPolicy,
            inventory_pb2.SetStockPolicyRequest(
                sku=sku,
                location_id=location_id,
                safety_stock=safety_stock,
                reorder_point=reorder_point,
                backorder_limit=backorder_limit,
                update_mask=update_mask,
                request_id=request_id,
                etag=etag,
            ),
            timeout,
        )

    def list_stock_levels(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        sku: str = "",
        location_id: str = "",
        alert_levels: Iterable[inventory_pb2.StockAlert.Level.ValueType | enums.StockAlertLevel] = (),
        search: str = "",
        vendor: str = "",
        tag: str = "",
        available_below: int | None = None,
        order_by: str = "",
        include_unstocked: bool = False,
        timeout: float | None = None,
    ) -> AsyncPages[inventory_pb2.ListStockLevelsResponse, inventory_pb2.StockLevel]:
        """Lists the stock levels, by SKU and location or by what is available. Levels must match all filters that
        are set.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            sku: Only stock levels of this SKU.
            location_id: Only stock levels at this location.
            alert_levels: Only stock levels with a standing alert of one of these levels; empty: with or without an
                alert.
            search: Only SKUs of products that this search of ListProducts finds, in its syntax; up to 500 characters. A
                product that is found by one of its SKUs is listed with all of them.
            vendor: Only SKUs of products of exactly this vendor.
            tag: Only SKUs of products with exactly this tag.
            available_below: Only stock levels with fewer units `available` than this.
            order_by: Order of the list: `sku` or `available`, followed by ` desc` for descending; levels with as many
                units come by SKU and location. Empty: `sku`. A level whose units change between two pages may be in
                both of them, or in neither.
            include_unstocked: Lists every tracked SKU of the catalog, also those that have no stock level yet: with all
                counters and `version` at zero, at the location that is asked for, or else once, without a location,
                when it has none anywhere.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListStockLevels,
            inventory_pb2.ListStockLevelsRequest(
                page_size=page_size,
                page_token=page_token,
                sku=sku,
                location_id=location_id,
                alert_levels=numbers_of(inventory_pb2.StockAlert.Level, alert_levels),
                search=search,
                vendor=vendor,
                tag=tag,
                available_below=available_below,
                order_by=order_by,
                include_unstocked=include_unstocked,
            ),
            lambda page: page.stock_levels,
            timeout,
        )

    def list_stock_alerts(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        include_cleared: bool = False,
        sku: str = "",
        timeout: float | None = None,
    ) -> AsyncPages[inventory_pb2.ListStockAlertsResponse, inventory_pb2.StockAlert]:
        """Lists alerts on low, depleted and overcommitted stock, newest first.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            include_cleared: Whether to list cleared alerts as well.
            sku: Only alerts on this SKU.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListStockAlerts,
            inventory_pb2.ListStockAlertsRequest(
                page_size=page_size, page_token=page_token, include_cleared=include_cleared, sku=sku
            ),
            lambda page: page.alerts,
            timeout,
        )

    def list_stock_movements(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        sku: str = "",
        location_id: str = "",
        kind: inventory_pb2.StockMovement.Kind.ValueType | enums.StockMovementKind | None = None,
        reference: str = "",
        start_time: timestamp_pb2.Timestamp | None = None,
        end_time: timestamp_pb2.Timestamp | None = None,
        timeout: float | None = None,
    ) -> AsyncPages[inventory_pb2.ListStockMovementsResponse, inventory_pb2.StockMovement]:
        """Lists the movements of the ledger, newest first, as far back as they are kept.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            sku: Only movements of this SKU.
            location_id: Only movements at this location.
            kind: Only movements of this kind; unset: all kinds.
            reference: Only movements with this reference: an order id, a reservation id, or what staff gave.
            start_time: Only movements at or after this time.
            end_time: Only movements before this time.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListStockMovements,
            inventory_pb2.ListStockMovementsRequest(
                page_size=page_size,
                page_token=page_token,
                sku=sku,
                location_id=location_id,
                kind=number_of(inventory_pb2.StockMovement.Kind, kind),
                reference=reference,
                start_time=start_time,
                end_time=end_time,
            ),
            lambda page: page.movements,
            timeout,
        )

    async def explain_availability(
        self, *, sku: str, timeout: float | None = None
    ) -> inventory_pb2.ExplainAvailabilityResponse:
        """Explains the availability of a SKU: its stock level at every location, and which reservation or order has
        a claim on units.

        Errors:
        - NOT_FOUND (SKU_UNKNOWN): no variant has the SKU.

        Args:
            sku: Stock keeping unit of the goods, 1 to 64 characters.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ExplainAvailability, inventory_pb2.ExplainAvailabilityRequest(sku=sku), timeout
        )

    async def read_stock_history(
        self,
        *,
        sku: str,
        location_id: str = "",
        start_time: timestamp_pb2.Timestamp | None = None,
        end_time: timestamp_pb2.Timestamp | None = None,
        interval: inventory_pb2.ReadStockHistoryRequest.Interval.ValueType
        | enums.ReadStockHistoryRequestInterval
        | None = None,
        timeout: float | None = None,
    ) -> inventory_pb2.ReadStockHistoryResponse:
        """Reads the counters of a SKU as they were at moments of the past, from the ledger, as far back as it is
        kept. A movement counts from its `create_time` on. The rest of the ledger, which has no dates, is in the
        first counters.

        Errors:
        - NOT_FOUND (SKU_UNKNOWN, LOCATION_UNKNOWN): no variant has the SKU, or no location has the id.
        - INVALID_ARGUMENT (FIELD_INVALID): `start_time` is after `end_time`, or there are more than 1,000 moments.

        Args:
            sku: Stock keeping unit of the goods, 1 to 64 characters.
            location_id: Only the units at this location; empty: the sums over all locations.
            start_time: The first moment, for an interval; unset: 30 intervals before `end_time`.
            end_time: The last moment, not in the future; unset: now. With an interval the moments are counted from
                `start_time`, and the last one is this.
            interval: Distance between the moments, of which there are at most 1,000; unset: `end_time` is the only one.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ReadStockHistory,
            inventory_pb2.ReadStockHistoryRequest(
                sku=sku,
                location_id=location_id,
                start_time=start_time,
                end_time=end_time,
                interval=number_of(inventory_pb2.ReadStockHistoryRequest.Interval, interval),
            ),
            timeout,
        )

    async def verify_stock(self, *, sku: str = "", timeout: float | None = None) -> inventory_pb2.VerifyStockResponse:
        """Verifies the counters against the ledger and the open claims, in one snapshot of the database.

        Args:
            sku: Only this SKU; empty: all SKUs.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(self._stub.VerifyStock, inventory_pb2.VerifyStockRequest(sku=sku), timeout)

    async def create_location(
        self, *, location: inventory_pb2.Location, request_id: str = "", timeout: float | None = None
    ) -> inventory_pb2.Location:
        """Creates a location, which is active at once.

        Errors:
        - ALREADY_EXISTS (LOCATION_TAKEN): a location has this id.

        Args:
            location: The location to create.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CreateLocation,
            inventory_pb2.CreateLocationRequest(location=location, request_id=request_id),
            timeout,
        )

    async def update_location(
        self,
        *,
        location: inventory_pb2.Location,
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.Location:
        """Updates the name, priority or activity of a location (AIP-134).

        Errors:
        - NOT_FOUND (LOCATION_UNKNOWN): no location has this id.
        - ABORTED (ETAG_MISMATCH): the location has changed since the etag was read.

        Args:
            location: The location with its new values. `location_id` names the location; `etag`, when set, must be that
                of the present version.
            update_mask: Fields to update: `name`, `priority`, `active`. Empty: those that are set, so false and zero
                must be named; `*`: all of them (AIP-134).
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.UpdateLocation,
            inventory_pb2.UpdateLocationRequest(location=location, update_mask=update_mask, request_id=request_id),
            timeout,
        )

    def list_locations(
        self, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> AsyncPages[inventory_pb2.ListLocationsResponse, inventory_pb2.Location]:
        """Lists locations, by priority and id.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListLocations,
            inventory_pb2.ListLocationsRequest(page_size=page_size, page_token=page_token),
            lambda page: page.locations,
            timeout,
        )


class AsyncOrderService:
    """Manages orders and their payments."""

    def __init__(self, channel: grpc.aio.Channel, calls: AsyncCalls) -> None:
        self._calls = calls
        self._stub = order_pb2_grpc.OrderServiceStub(channel)

    async def create_order(
        self,
        *,
        lines: Iterable[order_pb2.CreateOrderRequest.Line] = (),
        reservation_id: str = "",
        customer: order_pb2.Customer | None = None,
        reference: str = "",
        charges: Iterable[order_pb2.Charge] = (),
        payment_terms: order_pb2.PaymentTerms.ValueType | enums.PaymentTerms | None = None,
        request_id: str = "",
        exchange_of: order_pb2.ExchangeOf | None = None,
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Creates an order in PENDING and allocates its stock: all lines or none. Lines with the same SKU are added
        up. With a reservation the reserved units are used; its lines may then be omitted, or repeated with the
        prices that the customer saw.

        Errors:
        - FAILED_PRECONDITION (INSUFFICIENT_STOCK): less is available than ordered.
        - FAILED_PRECONDITION (PRICE_CHANGED): a price that the customer saw is not the present one.
        - FAILED_PRECONDITION (RESERVATION_EXPIRED, RESERVATION_NOT_ACTIVE): the reservation does not hold its units any
          more.
        - FAILED_PRECONDITION (CURRENCY_MISMATCH): amounts have different currencies.
        - FAILED_PRECONDITION (CHARGE_EXCEEDED): a discount or credit exceeds what it applies to.
        - FAILED_PRECONDITION (UNPAID_ORDER_LIMIT_REACHED): the customer has too many unpaid orders. Not for staff.
        - FAILED_PRECONDITION (PRODUCT_NOT_PUBLISHED): for staff, the product of a SKU is not published.
        - ALREADY_EXISTS (REFERENCE_TAKEN): the shop requires unique references, and another order of the sales channel,
          which is all orders created with a key of this name, has this one.
        - NOT_FOUND (SKU_UNKNOWN): no variant has a SKU; for a storefront also when its product is not published.
        - NOT_FOUND (RESERVATION_NOT_FOUND): no reservation has the id.
        - INVALID_ARGUMENT (LINE_UNKNOWN): a charge names a line that the order does not have.
        - OUT_OF_RANGE (QUANTITY_OVERFLOW): an amount or a sum of quantities is too large.
        - NOT_FOUND (ORDER_NOT_FOUND, RETURN_NOT_FOUND): there is no return that the order could be the exchange for.
        - FAILED_PRECONDITION (RETURN_STATE_INVALID): the return that it would be the exchange for is withdrawn.
        - PERMISSION_DENIED (ROLE_NOT_ALLOWED): a storefront sets a field that only staff may set.

        Args:
            lines: What to order: 1 to 1,000 lines. With a reservation exactly what it holds, or empty.
            reservation_id: Id of the reservation that becomes this order, a UUID; empty: none.
            customer: Who orders; all of it is optional.
            reference: The merchant's own number of the order, up to 200 characters.
            charges: Shipping, taxes, discounts, fees and credits, up to 50. Staff only.
            payment_terms: When the order must be paid; PAYMENT_TERMS_PREPAID when unset. Only staff may choose other
                terms.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            exchange_of: The return for which this order is the exchange: of an order of the same customer, where both
                name one. Staff only.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CreateOrder,
            order_pb2.CreateOrderRequest(
                lines=lines,
                reservation_id=reservation_id,
                customer=customer,
                reference=reference,
                charges=charges,
                payment_terms=number_of(order_pb2.PaymentTerms, payment_terms),
                request_id=request_id,
                exchange_of=exchange_of,
            ),
            timeout,
        )

    async def batch_create_orders(
        self, *, requests: Iterable[order_pb2.CreateOrderRequest], timeout: float | None = None
    ) -> order_pb2.BatchCreateOrdersResponse:
        """Creates up to 200 orders; each succeeds or fails on its own, as by CreateOrder. Results come in the order
        of the requests. Orders that would make the response larger than about 2 MiB are returned without their
        lines, see `BatchCreateOrdersResponse.Result.abridged`.

        Args:
            requests: Orders to create, 1 to 200. One that breaks a rule gets an error in its result.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.BatchCreateOrders, order_pb2.BatchCreateOrdersRequest(requests=requests), timeout
        )

    async def get_order(self, *, order_id: str, timeout: float | None = None) -> order_pb2.Order:
        """Returns one order.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id, or the caller may not see it.

        Args:
            order_id: Id of the order, a UUID.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(self._stub.GetOrder, order_pb2.GetOrderRequest(order_id=order_id), timeout)

    def list_orders(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        states: Iterable[order_pb2.Order.State.ValueType | enums.OrderState] = (),
        customer_id: str = "",
        reference: str = "",
        sku: str = "",
        payment_states: Iterable[order_pb2.Payment.State.ValueType | enums.PaymentState] = (),
        refund_required: bool | None = None,
        held: bool | None = None,
        location_id: str = "",
        create_start_time: timestamp_pb2.Timestamp | None = None,
        create_end_time: timestamp_pb2.Timestamp | None = None,
        update_start_time: timestamp_pb2.Timestamp | None = None,
        update_end_time: timestamp_pb2.Timestamp | None = None,
        due_start_time: timestamp_pb2.Timestamp | None = None,
        due_end_time: timestamp_pb2.Timestamp | None = None,
        min_net: money_pb2.Money | None = None,
        max_net: money_pb2.Money | None = None,
        search: str = "",
        order_by: str = "",
        tags: Iterable[str] = (),
        timeout: float | None = None,
    ) -> AsyncPages[order_pb2.ListOrdersResponse, order_pb2.Order]:
        """Lists orders, newest first unless `order_by` says otherwise. The token of a customer lists the orders of
        that customer.

        Errors:
        - PERMISSION_DENIED (ROLE_NOT_ALLOWED): a storefront key acts for no customer, or sets a filter that only staff
          may set.
        - PERMISSION_DENIED (CUSTOMER_NOT_ALLOWED): the token of a customer names another customer.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            states: Only orders in one of these states; empty: all states.
            customer_id: Only orders of this customer.
            reference: Only orders with exactly this reference.
            sku: Only orders with a line of this SKU.
            payment_states: Only orders with one of these payment states; empty: all of them.
            refund_required: Only orders for which a refund is due (true) or is not (false).
            held: Only orders that are on hold (true) or are not (false). Staff only.
            location_id: Only orders with units still to be shipped that this location owes. Staff only.
            create_start_time: Only orders created at or after this time.
            create_end_time: Only orders created before this time.
            update_start_time: Only orders last changed at or after this time.
            update_end_time: Only orders last changed before this time.
            due_start_time: Only unpaid orders in PENDING whose `payment_due_time` is at or after this time.
            due_end_time: Only unpaid orders in PENDING whose `payment_due_time` is before this time.
            min_net: Only orders in this currency whose `totals.net` is at least this amount.
            max_net: Only orders in this currency whose `totals.net` is at most this amount.
            search: Only orders found by this text: each word of it begins the reference, the e-mail address, the
                customer's or a recipient's name, a postal code or a tracking number, or a part of one of them; or the
                text begins the `order_id`, with at least 6 characters. Accents and case make no difference. Staff only.
            order_by: Order of the list: `create_time`, `update_time` or `net`, followed by ` desc` for descending.
                Empty: `create_time desc`. `net` is `totals.net`, whatever the currency.
            tags: Only orders with all of these tags. Staff only.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListOrders,
            order_pb2.ListOrdersRequest(
                page_size=page_size,
                page_token=page_token,
                states=numbers_of(order_pb2.Order.State, states),
                customer_id=customer_id,
                reference=reference,
                sku=sku,
                payment_states=numbers_of(order_pb2.Payment.State, payment_states),
                refund_required=refund_required,
                held=held,
                location_id=location_id,
                create_start_time=create_start_time,
                create_end_time=create_end_time,
                update_start_time=update_start_time,
                update_end_time=update_end_time,
                due_start_time=due_start_time,
                due_end_time=due_end_time,
                min_net=min_net,
                max_net=max_net,
                search=search,
                order_by=order_by,
                tags=tags,
            ),
            lambda page: page.orders,
            timeout,
        )

    async def count_orders(self, *, timeout: float | None = None) -> order_pb2.CountOrdersResponse:
        """Counts all orders by state and payment state: the figures of a dashboard.

        Args:
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(self._stub.CountOrders, order_pb2.CountOrdersRequest(), timeout)

    def list_pending_orders(
        self, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> AsyncPages[order_pb2.ListPendingOrdersResponse, order_pb2.Order]:
        """Lists orders in PENDING, oldest first: the queue that staff work through.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListPendingOrders,
            order_pb2.ListPendingOrdersRequest(page_size=page_size, page_token=page_token),
            lambda page: page.orders,
            timeout,
        )

    def watch_orders(
        self,
        *,
        order_ids: Iterable[str] = (),
        customer_id: str = "",
        states: Iterable[order_pb2.Order.State.ValueType | enums.OrderState] = (),
        cursor: str = "",
        timeout: float | None = None,
    ) -> AsyncIterator[order_pb2.WatchOrdersResponse]:
        """Watches orders: sends their present state, then every change of them, until the caller ends the stream.

        Without a cursor the present state is sent first: the orders that the request names, else those in the
        requested states, else those that are open (PENDING, PROCESSING, PARTIALLY_FULFILLED). It is complete with
        the first response that has a cursor. Cursors, checkpoints and errors are those of
        InventoryService.WatchStock.

        Args:
            order_ids: Only these orders, up to 1,000; empty: all orders.
            customer_id: Only orders of this customer.
            states: Only changes after which the order is in one of these states; empty: all states. An order that
                leaves them is not reported: to keep a list of open orders, leave this empty and remove orders by their
                state.
            cursor: The last cursor that was received, to continue after it; empty: start from the present state.
                Cursors of ListEvents are valid as well.
            timeout: Seconds that the server may be away before the watch ends; None: it goes on for ever.
        """
        return self._calls.watch(
            self._stub.WatchOrders,
            order_pb2.WatchOrdersRequest(
                order_ids=order_ids,
                customer_id=customer_id,
                states=numbers_of(order_pb2.Order.State, states),
                cursor=cursor,
            ),
            timeout,
        )

    async def process_order(
        self, *, order_id: str, request_id: str = "", etag: str = "", timeout: float | None = None
    ) -> order_pb2.Order:
        """Moves a PENDING order to PROCESSING, once its payment terms are met. The terms of a prepaid order are met
        when everything ever captured and the open authorizations together cover `totals.net`, and some of that
        money is still kept or authorized.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (ORDER_STATE_INVALID): the order is not PENDING.
        - FAILED_PRECONDITION (PAYMENT_REQUIRED): its payment terms are not met.
        - FAILED_PRECONDITION (ORDER_ON_HOLD): the order is on hold, by staff or as the money that met its terms went
          away.

        Args:
            order_id: Id of the order, a UUID.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ProcessOrder,
            order_pb2.ProcessOrderRequest(order_id=order_id, request_id=request_id, etag=etag),
            timeout,
        )

    async def batch_process_orders(
        self, *, requests: Iterable[order_pb2.ProcessOrderRequest], timeout: float | None = None
    ) -> order_pb2.BatchProcessOrdersResponse:
        """Processes up to 500 orders; each succeeds or fails on its own, as by ProcessOrder. Results come in the
        order of the requests; `abridged` is as for BatchCreateOrders.

        Args:
            requests: Changes to make, 1 to 500. One that breaks a rule gets an error in its result.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.BatchProcessOrders, order_pb2.BatchProcessOrdersRequest(requests=requests), timeout
        )

    async def fulfill_order(
        self,
        *,
        order_id: str,
        lines: Iterable[order_pb2.LineQuantity] = (),
        tracking_number: str = "",
        carrier: str = "",
        request_id: str = "",
        location_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Records that units were shipped: those in `lines`, or all that remain. They leave from `location_id`.
        Without one they leave from the locations that owe them to the order and, where the goods are not there,
        from others with unclaimed units, safety stock included; the claims move along, and the ledger records
        that as DEALLOCATED and ALLOCATED before FULFILLED.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND, LOCATION_UNKNOWN): no order, or no location, has the id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (ORDER_STATE_INVALID): the order is neither PROCESSING nor PARTIALLY_FULFILLED.
        - FAILED_PRECONDITION (ORDER_ON_HOLD): the order is on hold.
        - FAILED_PRECONDITION (QUANTITY_EXCEEDED): fewer units of a line remain.
        - FAILED_PRECONDITION (STOCK_NEGATIVE): the units are not on hand, or not at that location.
        - INVALID_ARGUMENT (LINE_UNKNOWN): the order has no such line.

        Args:
            order_id: Id of the order, a UUID.
            lines: Units that were shipped, by line; empty: all that remain.
            tracking_number: Tracking number of the carrier, up to 200 characters.
            carrier: Name of the carrier, up to 100 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            location_id: Id of the location that they left from, active or not; empty: wherever the goods are.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.FulfillOrder,
            order_pb2.FulfillOrderRequest(
                order_id=order_id,
                lines=lines,
                tracking_number=tracking_number,
                carrier=carrier,
                request_id=request_id,
                location_id=location_id,
                etag=etag,
            ),
            timeout,
        )

    async def batch_fulfill_orders(
        self, *, requests: Iterable[order_pb2.FulfillOrderRequest], timeout: float | None = None
    ) -> order_pb2.BatchFulfillOrdersResponse:
        """Fulfills up to 500 orders; each succeeds or fails on its own, as by FulfillOrder. Results come in the
        order of the requests; `abridged` is as for BatchCreateOrders.

        Args:
            requests: Changes to make, 1 to 500. One that breaks a rule gets an error in its result.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.BatchFulfillOrders, order_pb2.BatchFulfillOrdersRequest(requests=requests), timeout
        )

    async def cancel_order(
        self,
        *,
        order_id: str,
        lines: Iterable[order_pb2.LineQuantity] = (),
        reason: str = "",
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Cancels the whole order while nothing is fulfilled, or the unfulfilled units in `lines`. A storefront can
        only cancel a whole order that is PENDING.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (ORDER_STATE_INVALID): the state of the order does not allow it.
        - FAILED_PRECONDITION (QUANTITY_EXCEEDED): fewer units of a line remain.
        - INVALID_ARGUMENT (LINE_UNKNOWN): the order has no such line.
        - PERMISSION_DENIED (ROLE_NOT_ALLOWED): a storefront names lines.

        Args:
            order_id: Id of the order, a UUID.
            lines: Units to cancel, by line; empty: the whole order.
            reason: Why the units are cancelled, for people, up to 1,000 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CancelOrder,
            order_pb2.CancelOrderRequest(
                order_id=order_id, lines=lines, reason=reason, request_id=request_id, etag=etag
            ),
            timeout,
        )

    async def batch_cancel_orders(
        self, *, requests: Iterable[order_pb2.CancelOrderRequest], timeout: float | None = None
    ) -> order_pb2.BatchCancelOrdersResponse:
        """Cancels up to 500 orders; each succeeds or fails on its own, as by CancelOrder. Results come in the order
        of the requests; `abridged` is as for BatchCreateOrders.

        Args:
            requests: Changes to make, 1 to 500. One that breaks a rule gets an error in its result.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.BatchCancelOrders, order_pb2.BatchCancelOrdersRequest(requests=requests), timeout
        )

    async def return_order(
        self,
        *,
        order_id: str,
        lines: Iterable[order_pb2.ReturnOrderRequest.Line],
        location_id: str = "",
        reason: str = "",
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Records that fulfilled units came back: restocked, or written off as damaged. Units of a SKU that the
        catalog no longer has, or whose stock is not tracked, come back without a change of stock. The order has a
        return in RECEIVED with these units: it is announced and received at once. Units that a return announces
        come back by ReceiveReturn.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND, LOCATION_UNKNOWN): no order, or no location, has the id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (ORDER_STATE_INVALID): nothing of the order is fulfilled.
        - FAILED_PRECONDITION (QUANTITY_EXCEEDED): fewer units of a line are with the customer and not announced.
        - INVALID_ARGUMENT (LINE_UNKNOWN): the order has no such line.

        Args:
            order_id: Id of the order, a UUID.
            lines: Units that came back, 1 to 1,000 lines.
            location_id: Id of the location that they came back to; `main` when empty.
            reason: Why the units came back, for people, up to 1,000 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ReturnOrder,
            order_pb2.ReturnOrderRequest(
                order_id=order_id, lines=lines, location_id=location_id, reason=reason, request_id=request_id, etag=etag
            ),
            timeout,
        )

    async def announce_return(
        self,
        *,
        order_id: str,
        lines: Iterable[order_pb2.LineQuantity],
        reason: str = "",
        note: str = "",
        tracking_number: str = "",
        carrier: str = "",
        label_url: str = "",
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Announces that shipped units will come back. Neither stock nor amounts change until they do. An order has
        up to 100 returns that were announced, whatever became of them.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id, or it is another customer's.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (ORDER_STATE_INVALID): nothing of the order is fulfilled.
        - FAILED_PRECONDITION (QUANTITY_EXCEEDED): fewer units of a line are with the customer and not announced.
        - FAILED_PRECONDITION (RETURN_LIMIT_REACHED): the order has the maximum number of returns.
        - INVALID_ARGUMENT (LINE_UNKNOWN): the order has no such line.
        - PERMISSION_DENIED (ROLE_NOT_ALLOWED): a storefront sets a field that only staff may set.

        Args:
            order_id: Id of the order, a UUID.
            lines: Units that will come back, by line: 1 to 1,000.
            reason: Why they come back, for people, up to 1,000 characters.
            note: What staff should know about it, up to 1,000 characters. Staff only.
            tracking_number: Tracking number of the carrier, up to 200 characters.
            carrier: Name of the carrier, up to 100 characters.
            label_url: Where the customer gets the label for the parcel: an address that begins with https://, up to
                2,000 characters. Staff only.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.AnnounceReturn,
            order_pb2.AnnounceReturnRequest(
                order_id=order_id,
                lines=lines,
                reason=reason,
                note=note,
                tracking_number=tracking_number,
                carrier=carrier,
                label_url=label_url,
                request_id=request_id,
                etag=etag,
            ),
            timeout,
        )

    async def update_return(
        self,
        *,
        order_id: str,
        return_id: str,
        tracking_number: str = "",
        carrier: str = "",
        label_url: str = "",
        note: str = "",
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Updates tracking, label and note of a return that is not withdrawn.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND, RETURN_NOT_FOUND): no order has the id, or the order has no such return.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (RETURN_STATE_INVALID): the return is withdrawn.

        Args:
            order_id: Id of the order, a UUID.
            return_id: Id of the return, a UUID.
            tracking_number: Tracking number of the carrier, up to 200 characters.
            carrier: Name of the carrier, up to 100 characters.
            label_url: Where the customer gets the label for the parcel: an address that begins with https://, up to
                2,000 characters.
            note: What staff should know about it, up to 1,000 characters.
            update_mask: Fields to update: `tracking_number`, `carrier`, `label_url`, `note`. Empty: those that are set
                in the request; `*`: all of them (AIP-134).
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.UpdateReturn,
            order_pb2.UpdateReturnRequest(
                order_id=order_id,
                return_id=return_id,
                tracking_number=tracking_number,
                carrier=carrier,
                label_url=label_url,
                note=note,
                update_mask=update_mask,
                request_id=request_id,
                etag=etag,
            ),
            timeout,
        )

    async def receive_return(
        self,
        *,
        order_id: str,
        return_id: str,
        lines: Iterable[order_pb2.ReturnOrderRequest.Line] = (),
        location_id: str = "",
        note: str = "",
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Records that units of a return came: those in `lines`, or all that are still expected. They are restocked,
        or written off as damaged, and the order comes to less by what came only, as with ReturnOrder. The event
        is order.returned.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND, RETURN_NOT_FOUND): no order has the id, or the order has no such return.
        - NOT_FOUND (LOCATION_UNKNOWN): no location has the id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (RETURN_STATE_INVALID): everything came already, or the return is closed or withdrawn.
        - FAILED_PRECONDITION (QUANTITY_EXCEEDED): fewer units of a line are expected. What came in addition comes back
          by ReturnOrder.
        - INVALID_ARGUMENT (LINE_UNKNOWN): the order has no such line.

        Args:
            order_id: Id of the order, a UUID.
            return_id: Id of the return, a UUID.
            lines: Units that came, up to 1,000 lines; empty: all that are still expected, none of them damaged.
            location_id: Id of the location that they came back to; `main` when empty.
            note: What was found, for people, up to 1,000 characters. The ledger has it, too.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ReceiveReturn,
            order_pb2.ReceiveReturnRequest(
                order_id=order_id,
                return_id=return_id,
                lines=lines,
                location_id=location_id,
                note=note,
                request_id=request_id,
                etag=etag,
            ),
            timeout,
        )

    async def close_return(
        self,
        *,
        order_id: str,
        return_id: str,
        reason: str = "",
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Closes a return of which a part came: the rest stays with the customer, who owes it as before.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND, RETURN_NOT_FOUND): no order has the id, or the order has no such return.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (RETURN_STATE_INVALID): nothing or everything of it came, or it is closed or withdrawn.

        Args:
            order_id: Id of the order, a UUID.
            return_id: Id of the return, a UUID.
            reason: Why the rest does not come, for people, up to 1,000 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CloseReturn,
            order_pb2.CloseReturnRequest(
                order_id=order_id, return_id=return_id, reason=reason, request_id=request_id, etag=etag
            ),
            timeout,
        )

    async def withdraw_return(
        self,
        *,
        order_id: str,
        return_id: str,
        reason: str = "",
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Withdraws a return of which nothing came: the units stay with the customer.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id, or it is another customer's.
        - NOT_FOUND (RETURN_NOT_FOUND): the order has no such return.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (RETURN_STATE_INVALID): units of it came, or it is withdrawn already.

        Args:
            order_id: Id of the order, a UUID.
            return_id: Id of the return, a UUID.
            reason: Why it does not come, for people, up to 1,000 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.WithdrawReturn,
            order_pb2.WithdrawReturnRequest(
                order_id=order_id, return_id=return_id, reason=reason, request_id=request_id, etag=etag
            ),
            timeout,
        )

    async def add_charge(
        self,
        *,
        order_id: str,
        charge: order_pb2.Charge,
        reason: str,
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Adds a charge to an existing order, such as a return fee or a refund of shipping. Taxes and discounts are
        spread over the units that are neither cancelled nor returned. `totals.net` changes, and with it what is
        still to pay or due as a refund; the charge does not put a paid order on hold.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (ORDER_STATE_INVALID): the order is EXPIRED.
        - FAILED_PRECONDITION (CURRENCY_MISMATCH): the amount is not in the currency of the order.
        - FAILED_PRECONDITION (CHARGE_EXCEEDED): a discount or credit exceeds what is left.
        - FAILED_PRECONDITION (CHARGE_LIMIT_REACHED): the order has the maximum number of charges.
        - INVALID_ARGUMENT (LINE_UNKNOWN): the charge names a line that the order does not have.
        - OUT_OF_RANGE (QUANTITY_OVERFLOW): an amount is too large.

        Args:
            order_id: Id of the order, a UUID.
            charge: The charge to add, in the currency of the order.
            reason: Why the charge is added, for people, 1 to 1,000 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.AddCharge,
            order_pb2.AddChargeRequest(
                order_id=order_id, charge=charge, reason=reason, request_id=request_id, etag=etag
            ),
            timeout,
        )

    async def update_order(
        self,
        *,
        order_id: str,
        customer: order_pb2.Customer | None = None,
        reference: str = "",
        tags: Iterable[str] = (),
        attributes: Mapping[str, str] | None = None,
        gift_note: str = "",
        line_gift_notes: Iterable[order_pb2.UpdateOrderRequest.LineGiftNote] = (),
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Updates what an order says about itself: contact, addresses, reference, tags, attributes and gift notes,
        in any state. Lines, charges and stock stay as they are.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - ALREADY_EXISTS (REFERENCE_TAKEN): the shop requires unique references, and another order of the same sales
          channel has this one.
        - INVALID_ARGUMENT (LINE_UNKNOWN): a gift note is for a line that the order does not have.

        Args:
            order_id: Id of the order, a UUID.
            customer: E-mail address, name and addresses. The `customer_id` cannot be changed: empty, or as it is.
            reference: The merchant's own number of the order, up to 200 characters.
            tags: Tags by which staff find the order: up to 50, each of 1 to 64 characters, without duplicates.
            attributes: Free key-value data of staff: up to 50 entries, keys of 1 to 64 and values of up to 500
                characters. Tags, attributes and gift notes of an order have room for 8,000 bytes together.
            gift_note: What the card in the parcel says, up to 1,000 characters.
            line_gift_notes: Gift notes of lines; those of lines that are not named stay.
            update_mask: Fields to update: `customer.email`, `customer.name`, `customer.shipping_address`,
                `customer.billing_address` or `customer` for these four, `reference`, `tags`, `attributes`, `gift_note`,
                `line_gift_notes`. Empty: those that are set in the request; `*`: all of them (AIP-134).
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.UpdateOrder,
            order_pb2.UpdateOrderRequest(
                order_id=order_id,
                customer=customer,
                reference=reference,
                tags=tags,
                attributes=attributes,
                gift_note=gift_note,
                line_gift_notes=line_gift_notes,
                update_mask=update_mask,
                request_id=request_id,
                etag=etag,
            ),
            timeout,
        )

    async def edit_order_lines(
        self,
        *,
        order_id: str,
        changes: Iterable[order_pb2.EditOrderLinesRequest.Change] = (),
        additions: Iterable[order_pb2.CreateOrderRequest.Line] = (),
        current_prices: bool = False,
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Edits the lines of a PENDING order: changes quantities, removes lines and adds others, all of it or
        nothing. Units that are dropped are available again, and others are allocated, under the same locks.

        Lines keep the prices that were agreed, unless `current_prices` is set. Taxes and discounts are spread
        again over the units that are not cancelled; their amounts stay. A higher total does not put a paid order
        on hold: it is processed once the rest is paid.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (ORDER_STATE_INVALID): the order is not PENDING.
        - FAILED_PRECONDITION (INSUFFICIENT_STOCK): less is available than wanted in addition.
        - FAILED_PRECONDITION (PRICE_CHANGED): a price that the customer saw is not the present one.
        - FAILED_PRECONDITION (CURRENCY_MISMATCH): a SKU has a price in another currency than the order.
        - FAILED_PRECONDITION (LINE_CHARGED): a line is removed that a tax or discount names.
        - FAILED_PRECONDITION (CHARGE_EXCEEDED): the discounts and credits exceed what would be left.
        - FAILED_PRECONDITION (QUANTITY_EXCEEDED): all units of a line are cancelled.
        - FAILED_PRECONDITION (PRODUCT_NOT_PUBLISHED): the product of a SKU of which more is wanted is not published.
        - NOT_FOUND (SKU_UNKNOWN): no variant has a SKU.
        - INVALID_ARGUMENT (LINE_UNKNOWN): the order has no such line.
        - OUT_OF_RANGE (QUANTITY_OVERFLOW): an amount or a sum of quantities is too large.

        Args:
            order_id: Id of the order, a UUID.
            changes: Lines whose quantity changes, each once.
            additions: Lines to add, of SKUs of which the order has no open line; up to 1,000 lines in all.
            current_prices: Whether lines that stay are priced at what the catalog says now, instead of what was agreed.
                Lines whose price staff have overridden keep it.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.EditOrderLines,
            order_pb2.EditOrderLinesRequest(
                order_id=order_id,
                changes=changes,
                additions=additions,
                current_prices=current_prices,
                request_id=request_id,
                etag=etag,
            ),
            timeout,
        )

    async def hold_order(
        self,
        *,
        order_id: str,
        reason: order_pb2.Hold.Reason.ValueType | enums.HoldReason,
        note: str = "",
        expire_time: timestamp_pb2.Timestamp | None = None,
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Puts an order on hold: it can be neither processed nor fulfilled until staff release it, or until
        `expire_time`. Everything else goes on: it can be paid, edited, cancelled, and it expires when it is not
        paid in time.

        An order on hold is not put on hold a second time, so that one reason does not overwrite another: release
        it first. A hold for want of payment (REASON_PAYMENT, without an actor) is none of these: both may stand
        at once, and then `hold` is the one by staff.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (ORDER_STATE_INVALID): the order is neither PENDING, PROCESSING nor PARTIALLY_FULFILLED.
        - FAILED_PRECONDITION (ORDER_ON_HOLD): staff have put it on hold already.

        Args:
            order_id: Id of the order, a UUID.
            reason: Cause of the hold.
            note: What staff should know about it, up to 500 characters.
            expire_time: When the hold ends by itself, in the future; unset: when staff release the order.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.HoldOrder,
            order_pb2.HoldOrderRequest(
                order_id=order_id,
                reason=number_of(order_pb2.Hold.Reason, reason),
                note=note,
                expire_time=expire_time,
                request_id=request_id,
                etag=etag,
            ),
            timeout,
        )

    async def release_order(
        self, *, order_id: str, request_id: str = "", etag: str = "", timeout: float | None = None
    ) -> order_pb2.Order:
        """Ends the hold that staff put an order on. A hold for want of payment is ended by a payment or a
        cancellation only.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (ORDER_NOT_ON_HOLD): the order is not on hold.
        - FAILED_PRECONDITION (ORDER_ON_HOLD): it is on hold for want of payment.

        Args:
            order_id: Id of the order, a UUID.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ReleaseOrder,
            order_pb2.ReleaseOrderRequest(order_id=order_id, request_id=request_id, etag=etag),
            timeout,
        )

    async def update_fulfillment(
        self,
        *,
        order_id: str,
        fulfillment_id: str,
        tracking_number: str = "",
        carrier: str = "",
        state: order_pb2.Fulfillment.State.ValueType | enums.FulfillmentState | None = None,
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Corrects the tracking of a parcel, or reports what became of it: shipped, also once more, delivered, or
        failed.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND, FULFILLMENT_NOT_FOUND): no order has the id, or the order has no such parcel.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (FULFILLMENT_STATE_INVALID): the parcel is cancelled.

        Args:
            order_id: Id of the order, a UUID.
            fulfillment_id: Id of the parcel, a UUID.
            tracking_number: Tracking number of the carrier, up to 200 characters.
            carrier: Name of the carrier, up to 100 characters.
            state: What became of the parcel: SHIPPED, also for one that is sent again, DELIVERED or FAILED. Unset: as
                it is.
            update_mask: Fields to update: `tracking_number`, `carrier`, `state`. Empty: those that are set in the
                request; `*`: all of them (AIP-134).
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.UpdateFulfillment,
            order_pb2.UpdateFulfillmentRequest(
                order_id=order_id,
                fulfillment_id=fulfillment_id,
                tracking_number=tracking_number,
                carrier=carrier,
                state=number_of(order_pb2.Fulfillment.State, state),
                update_mask=update_mask,
                request_id=request_id,
                etag=etag,
            ),
            timeout,
        )

    async def cancel_fulfillment(
        self,
        *,
        order_id: str,
        fulfillment_id: str,
        reason: str = "",
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Cancels a parcel that was not sent after all: its units are on hand again where they left, the order has
        its claims on them back, and is PROCESSING or PARTIALLY_FULFILLED again. The ledger records it as
        FULFILLED with positive numbers. What was delivered comes back by ReturnOrder.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND, FULFILLMENT_NOT_FOUND): no order has the id, or the order has no such parcel.
        - NOT_FOUND (SKU_UNKNOWN): the catalog no longer has a SKU of the parcel.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.
        - FAILED_PRECONDITION (FULFILLMENT_STATE_INVALID): the parcel is delivered or cancelled.
        - FAILED_PRECONDITION (QUANTITY_EXCEEDED): units of the parcel were returned, or a return announces them.
        - FAILED_PRECONDITION (STOCK_NOT_TRACKED): the stock of a SKU of the parcel is no longer tracked.

        Args:
            order_id: Id of the order, a UUID.
            fulfillment_id: Id of the parcel, a UUID.
            reason: Why it was not sent, for people, up to 1,000 characters.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CancelFulfillment,
            order_pb2.CancelFulfillmentRequest(
                order_id=order_id, fulfillment_id=fulfillment_id, reason=reason, request_id=request_id, etag=etag
            ),
            timeout,
        )

    def list_packing_slips(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        order_ids: Iterable[str] = (),
        location_id: str = "",
        start_time: timestamp_pb2.Timestamp | None = None,
        end_time: timestamp_pb2.Timestamp | None = None,
        timeout: float | None = None,
    ) -> AsyncPages[order_pb2.ListPackingSlipsResponse, order_pb2.PackingSlip]:
        """Lists what is to be packed, oldest orders first: of each order that is PROCESSING or PARTIALLY_FULFILLED
        the units that are still to be shipped, with the location that owes them, and where they go.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            order_ids: Only these orders, up to 100; empty: all orders.
            location_id: Only what this location owes.
            start_time: Only orders that were created at this time or later.
            end_time: Only orders that were created before this time.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListPackingSlips,
            order_pb2.ListPackingSlipsRequest(
                page_size=page_size,
                page_token=page_token,
                order_ids=order_ids,
                location_id=location_id,
                start_time=start_time,
                end_time=end_time,
            ),
            lambda page: page.slips,
            timeout,
        )

    async def add_order_note(
        self,
        *,
        order_id: str,
        note: str,
        customer_visible: bool = False,
        request_id: str = "",
        etag: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Adds a note to the timeline of an order, in any state. A note does not change the order, but its version.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.
        - ABORTED (ETAG_MISMATCH): the order has changed since the etag was read.

        Args:
            order_id: Id of the order, a UUID.
            note: The note, 1 to 2,000 characters.
            customer_visible: Whether the customer may read it, by ListOrderTimeline.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            etag: The `etag` of the order that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the order has changed since. Empty: no check.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.AddOrderNote,
            order_pb2.AddOrderNoteRequest(
                order_id=order_id, note=note, customer_visible=customer_visible, request_id=request_id, etag=etag
            ),
            timeout,
        )

    def list_order_timeline(
        self, *, order_id: str, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> AsyncPages[order_pb2.ListOrderTimelineResponse, order_pb2.OrderTimelineEntry]:
        """Lists what happened to an order, oldest first: its steps, edits, notes, payments and parcels, with who did
        it and why. It is kept as long as the order, unlike events. Steps from before this was recorded are
        missing.

        A storefront sees its steps, and the notes that are for the customer.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id, or the caller may not see it.

        Args:
            order_id: Id of the order, a UUID.
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListOrderTimeline,
            order_pb2.ListOrderTimelineRequest(order_id=order_id, page_size=page_size, page_token=page_token),
            lambda page: page.entries,
            timeout,
        )

    def list_payments(
        self, *, order_id: str, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> AsyncPages[order_pb2.ListPaymentsResponse, order_pb2.PaymentReport]:
        """Lists the events that payment providers reported of an order, in the order in which they were recorded.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.

        Args:
            order_id: Id of the order, a UUID.
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListPayments,
            order_pb2.ListPaymentsRequest(order_id=order_id, page_size=page_size, page_token=page_token),
            lambda page: page.payments,
            timeout,
        )

    async def record_payment(
        self,
        *,
        order_id: str,
        provider: str,
        provider_event_id: str,
        kind: order_pb2.RecordPaymentRequest.Kind.ValueType | enums.RecordPaymentRequestKind,
        amount: money_pb2.Money,
        event_time: timestamp_pb2.Timestamp | None = None,
        request_id: str = "",
        payment_reference: str = "",
        running_total: bool = False,
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Records an event that a payment provider reports. An event with the same (provider, provider_event_id) is
        recorded once, whatever the request_id; a repetition returns the order as it is.

        A payment of an EXPIRED order moves it to PROCESSING when it meets the payment terms and the stock is
        still available; otherwise the money is due as a refund. An order whose terms were met and are no longer,
        because an authorization ended or a dispute was lost, is on hold until a payment covers it again.

        Errors:
        - NOT_FOUND (ORDER_NOT_FOUND): no order has this id.
        - ALREADY_EXISTS (PAYMENT_EVENT_CONFLICT): the event was recorded with other content.
        - FAILED_PRECONDITION (CURRENCY_MISMATCH): the amount is not in the currency of the order.
        - FAILED_PRECONDITION (TENDER_OF_ANOTHER_ORDER): the tender belongs to another order.
        - FAILED_PRECONDITION (REFUND_EXCEEDED): more of a refund failed than was refunded.
        - OUT_OF_RANGE (QUANTITY_OVERFLOW): an amount is too large.

        Args:
            order_id: Id of the order, a UUID.
            provider: Name of the payment provider, such as `stripe`, 1 to 64 characters.
            provider_event_id: The provider's id of this event, 1 to 200 characters.
            kind: What the provider reports.
            amount: Amount of money, not negative, in the currency of the order.
            event_time: When the event happened at the provider; now when unset.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            payment_reference: The tender that the event belongs to: the provider's id of the payment intent, charge or
                gift card redemption, up to 200 characters. A capture or void uses up the authorization of its own
                tender only. Empty: the only tender of this provider.
            running_total: Whether the amount is the total of this kind and tender so far instead of one movement, for
                providers that report running sums. Movements and totals of one tender can be mixed: the larger of the
                sum of the movements and the largest total counts, so a movement that is reported both ways counts once.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.RecordPayment,
            order_pb2.RecordPaymentRequest(
                order_id=order_id,
                provider=provider,
                provider_event_id=provider_event_id,
                kind=number_of(order_pb2.RecordPaymentRequest.Kind, kind),
                amount=amount,
                event_time=event_time,
                request_id=request_id,
                payment_reference=payment_reference,
                running_total=running_total,
            ),
            timeout,
        )


class AsyncEventService:
    """Reads the log of events: what was recorded, and what is being recorded."""

    def __init__(self, channel: grpc.aio.Channel, calls: AsyncCalls) -> None:
        self._calls = calls
        self._stub = event_pb2_grpc.EventServiceStub(channel)

    def list_events(
        self,
        *,
        cursor: str = "",
        page_size: int = 0,
        types: Iterable[str] = (),
        aggregate_id: str = "",
        timeout: float | None = None,
    ) -> AsyncPages[event_pb2.ListEventsResponse, event_pb2.Event]:
        """Lists the events after a cursor, in an order that never changes: a consumer that continues from the cursor
        misses nothing. A storefront gets the events that it may see (see above); the cursor moves past the
        others.

        Errors:
        - PERMISSION_DENIED (CUSTOMER_NOT_ALLOWED): the token acts for one customer only.
        - OUT_OF_RANGE (CURSOR_EXPIRED): events after the cursor are no longer kept.
        - OUT_OF_RANGE (CURSOR_LOST): events before the cursor were lost.
        - INVALID_ARGUMENT (PAGE_TOKEN_INVALID): the cursor was not issued by these servers.

        Args:
            cursor: The `next_cursor` of the response before; empty: start from the oldest event that is kept.
            page_size: Maximum number of events to return: 1 to 1,000, or 100 when zero. A page also ends at about 2
                MiB; a single larger event comes alone.
            types: Only events of these types, such as `order.created`, or `order.*` for all of an aggregate; empty: all
                types.
            aggregate_id: Only events of this aggregate, by their `aggregate_id`.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListEvents,
            event_pb2.ListEventsRequest(cursor=cursor, page_size=page_size, types=types, aggregate_id=aggregate_id),
            lambda page: page.events,
            timeout,
        )

    def watch_events(
        self, *, cursor: str = "", types: Iterable[str] = (), aggregate_id: str = "", timeout: float | None = None
    ) -> AsyncIterator[event_pb2.WatchEventsResponse]:
        """Sends each event after a cursor, then each event as it is recorded; without a cursor, from now on. For
        staff. gRPC-Web carries it to browsers; there is no REST route.

        A response without events says that everything up to its cursor was sent: one is sent at once, and after
        each time of silence. The watch is ended with UNAVAILABLE when the server stops or a new epoch of the log
        begins, and with ABORTED when too much waits to be read: resume from the last cursor.

        Errors:
        - OUT_OF_RANGE (CURSOR_EXPIRED): events after the cursor are no longer kept.
        - OUT_OF_RANGE (CURSOR_LOST): events before the cursor were lost.
        - INVALID_ARGUMENT (PAGE_TOKEN_INVALID): the cursor was not issued by these servers.
        - RESOURCE_EXHAUSTED (WATCH_LIMIT_REACHED): the server has as many open watches as it allows.
        - ABORTED (WATCH_LAGGED): the caller reads more slowly than events come.

        Args:
            cursor: A cursor of WatchEvents, or the `next_cursor` of ListEvents; empty: start from now.
            types: Only events of these types, such as `order.created`, or `order.*` for all of an aggregate; empty: all
                types.
            aggregate_id: Only events of this aggregate, by their `aggregate_id`.
            timeout: Seconds that the server may be away before the watch ends; None: it goes on for ever.
        """
        return self._calls.watch(
            self._stub.WatchEvents,
            event_pb2.WatchEventsRequest(cursor=cursor, types=types, aggregate_id=aggregate_id),
            timeout,
        )


class AsyncStatusService:
    """Reports how the shop is."""

    def __init__(self, channel: grpc.aio.Channel, calls: AsyncCalls) -> None:
        self._calls = calls
        self._stub = status_pb2_grpc.StatusServiceStub(channel)

    async def get_status(self, *, timeout: float | None = None) -> status_pb2.GetStatusResponse:
        """Returns what checks of database, relay, gateway and queues found, and how much waits. The checks are made
        at most once in 2 seconds for all callers together.

        Args:
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(self._stub.GetStatus, status_pb2.GetStatusRequest(), timeout)


class AsyncWebhookService:
    """Manages endpoints and their deliveries.

    Every method that names an endpoint returns NOT_FOUND (ENDPOINT_NOT_FOUND) when it does not exist, and every
    method that takes an etag ABORTED (ETAG_MISMATCH) when the endpoint has changed since.
    """

    def __init__(self, channel: grpc.aio.Channel, calls: AsyncCalls) -> None:
        self._calls = calls
        self._stub = webhook_pb2_grpc.WebhookServiceStub(channel)

    async def create_endpoint(
        self,
        *,
        endpoint: webhook_pb2.Endpoint,
        secret_kind: webhook_pb2.Endpoint.SecretKind.ValueType | enums.EndpointSecretKind | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.CreateEndpointResponse:
        """Creates an endpoint. It receives events from now on; ReplayEvents sends it earlier ones.

        Errors:
        - INVALID_ARGUMENT (ENDPOINT_URL_INVALID): webhooks cannot be sent to the URL.
        - INVALID_ARGUMENT (ENDPOINT_TYPE_UNKNOWN): no event has one of the types.
        - INVALID_ARGUMENT (ENDPOINT_HEADER_INVALID): a header cannot be set, or all of them are too long.
        - FAILED_PRECONDITION (ENDPOINT_LIMIT_REACHED): there is the maximum number of endpoints.

        Args:
            endpoint: The endpoint to create. Fields that only the server sets are ignored.
            secret_kind: How its secret signs; SECRET_KIND_HMAC when unset.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.CreateEndpoint,
            webhook_pb2.CreateEndpointRequest(
                endpoint=endpoint,
                secret_kind=number_of(webhook_pb2.Endpoint.SecretKind, secret_kind),
                request_id=request_id,
            ),
            timeout,
        )

    async def get_endpoint(self, *, endpoint_id: str, timeout: float | None = None) -> webhook_pb2.Endpoint:
        """Returns one endpoint, without its secrets.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.GetEndpoint, webhook_pb2.GetEndpointRequest(endpoint_id=endpoint_id), timeout
        )

    def list_endpoints(
        self, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> AsyncPages[webhook_pb2.ListEndpointsResponse, webhook_pb2.Endpoint]:
        """Lists endpoints, oldest first.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListEndpoints,
            webhook_pb2.ListEndpointsRequest(page_size=page_size, page_token=page_token),
            lambda page: page.endpoints,
            timeout,
        )

    async def update_endpoint(
        self,
        *,
        endpoint: webhook_pb2.Endpoint,
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.Endpoint:
        """Updates the fields named in the mask (AIP-134).

        Errors:
        - INVALID_ARGUMENT (ENDPOINT_URL_INVALID, ENDPOINT_TYPE_UNKNOWN, ENDPOINT_HEADER_INVALID): as for
          CreateEndpoint.
        - FAILED_PRECONDITION (ENDPOINT_MANAGED_BY_SETTINGS): the settings define the `url` of this endpoint.

        Args:
            endpoint: The endpoint with its new values. `endpoint_id` names the endpoint; `etag`, when set, must be that
                of the present version.
            update_mask: Fields to update: `url`, `description`, `types`, `headers`, `rate_limit`, `max_in_flight`,
                `max_body_bytes`. Empty: those that are set in `endpoint`; `*`: all of them (AIP-134). Fields that only
                the server sets are ignored.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.UpdateEndpoint,
            webhook_pb2.UpdateEndpointRequest(endpoint=endpoint, update_mask=update_mask, request_id=request_id),
            timeout,
        )

    async def delete_endpoint(
        self, *, endpoint_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Endpoint:
        """Deletes an endpoint with its secrets, and returns it as it was. Its deliveries are no longer sent and are
        removed later.

        Errors:
        - FAILED_PRECONDITION (ENDPOINT_MANAGED_BY_SETTINGS): the settings define this endpoint.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            etag: The `etag` of the endpoint that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the endpoint has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.DeleteEndpoint,
            webhook_pb2.DeleteEndpointRequest(endpoint_id=endpoint_id, etag=etag, request_id=request_id),
            timeout,
        )

    async def enable_endpoint(
        self, *, endpoint_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Endpoint:
        """Enables a disabled endpoint: pending deliveries are sent, but not the events from while it was disabled;
        ReplayEvents sends those. A failing endpoint is tried again within a minute, whenever its next attempt was
        due.

        Errors:
        - FAILED_PRECONDITION (ENDPOINT_MANAGED_BY_SETTINGS): the settings no longer define this endpoint.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            etag: The `etag` of the endpoint that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the endpoint has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.EnableEndpoint,
            webhook_pb2.EnableEndpointRequest(endpoint_id=endpoint_id, etag=etag, request_id=request_id),
            timeout,
        )

    async def disable_endpoint(
        self, *, endpoint_id: str, reason: str = "", etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Endpoint:
        """Disables an endpoint: pending deliveries are kept, and new events are not for it. An endpoint that is
        already disabled is returned unchanged.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            reason: Why the endpoint is disabled, for people, up to 300 characters.
            etag: The `etag` of the endpoint that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the endpoint has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.DisableEndpoint,
            webhook_pb2.DisableEndpointRequest(
                endpoint_id=endpoint_id, reason=reason, etag=etag, request_id=request_id
            ),
            timeout,
        )

    async def rotate_secret(
        self,
        *,
        endpoint_id: str,
        overlap: duration_pb2.Duration | None = None,
        kind: webhook_pb2.Endpoint.SecretKind.ValueType | enums.EndpointSecretKind | None = None,
        etag: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.RotateSecretResponse:
        """Creates a new secret. The ones before it sign as well until the overlap has passed, so that a receiver can
        change over without a gap.

        Errors:
        - FAILED_PRECONDITION (ENDPOINT_MANAGED_BY_SETTINGS): the settings define the secrets of this endpoint.
        - FAILED_PRECONDITION (SECRET_LIMIT_REACHED): five secrets sign already.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            overlap: How long the secrets before the new one go on signing: up to 30 days; 24 hours when unset, not at
                all when zero.
            kind: How the new secret signs; like the newest one when unset.
            etag: The `etag` of the endpoint that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the endpoint has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.RotateSecret,
            webhook_pb2.RotateSecretRequest(
                endpoint_id=endpoint_id,
                overlap=overlap,
                kind=number_of(webhook_pb2.Endpoint.SecretKind, kind),
                etag=etag,
                request_id=request_id,
            ),
            timeout,
        )

    async def expire_secrets(
        self, *, endpoint_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Endpoint:
        """Expires all secrets but the newest one at once.

        Errors:
        - FAILED_PRECONDITION (ENDPOINT_MANAGED_BY_SETTINGS): the settings define the secrets of this endpoint.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            etag: The `etag` of the endpoint that this change is based on (AIP-154). The change is refused with ABORTED
                (ETAG_MISMATCH) when the endpoint has changed since. Empty: no check.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ExpireSecrets,
            webhook_pb2.ExpireSecretsRequest(endpoint_id=endpoint_id, etag=etag, request_id=request_id),
            timeout,
        )

    async def ping_endpoint(
        self, *, endpoint_id: str, request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.PingEndpointResponse:
        """Sends the event `endpoint.pinged` to this endpoint alone, whatever its filters. Its delivery can be read
        once the gateway has picked up the event.

        Errors:
        - FAILED_PRECONDITION (ENDPOINT_DISABLED): nothing is sent to a disabled endpoint.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.PingEndpoint,
            webhook_pb2.PingEndpointRequest(endpoint_id=endpoint_id, request_id=request_id),
            timeout,
        )

    def list_deliveries(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        endpoint_id: str = "",
        states: Iterable[webhook_pb2.Delivery.State.ValueType | enums.DeliveryState] = (),
        types: Iterable[str] = (),
        aggregate_id: str = "",
        start_time: timestamp_pb2.Timestamp | None = None,
        end_time: timestamp_pb2.Timestamp | None = None,
        timeout: float | None = None,
    ) -> AsyncPages[webhook_pb2.ListDeliveriesResponse, webhook_pb2.Delivery]:
        """Lists deliveries, newest event first. Dead letters are in the state DEAD.

        Args:
            page_size: Maximum number of rows to return: 1 to 1,000, or 50 when zero. A page may hold fewer, see
                `next_page_token`.
            page_token: The `next_page_token` of the page before, with all other arguments as they were; empty for the
                first page.
            endpoint_id: Only deliveries to this endpoint.
            states: Only deliveries in one of these states; empty: all states.
            types: Only deliveries of these types of events, as in Endpoint; empty: all types.
            aggregate_id: Only deliveries of events of this aggregate.
            start_time: Only deliveries of events at or after this time.
            end_time: Only deliveries of events before this time.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListDeliveries,
            webhook_pb2.ListDeliveriesRequest(
                page_size=page_size,
                page_token=page_token,
                endpoint_id=endpoint_id,
                states=numbers_of(webhook_pb2.Delivery.State, states),
                types=types,
                aggregate_id=aggregate_id,
                start_time=start_time,
                end_time=end_time,
            ),
            lambda page: page.deliveries,
            timeout,
        )

    async def get_delivery(
        self, *, endpoint_id: str, event_id: str, timeout: float | None = None
    ) -> webhook_pb2.Delivery:
        """Returns one delivery with all of its attempts.

        Errors:
        - NOT_FOUND (DELIVERY_NOT_FOUND): the event has no delivery to this endpoint.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            event_id: Id of the event, a UUID.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.GetDelivery, webhook_pb2.GetDeliveryRequest(endpoint_id=endpoint_id, event_id=event_id), timeout
        )

    async def retry_delivery(
        self, *, endpoint_id: str, event_id: str, request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Delivery:
        """Retries a delivery now, or sends it once more when it was DELIVERED, DEAD or SKIPPED; its schedule of
        retries starts over. Earlier deliveries of its aggregate still go first, an attempt that is due within a
        minute keeps its time, and a disabled endpoint receives it when it is enabled.

        Errors:
        - NOT_FOUND (DELIVERY_NOT_FOUND): the event has no delivery to this endpoint.
        - FAILED_PRECONDITION (DELIVERY_EXPIRED): the event is no longer kept.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            event_id: Id of the event, a UUID.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.RetryDelivery,
            webhook_pb2.RetryDeliveryRequest(endpoint_id=endpoint_id, event_id=event_id, request_id=request_id),
            timeout,
        )

    async def skip_delivery(
        self, *, endpoint_id: str, event_id: str, request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Delivery:
        """Skips a delivery, so that those behind it in its aggregate continue; removes a dead one from the dead
        letters.

        Errors:
        - NOT_FOUND (DELIVERY_NOT_FOUND): the event has no delivery to this endpoint.
        - FAILED_PRECONDITION (DELIVERY_STATE_INVALID): it was delivered.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            event_id: Id of the event, a UUID.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.SkipDelivery,
            webhook_pb2.SkipDeliveryRequest(endpoint_id=endpoint_id, event_id=event_id, request_id=request_id),
            timeout,
        )

    async def recover_deliveries(
        self,
        *,
        endpoint_id: str,
        start_time: timestamp_pb2.Timestamp,
        limit: int = 0,
        cursor: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.RecoverDeliveriesResponse:
        """Recovers the dead letters of an endpoint: sends them again, oldest first, as by RetryDelivery. One call
        takes up to `limit` of them, all or none; continue with `next_cursor` until it is empty.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            start_time: Only deliveries of events at or after this time.
            limit: Maximum number of deliveries of one call: 1 to 10,000, or 1,000 when zero.
            cursor: The `next_cursor` of the call before, with all other arguments but `request_id` as they were; empty
                for the first call.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.RecoverDeliveries,
            webhook_pb2.RecoverDeliveriesRequest(
                endpoint_id=endpoint_id, start_time=start_time, limit=limit, cursor=cursor, request_id=request_id
            ),
            timeout,
        )

    async def replay_events(
        self,
        *,
        endpoint_id: str,
        start_time: timestamp_pb2.Timestamp | None = None,
        end_time: timestamp_pb2.Timestamp | None = None,
        types: Iterable[str] = (),
        aggregate_id: str = "",
        limit: int = 0,
        cursor: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.ReplayEventsResponse:
        """Replays recorded events to one endpoint: those that it never received, and once more those whose delivery
        is finished. Pending ones are unchanged. Events are sent in order per aggregate, under their original ids:
        a receiver that drops known `webhook-id`s drops them too, and one that keeps state compares
        `aggregateVersion`. One call takes up to `limit` events, all or none; continue with `next_cursor` until it
        is empty.

        Args:
            endpoint_id: Id of the endpoint: a UUID, or `storefront` or `pms` for one that the settings define.
            start_time: Only events at or after this time.
            end_time: Only events before this time.
            types: Only events of these types, as in Endpoint and whatever its filters; empty: those that pass its
                filters.
            aggregate_id: Only events of this aggregate.
            limit: Maximum number of events of one call: 1 to 10,000, or 1,000 when zero.
            cursor: The `next_cursor` of the call before, with all other arguments but `request_id` as they were; empty
                for the first call.
            request_id: Random UUID (version 4) of this request, so that it can be repeated safely (AIP-155): the same
                id with the same content returns the first response again and changes nothing. Upper and lower case are
                equal. The server makes an id when the field is empty.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return await self._calls.unary(
            self._stub.ReplayEvents,
            webhook_pb2.ReplayEventsRequest(
                endpoint_id=endpoint_id,
                start_time=start_time,
                end_time=end_time,
                types=types,
                aggregate_id=aggregate_id,
                limit=limit,
                cursor=cursor,
                request_id=request_id,
            ),
            timeout,
        )


class AsyncServices:
    """The services of one server."""

    def __init__(self, channel: grpc.aio.Channel, calls: AsyncCalls) -> None:
        self.keys = AsyncKeyService(channel, calls)
        self.sessions = AsyncSessionService(channel, calls)
        self.catalog = AsyncCatalogService(channel, calls)
        self.inventory = AsyncInventoryService(channel, calls)
        self.orders = AsyncOrderService(channel, calls)
        self.events = AsyncEventService(channel, calls)
        self.status = AsyncStatusService(channel, calls)
        self.webhooks = AsyncWebhookService(channel, calls)
