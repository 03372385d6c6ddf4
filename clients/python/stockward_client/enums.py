# Generated from proto/ by `make generate`; do not edit.
"""Values of enums by their short names, as arguments of methods take them."""

from __future__ import annotations

from typing import Literal, TypeAlias

AdjustmentReason: TypeAlias = Literal[
    "received", "counted", "damaged", "lost", "found", "returned", "transferred", "corrected"
]
"""`inventory_pb2.AdjustmentReason`"""

DeliveryState: TypeAlias = Literal["pending", "delivered", "dead", "skipped"]
"""`webhook_pb2.Delivery.State`"""

EndpointSecretKind: TypeAlias = Literal["hmac", "ed25519"]
"""`webhook_pb2.Endpoint.SecretKind`"""

FulfillmentState: TypeAlias = Literal["shipped", "delivered", "failed", "cancelled"]
"""`order_pb2.Fulfillment.State`"""

HoldReason: TypeAlias = Literal["payment", "fraud", "address", "stock", "customer", "other"]
"""`order_pb2.Hold.Reason`"""

OrderState: TypeAlias = Literal["pending", "processing", "partially_fulfilled", "fulfilled", "cancelled", "expired"]
"""`order_pb2.Order.State`"""

PaymentState: TypeAlias = Literal[
    "pending",
    "authorized",
    "partially_paid",
    "paid",
    "failed",
    "voided",
    "partially_refunded",
    "refunded",
    "partially_authorized",
]
"""`order_pb2.Payment.State`"""

PaymentTerms: TypeAlias = Literal["prepaid", "on_account"]
"""`order_pb2.PaymentTerms`"""

ProductState: TypeAlias = Literal["draft", "published", "unpublished", "archived"]
"""`catalog_pb2.Product.State`"""

ReadStockHistoryRequestInterval: TypeAlias = Literal["hour", "day", "week"]
"""`inventory_pb2.ReadStockHistoryRequest.Interval`"""

RecordPaymentRequestKind: TypeAlias = Literal[
    "authorized",
    "captured",
    "failed",
    "voided",
    "refunded",
    "refund_failed",
    "disputed",
    "dispute_won",
    "dispute_lost",
    "authorization_expired",
]
"""`order_pb2.RecordPaymentRequest.Kind`"""

ReservationState: TypeAlias = Literal["active", "converted", "released", "expired"]
"""`inventory_pb2.Reservation.State`"""

Role: TypeAlias = Literal["storefront", "pms", "admin", "viewer"]
"""`auth_pb2.Role`"""

StockAlertLevel: TypeAlias = Literal["low", "depleted", "shortfall"]
"""`inventory_pb2.StockAlert.Level`"""

StockMovementKind: TypeAlias = Literal[
    "reserved", "released", "expired", "converted", "allocated", "deallocated", "fulfilled", "returned", "adjusted"
]
"""`inventory_pb2.StockMovement.Kind`"""
