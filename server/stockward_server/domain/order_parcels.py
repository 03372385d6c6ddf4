"""Parcels after they were shipped: corrected, delivered, failed, or not sent after all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime

from stockward_server.domain.errors import FulfillmentNotFound, FulfillmentStateInvalid
from stockward_server.domain.order import Allocation, Fulfillment, FulfillmentState, Order, OrderState
from stockward_server.domain.order_steps import require_returnable
from stockward_server.domain.stock import MovementKind, StockChange


@dataclass(frozen=True, slots=True)
class ParcelChange:
    """New values of a parcel; None leaves one as it is."""

    tracking_number: str | None = None
    carrier: str | None = None
    state: FulfillmentState | None = None


def decide_parcel_update(
    order: Order, fulfillment_id: str, change: ParcelChange, now: datetime
) -> tuple[Order, Fulfillment]:
    """Corrects a parcel that is not cancelled; returns the order and the parcel."""
    parcel = _parcel(order, fulfillment_id)
    if parcel.state is FulfillmentState.CANCELLED:
        raise FulfillmentStateInvalid(order.order_id, fulfillment_id, parcel.state.name, "update")
    updated = replace(
        parcel,
        tracking_number=parcel.tracking_number if change.tracking_number is None else change.tracking_number,
        carrier=parcel.carrier if change.carrier is None else change.carrier,
        state=change.state or parcel.state,
        update_time=now,
    )
    return _with(order, updated, now), updated


def decide_parcel_cancellation(
    order: Order, fulfillment_id: str, reason: str, now: datetime
) -> tuple[Order, Fulfillment, list[StockChange]]:
    """Cancels a parcel that was not sent after all: its units are on hand where they left, and owed to the order again.

    Returned units stay where they came back to, so a parcel is not cancelled whose units were returned, or are expected
    back.
    """
    parcel = _parcel(order, fulfillment_id)
    if parcel.state not in (FulfillmentState.SHIPPED, FulfillmentState.FAILED):
        raise FulfillmentStateInvalid(order.order_id, fulfillment_id, parcel.state.name, "cancel")
    units = Counter[int]()
    for each in parcel.lines:
        units[each.line_number] += each.quantity
    lines = require_returnable(order, units)
    counted = [each for each in parcel.lines if not lines[each.line_number].untracked]
    claims = {(claim.line_number, claim.location_id): claim.quantity for claim in order.allocations}
    for each in counted:
        key = each.line_number, each.location_id
        claims[key] = claims.get(key, 0) + each.quantity
    after = tuple(replace(line, fulfilled=line.fulfilled - units[line.line_number]) for line in order.lines)
    cancelled = replace(parcel, state=FulfillmentState.CANCELLED, update_time=now)
    reopened = replace(
        order,
        state=OrderState.PARTIALLY_FULFILLED if any(line.fulfilled for line in after) else OrderState.PROCESSING,
        lines=after,
        allocations=tuple(Allocation(number, place, quantity) for (number, place), quantity in claims.items()),
    )
    changes = [
        StockChange(
            lines[each.line_number].sku,
            each.location_id,
            MovementKind.FULFILLED,
            on_hand=each.quantity,
            allocated=each.quantity,
            reference=order.order_id,
            note=f"parcel cancelled: {reason}".rstrip(": "),
        )
        for each in counted
    ]
    return _with(reopened, cancelled, now), cancelled, changes


def _parcel(order: Order, fulfillment_id: str) -> Fulfillment:
    for parcel in order.fulfillments:
        if parcel.fulfillment_id == fulfillment_id:
            return parcel
    raise FulfillmentNotFound(order.order_id, fulfillment_id)


def _with(order: Order, parcel: Fulfillment, now: datetime) -> Order:
    parcels = (parcel if each.fulfillment_id == parcel.fulfillment_id else each for each in order.fulfillments)
    return replace(order, fulfillments=tuple(parcels), update_time=now)
