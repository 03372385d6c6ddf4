"""Domain objects to begin a test with, and what a decision did to the counters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stockward_server.domain.order import (
    Allocation,
    Fulfillment,
    Order,
    OrderLine,
    OrderState,
)
from stockward_server.domain.payment import Payment, PaymentEvent, PaymentKind
from stockward_server.domain.reservation import Reservation, ReservationState
from stockward_server.domain.stock import Portion, StockChange, StockLevel

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(minutes=5)
PARCEL = Fulfillment("parcel-1", (), "TRACK-1", "DHL", LATER)


BEING_PREPARED = (OrderState.PROCESSING, OrderState.PARTIALLY_FULFILLED)


def level(on_hand: int = 0, reserved: int = 0, allocated: int = 0, **fields: Any) -> StockLevel:
    """A stock row of MUG at `main`, unless said otherwise."""
    counters = {"on_hand": on_hand, "reserved": reserved, "allocated": allocated}
    return StockLevel(**{"sku": "MUG", "location_id": "main", **counters, **fields})


def hold(state: ReservationState = ReservationState.ACTIVE, **fields: Any) -> Reservation:
    """A hold of 2 MUG and 1 CAP at `main` that lasts ten minutes from NOW."""
    lines = (Portion("MUG", "main", 2), Portion("CAP", "main", 1))
    reservation = Reservation("hold-1", state, lines, "ada", NOW + timedelta(minutes=10), NOW, NOW)
    return replace(reservation, **fields)


def order(state: OrderState = OrderState.PENDING, **fields: Any) -> Order:
    """3 MUG at 10.00 and 1 CAP at 5.00 EUR, prepaid and due in an hour, with the units that its state goes with.

    PARTIALLY_FULFILLED has shipped 1 MUG, FULFILLED everything; MUG comes from two locations. What is being prepared is
    paid.
    """
    mugs, caps = OrderLine(1, "MUG", "Mug", 3, 1000), OrderLine(2, "CAP", "Cap", 1, 500)
    claims = {(1, "main"): 2, (1, "north"): 1, (2, "main"): 1}
    match state:
        case OrderState.PARTIALLY_FULFILLED:
            mugs = replace(mugs, fulfilled=1)
            claims[1, "main"] = 1
        case OrderState.FULFILLED:
            mugs, caps, claims = replace(mugs, fulfilled=3), replace(caps, fulfilled=1), {}
        case OrderState.CANCELLED:
            mugs, caps, claims = replace(mugs, cancelled=3), replace(caps, cancelled=1), {}
        case OrderState.EXPIRED:
            claims = {}
    placed = Order(
        order_id="order-1",
        state=state,
        currency="EUR",
        lines=(mugs, caps),
        allocations=tuple(Allocation(number, location, units) for (number, location), units in claims.items()),
        create_time=NOW,
        update_time=NOW,
        payment_due_time=NOW + timedelta(hours=1),
        payment=payment(captured=3500) if state in BEING_PREPARED else Payment(),
    )
    return replace(placed, **fields)


def report(kind: PaymentKind, amount: int, event_id: str = "evt-1", **fields: Any) -> PaymentEvent:
    """What a payment provider reports of `order()`; `amount` in cents."""
    return PaymentEvent("stripe", event_id, "order-1", kind, amount, **{"event_time": NOW, **fields})


def payment(**amounts: int) -> Payment:
    """What was reported of one tender, second by second: `payment(authorized=3500, voided=3500)`."""
    reported = Payment()
    for second, (kind, amount) in enumerate(amounts.items(), 1):
        event = report(PaymentKind[kind.upper()], amount, f"evt-{kind}", event_time=NOW + second * SECOND)
        reported = reported.record(event)
    return reported


def deltas(changes: Iterable[StockChange]) -> dict[tuple[str, str], tuple[int, int, int]]:
    """What the changes add to on_hand, reserved and allocated of each stock row."""
    summed: dict[tuple[str, str], tuple[int, int, int]] = {}
    for change in changes:
        on_hand, reserved, allocated = summed.get((change.sku, change.location_id), (0, 0, 0))
        summed[change.sku, change.location_id] = (
            on_hand + change.on_hand,
            reserved + change.reserved,
            allocated + change.allocated,
        )
    return summed
