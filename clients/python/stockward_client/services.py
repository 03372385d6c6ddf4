# Generated from proto/ by `make generate`; do not edit.
"""A method for each rpc of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import grpc
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.type import money_pb2
from stockward.auth.v1 import auth_pb2, key_pb2, key_pb2_grpc
from stockward.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from stockward.event.v1 import event_pb2, event_pb2_grpc
from stockward.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from stockward.order.v1 import order_pb2, order_pb2_grpc
from stockward.webhook.v1 import webhook_pb2, webhook_pb2_grpc

from stockward_client.calls import Calls, Pages


class KeyService:
    """Manages API keys. Its methods name no role, so they are for administrators alone; `stockward keys` does the same
    on the database itself, where the first key comes from.
    """

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._calls = calls
        self._stub = key_pb2_grpc.KeyServiceStub(channel)

    def create_key(
        self,
        *,
        name: str,
        role: auth_pb2.Role.ValueType,
        expire_time: timestamp_pb2.Timestamp | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> key_pb2.CreateKeyResponse:
        """Makes a key, which works at once. ALREADY_EXISTS (KEY_NAME_TAKEN) while another key of that name works.

        Args:
            name: Whose key it is: 1 to 63 letters, digits, `_`, `.` or `-`, beginning with a letter or digit;
                `customer` and `system` are taken.
            role: What it may do.
            expire_time: When it ends by itself, in the future. Unset: it does not.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.CreateKey,
            key_pb2.CreateKeyRequest(name=name, role=role, expire_time=expire_time, request_id=request_id),
            timeout,
        )

    def list_keys(
        self, *, page_size: int = 0, page_token: str = "", include_ended: bool = False, timeout: float | None = None
    ) -> Pages[key_pb2.ListKeysResponse, key_pb2.Key]:
        """Lists keys, newest first.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            include_ended: Whether to list expired and revoked keys, too.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListKeys,
            key_pb2.ListKeysRequest(page_size=page_size, page_token=page_token, include_ended=include_ended),
            lambda page: page.keys,
            timeout,
        )

    def rotate_key(
        self,
        *,
        key_id: str,
        overlap: duration_pb2.Duration | None = None,
        expire_time: timestamp_pb2.Timestamp | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> key_pb2.RotateKeyResponse:
        """Makes a new key of the same name and role, and ends the old one after an overlap, in which both work.
        NOT_FOUND (KEY_NOT_FOUND). FAILED_PRECONDITION (KEY_NOT_ACTIVE) unless the key is ACTIVE.

        Args:
            key_id: The key to be replaced.
            overlap: How long the old key goes on working beside the new one: 0 to 30 days, 24 hours when unset. It
                never works longer than it would have.
            expire_time: When the new key ends by itself, in the future. Unset: it lives as long as the old one was made
                for.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.RotateKey,
            key_pb2.RotateKeyRequest(key_id=key_id, overlap=overlap, expire_time=expire_time, request_id=request_id),
            timeout,
        )

    def revoke_key(self, *, key_id: str, request_id: str = "", timeout: float | None = None) -> key_pb2.Key:
        """Ends a key: within 5 seconds no server accepts it any more, and the streams that it opened end. A key that
        was revoked before is answered as it is. NOT_FOUND (KEY_NOT_FOUND).

        Args:
            key_id: The key to be ended.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.RevokeKey, key_pb2.RevokeKeyRequest(key_id=key_id, request_id=request_id), timeout
        )


class CatalogService:
    """Products and their publishing."""

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._calls = calls
        self._stub = catalog_pb2_grpc.CatalogServiceStub(channel)

    def create_product(
        self, *, product: catalog_pb2.Product, request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Creates a product in DRAFT. ALREADY_EXISTS (SKU_TAKEN, HANDLE_TAKEN) when a SKU or the handle belongs to
        another one.

        Args:
            product: What to create. Fields that the server sets are ignored.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.CreateProduct, catalog_pb2.CreateProductRequest(product=product, request_id=request_id), timeout
        )

    def get_product(self, *, product_id: str, timeout: float | None = None) -> catalog_pb2.Product:
        """Reads one product in any state. NOT_FOUND (PRODUCT_NOT_FOUND).

        Args:
            product_id: Id of the product.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(self._stub.GetProduct, catalog_pb2.GetProductRequest(product_id=product_id), timeout)

    def list_products(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        states: Iterable[catalog_pb2.Product.State.ValueType] = (),
        vendor: str = "",
        product_type: str = "",
        tag: str = "",
        search: str = "",
        order_by: str = "",
        handle: str = "",
        sku: str = "",
        timeout: float | None = None,
    ) -> Pages[catalog_pb2.ListProductsResponse, catalog_pb2.Product]:
        """Lists products in any state, filtered, searched and ordered.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            states: Only products in one of these states; empty for all but ARCHIVED.
            vendor: Only products of this vendor, to the letter.
            product_type: Only products of this type, to the letter.
            tag: Only products with this tag, to the letter.
            search: What people type, in the syntax of web search engines: words, "quoted phrases", `or`, `-without`. A
                word is found in title, SKUs, barcodes, handle, vendor, type, tags, titles and options of variants, and
                there by any part of it, in any script; in the description by its beginning; and everywhere in its other
                English forms. Case, accents and width make no difference. `-without` and phrases match whole words. Of
                a description the first 50,000 characters count. A search of nothing but punctuation and symbols finds
                names that are exactly equal to it.
            order_by: `create_time`, `update_time` or `title`, with ` desc` behind it for descending; or `relevance`:
                first what is called exactly as the search says (title, handle, SKU, barcode), then where all words
                begin words of the title, then the rest, each newest first. When empty, `relevance` for a search and
                `create_time desc` without one. Titles come in the order of letters whatever their accents and case,
                whole numbers in them by value.
            handle: Only the product with this handle, to the letter.
            sku: Only the product with a variant of this SKU, to the letter.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListProducts,
            catalog_pb2.ListProductsRequest(
                page_size=page_size,
                page_token=page_token,
                states=states,
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

    def update_product(
        self,
        *,
        product: catalog_pb2.Product,
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> catalog_pb2.Product:
        """Changes the fields named in the mask (AIP-134). A variant list is replaced as a whole; a variant that is
        dropped must have no stock and no open order (VARIANT_IN_USE). A published product must stay ready
        (PRODUCT_NOT_READY). ABORTED (ETAG_MISMATCH) when an etag is sent and the product has changed since.

        Args:
            product: The product with the new values; `product_id` names it, `etag` is compared when set.
            update_mask: Fields to change: `handle`, `title`, `description`, `vendor`, `product_type`, `tags`, `images`,
                `variants`, `attributes`. Empty: those that are set in `product`; `*`: every one of them (AIP-134).
                Fields that the server sets are ignored, and an empty handle keeps the one that the product has.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.UpdateProduct,
            catalog_pb2.UpdateProductRequest(product=product, update_mask=update_mask, request_id=request_id),
            timeout,
        )

    def check_readiness(self, *, product_id: str, timeout: float | None = None) -> catalog_pb2.CheckReadinessResponse:
        """Says whether the product could be published now: what blocks it, and what is only advisable.

        Args:
            product_id: Id of the product.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.CheckReadiness, catalog_pb2.CheckReadinessRequest(product_id=product_id), timeout
        )

    def publish_product(
        self,
        *,
        product_id: str,
        publish_time: timestamp_pb2.Timestamp | None = None,
        etag: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> catalog_pb2.Product:
        """Publishes the product now, or at a time in the future; a later call replaces the time. The readiness rules
        gate both, and run again when the time comes: a product that is no longer ready then stays as it is and its
        schedule is cleared. FAILED_PRECONDITION: PRODUCT_NOT_READY, PRODUCT_STATE_INVALID (archived, or a schedule
        for what is published).

        Args:
            product_id: Id of the product.
            publish_time: When to publish; unset or in the past: now.
            etag: Compared with the product's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.PublishProduct,
            catalog_pb2.PublishProductRequest(
                product_id=product_id, publish_time=publish_time, etag=etag, request_id=request_id
            ),
            timeout,
        )

    def unpublish_product(
        self, *, product_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Takes a published product off the storefront, or clears the schedule of one that is not published yet.

        Args:
            product_id: Id of the product.
            etag: Compared with the product's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.UnpublishProduct,
            catalog_pb2.UnpublishProductRequest(product_id=product_id, etag=etag, request_id=request_id),
            timeout,
        )

    def archive_product(
        self, *, product_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Puts a product away that is not published. Its SKUs stay taken and its orders stay readable.

        Args:
            product_id: Id of the product.
            etag: Compared with the product's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.ArchiveProduct,
            catalog_pb2.ArchiveProductRequest(product_id=product_id, etag=etag, request_id=request_id),
            timeout,
        )

    def restore_product(
        self, *, product_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Brings an archived product back: to UNPUBLISHED when it was ever published, else to DRAFT.

        Args:
            product_id: Id of the product.
            etag: Compared with the product's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.RestoreProduct,
            catalog_pb2.RestoreProductRequest(product_id=product_id, etag=etag, request_id=request_id),
            timeout,
        )

    def rename_sku(
        self, *, sku: str, new_sku: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> catalog_pb2.Product:
        """Gives a variant another SKU, with its stock, holds, orders and history: in one transaction, at once. Both
        SKUs may be used for other goods afterwards, so names can be swapped over a third one. A later command that
        names the old SKU is refused like any SKU that does not exist. Lines of orders and reservations, old ones
        too, show the new SKU; past events stay as they were. Records `product.sku_renamed` and `product.updated`,
        and `stock.renamed` twice for each stock row: under the old SKU and under the new one. The same SKU again
        changes nothing. NOT_FOUND (SKU_UNKNOWN), ALREADY_EXISTS (SKU_TAKEN), ABORTED (ETAG_MISMATCH).

        Args:
            sku: The SKU as it is now.
            new_sku: The SKU from now on; one that no variant has.
            etag: Compared with the product's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.RenameSku,
            catalog_pb2.RenameSkuRequest(sku=sku, new_sku=new_sku, etag=etag, request_id=request_id),
            timeout,
        )

    def import_products(
        self, requests: Iterable[catalog_pb2.ImportProductsRequest], *, timeout: float | None = None
    ) -> catalog_pb2.ImportProductsResponse:
        """Creates or updates many products, matched by handle. Each message is one row and stands for itself: a refused
        row does not stop the others. Up to 10,000 rows a stream; results come in the order of the rows. Rows that
        have a handle or a SKU in common are done one after another, others side by side. A row may ask to be checked
        only (`validate_only`).

        Args:
            timeout: Seconds for the whole stream; None: no limit.
        """
        return self._calls.upload(self._stub.ImportProducts, requests, timeout)

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
    ) -> Pages[catalog_pb2.ListAvailableProductsResponse, catalog_pb2.AvailableProduct]:
        """Lists published products with their availability, for a storefront.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            vendor: Only products of this vendor, to the letter.
            product_type: Only products of this type, to the letter.
            tag: Only products with this tag, to the letter.
            search: As in ListProductsRequest.
            order_by: As in ListProductsRequest.
            handle: Only the product with this handle, to the letter.
            sku: Only the product with a variant of this SKU, to the letter.
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

    def get_available_product(self, *, product_id: str, timeout: float | None = None) -> catalog_pb2.AvailableProduct:
        """Reads one published product with its availability. NOT_FOUND (PRODUCT_NOT_FOUND) in every other state, so
        that a storefront cannot tell a draft from nothing.

        Args:
            product_id: Id of the product.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.GetAvailableProduct, catalog_pb2.GetAvailableProductRequest(product_id=product_id), timeout
        )


class InventoryService:
    """Stock, reservations, alerts and the ledger."""

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._calls = calls
        self._stub = inventory_pb2_grpc.InventoryServiceStub(channel)

    def get_availability(self, *, sku: str, timeout: float | None = None) -> inventory_pb2.Availability:
        """Says how many units of one SKU a customer can order now. NOT_FOUND (SKU_UNKNOWN). For a storefront a SKU
        exists while its product is published; staff may ask for every SKU.

        Args:
            sku: Stock keeping unit.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(self._stub.GetAvailability, inventory_pb2.GetAvailabilityRequest(sku=sku), timeout)

    def batch_get_availability(
        self, *, skus: Iterable[str], timeout: float | None = None
    ) -> inventory_pb2.BatchGetAvailabilityResponse:
        """GetAvailability for up to 1,000 SKUs. SKUs that do not exist, for storefronts those that are not for sale,
        are listed, not refused.

        Args:
            skus: Stock keeping units, 1 to 1,000.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.BatchGetAvailability, inventory_pb2.BatchGetAvailabilityRequest(skus=skus), timeout
        )

    def reserve_stock(
        self,
        *,
        lines: Iterable[inventory_pb2.StockLine],
        ttl: duration_pb2.Duration | None = None,
        customer_id: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.Reservation:
        """Holds stock for a customer for a while: all lines or none. Lines that name the same SKU are summed first; a
        line may be taken from several locations, by their priority. FAILED_PRECONDITION: INSUFFICIENT_STOCK with
        what is available, PRODUCT_NOT_PUBLISHED (staff only), HOLD_LIMIT_REACHED (not for staff). NOT_FOUND:
        SKU_UNKNOWN, for a storefront also when the product is not published.

        Args:
            lines: What to hold, 1 to 1,000 lines.
            ttl: How long, from one second; the server's default when unset.
            customer_id: The shop's name for the customer.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.ReserveStock,
            inventory_pb2.ReserveStockRequest(lines=lines, ttl=ttl, customer_id=customer_id, request_id=request_id),
            timeout,
        )

    def extend_reservation(
        self,
        *,
        reservation_id: str,
        ttl: duration_pb2.Duration | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.Reservation:
        """Makes a hold last longer, counted from now, up to the longest lifetime that the server allows. A hold was a
        promise: it may be extended and ordered although its product is no longer published. FAILED_PRECONDITION:
        RESERVATION_EXPIRED, RESERVATION_NOT_ACTIVE, RESERVATION_LIFETIME_EXCEEDED.

        Args:
            reservation_id: Id of the reservation.
            ttl: How long from now, from one second; the server's default when unset. Never makes it shorter.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.ExtendReservation,
            inventory_pb2.ExtendReservationRequest(reservation_id=reservation_id, ttl=ttl, request_id=request_id),
            timeout,
        )

    def release_reservation(
        self, *, reservation_id: str, request_id: str = "", timeout: float | None = None
    ) -> inventory_pb2.Reservation:
        """Gives the held stock back. FAILED_PRECONDITION (RESERVATION_NOT_ACTIVE) unless the hold is ACTIVE.

        Args:
            reservation_id: Id of the reservation.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.ReleaseReservation,
            inventory_pb2.ReleaseReservationRequest(reservation_id=reservation_id, request_id=request_id),
            timeout,
        )

    def watch_stock(
        self, *, skus: Iterable[str] = (), location_id: str = "", cursor: str = "", timeout: float | None = None
    ) -> Iterator[inventory_pb2.WatchStockResponse]:
        """Tells the stock of SKUs as it stands and then every change of it, until the caller has heard enough.
        Storefront keys receive availability, staff keys the counters of each location. To a storefront a SKU whose
        product is not published is unknown: it stands in `unknown_skus`, its availability comes when the product is
        published, and it stands in `unknown_skus` again when the product is unpublished.

        Without a cursor the present state comes first, and is complete with the first response that has a cursor.
        With a cursor only what changed after it is told. A response without any change is a heartbeat: it comes
        every 15 seconds (the server's setting) while nothing happens, and its cursor is good to go on from. A
        response ends at about 2 MiB: what is more comes with the next one.

        A stream may end at any time: with UNAVAILABLE when the server stops, with ABORTED (WATCH_LAGGED) when the
        caller reads more slowly than changes come. Open it again with the last cursor that came: nothing is missed.
        OUT_OF_RANGE (CURSOR_EXPIRED): the changes after the cursor are no longer kept; watch without one.
        OUT_OF_RANGE (CURSOR_LOST): those before it are lost, since the database was restored or failed over; watch
        without one. RESOURCE_EXHAUSTED (WATCH_LIMIT_REACHED): the server has as many watches as it takes.
        PERMISSION_DENIED (ROLE_NOT_ALLOWED): a storefront key names a location.

        Args:
            skus: Stock keeping units, up to 1,000. Those that are not for sale are reported once they are. Staff may
                leave it empty for all of them; a storefront must name some.
            location_id: Only this location. Staff only.
            cursor: The last cursor that came, to go on after it; empty: from the present state. Cursors of ListEvents
                will do, too.
            timeout: Seconds that the server may be away before the watch ends; None: it goes on for ever.
        """
        return self._calls.watch(
            self._stub.WatchStock,
            inventory_pb2.WatchStockRequest(skus=skus, location_id=location_id, cursor=cursor),
            timeout,
        )

    def get_reservation(self, *, reservation_id: str, timeout: float | None = None) -> inventory_pb2.Reservation:
        """Reads one reservation. NOT_FOUND (RESERVATION_NOT_FOUND).

        Args:
            reservation_id: Id of the reservation.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.GetReservation, inventory_pb2.GetReservationRequest(reservation_id=reservation_id), timeout
        )

    def list_reservations(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        state: inventory_pb2.Reservation.State.ValueType = inventory_pb2.Reservation.STATE_UNSPECIFIED,
        sku: str = "",
        customer_id: str = "",
        timeout: float | None = None,
    ) -> Pages[inventory_pb2.ListReservationsResponse, inventory_pb2.Reservation]:
        """Lists reservations, newest first.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            state: Only in this state.
            sku: Only those that hold this SKU.
            customer_id: Only of this customer.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListReservations,
            inventory_pb2.ListReservationsRequest(
                page_size=page_size, page_token=page_token, state=state, sku=sku, customer_id=customer_id
            ),
            lambda page: page.reservations,
            timeout,
        )

    def adjust_stock(
        self,
        *,
        sku: str,
        reason: inventory_pb2.AdjustmentReason.ValueType,
        location_id: str = "",
        delta: int | None = None,
        on_hand: int | None = None,
        expected_on_hand: int | None = None,
        note: str = "",
        reference: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.StockLevel:
        """Changes on_hand by an amount, or sets it to a count. FAILED_PRECONDITION: STOCK_NEGATIVE, STOCK_CHANGED (the
        expected count is not the present one), STOCK_NOT_TRACKED. NOT_FOUND: SKU_UNKNOWN, LOCATION_UNKNOWN.

        Args:
            sku: Stock keeping unit.
            reason: Why.
            location_id: Location; `main` when empty.
            delta: Units to add, or to take away when negative; not zero.
            on_hand: Units that there are now.
            expected_on_hand: When set, on_hand must be this before the change (compare-and-set).
            note: For people.
            reference: A delivery note, a count sheet, anything to find it by.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        request = inventory_pb2.AdjustStockRequest(
            sku=sku,
            reason=reason,
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
        return self._calls.unary(self._stub.AdjustStock, request, timeout)

    def sync_stock(
        self, requests: Iterable[inventory_pb2.SyncStockRequest], *, timeout: float | None = None
    ) -> Iterator[inventory_pb2.SyncStockResponse]:
        """Sends many counts or changes. Each message is one piece of up to 1,000 rows and is answered by one message
        with one result a row; a refused row does not stop the others. Rows with the same SKU and location in a
        message are applied in their order. A row that changes nothing leaves no trace, unless it is the first that
        is said of its SKU and location: a count of zero makes the stock row, its movement and its alert.

        Args:
            timeout: Seconds for the whole stream; None: no limit.
        """
        return self._calls.exchange(self._stub.SyncStock, requests, timeout)

    def set_stock_policy(
        self,
        *,
        sku: str,
        location_id: str = "",
        safety_stock: int = 0,
        reorder_point: int | None = None,
        backorder_limit: int = 0,
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.StockLevel:
        """Sets when stock counts as low, what is kept back, and how far it may be sold beyond what there is.
        FAILED_PRECONDITION: STOCK_NOT_TRACKED. NOT_FOUND: SKU_UNKNOWN, LOCATION_UNKNOWN.

        Args:
            sku: Stock keeping unit.
            location_id: Location; `main` when empty.
            safety_stock: Units that are never offered.
            reorder_point: The alert fires when available falls to this or below; unset: only when it falls to zero.
            backorder_limit: Units that may be promised beyond what is available.
            update_mask: Which of `safety_stock`, `reorder_point`, `backorder_limit` to set; empty: all three.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.SetStockPolicy,
            inventory_pb2.SetStockPolicyRequest(
                sku=sku,
                location_id=location_id,
                safety_stock=safety_stock,
                reorder_point=reorder_point,
                backorder_limit=backorder_limit,
                update_mask=update_mask,
                request_id=request_id,
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
        timeout: float | None = None,
    ) -> Pages[inventory_pb2.ListStockLevelsResponse, inventory_pb2.StockLevel]:
        """Lists the counters, by SKU and location.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            sku: Only this SKU.
            location_id: Only this location.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListStockLevels,
            inventory_pb2.ListStockLevelsRequest(
                page_size=page_size, page_token=page_token, sku=sku, location_id=location_id
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
    ) -> Pages[inventory_pb2.ListStockAlertsResponse, inventory_pb2.StockAlert]:
        """Lists alerts on low, depleted and short stock, newest first.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            include_cleared: Cleared ones too; otherwise only those that stand.
            sku: Only this SKU.
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
        kind: inventory_pb2.StockMovement.Kind.ValueType = inventory_pb2.StockMovement.KIND_UNSPECIFIED,
        reference: str = "",
        start_time: timestamp_pb2.Timestamp | None = None,
        end_time: timestamp_pb2.Timestamp | None = None,
        timeout: float | None = None,
    ) -> Pages[inventory_pb2.ListStockMovementsResponse, inventory_pb2.StockMovement]:
        """Lists the movement ledger, newest first, as far back as movements are kept.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            sku: Only this SKU.
            location_id: Only this location.
            kind: Only this kind.
            reference: Only with this reference: an order id, a reservation id, or what staff gave.
            start_time: Only from this time on.
            end_time: Only before this time.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListStockMovements,
            inventory_pb2.ListStockMovementsRequest(
                page_size=page_size,
                page_token=page_token,
                sku=sku,
                location_id=location_id,
                kind=kind,
                reference=reference,
                start_time=start_time,
                end_time=end_time,
            ),
            lambda page: page.movements,
            timeout,
        )

    def explain_availability(
        self, *, sku: str, timeout: float | None = None
    ) -> inventory_pb2.ExplainAvailabilityResponse:
        """Says why so many units of a SKU can be ordered: its counters and overhang at every location, and which
        reservation or order owns each unit that is not available.

        Args:
            sku: Stock keeping unit.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.ExplainAvailability, inventory_pb2.ExplainAvailabilityRequest(sku=sku), timeout
        )

    def verify_stock(self, *, sku: str = "", timeout: float | None = None) -> inventory_pb2.VerifyStockResponse:
        """Compares counters with the ledger and with the open claims, in one snapshot of the database.

        Args:
            sku: Only this SKU; empty: all of them.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(self._stub.VerifyStock, inventory_pb2.VerifyStockRequest(sku=sku), timeout)

    def create_location(
        self, *, location: inventory_pb2.Location, request_id: str = "", timeout: float | None = None
    ) -> inventory_pb2.Location:
        """Creates a location. ALREADY_EXISTS (LOCATION_TAKEN).

        Args:
            location: What to create.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.CreateLocation,
            inventory_pb2.CreateLocationRequest(location=location, request_id=request_id),
            timeout,
        )

    def update_location(
        self,
        *,
        location: inventory_pb2.Location,
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> inventory_pb2.Location:
        """Changes a location's name, priority or activity. NOT_FOUND (LOCATION_UNKNOWN).

        Args:
            location: The location with the new values; `location_id` names it.
            update_mask: Fields to change: `name`, `priority`, `active`. Empty: those that are set, so that false and
                zero must be named; `*`: all of them (AIP-134).
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.UpdateLocation,
            inventory_pb2.UpdateLocationRequest(location=location, update_mask=update_mask, request_id=request_id),
            timeout,
        )

    def list_locations(self, *, timeout: float | None = None) -> inventory_pb2.ListLocationsResponse:
        """Lists all locations by priority.

        Args:
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(self._stub.ListLocations, inventory_pb2.ListLocationsRequest(), timeout)


class OrderService:
    """Orders and their payments."""

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._calls = calls
        self._stub = order_pb2_grpc.OrderServiceStub(channel)

    def create_order(
        self,
        *,
        lines: Iterable[order_pb2.CreateOrderRequest.Line] = (),
        reservation_id: str = "",
        customer: order_pb2.Customer | None = None,
        reference: str = "",
        charges: Iterable[order_pb2.Charge] = (),
        payment_terms: order_pb2.PaymentTerms.ValueType = order_pb2.PAYMENT_TERMS_UNSPECIFIED,
        request_id: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Creates an order in PENDING and allocates its stock: all lines or none. With a reservation the held stock is
        used; lines may then be left out, or say the same units with the prices that were shown. Lines that name the
        same SKU are summed first. FAILED_PRECONDITION: INSUFFICIENT_STOCK, PRICE_CHANGED, CURRENCY_MISMATCH,
        PRODUCT_NOT_PUBLISHED (staff only), CHARGE_EXCEEDED, RESERVATION_EXPIRED, RESERVATION_NOT_ACTIVE,
        UNPAID_ORDER_LIMIT_REACHED (not for staff). NOT_FOUND: SKU_UNKNOWN (for a storefront also when the product is
        not published), RESERVATION_NOT_FOUND. INVALID_ARGUMENT (LINE_UNKNOWN): a charge names a line that is not
        there. OUT_OF_RANGE (QUANTITY_OVERFLOW). PERMISSION_DENIED (ROLE_NOT_ALLOWED): a storefront key sets what
        only staff may.

        Args:
            lines: What to order, 1 to 1,000 lines. With a reservation: exactly what it holds, or empty.
            reservation_id: The hold that becomes this order.
            customer: Who orders.
            reference: The merchant's own number for it.
            charges: Shipping, tax, discounts, fees and credits. Staff only.
            payment_terms: PREPAID when unset. Others are for staff only.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.CreateOrder,
            order_pb2.CreateOrderRequest(
                lines=lines,
                reservation_id=reservation_id,
                customer=customer,
                reference=reference,
                charges=charges,
                payment_terms=payment_terms,
                request_id=request_id,
            ),
            timeout,
        )

    def batch_create_orders(
        self, *, requests: Iterable[order_pb2.CreateOrderRequest], timeout: float | None = None
    ) -> order_pb2.BatchCreateOrdersResponse:
        """Creates up to 200 orders, each for itself: one result per order, in their order. Orders that would make the
        response larger than about 2 MiB are in it without their lines, see
        `BatchCreateOrdersResponse.Result.abridged`.

        Args:
            requests: 1 to 200 orders. One that breaks a rule is refused in its result.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.BatchCreateOrders, order_pb2.BatchCreateOrdersRequest(requests=requests), timeout
        )

    def get_order(self, *, order_id: str, timeout: float | None = None) -> order_pb2.Order:
        """Reads one order. NOT_FOUND (ORDER_NOT_FOUND).

        Args:
            order_id: Id of the order.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(self._stub.GetOrder, order_pb2.GetOrderRequest(order_id=order_id), timeout)

    def list_orders(
        self,
        *,
        page_size: int = 0,
        page_token: str = "",
        states: Iterable[order_pb2.Order.State.ValueType] = (),
        customer_id: str = "",
        reference: str = "",
        sku: str = "",
        timeout: float | None = None,
    ) -> Pages[order_pb2.ListOrdersResponse, order_pb2.Order]:
        """Lists orders, newest first. The token of a customer lists that customer's own. PERMISSION_DENIED:
        ROLE_NOT_ALLOWED for a storefront that speaks for no customer, CUSTOMER_NOT_ALLOWED when another customer is
        named.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            states: Only orders in one of these states; empty for all.
            customer_id: Only orders of this customer.
            reference: Only orders with this reference.
            sku: Only orders with this SKU.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListOrders,
            order_pb2.ListOrdersRequest(
                page_size=page_size,
                page_token=page_token,
                states=states,
                customer_id=customer_id,
                reference=reference,
                sku=sku,
            ),
            lambda page: page.orders,
            timeout,
        )

    def list_pending_orders(
        self, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> Pages[order_pb2.ListPendingOrdersResponse, order_pb2.Order]:
        """Lists orders in PENDING, oldest first: what staff work off.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
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
        states: Iterable[order_pb2.Order.State.ValueType] = (),
        cursor: str = "",
        timeout: float | None = None,
    ) -> Iterator[order_pb2.WatchOrdersResponse]:
        """Tells orders as they stand and then every change of them, until the caller has heard enough.

        Without a cursor the present state comes first: the named orders, else those that are open (PENDING,
        PROCESSING, PARTIALLY_FULFILLED) or in the states asked for. It is complete with the first response that has
        a cursor. Cursors, heartbeats and the ways in which a stream ends are those of InventoryService.WatchStock.

        Args:
            order_ids: Only these orders, up to 1,000; empty: all.
            customer_id: Only orders of this customer.
            states: Only changes after which the order is in one of these states; empty for all. An order that leaves
                them is not told: to keep a list of open orders, leave this empty and drop those whose state says that
                they are done.
            cursor: The last cursor that came, to go on after it; empty: from the present state. Cursors of ListEvents
                will do, too.
            timeout: Seconds that the server may be away before the watch ends; None: it goes on for ever.
        """
        return self._calls.watch(
            self._stub.WatchOrders,
            order_pb2.WatchOrdersRequest(order_ids=order_ids, customer_id=customer_id, states=states, cursor=cursor),
            timeout,
        )

    def process_order(self, *, order_id: str, request_id: str = "", timeout: float | None = None) -> order_pb2.Order:
        """Takes an order into processing. FAILED_PRECONDITION: ORDER_STATE_INVALID, PAYMENT_REQUIRED unless its payment
        terms are met, ORDER_ON_HOLD when the money that met them went away. The terms of a prepaid order are met
        when all that was ever captured and the open authorizations cover `totals.net`, and something of it is still
        kept or held.

        Args:
            order_id: Id of the order.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.ProcessOrder, order_pb2.ProcessOrderRequest(order_id=order_id, request_id=request_id), timeout
        )

    def fulfill_order(
        self,
        *,
        order_id: str,
        lines: Iterable[order_pb2.LineQuantity] = (),
        tracking_number: str = "",
        carrier: str = "",
        request_id: str = "",
        location_id: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Records that units were shipped: the named ones, or all that remain. They leave `location_id`, or, without
        one, the locations that owe them to the order and, where the goods are not there, others that have unclaimed
        units, safety stock included. Claims move along: the ledger has them as DEALLOCATED and ALLOCATED before
        FULFILLED. FAILED_PRECONDITION: ORDER_STATE_INVALID, ORDER_ON_HOLD, QUANTITY_EXCEEDED, STOCK_NEGATIVE (units
        are not on hand yet, or not at that location). NOT_FOUND: LOCATION_UNKNOWN.

        Args:
            order_id: Id of the order.
            lines: Which units; empty: all that remain.
            tracking_number: The carrier's number.
            carrier: The carrier.
            request_id: UUID that makes a repetition safe (AIP-155).
            location_id: Where they left, active or not; empty: wherever the goods are.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.FulfillOrder,
            order_pb2.FulfillOrderRequest(
                order_id=order_id,
                lines=lines,
                tracking_number=tracking_number,
                carrier=carrier,
                request_id=request_id,
                location_id=location_id,
            ),
            timeout,
        )

    def cancel_order(
        self,
        *,
        order_id: str,
        lines: Iterable[order_pb2.LineQuantity] = (),
        reason: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Cancels the whole order while nothing is fulfilled, or the named unfulfilled units. A storefront may cancel
        an order that is PENDING, as a whole. FAILED_PRECONDITION: ORDER_STATE_INVALID, QUANTITY_EXCEEDED.

        Args:
            order_id: Id of the order.
            lines: Which units; empty: the whole order.
            reason: Why, for people.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.CancelOrder,
            order_pb2.CancelOrderRequest(order_id=order_id, lines=lines, reason=reason, request_id=request_id),
            timeout,
        )

    def return_order(
        self,
        *,
        order_id: str,
        lines: Iterable[order_pb2.ReturnOrderRequest.Line],
        location_id: str = "",
        reason: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Takes fulfilled units back: restocked, or written off as damaged. Units of a SKU that the catalogue has
        dropped, or whose stock is not tracked, come back without a change of stock. FAILED_PRECONDITION:
        ORDER_STATE_INVALID, QUANTITY_EXCEEDED. NOT_FOUND: LOCATION_UNKNOWN.

        Args:
            order_id: Id of the order.
            lines: What came back, 1 to 1,000 lines.
            location_id: Where it came back to; `main` when empty.
            reason: Why, for people.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.ReturnOrder,
            order_pb2.ReturnOrderRequest(
                order_id=order_id, lines=lines, location_id=location_id, reason=reason, request_id=request_id
            ),
            timeout,
        )

    def add_charge(
        self,
        *,
        order_id: str,
        charge: order_pb2.Charge,
        reason: str,
        request_id: str = "",
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Adds a charge to an order later, such as a fee for a return, or shipping that is given back. Taxes and
        discounts are spread over the units that are neither cancelled nor returned. The order's `totals.net`
        changes, and with it what is still to pay or due as a refund; an order that was paid for is not put on hold
        by it. FAILED_PRECONDITION: ORDER_STATE_INVALID for an EXPIRED order, CURRENCY_MISMATCH, CHARGE_EXCEEDED,
        CHARGE_LIMIT_REACHED. INVALID_ARGUMENT (LINE_UNKNOWN). OUT_OF_RANGE (QUANTITY_OVERFLOW).

        Args:
            order_id: Id of the order.
            charge: What to charge, in the order's currency.
            reason: Why, for people.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.AddCharge,
            order_pb2.AddChargeRequest(order_id=order_id, charge=charge, reason=reason, request_id=request_id),
            timeout,
        )

    def record_payment(
        self,
        *,
        order_id: str,
        provider: str,
        provider_event_id: str,
        kind: order_pb2.RecordPaymentRequest.Kind.ValueType,
        amount: money_pb2.Money,
        event_time: timestamp_pb2.Timestamp | None = None,
        request_id: str = "",
        payment_reference: str = "",
        running_total: bool = False,
        timeout: float | None = None,
    ) -> order_pb2.Order:
        """Records what a payment provider reports. The same (provider, provider_event_id) is recorded once, whatever
        the request_id; a repetition answers the order as it stands. A payment for an order that expired revives it
        to PROCESSING when its terms are met and its stock is still there, and otherwise marks a refund. An order
        whose terms were met and are so no longer, as an authorization ended or a dispute was lost, is on hold until
        a payment covers it again. FAILED_PRECONDITION: CURRENCY_MISMATCH, TENDER_OF_ANOTHER_ORDER, REFUND_EXCEEDED.
        OUT_OF_RANGE (QUANTITY_OVERFLOW). ALREADY_EXISTS (PAYMENT_EVENT_CONFLICT): the event is known with other
        content.

        Args:
            order_id: Id of the order.
            provider: Name of the provider, such as `stripe`.
            provider_event_id: The provider's own id of this event.
            kind: What it reports.
            amount: How much, in the order's currency, not negative.
            event_time: When it happened at the provider; now when unset.
            request_id: UUID that makes a repetition safe (AIP-155).
            payment_reference: The tender that the event belongs to: the provider's id of the payment intent, charge or
                gift card redemption. A capture or void consumes the authorization of its own tender only. Empty: the
                one tender of this provider.
            running_total: The amount is everything of this kind and tender so far, not one movement: for providers that
                report running sums. Single movements and running totals of one tender may be mixed. The larger of their
                sum and the largest total counts, so a movement that is reported both ways counts once.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.RecordPayment,
            order_pb2.RecordPaymentRequest(
                order_id=order_id,
                provider=provider,
                provider_event_id=provider_event_id,
                kind=kind,
                amount=amount,
                event_time=event_time,
                request_id=request_id,
                payment_reference=payment_reference,
                running_total=running_total,
            ),
            timeout,
        )


class EventService:
    """Reads the record of events, for those who missed some."""

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
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
    ) -> Pages[event_pb2.ListEventsResponse, event_pb2.Event]:
        """Lists events after a cursor, in an order that never changes: a reader that goes on from the cursor has missed
        nothing. A storefront gets those that it may see (above); the cursor skips the others. PERMISSION_DENIED
        (CUSTOMER_NOT_ALLOWED) for the token of one customer. OUT_OF_RANGE: the events after the cursor are no longer
        kept (CURSOR_EXPIRED), or those before it are lost (CURSOR_LOST).

        Args:
            cursor: `next_cursor` of the answer before; empty: from the oldest event that is kept.
            page_size: Most events to answer: 1 to 1,000, 100 when zero. A page may have fewer: it ends at about 2 MiB,
                too, and a single larger event comes alone.
            types: Only these types, such as `order.created`, or all of an aggregate's with `order.*`; empty: all.
            aggregate_id: Only of this aggregate (`aggregate_id` of the event).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListEvents,
            event_pb2.ListEventsRequest(cursor=cursor, page_size=page_size, types=types, aggregate_id=aggregate_id),
            lambda page: page.events,
            timeout,
        )


class WebhookService:
    """Manages endpoints, and what is still to be sent to them.

    Any method that names an endpoint answers NOT_FOUND (ENDPOINT_NOT_FOUND) when there is none; one that takes an
    etag ABORTED (ETAG_MISMATCH) when the endpoint has changed since.
    """

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self._calls = calls
        self._stub = webhook_pb2_grpc.WebhookServiceStub(channel)

    def create_endpoint(
        self,
        *,
        endpoint: webhook_pb2.Endpoint,
        secret_kind: webhook_pb2.Endpoint.SecretKind.ValueType = webhook_pb2.Endpoint.SECRET_KIND_UNSPECIFIED,
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.CreateEndpointResponse:
        """Creates an endpoint. It is told of what happens from now on; ReplayEvents tells it of earlier events.
        INVALID_ARGUMENT: ENDPOINT_URL_INVALID, ENDPOINT_TYPE_UNKNOWN, ENDPOINT_HEADER_INVALID. FAILED_PRECONDITION:
        ENDPOINT_LIMIT_REACHED.

        Args:
            endpoint: What to create. Fields that the server sets are ignored.
            secret_kind: How it is signed; HMAC when unspecified.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.CreateEndpoint,
            webhook_pb2.CreateEndpointRequest(endpoint=endpoint, secret_kind=secret_kind, request_id=request_id),
            timeout,
        )

    def get_endpoint(self, *, endpoint_id: str, timeout: float | None = None) -> webhook_pb2.Endpoint:
        """Reads one endpoint, without the secrets themselves.

        Args:
            endpoint_id: Id of the endpoint.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.GetEndpoint, webhook_pb2.GetEndpointRequest(endpoint_id=endpoint_id), timeout
        )

    def list_endpoints(
        self, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> Pages[webhook_pb2.ListEndpointsResponse, webhook_pb2.Endpoint]:
        """Lists endpoints, oldest first.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListEndpoints,
            webhook_pb2.ListEndpointsRequest(page_size=page_size, page_token=page_token),
            lambda page: page.endpoints,
            timeout,
        )

    def update_endpoint(
        self,
        *,
        endpoint: webhook_pb2.Endpoint,
        update_mask: field_mask_pb2.FieldMask | None = None,
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.Endpoint:
        """Changes the fields named in the mask (AIP-134). INVALID_ARGUMENT as CreateEndpoint. FAILED_PRECONDITION
        (ENDPOINT_MANAGED_BY_SETTINGS) for the `url` of an endpoint of the settings.

        Args:
            endpoint: The endpoint with the new values; `endpoint_id` names it, `etag` is compared when set.
            update_mask: Fields to change: `url`, `description`, `types`, `headers`, `rate_limit`, `max_in_flight`,
                `max_body_bytes`. Empty: those that are set in `endpoint`; `*`: every one of them (AIP-134). Fields that
                the server sets are ignored.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.UpdateEndpoint,
            webhook_pb2.UpdateEndpointRequest(endpoint=endpoint, update_mask=update_mask, request_id=request_id),
            timeout,
        )

    def delete_endpoint(
        self, *, endpoint_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Endpoint:
        """Deletes an endpoint with its secrets and answers it as it was; its deliveries are no longer sent, and their
        rows are cleaned up later. FAILED_PRECONDITION (ENDPOINT_MANAGED_BY_SETTINGS).

        Args:
            endpoint_id: Id of the endpoint.
            etag: Compared with the endpoint's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.DeleteEndpoint,
            webhook_pb2.DeleteEndpointRequest(endpoint_id=endpoint_id, etag=etag, request_id=request_id),
            timeout,
        )

    def enable_endpoint(
        self, *, endpoint_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Endpoint:
        """Sends to a disabled endpoint again, and to one that fails as if it had not: within a minute, whenever the
        next attempt was to be. What was pending goes on; what happened while it was disabled is not told unless
        ReplayEvents does. FAILED_PRECONDITION (ENDPOINT_MANAGED_BY_SETTINGS) when the settings no longer have it.

        Args:
            endpoint_id: Id of the endpoint.
            etag: Compared with the endpoint's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.EnableEndpoint,
            webhook_pb2.EnableEndpointRequest(endpoint_id=endpoint_id, etag=etag, request_id=request_id),
            timeout,
        )

    def disable_endpoint(
        self, *, endpoint_id: str, reason: str = "", etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Endpoint:
        """Stops sending to an endpoint. What is pending stays; events from now on are not for it. An endpoint that is
        disabled already stays as it is.

        Args:
            endpoint_id: Id of the endpoint.
            reason: Why, for people.
            etag: Compared with the endpoint's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.DisableEndpoint,
            webhook_pb2.DisableEndpointRequest(
                endpoint_id=endpoint_id, reason=reason, etag=etag, request_id=request_id
            ),
            timeout,
        )

    def rotate_secret(
        self,
        *,
        endpoint_id: str,
        overlap: duration_pb2.Duration | None = None,
        kind: webhook_pb2.Endpoint.SecretKind.ValueType = webhook_pb2.Endpoint.SECRET_KIND_UNSPECIFIED,
        etag: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.RotateSecretResponse:
        """Makes a new secret. Those before it sign as well until the overlap is over, so that a receiver can go over
        without a gap. FAILED_PRECONDITION: ENDPOINT_MANAGED_BY_SETTINGS, SECRET_LIMIT_REACHED (five sign already).

        Args:
            endpoint_id: Id of the endpoint.
            overlap: How long the secrets before the new one go on signing: up to 30 days, 24 hours when unset, not at
                all when zero.
            kind: How the new one signs; as the newest one does when unspecified.
            etag: Compared with the endpoint's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.RotateSecret,
            webhook_pb2.RotateSecretRequest(
                endpoint_id=endpoint_id, overlap=overlap, kind=kind, etag=etag, request_id=request_id
            ),
            timeout,
        )

    def expire_secrets(
        self, *, endpoint_id: str, etag: str = "", request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Endpoint:
        """Ends the overlap now: only the newest secret signs from here on. FAILED_PRECONDITION
        (ENDPOINT_MANAGED_BY_SETTINGS).

        Args:
            endpoint_id: Id of the endpoint.
            etag: Compared with the endpoint's when set.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.ExpireSecrets,
            webhook_pb2.ExpireSecretsRequest(endpoint_id=endpoint_id, etag=etag, request_id=request_id),
            timeout,
        )

    def ping_endpoint(
        self, *, endpoint_id: str, request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.PingEndpointResponse:
        """Sends the event `endpoint.pinged` to this endpoint alone, whatever its filters, the way that every event
        goes: a delivery is there to be read once the gateway has taken the event up. FAILED_PRECONDITION
        (ENDPOINT_DISABLED).

        Args:
            endpoint_id: Id of the endpoint.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
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
        states: Iterable[webhook_pb2.Delivery.State.ValueType] = (),
        types: Iterable[str] = (),
        aggregate_id: str = "",
        start_time: timestamp_pb2.Timestamp | None = None,
        end_time: timestamp_pb2.Timestamp | None = None,
        timeout: float | None = None,
    ) -> Pages[webhook_pb2.ListDeliveriesResponse, webhook_pb2.Delivery]:
        """Lists deliveries, newest event first. Those that were given up (dead letters) are in the state DEAD.

        Args:
            page_size: Most rows to answer: 1 to 1,000, 50 when zero. A page may have fewer, see `next_page_token`.
            page_token: `next_page_token` of the page before, with all other arguments as they were.
            endpoint_id: Only to this endpoint.
            states: Only in one of these states; empty for all.
            types: Only of these types, as in Endpoint.
            aggregate_id: Only of this aggregate.
            start_time: Only of events that happened at this moment or later.
            end_time: Only of events that happened before this moment.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.pages(
            self._stub.ListDeliveries,
            webhook_pb2.ListDeliveriesRequest(
                page_size=page_size,
                page_token=page_token,
                endpoint_id=endpoint_id,
                states=states,
                types=types,
                aggregate_id=aggregate_id,
                start_time=start_time,
                end_time=end_time,
            ),
            lambda page: page.deliveries,
            timeout,
        )

    def get_delivery(self, *, endpoint_id: str, event_id: str, timeout: float | None = None) -> webhook_pb2.Delivery:
        """Reads one delivery with all of its attempts. NOT_FOUND: ENDPOINT_NOT_FOUND, DELIVERY_NOT_FOUND.

        Args:
            endpoint_id: Id of the endpoint.
            event_id: Id of the event.
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.GetDelivery, webhook_pb2.GetDeliveryRequest(endpoint_id=endpoint_id, event_id=event_id), timeout
        )

    def retry_delivery(
        self, *, endpoint_id: str, event_id: str, request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Delivery:
        """Sends an event now rather than at its next time, or once more when it was DELIVERED, DEAD or SKIPPED; the
        schedule of retries begins anew. Those before it in its aggregate still go first, one whose attempt is due
        within a minute keeps its time, and a disabled endpoint gets it when it is enabled. NOT_FOUND
        (DELIVERY_NOT_FOUND). FAILED_PRECONDITION (DELIVERY_EXPIRED): the event is no longer kept.

        Args:
            endpoint_id: Id of the endpoint.
            event_id: Id of the event.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.RetryDelivery,
            webhook_pb2.RetryDeliveryRequest(endpoint_id=endpoint_id, event_id=event_id, request_id=request_id),
            timeout,
        )

    def skip_delivery(
        self, *, endpoint_id: str, event_id: str, request_id: str = "", timeout: float | None = None
    ) -> webhook_pb2.Delivery:
        """Gives an event up, so that those behind it in its aggregate go on; takes a dead one out of the dead letters.
        NOT_FOUND (DELIVERY_NOT_FOUND). FAILED_PRECONDITION (DELIVERY_STATE_INVALID) when it was delivered.

        Args:
            endpoint_id: Id of the endpoint.
            event_id: Id of the event.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.SkipDelivery,
            webhook_pb2.SkipDeliveryRequest(endpoint_id=endpoint_id, event_id=event_id, request_id=request_id),
            timeout,
        )

    def recover_deliveries(
        self,
        *,
        endpoint_id: str,
        start_time: timestamp_pb2.Timestamp,
        limit: int = 0,
        position: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.RecoverDeliveriesResponse:
        """Sends the dead letters of an endpoint again, oldest first, as RetryDelivery does. One call takes up to
        `limit` of them, all or none; go on with `next_position` until it is empty.

        Args:
            endpoint_id: Id of the endpoint.
            start_time: Only of events that happened at this moment or later.
            limit: Most deliveries of one call: 1 to 10,000, 1,000 when zero.
            position: `next_position` of the call before, with all other arguments but `request_id` as they were.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.RecoverDeliveries,
            webhook_pb2.RecoverDeliveriesRequest(
                endpoint_id=endpoint_id, start_time=start_time, limit=limit, position=position, request_id=request_id
            ),
            timeout,
        )

    def replay_events(
        self,
        *,
        endpoint_id: str,
        start_time: timestamp_pb2.Timestamp | None = None,
        end_time: timestamp_pb2.Timestamp | None = None,
        types: Iterable[str] = (),
        aggregate_id: str = "",
        limit: int = 0,
        position: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> webhook_pb2.ReplayEventsResponse:
        """Sends recorded events to one endpoint: those that it was never sent, and once more those that are done with.
        What is pending stays as it is. They go in order per aggregate, under the ids that they had: a receiver that
        drops what it knows by `webhook-id` drops them, too, and one that keeps state compares `aggregateVersion`.
        One call takes up to `limit` events, all or none; go on with `next_position` until it is empty.

        Args:
            endpoint_id: Id of the endpoint.
            start_time: Only what happened at this moment or later.
            end_time: Only what happened before this moment.
            types: Only these types, as in Endpoint, whatever the filters of the endpoint; empty: what those let
                through.
            aggregate_id: Only of this aggregate.
            limit: Most events of one call: 1 to 10,000, 1,000 when zero.
            position: `next_position` of the call before, with all other arguments but `request_id` as they were.
            request_id: UUID that makes a repetition safe (AIP-155).
            timeout: Seconds for the call, its retries included; None: the client's.
        """
        return self._calls.unary(
            self._stub.ReplayEvents,
            webhook_pb2.ReplayEventsRequest(
                endpoint_id=endpoint_id,
                start_time=start_time,
                end_time=end_time,
                types=types,
                aggregate_id=aggregate_id,
                limit=limit,
                position=position,
                request_id=request_id,
            ),
            timeout,
        )


class Services:
    """The services of one server."""

    def __init__(self, channel: grpc.Channel, calls: Calls) -> None:
        self.keys = KeyService(channel, calls)
        self.catalog = CatalogService(channel, calls)
        self.inventory = InventoryService(channel, calls)
        self.orders = OrderService(channel, calls)
        self.events = EventService(channel, calls)
        self.webhooks = WebhookService(channel, calls)
