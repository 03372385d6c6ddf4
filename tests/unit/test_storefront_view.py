"""What storefronts see of orders and events: less than staff, and nothing that is not there."""

from __future__ import annotations

from google.protobuf.message import Message
from stockward.event.v1.event_pb2 import Event
from stockward.order.v1.order_pb2 import Order, OrderSnapshot, OrderTimelineEntry

from stockward_server.wire.storefront_view import hide_event, hide_order, hide_timeline_entry


def test_hiding_adds_nothing() -> None:
    """A field of a message is there once it is changed, even if it is emptied."""
    order, snapshot, event, entry = Order(), OrderSnapshot(), Event(order=OrderSnapshot()), OrderTimelineEntry()
    before = [each.SerializeToString() for each in (order, snapshot, event, entry)]
    hide_order(order)
    hide_order(snapshot)
    hide_event(event)
    hide_timeline_entry(entry)
    after: list[Message] = [order, snapshot, event, entry]
    assert [each.SerializeToString() for each in after] == before
