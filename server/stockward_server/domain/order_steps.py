"""The steps of an order and their sequence.

    PENDING -> PROCESSING -> PARTIALLY_FULFILLED -> FULFILLED;  PENDING | PROCESSING -> CANCELLED;  PENDING -> EXPIRED

Every `decide_…` receives the order as it is under lock and returns the changed order with its stock changes, or raises
a Refusal. Nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from stockward_server.domain.charge import NO_SHARES, Charge, LineShares
from stockward_server.domain.errors import (
    ChargeLimitReached,
    FieldInvalid,
    InsufficientStock,
    LineUnknown,
    OrderStateInvalid,
    PaymentRequired,
    QuantityExceeded,
    QuantityOverflow,
    RefundExceeded,
    StockNegative,
)
from stockward_server.domain.money import Money
from stockward_server.domain.order import (
    Allocation,
    Fulfillment,
    Order,
    OrderLine,
    OrderState,
    PaymentTerms,
)
from stockward_server.domain.order_holds import require_no_hold
from stockward_server.domain.payment import PAYING, SUMS, PaymentEvent, PaymentKind
from stockward_server.domain.pricing import charge_exceeded, spread_charge
from stockward_server.domain.returns import expected_units
from stockward_server.domain.shipping import Shipment, plan_shipment, shippable
from stockward_server.domain.stock import NOWHERE, MovementKind, Portion, StockChange, StockLevel, take_all

MAX_TOTAL_MINOR = 2**62
"""Maximum total of an order in minor units; below what the database can hold."""

MAX_LOCATIONS_NAMED = 10
"""Maximum number of locations in the message of a refusal."""

MAX_CHARGES = 100
"""Maximum number of charges of one order: with all of its lines it stays below the 4 MiB that a gRPC client reads."""


def decide_order(
    order: Order, wanted: Mapping[str, int], levels: Mapping[str, Sequence[StockLevel]]
) -> tuple[Order, list[StockChange]]:
    """Returns a new order with stock allocated for all of `wanted` (SKU -> units). Raises InsufficientStock."""
    require_sane_total(order)
    placed, changes = _allocate(order, take_all(wanted, levels))
    return placed, changes


def decide_order_from_hold(order: Order, held: Sequence[Portion]) -> Order:
    """Returns a new order that owns the units of a hold; converting the hold moves the counters."""
    require_sane_total(order)
    return _with_claims(order, held)


def decide_processing(order: Order, now: datetime) -> Order:
    """Moves PENDING -> PROCESSING once the payment terms are met."""
    require_state(order, "process", OrderState.PENDING)
    order = require_no_hold(order, "process", now)
    if not order.terms_met:
        raise PaymentRequired(order.order_id, order.payment_state.name)
    return replace(order, state=OrderState.PROCESSING, update_time=now)


def decide_fulfillment(
    order: Order,
    fulfillment: Fulfillment,
    quantities: Mapping[int, int],
    levels: Mapping[str, Sequence[StockLevel]],
    now: datetime,
    location_id: str = "",
) -> tuple[Order, list[StockChange]]:
    """Ships `quantities` by line number, or all open units when empty, from `location_id` or, when empty, from any
    location.

    `levels` are those of each SKU at all locations, by priority. Claims move to where the goods are. Raises
    StockNegative when there are not enough.
    """
    require_state(order, "fulfill", OrderState.PROCESSING, OrderState.PARTIALLY_FULFILLED)
    order = require_no_hold(order, "fulfill", now)
    quantities = quantities or {line.line_number: line.open for line in order.lines if line.open}
    lines = _require_open(order, quantities)
    shipped: list[Allocation] = []
    used: list[Allocation] = []
    changes: list[StockChange] = []
    for number, quantity in quantities.items():
        line = lines[number]
        if line.untracked:
            shipped.append(Allocation(number, NOWHERE, quantity))
            continue
        owed = {a.location_id: a.quantity for a in order.allocations if a.line_number == number}
        shipment = plan_shipment(levels[line.sku], owed, quantity, location_id)
        if sum(shipment.leaving.values()) < quantity:
            raise _not_there(order, line, quantity, levels[line.sku], owed, location_id)
        shipped += (Allocation(number, place, units) for place, units in shipment.leaving.items())
        used += (Allocation(number, place, units) for place, units in shipment.used.items())
        changes += _shipping_changes(order, line.sku, shipment)
    after = _with_units(order, quantities, "fulfilled")
    complete = not any(line.open for line in after)
    fulfilled = replace(
        order,
        state=OrderState.FULFILLED if complete else OrderState.PARTIALLY_FULFILLED,
        lines=after,
        allocations=without(order.allocations, used),
        fulfillments=(*order.fulfillments, replace(fulfillment, lines=tuple(shipped))),
        update_time=now,
    )
    return fulfilled, changes


def decide_cancellation(
    order: Order, quantities: Mapping[int, int], reason: str, now: datetime
) -> tuple[Order, list[StockChange]]:
    """Cancels the whole order while nothing is fulfilled (`quantities` empty), or open units by line number."""
    if quantities:
        require_state(
            order, "cancel units of", OrderState.PENDING, OrderState.PROCESSING, OrderState.PARTIALLY_FULFILLED
        )
    else:
        require_state(order, "cancel", OrderState.PENDING, OrderState.PROCESSING)
        quantities = {line.line_number: line.open for line in order.lines if line.open}
    _require_open(order, quantities)
    freed = released(order, quantities)
    after = _with_units(order, quantities, "cancelled")
    state = order.state
    if not any(line.open for line in after):
        state = OrderState.FULFILLED if any(line.fulfilled for line in after) else OrderState.CANCELLED
    cancelled = replace(
        order,
        state=state,
        lines=after,
        allocations=without(order.allocations, freed),
        cancel_reason=reason,
        update_time=now,
    )
    return cancelled, deallocations(order, freed, reason)


def decide_order_expiry(order: Order, now: datetime) -> tuple[Order, list[StockChange]] | None:
    """Expires an order that is PENDING, past its due time and never paid; returns None when it is not."""
    if (
        order.state is not OrderState.PENDING
        or order.payment_due_time is None
        or order.payment_due_time > now
        or order.terms_met_once
    ):
        return None
    expired = replace(order, state=OrderState.EXPIRED, allocations=(), update_time=now)
    return expired, deallocations(order, order.allocations, "not paid in time")


def decide_return(
    order: Order,
    restocked: Mapping[int, int],
    damaged: Mapping[int, int],
    location_id: str,
    reason: str,
    now: datetime,
) -> tuple[Order, list[StockChange]]:
    """Returns fulfilled units by line number: to stock at `location_id`, or written off.

    Untracked units are returned without a change of stock. Raises QuantityExceeded for units that an open return
    expects.
    """
    require_state(order, "return units of", OrderState.PARTIALLY_FULFILLED, OrderState.FULFILLED)
    quantities = dict(restocked)
    for number, units in damaged.items():
        quantities[number] = quantities.get(number, 0) + units
    lines = require_returnable(order, quantities)
    changes = [
        StockChange(
            lines[number].sku,
            location_id,
            MovementKind.RETURNED,
            on_hand=units if shelf else 0,
            reference=order.order_id,
            note=reason if shelf else f"{units} damaged: {reason}".rstrip(": "),
        )
        for shelf, returned in ((True, restocked), (False, damaged))
        for number, units in returned.items()
        if not lines[number].untracked
    ]
    return replace(order, lines=_with_units(order, quantities, "returned"), update_time=now), changes


def decide_payment(
    order: Order, event: PaymentEvent, levels: Mapping[str, Sequence[StockLevel]], now: datetime
) -> tuple[Order, list[StockChange]]:
    """Adds a payment event; a paid EXPIRED order is reopened if its stock is still available.

    Only incoming money reopens an order: when the money is on its way back it stays expired, whatever the stock.
    """
    if sum(each.amount for each in (*order.payment.events, event) if each.kind in SUMS) > MAX_TOTAL_MINOR:
        raise QuantityOverflow.of_payments()
    payment = order.payment.record(event)
    tender = payment.tender(event.tender)
    if event.kind is PaymentKind.REFUND_FAILED and tender.refunds_failed > tender.refunds:
        raise RefundExceeded(
            order.order_id,
            event.provider,
            event.payment_reference,
            failed=Money(order.currency, event.amount),
            refunded=Money(order.currency, order.payment.tender(event.tender).refunded),
        )
    paid = replace(order, payment=payment, update_time=now)
    if order.state is OrderState.EXPIRED and event.kind in PAYING and paid.terms_met:
        counted = [line for line in order.lines if line.open and not line.untracked]
        wanted = {line.sku: line.open for line in counted}
        if len(wanted) < len(counted):
            return paid, []  # the goods were deleted and others have the SKU now
        try:
            return _allocate(replace(paid, state=OrderState.PROCESSING), take_all(wanted, levels))
        except InsufficientStock:
            pass  # the payment stays recorded and `refund_due` reports it
    return paid, []


def decide_charge(order: Order, charge: Charge, path: str, now: datetime) -> Order:
    """Adds a charge in the order's currency. `path` is its field in the request."""
    if order.state is OrderState.EXPIRED:
        raise OrderStateInvalid(order.order_id, order.state.name, "charge")
    if len(order.charges) >= MAX_CHARGES:
        raise ChargeLimitReached(order.order_id, MAX_CHARGES)
    left = order.amounts.net
    if charge.kind.is_taken_off and charge.amount > left:
        raise charge_exceeded(charge, left, order.currency, f"{path}.amount")
    charged = replace(
        order,
        lines=spread_charge(order.lines, charge, order.currency, path),
        charges=(*order.charges, replace(charge, after_cancellation=order.state is OrderState.CANCELLED)),
        update_time=now,
    )
    require_sane_total(charged)
    return charged


def payment_due(terms: PaymentTerms, now: datetime, allowance: timedelta) -> datetime | None:
    """Returns when a new order expires unless it is paid; None when it does not expire."""
    return None if terms is PaymentTerms.ON_ACCOUNT else now + allowance


def require_state(order: Order, action: str, *allowed: OrderState) -> None:
    """Raises OrderStateInvalid unless the order is in one of these states."""
    if order.state not in allowed:
        raise OrderStateInvalid(order.order_id, order.state.name, action)


def require_returnable(order: Order, quantities: Mapping[int, int]) -> dict[int, OrderLine]:
    """Returns the lines by number. Raises QuantityExceeded unless so many units of each are with the customer, beside
    those that open returns expect."""
    lines = {line.line_number: line for line in order.lines}
    expected = expected_units(order.returns)
    for number, units in quantities.items():
        announced = expected[number]
        _require_line(order, lines, number, units, lambda line: line.fulfilled - line.returned, announced)
    return lines


def _require_open(order: Order, quantities: Mapping[int, int]) -> dict[int, OrderLine]:
    lines = {line.line_number: line for line in order.lines}
    for number, units in quantities.items():
        _require_line(order, lines, number, units, lambda line: line.open)
    return lines


def _require_line(
    order: Order,
    lines: Mapping[int, OrderLine],
    number: int,
    units: int,
    remaining: Callable[[OrderLine], int],
    announced: int = 0,
) -> None:
    line = lines.get(number)
    if line is None:
        raise LineUnknown(number, "lines.line_number", order.order_id)
    left = max(0, remaining(line) - announced)
    if units > left:
        raise QuantityExceeded(order.order_id, number, line.sku, requested=units, remaining=left, announced=announced)


def require_sane_total(order: Order) -> None:
    """Raises QuantityOverflow, or FieldInvalid when the discounts are larger than everything else."""
    amounts = order.amounts
    if amounts.subtotal + sum(charge.amount for charge in order.charges) > MAX_TOTAL_MINOR:
        raise QuantityOverflow.of_total()
    if amounts.total < 0:
        raise FieldInvalid("charges", "the discounts are greater than everything else")


def _allocate(order: Order, portions: Sequence[Portion]) -> tuple[Order, list[StockChange]]:
    changes = [
        StockChange(p.sku, p.location_id, MovementKind.ALLOCATED, allocated=p.quantity, reference=order.order_id)
        for p in portions
        if p.location_id
    ]
    return _with_claims(order, portions), changes


def _with_claims(order: Order, portions: Sequence[Portion]) -> Order:
    """Returns the order with claims on these units; a line whose units are NOWHERE is marked as untracked."""
    numbers = {line.sku: line.line_number for line in order.lines}
    claims = tuple(Allocation(numbers[p.sku], p.location_id, p.quantity) for p in portions if p.location_id)
    if len(claims) == len(portions):
        return order.but(allocations=claims)
    untracked = {p.sku for p in portions if not p.location_id}
    lines = tuple(replace(line, untracked=True) if line.sku in untracked else line for line in order.lines)
    return order.but(allocations=claims, lines=lines)


def _shipping_changes(order: Order, sku: str, shipment: Shipment) -> list[StockChange]:
    """Returns the changes that move claims, followed by those for units that leave."""
    return [
        *(
            StockChange(
                sku,
                place,
                MovementKind.DEALLOCATED,
                allocated=-units,
                reference=order.order_id,
                note=f"shipped from {', '.join(shipment.claimed)}",
            )
            for place, units in shipment.released.items()
        ),
        *(
            StockChange(sku, place, MovementKind.ALLOCATED, allocated=units, reference=order.order_id)
            for place, units in shipment.claimed.items()
        ),
        *(
            StockChange(sku, place, MovementKind.FULFILLED, on_hand=-units, allocated=-units, reference=order.order_id)
            for place, units in shipment.leaving.items()
        ),
    ]


def _not_there(
    order: Order,
    line: OrderLine,
    quantity: int,
    levels: Sequence[StockLevel],
    owed: Mapping[str, int],
    location_id: str,
) -> StockNegative:
    """Returns the error for a shipment, with the locations that have units for this order."""
    there = {level.location_id: shippable(level, owed.get(level.location_id, 0)) for level in levels}
    return StockNegative.in_parcel(line.sku, order.order_id, line.line_number, quantity, there, location_id)


def released(order: Order, quantities: Mapping[int, int]) -> list[Allocation]:
    """Returns the allocations to release, last location first: the location with the highest priority keeps its claim
    longest."""
    freed = []
    for number, quantity in quantities.items():
        missing = quantity
        for allocation in reversed(order.allocations):
            if allocation.line_number == number and missing:
                units = min(allocation.quantity, missing)
                freed.append(Allocation(number, allocation.location_id, units))
                missing -= units
    return freed


def without(allocations: Sequence[Allocation], gone: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """Returns the allocations less what is gone of them."""
    less = {(g.line_number, g.location_id): g.quantity for g in gone}
    left = (replace(a, quantity=a.quantity - less.get((a.line_number, a.location_id), 0)) for a in allocations)
    return tuple(a for a in left if a.quantity)


def deallocations(order: Order, freed: Sequence[Allocation], note: str) -> list[StockChange]:
    """Returns the changes of stock that give these units up."""
    skus = {line.line_number: line.sku for line in order.lines}
    return [
        StockChange(
            skus[f.line_number],
            f.location_id,
            MovementKind.DEALLOCATED,
            allocated=-f.quantity,
            reference=order.order_id,
            note=note,
        )
        for f in freed
    ]


def _with_units(order: Order, quantities: Mapping[int, int], counter: str) -> tuple[OrderLine, ...]:
    return tuple(
        replace(
            line,
            **{counter: getattr(line, counter) + quantities[line.line_number]},
            shares=_shares_after(line, quantities[line.line_number], counter),
        )
        if line.line_number in quantities
        else line
        for line in order.lines
    )


def _shares_after(line: OrderLine, units: int, counter: str) -> LineShares:
    """Returns the line's shares after `units` were cancelled or returned."""
    shares = line.shares
    if counter == "fulfilled" or shares is NO_SHARES:
        return shares
    share = shares.step(line.gone, units, line.quantity)
    return replace(shares, **{counter: getattr(shares, counter) + share})
