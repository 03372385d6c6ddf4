"""WebhookService on the wire: messages in, use cases, messages out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp
from stockward.webhook.v1 import webhook_pb2 as pb
from stockward.webhook.v1 import webhook_pb2_grpc

from stockward_server.api.requests import Context, request_of
from stockward_server.api.responses import response_codec
from stockward_server.api.webhooks.messages import (
    CREATED,
    DELIVERY,
    ENDPOINT,
    PINGED,
    ROTATED,
    delivery_message,
    endpoint_edit,
    endpoint_message,
    masked_edit,
    with_secret,
)
from stockward_server.application.ports.positions import Part
from stockward_server.application.ports.webhooks import (
    Batch,
    BatchDone,
    DeliveryFilter,
    DeliveryStore,
    EndpointDecision,
    EndpointStore,
    ReplayStore,
)
from stockward_server.domain.delivery import DeliveryState
from stockward_server.domain.endpoint import NewSecret, SecretKind
from stockward_server.domain.endpoint_changes import (
    check_types,
    checked,
    decide_creation,
    decide_disabling,
    decide_enabling,
    decide_expiry,
    decide_rotation,
    decide_update,
)
from stockward_server.domain.errors import FieldInvalid
from stockward_server.domain.identifiers import new_id
from stockward_server.wire import page_token
from stockward_server.wire.pages import list_page
from stockward_server.wire.seal import Seal, Seals
from stockward_server.wire.times import moment, timespan
from stockward_server.wire.validation.rules import validate

DEFAULT_OVERLAP = timedelta(hours=24)
"""Default time for which earlier secrets continue to sign after a rotation."""

DEFAULT_BATCH = 1000

STAFF = "disabled by staff"
"""Default reason of a disabled endpoint."""


class _Named(Protocol):
    """A request that names an endpoint."""

    @property
    def endpoint_id(self) -> str: ...


class WebhookServicer(webhook_pb2_grpc.WebhookServiceServicer):
    """See webhook.proto; every method raises a Refusal for a documented error."""

    def __init__(
        self,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        replay: ReplayStore,
        seals: Seals,
        *,
        require_https: bool,
    ) -> None:
        """`require_https`: whether an endpoint over plain HTTP is refused."""
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._replay = replay
        self._seals = seals
        self._require_https = require_https

    # Endpoints

    async def CreateEndpoint(self, request: pb.CreateEndpointRequest, context: Context) -> pb.CreateEndpointResponse:
        edit = checked(endpoint_edit(request.endpoint), require_https=self._require_https)
        kind, secret = SecretKind(request.secret_kind or SecretKind.HMAC), NewSecret()
        response = await self._endpoints.create(
            request_of(context, request), lambda now: decide_creation(new_id(), edit, kind, secret, now), CREATED
        )
        return with_secret(response, secret)

    async def GetEndpoint(self, request: pb.GetEndpointRequest, context: Context) -> pb.Endpoint:
        return endpoint_message(await self._endpoints.endpoint(_name(request)))

    async def ListEndpoints(self, request: pb.ListEndpointsRequest, context: Context) -> pb.ListEndpointsResponse:
        endpoints, token = await list_page(
            self._seals,
            request,
            self._endpoints.endpoints,
            endpoint_message,
            lambda row: [row.create_time.isoformat(), row.endpoint_id],
            [Part.TIME, Part.TEXT],
        )
        return pb.ListEndpointsResponse(endpoints=endpoints, next_page_token=token)

    async def UpdateEndpoint(self, request: pb.UpdateEndpointRequest, context: Context) -> pb.Endpoint:
        named = request.endpoint
        validate(pb.GetEndpointRequest(endpoint_id=named.endpoint_id), "endpoint.")
        edit = checked(masked_edit(request), require_https=self._require_https)
        return await self._endpoints.change(
            request_of(context, request),
            _name(named),
            named.etag,
            lambda endpoint, now: decide_update(endpoint, edit, now),
            ENDPOINT,
        )

    async def DeleteEndpoint(self, request: pb.DeleteEndpointRequest, context: Context) -> pb.Endpoint:
        return await self._endpoints.delete(request_of(context, request), _name(request), request.etag, ENDPOINT)

    async def EnableEndpoint(self, request: pb.EnableEndpointRequest, context: Context) -> pb.Endpoint:
        return await self._change(request, context, decide_enabling)

    async def DisableEndpoint(self, request: pb.DisableEndpointRequest, context: Context) -> pb.Endpoint:
        reason = request.reason or STAFF
        return await self._change(request, context, lambda endpoint, now: decide_disabling(endpoint, reason, now))

    async def RotateSecret(self, request: pb.RotateSecretRequest, context: Context) -> pb.RotateSecretResponse:
        overlap = timespan(request.overlap) if request.HasField("overlap") else DEFAULT_OVERLAP
        kind, secret = SecretKind(request.kind) if request.kind else None, NewSecret()
        response = await self._endpoints.change(
            request_of(context, request),
            _name(request),
            request.etag,
            lambda endpoint, now: decide_rotation(endpoint, kind, secret, overlap, now),
            ROTATED,
        )
        return with_secret(response, secret)

    async def ExpireSecrets(self, request: pb.ExpireSecretsRequest, context: Context) -> pb.Endpoint:
        return await self._change(request, context, decide_expiry)

    async def PingEndpoint(self, request: pb.PingEndpointRequest, context: Context) -> pb.PingEndpointResponse:
        return await self._endpoints.ping(request_of(context, request), _name(request), PINGED)

    async def _change(self, request: Any, context: Context, decide: EndpointDecision) -> pb.Endpoint:
        return await self._endpoints.change(
            request_of(context, request), _name(request), request.etag, decide, ENDPOINT
        )

    # Deliveries

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Context) -> pb.ListDeliveriesResponse:
        check_types(request.types, "types")
        wanted = DeliveryFilter(
            endpoint_id=_name(request),
            states=[DeliveryState(state) for state in request.states],
            types=request.types,
            aggregate_id=request.aggregate_id,
            start_time=_moment(request, "start_time"),
            end_time=_moment(request, "end_time"),
        )
        deliveries, token = await list_page(
            self._seals,
            request,
            lambda page: self._deliveries.deliveries(page, wanted),
            delivery_message,
            lambda row: [row.event_id, row.endpoint_id],
            [Part.ID, Part.TEXT],
        )
        return pb.ListDeliveriesResponse(deliveries=deliveries, next_page_token=token)

    async def GetDelivery(self, request: pb.GetDeliveryRequest, context: Context) -> pb.Delivery:
        return delivery_message(await self._deliveries.delivery(_name(request), request.event_id.lower()))

    async def RetryDelivery(self, request: pb.RetryDeliveryRequest, context: Context) -> pb.Delivery:
        return await self._deliveries.retry(
            request_of(context, request), _name(request), request.event_id.lower(), DELIVERY
        )

    async def SkipDelivery(self, request: pb.SkipDeliveryRequest, context: Context) -> pb.Delivery:
        return await self._deliveries.skip(
            request_of(context, request), _name(request), request.event_id.lower(), DELIVERY
        )

    async def RecoverDeliveries(
        self, request: pb.RecoverDeliveriesRequest, context: Context
    ) -> pb.RecoverDeliveriesResponse:
        seal = await self._seals.load()
        return await self._replay.recover(
            request_of(context, request),
            _name(request),
            moment(request.start_time, "start_time"),
            _batch(seal, request),
            response_codec(
                pb.RecoverDeliveriesResponse,
                lambda done: pb.RecoverDeliveriesResponse(
                    recovered=done.count, next_cursor=_cursor(seal, request, done)
                ),
            ),
        )

    async def ReplayEvents(self, request: pb.ReplayEventsRequest, context: Context) -> pb.ReplayEventsResponse:
        check_types(request.types, "types")
        wanted = DeliveryFilter(
            endpoint_id=_name(request),
            types=request.types,
            aggregate_id=request.aggregate_id,
            start_time=_moment(request, "start_time"),
            end_time=_moment(request, "end_time"),
        )
        if not (wanted.types or wanted.aggregate_id or wanted.start_time or wanted.end_time):
            raise FieldInvalid("start_time", "say which events: start_time, end_time, types or aggregate_id")
        seal = await self._seals.load()
        return await self._replay.replay(
            request_of(context, request),
            wanted,
            _batch(seal, request),
            response_codec(
                pb.ReplayEventsResponse,
                lambda done: pb.ReplayEventsResponse(replayed=done.count, next_cursor=_cursor(seal, request, done)),
            ),
        )


def _name(message: _Named) -> str:
    """Ids are kept in lower case."""
    return message.endpoint_id.lower()


def _moment(message: Any, field: str) -> Any:
    """None when it is not set."""
    stamp: Timestamp = getattr(message, field)
    return moment(stamp, field) if message.HasField(field) else None


def _batch(seal: Seal, message: pb.RecoverDeliveriesRequest | pb.ReplayEventsRequest) -> Batch:
    position = page_token.decode(seal, message, [Part.NUMBER], "cursor")
    return Batch(message.limit or DEFAULT_BATCH, position[0] if position else 0)


def _cursor(seal: Seal, message: pb.RecoverDeliveriesRequest | pb.ReplayEventsRequest, done: BatchDone) -> str:
    return "" if done.rest is None else page_token.encode(seal, message, [done.rest])
