"""Everything that Stockward refuses, and why.

StockwardError
└── Refusal                         a documented answer; nothing was changed
    └── FieldInvalid … and so on    one class a reason of the contract's ErrorReason enums

A reason is stable and documented in the .proto of its area. Codes are those of google.rpc.Code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class Code(IntEnum):
    """The google.rpc.Code values in use."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field at fault: its path in the request, such as `lines[0].quantity`, and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """Something that would have to be different: a type, a subject such as a SKU, and what is wrong with it."""

    type: str
    subject: str
    description: str


class StockwardError(Exception):
    """Root of every error that Stockward raises on purpose."""


class Refusal(StockwardError):
    """An answer of the contract: `code`, `reason`, a message for people, and metadata for machines.

    `field` names the one field at fault; `violations` several. Both reach the caller as BadRequest.
    `retry_after` (seconds) reaches it as RetryInfo.
    """

    code: ClassVar[Code]
    reason: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        violations: Sequence[FieldViolation] = (),
        preconditions: Sequence[PreconditionViolation] = (),
        retry_after: float | None = None,
        **metadata: object,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.violations = tuple(violations) or ((FieldViolation(field, message),) if field else ())
        self.preconditions = tuple(preconditions)
        self.retry_after = retry_after
        self.metadata = {key: str(value) for key, value in metadata.items()}
        if self.violations:
            self.metadata.setdefault("field", self.violations[0].field)


# Any method


class FieldInvalid(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "FIELD_INVALID"


class PageTokenInvalid(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"


class MoneyInvalid(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "MONEY_INVALID"


class RequestIdReused(Refusal):
    code, reason = Code.ALREADY_EXISTS, "REQUEST_ID_REUSED"


class EtagMismatch(Refusal):
    code, reason = Code.ABORTED, "ETAG_MISMATCH"


class Overloaded(Refusal):
    code, reason = Code.RESOURCE_EXHAUSTED, "OVERLOADED"


class DatabaseUnavailable(Refusal):
    code, reason = Code.UNAVAILABLE, "DATABASE_UNAVAILABLE"


class DeadlinePassed(Refusal):
    code, reason = Code.DEADLINE_EXCEEDED, "DEADLINE_PASSED"


class InternalError(Refusal):
    code, reason = Code.INTERNAL, "INTERNAL"


class MessageTooLarge(Refusal):
    code, reason = Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"


class WatchLagged(Refusal):
    code, reason = Code.ABORTED, "WATCH_LAGGED"


class WatchLimitReached(Refusal):
    code, reason = Code.RESOURCE_EXHAUSTED, "WATCH_LIMIT_REACHED"


class StreamLimitReached(Refusal):
    code, reason = Code.RESOURCE_EXHAUSTED, "STREAM_LIMIT_REACHED"


class ResponsesUnread(Refusal):
    code, reason = Code.RESOURCE_EXHAUSTED, "RESPONSES_UNREAD"


# Identity


class CredentialsInvalid(Refusal):
    code, reason = Code.UNAUTHENTICATED, "CREDENTIALS_INVALID"


class RoleNotAllowed(Refusal):
    code, reason = Code.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"


class RateLimited(Refusal):
    code, reason = Code.RESOURCE_EXHAUSTED, "RATE_LIMITED"


class CustomerNotAllowed(Refusal):
    code, reason = Code.PERMISSION_DENIED, "CUSTOMER_NOT_ALLOWED"


class TokenKeysUnavailable(Refusal):
    code, reason = Code.UNAVAILABLE, "TOKEN_KEYS_UNAVAILABLE"


class KeyNotFound(Refusal):
    code, reason = Code.NOT_FOUND, "KEY_NOT_FOUND"


class KeyNameTaken(Refusal):
    code, reason = Code.ALREADY_EXISTS, "KEY_NAME_TAKEN"


class KeyNotActive(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "KEY_NOT_ACTIVE"


# Catalogue


class ProductNotFound(Refusal):
    code, reason = Code.NOT_FOUND, "PRODUCT_NOT_FOUND"


class SkuTaken(Refusal):
    code, reason = Code.ALREADY_EXISTS, "SKU_TAKEN"


class HandleTaken(Refusal):
    code, reason = Code.ALREADY_EXISTS, "HANDLE_TAKEN"


class ProductNotReady(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "PRODUCT_NOT_READY"


class ProductStateInvalid(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "PRODUCT_STATE_INVALID"


class VariantInUse(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "VARIANT_IN_USE"


# Inventory


class SkuUnknown(Refusal):
    code, reason = Code.NOT_FOUND, "SKU_UNKNOWN"


class LocationUnknown(Refusal):
    code, reason = Code.NOT_FOUND, "LOCATION_UNKNOWN"


class LocationTaken(Refusal):
    code, reason = Code.ALREADY_EXISTS, "LOCATION_TAKEN"


class InsufficientStock(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "INSUFFICIENT_STOCK"


class StockNotTracked(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "STOCK_NOT_TRACKED"


class StockNegative(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "STOCK_NEGATIVE"


class StockChanged(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "STOCK_CHANGED"


class QuantityOverflow(Refusal):
    code, reason = Code.OUT_OF_RANGE, "QUANTITY_OVERFLOW"


class ReservationNotFound(Refusal):
    code, reason = Code.NOT_FOUND, "RESERVATION_NOT_FOUND"


class ReservationNotActive(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "RESERVATION_NOT_ACTIVE"


class ReservationExpired(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "RESERVATION_EXPIRED"


class HoldLimitReached(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "HOLD_LIMIT_REACHED"


class ReservationLifetimeExceeded(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "RESERVATION_LIFETIME_EXCEEDED"


class ProductNotPublished(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "PRODUCT_NOT_PUBLISHED"


# Orders


class UnpaidOrderLimitReached(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "UNPAID_ORDER_LIMIT_REACHED"


class OrderNotFound(Refusal):
    code, reason = Code.NOT_FOUND, "ORDER_NOT_FOUND"


class OrderStateInvalid(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "ORDER_STATE_INVALID"


class PaymentRequired(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "PAYMENT_REQUIRED"


class QuantityExceeded(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "QUANTITY_EXCEEDED"


class PriceChanged(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "PRICE_CHANGED"


class CurrencyMismatch(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "CURRENCY_MISMATCH"


class PaymentEventConflict(Refusal):
    code, reason = Code.ALREADY_EXISTS, "PAYMENT_EVENT_CONFLICT"


class LineUnknown(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "LINE_UNKNOWN"


class TenderOfAnotherOrder(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "TENDER_OF_ANOTHER_ORDER"


class RefundExceeded(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "REFUND_EXCEEDED"


class OrderOnHold(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "ORDER_ON_HOLD"


class ChargeExceeded(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "CHARGE_EXCEEDED"


class ChargeLimitReached(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "CHARGE_LIMIT_REACHED"


# Webhooks in


class WebhookSignatureInvalid(Refusal):
    code, reason = Code.UNAUTHENTICATED, "WEBHOOK_SIGNATURE_INVALID"


class WebhookTimestampStale(Refusal):
    code, reason = Code.UNAUTHENTICATED, "WEBHOOK_TIMESTAMP_STALE"


class WebhookTypeUnknown(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "WEBHOOK_TYPE_UNKNOWN"


class WebhookBodyInvalid(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "WEBHOOK_BODY_INVALID"


# Webhooks out


class EndpointNotFound(Refusal):
    code, reason = Code.NOT_FOUND, "ENDPOINT_NOT_FOUND"


class EndpointTypeUnknown(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "ENDPOINT_TYPE_UNKNOWN"


class EndpointUrlInvalid(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "ENDPOINT_URL_INVALID"


class EndpointHeaderInvalid(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "ENDPOINT_HEADER_INVALID"


class EndpointManagedBySettings(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "ENDPOINT_MANAGED_BY_SETTINGS"


class EndpointDisabled(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "ENDPOINT_DISABLED"


class EndpointLimitReached(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "ENDPOINT_LIMIT_REACHED"


class SecretLimitReached(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "SECRET_LIMIT_REACHED"


class DeliveryNotFound(Refusal):
    code, reason = Code.NOT_FOUND, "DELIVERY_NOT_FOUND"


class DeliveryStateInvalid(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "DELIVERY_STATE_INVALID"


class DeliveryExpired(Refusal):
    code, reason = Code.FAILED_PRECONDITION, "DELIVERY_EXPIRED"


# Events


class CursorExpired(Refusal):
    code, reason = Code.OUT_OF_RANGE, "CURSOR_EXPIRED"


class CursorLost(Refusal):
    code, reason = Code.OUT_OF_RANGE, "CURSOR_LOST"
