"""Holds of orders: staff put an order on hold and release it, and time ends a hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from stockward_server.domain.errors import FieldInvalid, OrderNotOnHold, OrderOnHold, OrderStateInvalid
from stockward_server.domain.order import OPEN_STATES, Hold, Order


def decide_hold(order: Order, hold: Hold, now: datetime) -> Order:
    """Puts an open order on hold. A hold for want of payment may stand beside it; one by staff may not."""
    if order.state not in OPEN_STATES:
        raise OrderStateInvalid(order.order_id, order.state.name, "hold")
    if hold.is_over(now):
        raise FieldInvalid("expire_time", "must be in the future")
    order = without_ended_hold(order, now)
    if order.staff_hold is not None:
        raise _on_hold(order, order.staff_hold, "hold")
    return replace(order, staff_hold=hold, update_time=now)


def decide_release(order: Order, now: datetime) -> Order:
    """Ends the hold by staff."""
    hold = order.hold
    if hold is None:
        raise OrderNotOnHold(order.order_id)
    if order.staff_hold is None:
        raise _on_hold(order, hold, "release")
    return replace(order, staff_hold=None, update_time=now)


def without_ended_hold(order: Order, now: datetime) -> Order:
    """Returns the order without a hold by staff whose time is over; the same order when there is none."""
    if order.staff_hold is None or not order.staff_hold.is_over(now):
        return order
    return replace(order, staff_hold=None, update_time=now)


def require_no_hold(order: Order, action: str, now: datetime) -> Order:
    """Returns the order without a hold whose time is over. Raises OrderOnHold for any other."""
    order = without_ended_hold(order, now)
    hold = order.hold
    if hold is not None:
        raise _on_hold(order, hold, action)
    return order


def _on_hold(order: Order, hold: Hold, action: str) -> OrderOnHold:
    if hold is not order.staff_hold:
        return OrderOnHold.for_want_of_payment(order.order_id, action)
    return OrderOnHold.by_staff(order.order_id, hold.reason.name, action, hold.expire_time)
