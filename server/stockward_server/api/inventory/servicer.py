"""InventoryService on the wire: messages in, commands to the committer, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from stockward.inventory.v1 import inventory_pb2 as pb
from stockward.inventory.v1 import inventory_pb2_grpc

from stockward_server.api.inventory.messages import (
    DEFAULT_LOCATION,
    LEVEL,
    LOCATION,
    RESERVATION,
    SET,
    SYNC,
    adjustment_of,
    adjustments_of,
    alert_message,
    availability_message,
    discrepancies_message,
    explanation_message,
    history_message,
    level_filter,
    level_message,
    location_message,
    masked,
    moments_of,
    movement_message,
    policy_of,
    reservation_message,
)
from stockward_server.api.requests import Context, customer_of_call, request_of
from stockward_server.api.watching import watch_availability, watch_stock
from stockward_server.application.ports.committer import Rehearse, Submit
from stockward_server.application.ports.positions import Part
from stockward_server.application.ports.stock import (
    LevelSort,
    LocationRow,
    Locations,
    MovementFilter,
    ReservationFilter,
    StockViews,
)
from stockward_server.application.response_codec import M, ResponseCodec
from stockward_server.application.stock_commands import (
    AdjustStock,
    ExtendReservation,
    HoldPolicy,
    ReleaseReservation,
    ReserveStock,
    SetStockPolicy,
    SyncedRow,
    SyncStock,
)
from stockward_server.application.storefront_cache import StorefrontCache
from stockward_server.application.watches import Watches
from stockward_server.auth.identity import current_call
from stockward_server.domain.errors import Refusal, ReservationNotFound, SkuUnknown
from stockward_server.domain.reservation import ReservationState
from stockward_server.domain.stock import MovementKind
from stockward_server.runtime.turns import MUCH, Turns, at_once, beside, long_read
from stockward_server.wire.pages import Room, list_page
from stockward_server.wire.seal import Seals
from stockward_server.wire.times import moment, timespan
from stockward_server.wire.validation.rules import validate

ADJUST_STOCK = "/stockward.inventory.v1.InventoryService/AdjustStock"


class InventoryServicer(inventory_pb2_grpc.InventoryServiceServicer):
    """See inventory.proto; every method raises a Refusal for a documented error."""

    def __init__(
        self,
        submit: Submit,
        rehearse: Rehearse,
        views: StockViews,
        lists: StockViews,
        storefront_cache: StorefrontCache,
        locations: Locations,
        policy: HoldPolicy,
        watches: Watches,
        seals: Seals,
    ) -> None:
        """`lists` may read from a replica: lists, the ledger and audits."""
        self._submit = submit
        self._rehearse = rehearse
        self._views = views
        self._lists = lists
        self._cache = storefront_cache
        self._locations = locations
        self._policy = policy
        self._watches = watches
        self._seals = seals

    # Availability

    async def GetAvailability(self, request: pb.GetAvailabilityRequest, context: Context) -> pb.Availability:
        row = await self._cache.available(request.sku, current_call.get().caller.role)
        if row is None:
            raise SkuUnknown(request.sku)
        return availability_message(row)

    async def BatchGetAvailability(
        self, request: pb.BatchGetAvailabilityRequest, context: Context
    ) -> pb.BatchGetAvailabilityResponse:
        async with long_read(len(request.skus)):
            rows = await self._cache.availability(request.skus, current_call.get().caller.role)
            response, turns = pb.BatchGetAvailabilityResponse(), Turns()
            for sku in request.skus:
                if sku in rows:
                    response.availabilities.append(availability_message(rows[sku]))
                else:
                    response.unknown_skus.append(sku)
                await turns.give()
        return response

    def WatchAvailability(
        self, request: pb.WatchAvailabilityRequest, context: Context
    ) -> AsyncIterator[pb.WatchAvailabilityResponse]:
        return watch_availability(self._watches, self._seals, request, context)

    def WatchStock(self, request: pb.WatchStockRequest, context: Context) -> AsyncIterator[pb.WatchStockResponse]:
        return watch_stock(self._watches, self._views, self._seals, request, context)

    # Reservations

    async def ReserveStock(self, request: pb.ReserveStockRequest, context: Context) -> pb.Reservation:
        wanted: dict[str, int] = {}
        paths: dict[str, str] = {}
        for index, line in enumerate(request.lines):
            wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
            paths.setdefault(line.sku, f"lines[{index}].sku")
        command = ReserveStock(
            cause=request_of(context, request),
            wanted=wanted,
            paths=paths,
            customer_id=customer_of_call(request.customer_id, "customer_id"),
            ttl=_ttl(request),
            policy=self._policy,
        )
        return await self._submit(command, RESERVATION)

    async def ExtendReservation(self, request: pb.ExtendReservationRequest, context: Context) -> pb.Reservation:
        command = ExtendReservation(
            cause=request_of(context, request),
            reservation_id=request.reservation_id.lower(),
            ttl=_ttl(request),
            policy=self._policy,
        )
        return await self._submit(command, RESERVATION)

    async def ReleaseReservation(self, request: pb.ReleaseReservationRequest, context: Context) -> pb.Reservation:
        command = ReleaseReservation(
            cause=request_of(context, request),
            reservation_id=request.reservation_id.lower(),
        )
        return await self._submit(command, RESERVATION)

    async def GetReservation(self, request: pb.GetReservationRequest, context: Context) -> pb.Reservation:
        reservation = await self._views.reservation(request.reservation_id)
        if reservation is None or not current_call.get().caller.acts_for(reservation.customer_id):
            raise ReservationNotFound(request.reservation_id)
        return reservation_message(reservation)

    async def ListReservations(
        self, request: pb.ListReservationsRequest, context: Context
    ) -> pb.ListReservationsResponse:
        wanted = ReservationFilter(
            ReservationState(request.state) if request.state else None,
            request.sku or None,
            request.customer_id or None,
        )
        reservations, token = await list_page(
            self._seals,
            request,
            lambda page: self._lists.reservations(page, wanted),
            reservation_message,
            lambda row: [row.reservation_id],
            [Part.ID],
        )
        return pb.ListReservationsResponse(reservations=reservations, next_page_token=token)

    # Stock

    async def AdjustStock(self, request: pb.AdjustStockRequest, context: Context) -> pb.StockLevel:
        command = AdjustStock(cause=request_of(context, request, ADJUST_STOCK), adjustment=adjustment_of(request))
        return await self._submit(command, LEVEL)

    async def BatchAdjustStock(
        self, request: pb.BatchAdjustStockRequest, context: Context
    ) -> pb.BatchAdjustStockResponse:
        room = Room()
        places = asyncio.Semaphore(MUCH)  # the others wait for a batch of so many

        async def adjust(each: pb.AdjustStockRequest) -> pb.BatchAdjustStockResponse.Result:
            async with places:
                try:
                    validate(each)
                    return pb.BatchAdjustStockResponse.Result(stock_level=await self.AdjustStock(each, context))
                except Refusal as refusal:
                    return pb.BatchAdjustStockResponse.Result(error=room.status_of(refusal))

        return pb.BatchAdjustStockResponse(results=await asyncio.gather(*map(adjust, request.requests)))

    async def BatchSetStock(self, request: pb.BatchSetStockRequest, context: Context) -> pb.BatchSetStockResponse:
        return await self._sync(request, context, SET)

    async def SyncStock(
        self, requests: AsyncIterator[pb.SyncStockRequest], context: Context
    ) -> AsyncIterator[pb.SyncStockResponse]:
        async for request in requests:
            yield await self.sync(request, context)

    async def sync(self, request: pb.SyncStockRequest, context: Context) -> pb.SyncStockResponse:
        """One message of SyncStock by itself."""
        return await self._sync(request, context, SYNC)

    async def _sync(
        self,
        request: pb.SyncStockRequest | pb.BatchSetStockRequest,
        context: Context,
        codec: ResponseCodec[Sequence[SyncedRow | Refusal], M],
    ) -> M:
        read = beside if len(request.rows) > MUCH else at_once
        # brings all names into their one form, too, as a repetition is known by them
        adjustments = await read(partial(adjustments_of, request))
        command = SyncStock(cause=request_of(context, request), adjustments=adjustments)
        if not request.validate_only:
            return await self._submit(command, codec)
        async with long_read(len(request.rows)):
            return codec.make(await self._rehearse(command))

    async def SetStockPolicy(self, request: pb.SetStockPolicyRequest, context: Context) -> pb.StockLevel:
        command = SetStockPolicy(
            cause=request_of(context, request),
            sku=request.sku,
            location_id=request.location_id or DEFAULT_LOCATION,
            policy=policy_of(request),
            etag=request.etag,
        )
        return await self._submit(command, LEVEL)

    async def ListStockLevels(self, request: pb.ListStockLevelsRequest, context: Context) -> pb.ListStockLevelsResponse:
        wanted = level_filter(request)
        by_units = wanted.sort is LevelSort.AVAILABLE
        levels, token = await list_page(
            self._seals,
            request,
            lambda page: self._lists.list_levels(page, wanted),
            level_message,
            lambda row: [*([row.available] if by_units else []), row.sku, row.location_id],
            [*([Part.UNITS] if by_units else []), Part.TEXT, Part.TEXT],
        )
        return pb.ListStockLevelsResponse(stock_levels=levels, next_page_token=token)

    async def ListStockAlerts(self, request: pb.ListStockAlertsRequest, context: Context) -> pb.ListStockAlertsResponse:
        alerts, token = await list_page(
            self._seals,
            request,
            lambda page: self._lists.alerts(page, request.sku or None, request.include_cleared),
            alert_message,
            lambda row: [row.alert_id],
            [Part.NUMBER],
        )
        return pb.ListStockAlertsResponse(alerts=alerts, next_page_token=token)

    async def ListStockMovements(
        self, request: pb.ListStockMovementsRequest, context: Context
    ) -> pb.ListStockMovementsResponse:
        wanted = MovementFilter(
            request.sku or None,
            request.location_id or None,
            MovementKind(request.kind) if request.kind else None,
            request.reference or None,
            moment(request.start_time, "start_time") if request.HasField("start_time") else None,
            moment(request.end_time, "end_time") if request.HasField("end_time") else None,
        )
        movements, token = await list_page(
            self._seals,
            request,
            lambda page: self._lists.movements(page, wanted),
            movement_message,
            lambda row: [row.movement_id],
            [Part.NUMBER],
        )
        return pb.ListStockMovementsResponse(movements=movements, next_page_token=token)

    async def ExplainAvailability(
        self, request: pb.ExplainAvailabilityRequest, context: Context
    ) -> pb.ExplainAvailabilityResponse:
        explained = await self._views.explain(request.sku)
        if explained is None:
            raise SkuUnknown(request.sku)
        return explanation_message(explained)

    async def ReadStockHistory(
        self, request: pb.ReadStockHistoryRequest, context: Context
    ) -> pb.ReadStockHistoryResponse:
        moments = moments_of(request, datetime.now(UTC))
        history = await self._lists.history(request.sku, request.location_id or None, moments)
        if history is None:
            raise SkuUnknown(request.sku)
        return history_message(history)

    async def VerifyStock(self, request: pb.VerifyStockRequest, context: Context) -> pb.VerifyStockResponse:
        return discrepancies_message(*await self._lists.verify(request.sku or None))

    # Locations

    async def CreateLocation(self, request: pb.CreateLocationRequest, context: Context) -> pb.Location:
        wanted = request.location
        location = LocationRow(wanted.location_id, wanted.name, wanted.priority, active=True)
        return await self._locations.create(request_of(context, request), location, LOCATION)

    async def UpdateLocation(self, request: pb.UpdateLocationRequest, context: Context) -> pb.Location:
        wanted = request.location
        location = LocationRow(wanted.location_id, wanted.name, wanted.priority, wanted.active)
        known = ("name", "priority", "active")
        given = [name for name in known if getattr(wanted, name)]  # what an empty mask stands for (AIP-134)
        fields = masked(request.update_mask.paths, known) if request.update_mask.paths else given
        return await self._locations.update(request_of(context, request), location, fields, wanted.etag, LOCATION)

    async def ListLocations(self, request: pb.ListLocationsRequest, context: Context) -> pb.ListLocationsResponse:
        locations, token = await list_page(
            self._seals,
            request,
            self._views.locations,
            location_message,
            lambda row: [row.priority, row.location_id],
            [Part.NUMBER, Part.TEXT],
        )
        return pb.ListLocationsResponse(locations=locations, next_page_token=token)


def _ttl(request: pb.ReserveStockRequest | pb.ExtendReservationRequest) -> timedelta | None:
    return timespan(request.ttl) if request.HasField("ttl") else None
