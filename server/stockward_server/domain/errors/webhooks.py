"""Errors about incoming and outgoing webhooks; the reasons of webhook.v1."""

from __future__ import annotations

from typing import Self

from stockward_server.domain.errors.base import Code, Refusal, at_field, violations_of

# Incoming webhooks


class WebhookSignatureInvalid(Refusal):
    """The signature matches no secret of this server."""

    code, reason = Code.UNAUTHENTICATED, "WEBHOOK_SIGNATURE_INVALID"

    @classmethod
    def without_header(cls, header: str) -> Self:
        return cls(f"the header {header} is missing", header=header)

    @classmethod
    def without_time(cls, header: str) -> Self:
        return cls(f"the timestamp in {header} is not a number of seconds", header=header)

    @classmethod
    def by_no_secret(cls, header: str) -> Self:
        return cls("no secret that is configured here makes this signature of this body", header=header)


class WebhookTimestampStale(Refusal):
    """The webhook was signed too long ago, or in the future; `tolerance` in seconds."""

    code, reason = Code.UNAUTHENTICATED, "WEBHOOK_TIMESTAMP_STALE"

    def __init__(self, header: str, tolerance: float) -> None:
        super().__init__(f"the timestamp is more than {tolerance:.0f} seconds off", header=header)


class WebhookTypeUnknown(Refusal):
    """This endpoint does not accept webhooks of this type."""

    code, reason = Code.INVALID_ARGUMENT, "WEBHOOK_TYPE_UNKNOWN"

    def __init__(self, type: str) -> None:
        super().__init__(f"webhooks of the type {type!r} are not accepted here", type=type)


class WebhookBodyInvalid(Refusal):
    """The body is invalid for this webhook; `field` is empty when the whole body is at fault."""

    code, reason = Code.INVALID_ARGUMENT, "WEBHOOK_BODY_INVALID"

    def __init__(self, field: str, description: str) -> None:
        super().__init__(at_field(field, description), violations=violations_of(field, description))


# Outgoing webhooks


class EndpointNotFound(Refusal):
    """No endpoint has this id."""

    code, reason = Code.NOT_FOUND, "ENDPOINT_NOT_FOUND"

    def __init__(self, endpoint_id: str) -> None:
        super().__init__(f"there is no endpoint {endpoint_id}", field="endpoint_id", endpoint_id=endpoint_id)


class EndpointTypeUnknown(Refusal):
    """No event has this type; `known`: the types of its area, or the areas."""

    code, reason = Code.INVALID_ARGUMENT, "ENDPOINT_TYPE_UNKNOWN"

    def __init__(self, type: str, known: str, field: str) -> None:
        super().__init__(f"no event has the type {type!r}; there are {known}", field=field, type=type, known=known)


class EndpointUrlInvalid(Refusal):
    """Webhooks cannot be sent to this URL."""

    code, reason = Code.INVALID_ARGUMENT, "ENDPOINT_URL_INVALID"

    def __init__(self, description: str) -> None:
        super().__init__(description, field="endpoint.url")


class EndpointHeaderInvalid(Refusal):
    """A header that webhooks cannot have, or headers that are too large."""

    code, reason = Code.INVALID_ARGUMENT, "ENDPOINT_HEADER_INVALID"

    def __init__(self, description: str, header: str | None = None) -> None:
        """`header` is None when all headers together are at fault."""
        super().__init__(
            at_field(header or "", description),
            field="endpoint.headers" if header is None else f'endpoint.headers["{header}"]',
            header=header,
        )


class EndpointManagedBySettings(Refusal):
    """`what` (`URL` or `secret`) of this endpoint is defined by the setting named `setting`."""

    code, reason = Code.FAILED_PRECONDITION, "ENDPOINT_MANAGED_BY_SETTINGS"

    def __init__(self, endpoint_id: str, what: str, setting: str) -> None:
        super().__init__(
            f"the {what} of the endpoint {endpoint_id!r} is that of the settings: change {setting} there",
            endpoint_id=endpoint_id,
            setting=setting,
        )


class EndpointDisabled(Refusal):
    """The endpoint is disabled."""

    code, reason = Code.FAILED_PRECONDITION, "ENDPOINT_DISABLED"

    def __init__(self, endpoint_id: str, disable_reason: str) -> None:
        super().__init__(
            f"endpoint {endpoint_id} is disabled: {disable_reason or 'no reason was given'}", endpoint_id=endpoint_id
        )


class EndpointLimitReached(Refusal):
    """The maximum number of endpoints is reached."""

    code, reason = Code.FAILED_PRECONDITION, "ENDPOINT_LIMIT_REACHED"

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} endpoints already", limit=limit)


class SecretLimitReached(Refusal):
    """The endpoint has reached the maximum of secrets that sign at the same time."""

    code, reason = Code.FAILED_PRECONDITION, "SECRET_LIMIT_REACHED"

    def __init__(self, endpoint_id: str, limit: int) -> None:
        super().__init__(
            f"{limit} secrets of endpoint {endpoint_id} sign already: expire the old ones first",
            endpoint_id=endpoint_id,
            limit=limit,
        )


class DeliveryNotFound(Refusal):
    """The endpoint has no delivery of this event, or it is no longer kept."""

    code, reason = Code.NOT_FOUND, "DELIVERY_NOT_FOUND"

    def __init__(self, endpoint_id: str, event_id: str) -> None:
        super().__init__(
            f"event {event_id} has no delivery to endpoint {endpoint_id}", endpoint_id=endpoint_id, event_id=event_id
        )


class DeliveryStateInvalid(Refusal):
    """A delivery that succeeded cannot be skipped."""

    code, reason = Code.FAILED_PRECONDITION, "DELIVERY_STATE_INVALID"

    def __init__(self, endpoint_id: str, event_id: str, state: str) -> None:
        super().__init__(
            f"event {event_id} was delivered: there is nothing to skip",
            endpoint_id=endpoint_id,
            event_id=event_id,
            state=state,
        )


class DeliveryExpired(Refusal):
    """The event of the delivery is no longer kept, so it cannot be sent."""

    code, reason = Code.FAILED_PRECONDITION, "DELIVERY_EXPIRED"

    def __init__(self, endpoint_id: str, event_id: str) -> None:
        super().__init__(f"event {event_id} is no longer kept", endpoint_id=endpoint_id, event_id=event_id)
