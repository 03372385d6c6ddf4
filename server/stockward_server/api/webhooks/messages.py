"""Endpoints and deliveries as messages, and their requests as the domain takes them."""

from __future__ import annotations

from typing import TypeVar, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.webhook.v1 import webhook_pb2 as pb

from stockward_server.api.responses import response_codec
from stockward_server.application.response_codec import ResponseCodec
from stockward_server.domain.delivery import Delivery, LoggedAttempt
from stockward_server.domain.endpoint import (
    HIDDEN,
    MAX_BODY_BYTES,
    MAX_IN_FLIGHT,
    Endpoint,
    EndpointEdit,
    NewSecret,
    Secret,
    SecretKind,
    fingerprint_of,
)
from stockward_server.domain.errors import FieldInvalid
from stockward_server.wire.enums import wire
from stockward_server.wire.times import timestamp
from stockward_server.wire.validation.rules import validate

EDITABLE = tuple(EndpointEdit.__annotations__)
"""The fields that staff may set; their names are those of webhook.v1.Endpoint."""

Made = TypeVar("Made", pb.CreateEndpointResponse, pb.RotateSecretResponse)

# Messages from the domain


def endpoint_message(endpoint: Endpoint) -> pb.Endpoint:
    """All of it but the secrets and the values of headers, and of an address of the settings no more than the host."""
    return pb.Endpoint(
        endpoint_id=endpoint.endpoint_id,
        url=endpoint.url if endpoint.managed else endpoint.news.origin,
        description=endpoint.description,
        types=endpoint.types,
        headers=dict.fromkeys(endpoint.headers, HIDDEN),
        rate_limit=endpoint.rate_limit or 0,
        max_in_flight=endpoint.max_in_flight,
        max_body_bytes=endpoint.max_body_bytes,
        state=wire(endpoint.news.state),
        disable_reason=endpoint.disable_reason,
        failing_since=timestamp(endpoint.failing_since),
        managed=endpoint.managed,
        secrets=map(_secret_message, endpoint.secrets),
        create_time=timestamp(endpoint.create_time),
        update_time=timestamp(endpoint.update_time),
        etag=endpoint.etag,
        created_by=endpoint.created_by,
        updated_by=endpoint.updated_by,
    )


def _hidden(endpoint: pb.Endpoint) -> pb.Endpoint:
    """What an earlier release stored may have values of headers."""
    for name in endpoint.headers:
        endpoint.headers[name] = HIDDEN
    return endpoint


def _hidden_in(response: Made) -> Made:
    _hidden(response.endpoint)
    return response


ENDPOINT = response_codec(pb.Endpoint, endpoint_message, _hidden)
"""The response of a change of an endpoint."""


def created_message(endpoint: Endpoint) -> pb.CreateEndpointResponse:
    """Of an endpoint that was made, without its secret: this is stored."""
    return pb.CreateEndpointResponse(endpoint=endpoint_message(endpoint))


CREATED: ResponseCodec[Endpoint, pb.CreateEndpointResponse] = response_codec(
    pb.CreateEndpointResponse, created_message, _hidden_in
)


def rotated_message(endpoint: Endpoint) -> pb.RotateSecretResponse:
    """Of an endpoint with a new secret, without it."""
    return pb.RotateSecretResponse(endpoint=endpoint_message(endpoint))


ROTATED: ResponseCodec[Endpoint, pb.RotateSecretResponse] = response_codec(
    pb.RotateSecretResponse, rotated_message, _hidden_in
)


def with_secret(response: Made, secret: NewSecret) -> Made:
    """The response to the call that drew `secret`, which it shows if the endpoint has it by this call, and its receiver
    has to know it and cannot read it elsewhere: that is so for HMAC."""
    text = secret.of(SecretKind.HMAC)
    response.secret = text if response.endpoint.secrets[0].fingerprint == fingerprint_of(text) else ""
    return response


def pinged_message(event_id: str) -> pb.PingEndpointResponse:
    return pb.PingEndpointResponse(event_id=event_id)


PINGED = response_codec(pb.PingEndpointResponse, pinged_message)


def delivery_message(delivery: Delivery) -> pb.Delivery:
    return pb.Delivery(
        endpoint_id=delivery.endpoint_id,
        event_id=delivery.event_id,
        type=delivery.type,
        aggregate_id=delivery.aggregate_id,
        event_time=timestamp(delivery.event_time),
        state=wire(delivery.state),
        attempt_count=delivery.attempt_count,
        due_time=timestamp(delivery.due_time),
        finish_time=timestamp(delivery.finish_time),
        attempts=map(_attempt_message, delivery.attempts),
    )


DELIVERY = response_codec(pb.Delivery, delivery_message)
"""The response of a change of a delivery."""


def _attempt_message(attempt: LoggedAttempt) -> pb.Delivery.Attempt:
    seconds, millis = divmod(attempt.latency_ms, 1000)
    return pb.Delivery.Attempt(
        number=attempt.number,
        start_time=timestamp(attempt.start_time),
        latency=Duration(seconds=seconds, nanos=millis * 1_000_000),
        status=attempt.status or 0,
        error=attempt.error,
        excerpt=attempt.excerpt,
    )


def _secret_message(secret: Secret) -> pb.Endpoint.Secret:
    return pb.Endpoint.Secret(
        kind=wire(secret.kind),
        public_key=secret.public_key,
        fingerprint=secret.fingerprint,
        create_time=timestamp(secret.create_time),
        expire_time=timestamp(secret.expire_time),
        created_by=secret.created_by,
    )


# The domain from messages


def endpoint_edit(endpoint: pb.Endpoint) -> EndpointEdit:
    """Every field that staff may set, from a validated message; zero stands for the default."""
    return EndpointEdit(
        url=endpoint.url,
        description=endpoint.description,
        types=tuple(endpoint.types),
        headers=dict(endpoint.headers),
        rate_limit=endpoint.rate_limit or None,
        max_in_flight=endpoint.max_in_flight or MAX_IN_FLIGHT,
        max_body_bytes=endpoint.max_body_bytes or MAX_BODY_BYTES,
    )


def masked_edit(request: pb.UpdateEndpointRequest) -> EndpointEdit:
    """The fields that the mask names (AIP-134), validated; what stands in the others is not looked at."""
    names = _masked_names(request)
    part = pb.Endpoint(url="-", types=["*"])  # required, and overwritten when they are edited
    for name in names:
        part.ClearField(name)  # type: ignore[arg-type]  # one of EDITABLE
    FieldMask(paths=names).MergeMessage(request.endpoint, part)
    validate(pb.CreateEndpointRequest(endpoint=part))
    edit = endpoint_edit(part)
    return cast(EndpointEdit, {name: value for name, value in edit.items() if name in names})


def _masked_names(request: pb.UpdateEndpointRequest) -> list[str]:
    paths = list(request.update_mask.paths)
    if not paths:
        paths = [field.name for field, _ in request.endpoint.ListFields()]
    elif paths == ["*"]:
        paths = [*EDITABLE]
    for path in paths:
        if path not in pb.Endpoint.DESCRIPTOR.fields_by_name:
            raise FieldInvalid("update_mask", f"{path!r} is none of {', '.join(EDITABLE)}")
    return [name for name in EDITABLE if name in paths]
