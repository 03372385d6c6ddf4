"""Orders as their callers may see them."""

from __future__ import annotations

from stockward.order.v1 import order_pb2 as pb

from stockward_server.application.context import Role
from stockward_server.auth.identity import current_call
from stockward_server.wire.storefront_view import hide_order


def for_caller(order: pb.Order) -> pb.Order:
    """The order as its caller may see it."""
    if current_call.get().caller.role is Role.STOREFRONT:
        hide_order(order)
    return order
