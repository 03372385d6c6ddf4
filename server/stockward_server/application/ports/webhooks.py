"""Storing webhook endpoints and deliveries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from stockward_server.application.context import MutationContext
from stockward_server.application.ports.pages import Page
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.domain.delivery import Delivery, DeliveryState
from stockward_server.domain.endpoint import Endpoint

EndpointDecision = Callable[[Endpoint, datetime], Endpoint]
"""Changes an endpoint: one of the `decide_…` of `endpoint_changes`."""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Every field that is set must match. `types` are such as `order.created`, `order.*` or `*`."""

    endpoint_id: str = ""
    states: Sequence[DeliveryState] = ()
    types: Sequence[str] = ()
    aggregate_id: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    """Selects events from `start_time` on and before `end_time`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Part of a larger change: up to `limit` events with a seq above `after_seq`."""

    limit: int
    after_seq: int


@dataclass(frozen=True, slots=True)
class BatchDone:
    """The result of a batch."""

    count: int
    """Number of events to be sent again."""
    rest: int | None
    """The seq to continue from; None when no events remain."""


class EndpointStore(Protocol):
    """Stores and reads endpoints. Every change happens once per request_id, with its events, or not at all."""

    async def create(
        self, request: MutationContext, make: Callable[[datetime], Endpoint], codec: ResponseCodec[Endpoint, M]
    ) -> M:
        """Stores the endpoint that `make` returns. Raises EndpointLimitReached."""
        ...

    async def change(
        self,
        request: MutationContext,
        endpoint_id: str,
        etag: str,
        decide: EndpointDecision,
        codec: ResponseCodec[Endpoint, M],
    ) -> M:
        """Changes the endpoint with `decide`. Raises EndpointNotFound, EtagMismatch, and the errors of `decide`."""
        ...

    async def delete(
        self, request: MutationContext, endpoint_id: str, etag: str, codec: ResponseCodec[Endpoint, M]
    ) -> M:
        """Deletes the endpoint. Raises EndpointNotFound, EtagMismatch, or EndpointManagedBySettings."""
        ...

    async def ping(self, request: MutationContext, endpoint_id: str, codec: ResponseCodec[str, M]) -> M:
        """Records `endpoint.pinged`; the result is its event_id. Raises EndpointNotFound or EndpointDisabled."""
        ...

    async def endpoint(self, endpoint_id: str) -> Endpoint:
        """Returns the endpoint. Raises EndpointNotFound."""
        ...

    async def endpoints(self, page: Page) -> Sequence[Endpoint]:
        """Returns at most `page.size` endpoints, oldest first, after `page.after` (an ISO time and an id)."""
        ...


class DeliveryStore(Protocol):
    """Stores and reads deliveries. Every change happens once per request_id, or not at all."""

    async def deliveries(self, page: Page, wanted: DeliveryFilter) -> Sequence[Delivery]:
        """Returns at most `page.size` deliveries with their last attempts, newest event first, after `page.after`
        (event and endpoint id). Raises EndpointNotFound when the filter names an unknown endpoint."""
        ...

    async def delivery(self, endpoint_id: str, event_id: str) -> Delivery:
        """Returns the delivery with all attempts. Raises EndpointNotFound or DeliveryNotFound."""
        ...

    async def retry(
        self, request: MutationContext, endpoint_id: str, event_id: str, codec: ResponseCodec[Delivery, M]
    ) -> M:
        """Makes the delivery due now, in any state. Raises EndpointNotFound, DeliveryNotFound or DeliveryExpired."""
        ...

    async def skip(
        self, request: MutationContext, endpoint_id: str, event_id: str, codec: ResponseCodec[Delivery, M]
    ) -> M:
        """Skips the delivery. Raises EndpointNotFound, DeliveryNotFound, or DeliveryStateInvalid when it was
        delivered."""
        ...


class ReplayStore(Protocol):
    """Sends many events again. Every batch happens once per request_id, or not at all."""

    async def recover(
        self,
        request: MutationContext,
        endpoint_id: str,
        start_time: datetime,
        batch: Batch,
        codec: ResponseCodec[BatchDone, M],
    ) -> M:
        """Retries dead letters of events from `start_time` on. Raises EndpointNotFound."""
        ...

    async def replay(
        self, request: MutationContext, wanted: DeliveryFilter, batch: Batch, codec: ResponseCodec[BatchDone, M]
    ) -> M:
        """Sends events to `wanted.endpoint_id`, which must be set, for the first time or again; without types, those to
        which the endpoint subscribes. Raises EndpointNotFound."""
        ...
