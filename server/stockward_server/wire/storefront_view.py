"""Removes the data of orders and events that only staff may see."""

from __future__ import annotations

from stockward.event.v1 import event_pb2
from stockward.order.v1 import order_pb2


def hide_order(order: order_pb2.Order | order_pb2.OrderSnapshot) -> None:
    """Removes the data that only staff may see."""
    for line in order.lines:
        line.ClearField("price_override_reason")
    if isinstance(order, order_pb2.Order):
        charges, returns = list(order.charges), list(order.returns)
    else:
        charges = [order.charge] if order.HasField("charge") else []
        returns = [order.order_return] if order.HasField("order_return") else []
    for charge in charges:
        charge.ClearField("reason")
        charge.ClearField("actor")
    if order.HasField("payment"):
        for name in ("disputed", "lost", "tenders"):
            order.payment.ClearField(name)
    order.ClearField("hold")
    order.ClearField("tags")
    for each in returns:
        each.ClearField("reason")
        each.ClearField("note")
        each.ClearField("actor")
    if isinstance(order, order_pb2.Order):
        order.ClearField("attributes")
        order.ClearField("cancel_reason")
    else:
        order.ClearField("reason")


def hide_timeline_entry(entry: order_pb2.OrderTimelineEntry) -> None:
    """Removes the data that only staff may see."""
    for name in ("actor", "edits", "fields", "payment", "charge", "hold"):
        entry.ClearField(name)
    if not entry.customer_visible:
        entry.ClearField("note")


def hide_event(event: event_pb2.Event) -> None:
    """Removes the data that only staff may see: the actor, and the data that `hide_order` removes."""
    event.ClearField("actor")
    if event.HasField("order"):
        hide_order(event.order)
