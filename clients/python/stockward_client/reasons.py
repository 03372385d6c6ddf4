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
    "FulfillmentNotFound",
    "FulfillmentStateInvalid",
    "HandleTaken",
    "HoldLimitReached",
    "InsufficientStock",
    "KeyNameTaken",
    "KeyNotActive",
    "KeyNotFound",
    "LineCharged",
    "LineUnknown",
    "LocationTaken",
    "LocationUnknown",
    "MessageTooLarge",
    "MoneyInvalid",
    "OrderNotFound",
    "OrderNotOnHold",
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
    "ReferenceTaken",
    "RefundExceeded",
    "RequestIdReused",
    "ReservationExpired",
    "ReservationLifetimeExceeded",
    "ReservationNotActive",
    "ReservationNotFound",
    "ResponsesUnread",
    "ReturnLimitReached",
    "ReturnNotFound",
    "ReturnStateInvalid",
    "RoleNotAllowed",
    "SecretLimitReached",
    "SessionNeedsKey",
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
    """The call has no key, or one that is malformed, unknown, expired or revoked; or a token that is refused. For a
    token `cause` says why: TOKEN_MALFORMED, TOKEN_ALGORITHM_NOT_ALLOWED, TOKEN_KEY_UNKNOWN,
    TOKEN_SIGNATURE_INVALID, TOKEN_EXPIRED, TOKEN_NOT_YET_VALID, TOKEN_ISSUER_WRONG, TOKEN_AUDIENCE_WRONG,
    TOKEN_CLAIM_MISSING or TOKEN_ROLE_UNKNOWN, the last two with the `claim`.
    """


class RoleNotAllowed(PermissionDenied):
    """The key is valid, but its role may not call this method, or may not set one of the fields."""


class KeyNotFound(NotFound):
    """No key has this id."""


class KeyNameTaken(AlreadyExists):
    """A key with this name is active. Choose another name, or rotate that key."""


class KeyNotActive(FailedPrecondition):
    """The key was rotated or revoked, or has expired."""


class TokenKeysUnavailable(Unavailable):
    """The token cannot be verified, because the keys of its issuer cannot be read. RetryInfo says when to retry."""


class RateLimited(ResourceExhausted):
    """The caller exceeds its rate limit for calls of this `kind` (read, write or bulk). RetryInfo says when to
    retry.
    """


class CustomerNotAllowed(PermissionDenied):
    """The token acts for one customer, and the request names another one, or the method is not for customers."""


class SessionNeedsKey(FailedPrecondition):
    """A session is created with an API key, or with the secret of a link; the caller presents a session or a token,
    as `kind` says.
    """


class FieldInvalid(InvalidArgument):
    """A field breaks its rule. BadRequest lists up to about twenty fields at fault, each with the allowed values in
    words.
    """


class PageTokenInvalid(InvalidArgument):
    """The page token was not issued by these servers for this method and these arguments (AIP-158), or by an earlier
    release: start the list again. Or the cursor was not issued by these servers.
    """


class MoneyInvalid(InvalidArgument):
    """An amount of money is malformed: its currency is unknown, its units and nanos have different signs, it has
    more decimals than the minor unit of the currency, or it is out of range.
    """


class RequestIdReused(AlreadyExists):
    """This caller used the request_id before, for another method or with other content. request_ids are compared as
    UUIDs: upper and lower case are equal.
    """


class EtagMismatch(Aborted):
    """The resource has changed since the etag in the request was read (AIP-154). Read it again; `etag` is the
    present one.
    """


class Overloaded(ResourceExhausted):
    """The server has more work queued, or more calls under way, than it can handle in time. RetryInfo says when to
    retry.
    """


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or the server is stopping. Either nothing was changed or the outcome is
    unknown: retry with the same request_id.
    """


class DeadlinePassed(DeadlineExceeded):
    """The deadline passed while the request was queued, or the first message of the call took longer than 10
    seconds. The request was dropped without effect.
    """


class MessageTooLarge(ResourceExhausted):
    """The message is larger than the server accepts, or than any valid message of the method can be. `limit_bytes`
    is the limit in bytes.
    """


class WatchLagged(Aborted):
    """Changes came faster than the caller read this watch. Open it again with the last cursor."""


class WatchLimitReached(ResourceExhausted):
    """The server process has as many watches open as it accepts. RetryInfo says when to retry."""


class StreamLimitReached(ResourceExhausted):
    """The caller, or the customer for whom it acts, has as many watches and uploads open in this server process as
    one may have. End one of them.
    """


class ResponsesUnread(ResourceExhausted):
    """The caller has not read large responses that were sent to it, and this response does not fit beside them. Read
    them, then call again: a mutation took effect, and its request_id returns the response.
    """


class ProductNotFound(NotFound):
    """No product has this id, or the caller may not see it."""


class SkuTaken(AlreadyExists):
    """A variant of another product has this SKU, or the request names it twice."""


class HandleTaken(AlreadyExists):
    """Another product has this handle."""


class ProductNotReady(FailedPrecondition):
    """The product is not ready to be published. PreconditionFailure lists the issues."""


class ProductStateInvalid(FailedPrecondition):
    """The state of the product does not allow this action."""


class VariantInUse(FailedPrecondition):
    """A variant to be removed has stock, reservations or open orders; or one that is to become `untracked` has
    reservations or open orders. PreconditionFailure lists the stock rows.
    """


class SkuUnknown(NotFound):
    """No variant has this SKU; for a storefront also when its product is not published."""


class LocationUnknown(NotFound):
    """No location has this id."""


class LocationTaken(AlreadyExists):
    """A location has this id."""


class InsufficientStock(FailedPrecondition):
    """Less is available than requested. PreconditionFailure lists up to about twenty SKUs that are short."""


class StockNegative(FailedPrecondition):
    """On_hand would fall below zero, or units to be shipped are not at the location. The message says where there
    are some.
    """


class StockChanged(FailedPrecondition):
    """On_hand is not what the request expects."""


class QuantityOverflow(OutOfRange):
    """A counter or a sum of quantities would exceed 1,000,000,000,000."""


class ReservationNotFound(NotFound):
    """No reservation has this id."""


class ReservationNotActive(FailedPrecondition):
    """The reservation was released or became an order."""


class ReservationExpired(FailedPrecondition):
    """The reservation has expired."""


class ReservationLifetimeExceeded(FailedPrecondition):
    """The reservation would exceed the maximum lifetime that the server allows."""


class ProductNotPublished(FailedPrecondition):
    """The product of the SKU is not published. For staff only; a storefront gets SKU_UNKNOWN."""


class HoldLimitReached(FailedPrecondition):
    """The customer has as many reservations, or reserved units, as the shop allows one customer at a time. Order or
    release one of them, or let it expire.
    """


class StockNotTracked(FailedPrecondition):
    """The variant is `untracked`, so its stock cannot be counted, adjusted or given a policy."""


class OrderNotFound(NotFound):
    """No order has this id."""


class OrderStateInvalid(FailedPrecondition):
    """The state of the order does not allow this action."""


class PaymentRequired(FailedPrecondition):
    """The payment terms of the order are not met."""


class QuantityExceeded(FailedPrecondition):
    """The request names more units of a line than remain. `announced` is the number of those that remain beside them
    and are expected in returns; `return_id` is there when fewer units of that return are expected.
    """


class PriceChanged(FailedPrecondition):
    """The price that the customer saw is not the present one. `current` is absent when the reserved units belong to
    a product that is no longer published.
    """


class CurrencyMismatch(FailedPrecondition):
    """An amount is not in the currency of the order."""


class PaymentEventConflict(AlreadyExists):
    """The event of the provider was recorded with other content."""


class LineUnknown(InvalidArgument):
    """The order has no such line. `order_id` is absent when a charge names the line."""


class TenderOfAnotherOrder(FailedPrecondition):
    """The tender of the payment belongs to another order."""


class RefundExceeded(FailedPrecondition):
    """More of a refund failed than the tender has refunded. Retry once the refund itself is recorded."""


class OrderOnHold(FailedPrecondition):
    """The order is on hold; `hold` is the reason of its Hold, `expire_time` when it ends by itself."""


class ChargeExceeded(FailedPrecondition):
    """A discount or credit exceeds what is left of the order, or of the lines that it names."""


class ChargeLimitReached(FailedPrecondition):
    """The order has the maximum number of charges."""


class UnpaidOrderLimitReached(FailedPrecondition):
    """The customer has as many unpaid orders, or units in them, as the shop allows one customer at a time. Pay or
    cancel one of them, or let it expire.
    """


class OrderNotOnHold(FailedPrecondition):
    """The order is not on hold, so it cannot be released."""


class LineCharged(FailedPrecondition):
    """A line cannot be removed, as a tax or discount names it."""


class FulfillmentNotFound(NotFound):
    """The order has no parcel with this id."""


class FulfillmentStateInvalid(FailedPrecondition):
    """The state of the parcel does not allow this action."""


class ReturnNotFound(NotFound):
    """The order has no return with this id."""


class ReturnStateInvalid(FailedPrecondition):
    """The state of the return does not allow this action."""


class ReturnLimitReached(FailedPrecondition):
    """The order has the maximum number of returns that were announced."""


class ReferenceTaken(AlreadyExists):
    """Another order of the same sales channel has this reference. Only where the shop requires unique references.
    `order_id` is the other order; absent for a customer.
    """


class CursorExpired(OutOfRange):
    """Events after the cursor are no longer kept. Read the resources again, then start from an empty cursor."""


class CursorLost(OutOfRange):
    """Events before the cursor were lost, because the database was restored from a backup, or a standby that was
    behind took over: what followed from them never happened. Read the resources again, then continue from the
    `cursor` in the metadata. `common` is "true" when the log up to there is the same as when the cursor was
    issued, and "false" when that is only where the log ends now. `time` is that of the last event before it,
    empty where that is not kept.
    """


class WebhookSignatureInvalid(Unauthenticated):
    """The headers of the signature are missing, or no secret of this server makes this signature of this body."""


class WebhookTimestampStale(Unauthenticated):
    """The webhook was signed more than 5 minutes ago, or the clock of its sender is wrong."""


class WebhookTypeUnknown(InvalidArgument):
    """This address does not accept webhooks of this type. Over HTTP: 422."""


class WebhookBodyInvalid(InvalidArgument):
    """The body is not JSON of the documented form; the message says what is allowed at `field`."""


class EndpointNotFound(NotFound):
    """No endpoint has this id."""


class EndpointUrlInvalid(InvalidArgument):
    """Webhooks cannot be sent to this URL: it is malformed, not http or https, http in production, or has user info
    or a fragment.
    """


class EndpointTypeUnknown(InvalidArgument):
    """No event has this type. The message lists the types that exist."""


class EndpointHeaderInvalid(InvalidArgument):
    """A header cannot be set or is there twice, or all of them are too long."""


class EndpointManagedBySettings(FailedPrecondition):
    """The settings of the server define this part of the endpoint. Change it there; `setting` names the variable."""


class EndpointDisabled(FailedPrecondition):
    """Nothing is sent to a disabled endpoint. Enable it first."""


class EndpointLimitReached(FailedPrecondition):
    """There is the maximum number of endpoints. Delete one first."""


class SecretLimitReached(FailedPrecondition):
    """The maximum number of secrets sign at once. Expire the old ones first."""


class DeliveryNotFound(NotFound):
    """The event has no delivery to this endpoint: its filters exclude it, it is too old, or the gateway has not
    picked it up yet.
    """


class DeliveryStateInvalid(FailedPrecondition):
    """The state of the delivery does not allow this action."""


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
    "SESSION_NEEDS_KEY": SessionNeedsKey,
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
    "ORDER_NOT_ON_HOLD": OrderNotOnHold,
    "LINE_CHARGED": LineCharged,
    "FULFILLMENT_NOT_FOUND": FulfillmentNotFound,
    "FULFILLMENT_STATE_INVALID": FulfillmentStateInvalid,
    "RETURN_NOT_FOUND": ReturnNotFound,
    "RETURN_STATE_INVALID": ReturnStateInvalid,
    "RETURN_LIMIT_REACHED": ReturnLimitReached,
    "REFERENCE_TAKEN": ReferenceTaken,
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
