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
"""What becomes of an endpoint now: one of the `decide_…` of `endpoint_changes`."""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Every field that is set must match. `types` are such as `order.created`, `order.*` or `*`."""

    endpoint_id: str = ""
    states: Sequence[DeliveryState] = ()
    types: Sequence[str] = ()
    aggregate_id: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    """Events happened from `start_time` on and before `end_time`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A piece of a larger work: up to `limit` events with a seq above `after_seq`."""

    limit: int
    after_seq: int


@dataclass(frozen=True, slots=True)
class BatchDone:
    """What became of a piece."""

    count: int
    """Events that are to be sent again."""
    rest: int | None
    """The seq to go on from; None when there was nothing more."""


class EndpointStore(Protocol):
    """Where endpoints are. Every change is done once per request_id, with its events, or not at all."""

    async def create(
        self, request: MutationContext, make: Callable[[datetime], Endpoint], codec: ResponseCodec[Endpoint, M]
    ) -> M:
        """Stores what `make` answers for now; EndpointLimitReached."""
        ...

    async def change(
        self,
        request: MutationContext,
        endpoint_id: str,
        etag: str,
        decide: EndpointDecision,
        codec: ResponseCodec[Endpoint, M],
    ) -> M:
        """What `decide` makes of the endpoint; EndpointNotFound, EtagMismatch, or what `decide` raises."""
        ...

    async def delete(
        self, request: MutationContext, endpoint_id: str, etag: str, codec: ResponseCodec[Endpoint, M]
    ) -> M:
        """EndpointNotFound, EtagMismatch, or EndpointManagedBySettings."""
        ...

    async def ping(self, request: MutationContext, endpoint_id: str, codec: ResponseCodec[str, M]) -> M:
        """Records `endpoint.pinged`; the result is its event_id. EndpointNotFound or EndpointDisabled."""
        ...

    async def endpoint(self, endpoint_id: str) -> Endpoint:
        """EndpointNotFound when there is none."""
        ...

    async def endpoints(self, page: Page) -> Sequence[Endpoint]:
        """At most `page.size`, oldest first, after `page.after` (an ISO time and an id)."""
        ...


class DeliveryStore(Protocol):
    """Where deliveries are. Every change is done once per request_id, or not at all."""

    async def deliveries(self, page: Page, wanted: DeliveryFilter) -> Sequence[Delivery]:
        """At most `page.size` with their last attempts, newest event first, after `page.after` (event and endpoint id).
        EndpointNotFound when the filter names one that is not there."""
        ...

    async def delivery(self, endpoint_id: str, event_id: str) -> Delivery:
        """With all attempts; EndpointNotFound or DeliveryNotFound."""
        ...

    async def retry(
        self, request: MutationContext, endpoint_id: str, event_id: str, codec: ResponseCodec[Delivery, M]
    ) -> M:
        """To be sent now, whatever became of it; EndpointNotFound, DeliveryNotFound or DeliveryExpired."""
        ...

    async def skip(
        self, request: MutationContext, endpoint_id: str, event_id: str, codec: ResponseCodec[Delivery, M]
    ) -> M:
        """Skips it; EndpointNotFound, DeliveryNotFound, or DeliveryStateInvalid when it was delivered."""
        ...


class ReplayStore(Protocol):
    """Sends many events again. Every batch is done once per request_id, or not at all."""

    async def recover(
        self,
        request: MutationContext,
        endpoint_id: str,
        start_time: datetime,
        batch: Batch,
        codec: ResponseCodec[BatchDone, M],
    ) -> M:
        """Dead ones of events that happened from `start_time` on, to be sent again; EndpointNotFound."""
        ...

    async def replay(
        self, request: MutationContext, wanted: DeliveryFilter, batch: Batch, codec: ResponseCodec[BatchDone, M]
    ) -> M:
        """Events to be sent to `wanted.endpoint_id`, which is set, for the first time or again; those that it wants
        where no types are named. EndpointNotFound."""
        ...
