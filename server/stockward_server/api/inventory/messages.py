"""Stock and reservations as messages, and adjustments as the domain takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from stockward.inventory.v1 import inventory_pb2 as pb

from stockward_server.api.responses import response_codec
from stockward_server.application.ports.stock import (
    AlertRow,
    AvailabilityRow,
    Discrepancy,
    Explanation,
    LevelFilter,
    LevelSort,
    LocationRow,
    MovementRow,
    StockHistory,
)
from stockward_server.application.stock_commands import SyncedRow
from stockward_server.domain.errors import FieldInvalid, Refusal
from stockward_server.domain.reservation import Reservation
from stockward_server.domain.stock import Adjustment, AdjustmentReason, AlertLevel, StockLevel
from stockward_server.wire.enums import wire
from stockward_server.wire.pages import Room
from stockward_server.wire.times import moment, timestamp
from stockward_server.wire.validation.rules import validate

DEFAULT_LOCATION = "main"
"""The location meant when none is named."""


def level_filter(request: pb.ListStockLevelsRequest) -> LevelFilter:
    """Returns which levels are listed, and in which order."""
    key, _, direction = request.order_by.partition(" ")
    return LevelFilter(
        request.sku,
        request.location_id,
        [AlertLevel(level) for level in request.alert_levels],
        request.search.strip(),
        request.vendor,
        request.tag,
        request.available_below if request.HasField("available_below") else None,
        request.include_unstocked,
        LevelSort(key or "sku"),
        direction == "desc",
    )


INTERVALS = {
    pb.ReadStockHistoryRequest.INTERVAL_HOUR: timedelta(hours=1),
    pb.ReadStockHistoryRequest.INTERVAL_DAY: timedelta(days=1),
    pb.ReadStockHistoryRequest.INTERVAL_WEEK: timedelta(days=7),
}
MAX_MOMENTS = 1000
USUAL_MOMENTS = 30
"""Intervals that are read when no start is given."""


def moments_of(request: pb.ReadStockHistoryRequest, now: datetime) -> Sequence[datetime]:
    """Returns the moments that are asked for, oldest first; refuses those that are out of order or too many."""
    end = moment(request.end_time, "end_time") if request.HasField("end_time") else now
    if end > now:
        raise FieldInvalid("end_time", "must not be in the future")
    interval = INTERVALS.get(request.interval)
    if interval is None:
        if request.HasField("start_time"):
            raise FieldInvalid("start_time", "needs an interval")
        return [end]
    if request.HasField("start_time"):
        start = moment(request.start_time, "start_time")
    elif end - datetime.min.replace(tzinfo=UTC) < USUAL_MOMENTS * interval:
        raise FieldInvalid("end_time", "is too early")
    else:
        start = end - USUAL_MOMENTS * interval
    if start > end:
        raise FieldInvalid("start_time", "must not be after end_time")
    steps = -((start - end) // interval)  # rounded up: the last moment is the end
    if steps >= MAX_MOMENTS:
        raise FieldInvalid("start_time", f"gives {steps + 1:,} moments; at most {MAX_MOMENTS:,} can be read")
    return [*(start + step * interval for step in range(steps)), end]


# Messages from the domain


def level_message(level: StockLevel) -> pb.StockLevel:
    return pb.StockLevel(
        sku=level.sku,
        location_id=level.location_id,
        on_hand=level.on_hand,
        reserved=level.reserved,
        allocated=level.allocated,
        safety_stock=level.safety_stock,
        available=level.available,
        reorder_point=level.reorder_point,
        backorder_limit=level.backorder_limit,
        alert_level=wire(level.alert_level) or None,
        overhang=level.overhang,
        policy_etag=level.policy_etag,
        version=level.version,
        update_time=timestamp(level.update_time),
    )


def history_message(history: StockHistory) -> pb.ReadStockHistoryResponse:
    return pb.ReadStockHistoryResponse(
        moments=[
            pb.ReadStockHistoryResponse.Moment(
                time=timestamp(each.time), on_hand=each.on_hand, reserved=each.reserved, allocated=each.allocated
            )
            for each in history.counters
        ],
        known_since=timestamp(history.known_since),
    )


LEVEL = response_codec(pb.StockLevel, level_message)
"""The response of AdjustStock and SetStockPolicy."""


def reservation_message(reservation: Reservation) -> pb.Reservation:
    return pb.Reservation(
        reservation_id=reservation.reservation_id,
        state=wire(reservation.state),
        lines=reservation_lines(reservation),
        customer_id=reservation.customer_id,
        expire_time=timestamp(reservation.expire_time),
        create_time=timestamp(reservation.create_time),
        update_time=timestamp(reservation.update_time),
        order_id=reservation.order_id or "",
        version=reservation.version,
    )


def reservation_lines(reservation: Reservation) -> list[pb.Reservation.Line]:
    return [
        pb.Reservation.Line(sku=line.sku, location_id=line.location_id, quantity=line.quantity)
        for line in reservation.lines
    ]


RESERVATION = response_codec(pb.Reservation, reservation_message)
"""The response of every reservation mutation."""


def sync_message(results: Sequence[SyncedRow | Refusal]) -> pb.SyncStockResponse:
    """The response to one message of SyncStock."""
    return pb.SyncStockResponse(results=sync_results(results))


def set_message(results: Sequence[SyncedRow | Refusal]) -> pb.BatchSetStockResponse:
    return pb.BatchSetStockResponse(results=sync_results(results))


def sync_results(results: Sequence[SyncedRow | Refusal]) -> list[pb.SyncStockResponse.Result]:
    room = Room()
    return [
        pb.SyncStockResponse.Result(error=room.status_of(result))
        if isinstance(result, Refusal)
        else pb.SyncStockResponse.Result(
            on_hand=result.level.on_hand, available=result.level.available, on_hand_delta=result.on_hand_delta
        )
        for result in results
    ]


SYNC = response_codec(pb.SyncStockResponse, sync_message)
SET = response_codec(pb.BatchSetStockResponse, set_message)


def availability_message(row: AvailabilityRow) -> pb.Availability:
    return pb.Availability(
        sku=row.sku,
        available=row.available,
        in_stock=row.available > 0,
        read_time=timestamp(row.read_time),
        untracked=row.untracked,
    )


def movement_message(row: MovementRow) -> pb.StockMovement:
    movement = row.movement
    return pb.StockMovement(
        movement_id=row.movement_id,
        sku=movement.sku,
        location_id=movement.location_id,
        kind=wire(movement.kind),
        reason=wire(movement.reason),
        on_hand_delta=movement.on_hand_delta,
        reserved_delta=movement.reserved_delta,
        allocated_delta=movement.allocated_delta,
        on_hand=movement.on_hand,
        reserved=movement.reserved,
        allocated=movement.allocated,
        reference=movement.reference,
        note=movement.note,
        actor=movement.actor,
        create_time=timestamp(row.create_time),
    )


def alert_message(row: AlertRow) -> pb.StockAlert:
    alert = row.alert
    return pb.StockAlert(
        alert_id=row.alert_id,
        sku=alert.sku,
        location_id=alert.location_id,
        level=wire(alert.level),
        available=alert.available,
        reorder_point=alert.reorder_point,
        raise_time=timestamp(alert.raise_time),
        clear_time=timestamp(alert.clear_time),
    )


def location_message(row: LocationRow) -> pb.Location:
    return pb.Location(
        location_id=row.location_id,
        name=row.name,
        priority=row.priority,
        active=row.active,
        create_time=timestamp(row.create_time),
        etag=row.etag,
    )


LOCATION = response_codec(pb.Location, location_message)
"""The response of CreateLocation and UpdateLocation."""


def explanation_message(explained: Explanation) -> pb.ExplainAvailabilityResponse:
    return pb.ExplainAvailabilityResponse(
        levels=[level_message(level) for level in explained.levels],
        claims=[
            pb.ExplainAvailabilityResponse.Claim(
                location_id=claim.location_id,
                quantity=claim.quantity,
                reservation_id=claim.reservation_id,  # type: ignore[arg-type]  # None leaves a oneof unset
                order_id=claim.order_id,  # type: ignore[arg-type]
                expire_time=timestamp(claim.expire_time),
            )
            for claim in explained.claims.oldest
        ],
        claim_count=explained.claims.count,
        available=explained.available,
        overhang=sum(level.overhang for level in explained.levels),
        untracked=explained.untracked,
    )


def discrepancies_message(checked: int, found: Iterable[Discrepancy]) -> pb.VerifyStockResponse:
    return pb.VerifyStockResponse(
        checked=checked,
        discrepancies=[
            pb.VerifyStockResponse.Discrepancy(
                sku=each.sku,
                location_id=each.location_id,
                counter=each.counter,
                counted=each.counted,
                ledger=each.ledger,
                claimed=each.claimed,
            )
            for each in found
        ],
    )


# The domain from messages


def adjustment_of(message: pb.AdjustStockRequest) -> Adjustment:
    return _adjustment(message, message.reason, message.note, message.reference)


def adjustments_of(message: pb.SyncStockRequest | pb.BatchSetStockRequest) -> list[Adjustment | Refusal]:
    """What each row wants, or which of its fields is at fault."""
    reason = message.reason or AdjustmentReason.COUNTED
    adjustments: list[Adjustment | Refusal] = []
    for index, row in enumerate(message.rows):
        try:
            validate(row, f"rows[{index}].")
            adjustments.append(_adjustment(row, reason, "", message.reference))
        except Refusal as refusal:
            adjustments.append(refusal)
    return adjustments


def _adjustment(row: Any, reason: int, note: str, reference: str) -> Adjustment:
    counted = row.HasField("on_hand")
    return Adjustment(
        row.sku,
        row.location_id or DEFAULT_LOCATION,
        None if counted else row.delta,
        row.on_hand if counted else None,
        row.expected_on_hand if row.HasField("expected_on_hand") else None,
        AdjustmentReason(reason),
        note,
        reference,
    )


def policy_of(message: pb.SetStockPolicyRequest) -> Mapping[str, int | None]:
    """The fields to set and their values; FieldInvalid when the mask names another one."""
    fields = masked(message.update_mask.paths, ("safety_stock", "reorder_point", "backorder_limit"))
    policy: dict[str, int | None] = {name: getattr(message, name) for name in fields}
    if "reorder_point" in policy and not message.HasField("reorder_point"):
        policy["reorder_point"] = None
    return policy


def masked(paths: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    """The fields that a mask names: all of `known` when it is empty or `*` (AIP-134); FieldInvalid for any other."""
    if not paths or list(paths) == ["*"]:
        return known
    for path in paths:
        if path not in known:
            raise FieldInvalid("update_mask", f"{path!r} is none of {', '.join(known)}")
    return paths
