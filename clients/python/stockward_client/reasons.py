# Generated from proto/ by `make generate`; do not edit.
"""An exception for each error reason of the contract."""

from __future__ import annotations

from stockward_client.errors import (
    Aborted,
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    StockwardError,
    Unauthenticated,
    Unavailable,
)

__all__ = [
    "ChargeExceeded",
    "ChargeLimitReached",
    "CredentialsInvalid",
    "CurrencyMismatch",
    "CursorExpired",
    "CursorLost",
    "CustomerNotAllowed",
    "DatabaseUnavailable",
    "DeadlinePassed",
    "DeliveryExpired",
    "DeliveryNotFound",
    "DeliveryStateInvalid",
    "EndpointDisabled",
    "EndpointHeaderInvalid",
    "EndpointLimitReached",
    "EndpointManagedBySettings",
    "EndpointNotFound",
    "EndpointTypeUnknown",
    "EndpointUrlInvalid",
    "EtagMismatch",
    "FieldInvalid",
    "HandleTaken",
    "HoldLimitReached",
    "InsufficientStock",
    "KeyNameTaken",
    "KeyNotActive",
    "KeyNotFound",
    "LineUnknown",
    "LocationTaken",
    "LocationUnknown",
    "MessageTooLarge",
    "MoneyInvalid",
    "OrderNotFound",
    "OrderOnHold",
    "OrderStateInvalid",
    "Overloaded",
    "PageTokenInvalid",
    "PaymentEventConflict",
    "PaymentRequired",
    "PriceChanged",
    "ProductNotFound",
    "ProductNotPublished",
    "ProductNotReady",
    "ProductStateInvalid",
    "QuantityExceeded",
    "QuantityOverflow",
    "RateLimited",
    "RefundExceeded",
    "RequestIdReused",
    "ReservationExpired",
    "ReservationLifetimeExceeded",
    "ReservationNotActive",
    "ReservationNotFound",
    "ResponsesUnread",
    "RoleNotAllowed",
    "SecretLimitReached",
    "SkuTaken",
    "SkuUnknown",
    "StockChanged",
    "StockNegative",
    "StockNotTracked",
    "StreamLimitReached",
    "TenderOfAnotherOrder",
    "TokenKeysUnavailable",
    "UnpaidOrderLimitReached",
    "VariantInUse",
    "WatchLagged",
    "WatchLimitReached",
    "WebhookBodyInvalid",
    "WebhookSignatureInvalid",
    "WebhookTimestampStale",
    "WebhookTypeUnknown",
]


class CredentialsInvalid(Unauthenticated):
    """The call carries no key, or one that is malformed, unknown, expired or revoked; or a token that cannot be taken,
    and then `cause` says why: TOKEN_MALFORMED, TOKEN_ALGORITHM_NOT_ALLOWED, TOKEN_KEY_UNKNOWN,
    TOKEN_SIGNATURE_INVALID, TOKEN_EXPIRED, TOKEN_NOT_YET_VALID, TOKEN_ISSUER_WRONG, TOKEN_AUDIENCE_WRONG,
    TOKEN_CLAIM_MISSING or TOKEN_ROLE_UNKNOWN, the last two with the `claim`.
    """


class RoleNotAllowed(PermissionDenied):
    """The key is valid, but its role may not call this method, or may not set one of the fields."""


class KeyNotFound(NotFound):
    """There is no such key."""


class KeyNameTaken(AlreadyExists):
    """A key of that name works. Choose another name, or rotate that key."""


class KeyNotActive(FailedPrecondition):
    """The key has been rotated, has expired or was revoked."""


class TokenKeysUnavailable(Unavailable):
    """The token may be good, but the keys of its issuer cannot be read. RetryInfo says when to come back."""


class RateLimited(ResourceExhausted):
    """The caller makes more calls of this `kind` (read, write or bulk) than one caller may. RetryInfo says when to come
    back.
    """


class CustomerNotAllowed(PermissionDenied):
    """The token speaks for one customer, and the request names another, or is not for customers."""


class FieldInvalid(InvalidArgument):
    """A field breaks its rule. BadRequest lists the fields at fault, at most some twenty, each with what is allowed in
    words.
    """


class PageTokenInvalid(InvalidArgument):
    """The page token was not made by these servers for this method and these arguments (AIP-158), or not by their
    present release: begin the list again. Or the cursor was not made by these servers.
    """


class MoneyInvalid(InvalidArgument):
    """An amount of money is not one: unknown currency, units and nanos of different sign, more decimals than the
    currency's minor unit has, or out of range.
    """


class RequestIdReused(AlreadyExists):
    """The request_id was used before by this caller with another payload or another method. request_ids compare as
    UUIDs: upper and lower case are the same.
    """


class EtagMismatch(Aborted):
    """The etag sent is not that of the resource as it stands (AIP-154). Read it again."""


class Overloaded(ResourceExhausted):
    """More work is queued than can be done in good time, or more calls are under way than a server takes; then a call
    that waits for its first message ends. RetryInfo says when to come back.
    """


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or the server is stopping. Nothing was changed, or it is not known whether it
    was: send the same request again with the same request_id.
    """


class DeadlinePassed(DeadlineExceeded):
    """The deadline passed while the request was queued, or the first message of the call took longer than 10 seconds;
    it was dropped without effect.
    """


class MessageTooLarge(ResourceExhausted):
    """The message is larger than the server takes, or than one of its method can be that keeps the rules. limit_bytes
    is what it takes.
    """


class WatchLagged(Aborted):
    """Changes came faster than this watch was read. Open it again with the last cursor that came."""


class WatchLimitReached(ResourceExhausted):
    """The server process has as many watches as it takes. RetryInfo says when to come back."""


class StreamLimitReached(ResourceExhausted):
    """The caller, or the customer it acts for, has as many watches and uploads open in this server process as one may
    have. End one of them.
    """


class ResponsesUnread(ResourceExhausted):
    """The caller has not read large responses that were sent to it, and this one has no room beside them. Read them
    first, then call again; a change was made, and its request_id gets the response.
    """


class ProductNotFound(NotFound):
    """No such product, or not one that the caller may see."""


class SkuTaken(AlreadyExists):
    """A variant of another product has this SKU, or the request names it twice."""


class HandleTaken(AlreadyExists):
    """Another product has this handle."""


class ProductNotReady(FailedPrecondition):
    """The readiness rules do not let the product be published. PreconditionFailure lists the issues."""


class ProductStateInvalid(FailedPrecondition):
    """The product's state does not allow this."""


class VariantInUse(FailedPrecondition):
    """A variant to be dropped still has stock, holds or open orders, or one whose stock is no longer to be tracked has
    holds or open orders. PreconditionFailure lists the stock rows.
    """


class SkuUnknown(NotFound):
    """No variant in the catalogue has this SKU. For a storefront also: its product is not published."""


class LocationUnknown(NotFound):
    """No such location."""


class LocationTaken(AlreadyExists):
    """A location has this id."""


class InsufficientStock(FailedPrecondition):
    """Not enough is available. PreconditionFailure lists the SKUs that are short, some twenty at the most."""


class StockNegative(FailedPrecondition):
    """On_hand would fall below zero, or units that are to be shipped are not there. The message says where there are
    some.
    """


class StockChanged(FailedPrecondition):
    """On_hand is not what the caller expected."""


class QuantityOverflow(OutOfRange):
    """A counter or a sum of quantities would exceed 1,000,000,000,000."""


class ReservationNotFound(NotFound):
    """No such reservation."""


class ReservationNotActive(FailedPrecondition):
    """The reservation was released or converted."""


class ReservationExpired(FailedPrecondition):
    """The reservation has run out."""


class ReservationLifetimeExceeded(FailedPrecondition):
    """The reservation would live longer than the server allows."""


class ProductNotPublished(FailedPrecondition):
    """The SKU belongs to a product that is not published. For staff only; a storefront gets SKU_UNKNOWN."""


class HoldLimitReached(FailedPrecondition):
    """The customer holds as many reservations, or units, as the shop allows one customer at a time. Order or release
    one of them, or let it run out.
    """


class StockNotTracked(FailedPrecondition):
    """The variant is `untracked`, so its stock cannot be counted, changed or given a policy."""


class OrderNotFound(NotFound):
    """No such order."""


class OrderStateInvalid(FailedPrecondition):
    """The order's state does not allow this."""


class PaymentRequired(FailedPrecondition):
    """The payment terms are not met."""


class QuantityExceeded(FailedPrecondition):
    """More units are named than remain in the line."""


class PriceChanged(FailedPrecondition):
    """The price that the customer was shown is not the present one. `current` is absent where a hold is ordered whose
    product is no longer published.
    """


class CurrencyMismatch(FailedPrecondition):
    """Amounts of different currencies meet in one order."""


class PaymentEventConflict(AlreadyExists):
    """The provider's event is known with other content."""


class LineUnknown(InvalidArgument):
    """The order has no such line. `order_id` is absent where a charge names the line."""


class TenderOfAnotherOrder(FailedPrecondition):
    """The payment's tender is known on another order."""


class RefundExceeded(FailedPrecondition):
    """More of a refund failed than the tender has refunded. Send it again when the refund itself is recorded."""


class OrderOnHold(FailedPrecondition):
    """The order must wait; `hold` is the reason of its Hold."""


class ChargeExceeded(FailedPrecondition):
    """A discount or credit takes off more than is left, of the order or of the lines that it names."""


class ChargeLimitReached(FailedPrecondition):
    """The order has as many charges as an order may have."""


class UnpaidOrderLimitReached(FailedPrecondition):
    """The customer has as many unpaid orders, or units in them, as the shop allows one customer at a time. Pay for one
    of them, cancel it, or let it expire.
    """


class CursorExpired(OutOfRange):
    """Events after the cursor are no longer kept. Fetch the resources again and start from an empty cursor."""


class CursorLost(OutOfRange):
    """Events that were delivered before this cursor are lost, since the database was restored from a backup, or a
    standby that was behind took over: what came of them never happened. Fetch the resources again, then go on from
    `cursor` in the metadata. `common` says whether the record up to there is what it was when the cursor was given
    ("true"), or that is only where the record ends now ("false").
    """


class WebhookSignatureInvalid(Unauthenticated):
    """The headers of the signature are missing, or no secret of ours makes this signature of this body."""


class WebhookTimestampStale(Unauthenticated):
    """It was signed more than 5 minutes ago, or its sender's clock is wrong."""


class WebhookTypeUnknown(InvalidArgument):
    """This address does not take webhooks of this type. Over HTTP: 422."""


class WebhookBodyInvalid(InvalidArgument):
    """The body is not JSON of the documented shape; the message says what is allowed at `field`."""


class EndpointNotFound(NotFound):
    """There is no such endpoint."""


class EndpointUrlInvalid(InvalidArgument):
    """Webhooks cannot be sent to this URL: it is none, or not http or https, or http in production, or it has user info
    or a fragment.
    """


class EndpointTypeUnknown(InvalidArgument):
    """No event is of this type. The message lists those that there are."""


class EndpointHeaderInvalid(InvalidArgument):
    """A header that cannot be set, that is there twice, or too much of them."""


class EndpointManagedBySettings(FailedPrecondition):
    """This is what the settings say of one of their endpoints; change it in the variable."""


class EndpointDisabled(FailedPrecondition):
    """Nothing is sent to a disabled endpoint. Enable it first."""


class EndpointLimitReached(FailedPrecondition):
    """There are as many endpoints as there may be. Delete one first."""


class SecretLimitReached(FailedPrecondition):
    """As many secrets sign as may at once. Expire the old ones first."""


class DeliveryNotFound(NotFound):
    """The event has no delivery to this endpoint: it is not one that the endpoint wants, it is too old, or the gateway
    has not taken it up yet.
    """


class DeliveryStateInvalid(FailedPrecondition):
    """The delivery's state does not allow this."""


class DeliveryExpired(FailedPrecondition):
    """The event is no longer kept, so it cannot be sent."""


BY_REASON: dict[str, type[StockwardError]] = {
    "CREDENTIALS_INVALID": CredentialsInvalid,
    "ROLE_NOT_ALLOWED": RoleNotAllowed,
    "KEY_NOT_FOUND": KeyNotFound,
    "KEY_NAME_TAKEN": KeyNameTaken,
    "KEY_NOT_ACTIVE": KeyNotActive,
    "TOKEN_KEYS_UNAVAILABLE": TokenKeysUnavailable,
    "RATE_LIMITED": RateLimited,
    "CUSTOMER_NOT_ALLOWED": CustomerNotAllowed,
    "FIELD_INVALID": FieldInvalid,
    "PAGE_TOKEN_INVALID": PageTokenInvalid,
    "MONEY_INVALID": MoneyInvalid,
    "REQUEST_ID_REUSED": RequestIdReused,
    "ETAG_MISMATCH": EtagMismatch,
    "OVERLOADED": Overloaded,
    "DATABASE_UNAVAILABLE": DatabaseUnavailable,
    "DEADLINE_PASSED": DeadlinePassed,
    "MESSAGE_TOO_LARGE": MessageTooLarge,
    "WATCH_LAGGED": WatchLagged,
    "WATCH_LIMIT_REACHED": WatchLimitReached,
    "STREAM_LIMIT_REACHED": StreamLimitReached,
    "RESPONSES_UNREAD": ResponsesUnread,
    "PRODUCT_NOT_FOUND": ProductNotFound,
    "SKU_TAKEN": SkuTaken,
    "HANDLE_TAKEN": HandleTaken,
    "PRODUCT_NOT_READY": ProductNotReady,
    "PRODUCT_STATE_INVALID": ProductStateInvalid,
    "VARIANT_IN_USE": VariantInUse,
    "SKU_UNKNOWN": SkuUnknown,
    "LOCATION_UNKNOWN": LocationUnknown,
    "LOCATION_TAKEN": LocationTaken,
    "INSUFFICIENT_STOCK": InsufficientStock,
    "STOCK_NEGATIVE": StockNegative,
    "STOCK_CHANGED": StockChanged,
    "QUANTITY_OVERFLOW": QuantityOverflow,
    "RESERVATION_NOT_FOUND": ReservationNotFound,
    "RESERVATION_NOT_ACTIVE": ReservationNotActive,
    "RESERVATION_EXPIRED": ReservationExpired,
    "RESERVATION_LIFETIME_EXCEEDED": ReservationLifetimeExceeded,
    "PRODUCT_NOT_PUBLISHED": ProductNotPublished,
    "HOLD_LIMIT_REACHED": HoldLimitReached,
    "STOCK_NOT_TRACKED": StockNotTracked,
    "ORDER_NOT_FOUND": OrderNotFound,
    "ORDER_STATE_INVALID": OrderStateInvalid,
    "PAYMENT_REQUIRED": PaymentRequired,
    "QUANTITY_EXCEEDED": QuantityExceeded,
    "PRICE_CHANGED": PriceChanged,
    "CURRENCY_MISMATCH": CurrencyMismatch,
    "PAYMENT_EVENT_CONFLICT": PaymentEventConflict,
    "LINE_UNKNOWN": LineUnknown,
    "TENDER_OF_ANOTHER_ORDER": TenderOfAnotherOrder,
    "REFUND_EXCEEDED": RefundExceeded,
    "ORDER_ON_HOLD": OrderOnHold,
    "CHARGE_EXCEEDED": ChargeExceeded,
    "CHARGE_LIMIT_REACHED": ChargeLimitReached,
    "UNPAID_ORDER_LIMIT_REACHED": UnpaidOrderLimitReached,
    "CURSOR_EXPIRED": CursorExpired,
    "CURSOR_LOST": CursorLost,
    "WEBHOOK_SIGNATURE_INVALID": WebhookSignatureInvalid,
    "WEBHOOK_TIMESTAMP_STALE": WebhookTimestampStale,
    "WEBHOOK_TYPE_UNKNOWN": WebhookTypeUnknown,
    "WEBHOOK_BODY_INVALID": WebhookBodyInvalid,
    "ENDPOINT_NOT_FOUND": EndpointNotFound,
    "ENDPOINT_URL_INVALID": EndpointUrlInvalid,
    "ENDPOINT_TYPE_UNKNOWN": EndpointTypeUnknown,
    "ENDPOINT_HEADER_INVALID": EndpointHeaderInvalid,
    "ENDPOINT_MANAGED_BY_SETTINGS": EndpointManagedBySettings,
    "ENDPOINT_DISABLED": EndpointDisabled,
    "ENDPOINT_LIMIT_REACHED": EndpointLimitReached,
    "SECRET_LIMIT_REACHED": SecretLimitReached,
    "DELIVERY_NOT_FOUND": DeliveryNotFound,
    "DELIVERY_STATE_INVALID": DeliveryStateInvalid,
    "DELIVERY_EXPIRED": DeliveryExpired,
}
