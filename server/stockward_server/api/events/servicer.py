"""EventService on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

from stockward.event.v1 import event_pb2 as pb
from stockward.event.v1 import event_pb2_grpc

from stockward_server.api.requests import Context
from stockward_server.api.watching import watch_events
from stockward_server.application.context import Role
from stockward_server.application.ports.events import EventLog
from stockward_server.application.watches import Watches
from stockward_server.auth.identity import current_call
from stockward_server.domain.errors import CustomerNotAllowed
from stockward_server.wire.cursor import going_on
from stockward_server.wire.seal import Seals
from stockward_server.wire.storefront_view import hide_event

DEFAULT_PAGE_SIZE = 100


class EventServicer(event_pb2_grpc.EventServiceServicer):
    """See event.proto; raises a Refusal for a documented error."""

    def __init__(self, log: EventLog, watches: Watches, seals: Seals) -> None:
        self._log = log
        self._watches = watches
        self._seals = seals

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        caller = current_call.get().caller
        if caller.customer_id:
            raise CustomerNotAllowed.for_events()
        for_storefront = caller.role is Role.STOREFRONT
        async with going_on(self._seals, request.cursor) as (after, encode):
            page = await self._log.list_events(
                after, request.page_size or DEFAULT_PAGE_SIZE, request.types, request.aggregate_id, for_storefront
            )
        events = [pb.Event.FromString(payload) for payload in page.payloads]
        if for_storefront:
            for event in events:
                hide_event(event)
        return pb.ListEventsResponse(events=events, next_cursor=encode(page.next), caught_up=page.caught_up)

    def WatchEvents(self, request: pb.WatchEventsRequest, context: Context) -> AsyncIterator[pb.WatchEventsResponse]:
        return watch_events(self._watches, self._seals, request, context)
