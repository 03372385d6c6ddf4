"""What a list of orders is filtered and sorted by, from its request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stockward.order.v1 import order_pb2 as pb

from stockward_server.application.context import Role
from stockward_server.application.ports.orders import OrderFilter, OrderSort, Span
from stockward_server.application.ports.pages import Position
from stockward_server.application.ports.positions import Part
from stockward_server.domain.errors import FieldInvalid, RoleNotAllowed
from stockward_server.domain.money import Money
from stockward_server.domain.order import Order, OrderState
from stockward_server.domain.order_search import order_search
from stockward_server.domain.payment import PaymentState
from stockward_server.wire.money import money_of
from stockward_server.wire.times import moment

STAFF_FILTERS = ("held", "location_id", "search", "tags")
"""Filters by what a storefront does not see."""

POSITIONS: Mapping[OrderSort, tuple[Callable[[Order], Position], Sequence[Part]]] = {
    OrderSort.CREATE_TIME: (lambda order: [order.order_id], [Part.ID]),
    OrderSort.UPDATE_TIME: (lambda order: [order.update_time.isoformat(), order.order_id], [Part.TIME, Part.ID]),
    OrderSort.NET: (lambda order: [order.amounts.net, order.order_id], [Part.NUMBER, Part.ID]),
}
"""The position of an order in each list, and its shape."""


def order_filter(request: pb.ListOrdersRequest, role: Role, customer_id: str) -> OrderFilter:
    """Returns the filter of a request for this customer; empty: for all. Raises RoleNotAllowed for a filter that only
    staff may set, and FieldInvalid for a range that cannot be."""
    if role is Role.STOREFRONT:
        given = {field.name for field, _ in request.ListFields()}
        for name in filter(given.__contains__, STAFF_FILTERS):
            raise RoleNotAllowed("storefront", f"list orders by {name}", field=name)
    key, _, direction = (request.order_by or "create_time desc").partition(" ")
    low, high = _amount(request, "min_net"), _amount(request, "max_net")
    if low and high and low.currency != high.currency:
        raise FieldInvalid("max_net", "must be in the currency of min_net")
    return OrderFilter(
        tuple(OrderState(state) for state in request.states),
        customer_id or None,
        request.reference or None,
        request.sku or None,
        payment_states=tuple(PaymentState(state) for state in request.payment_states),
        refund_required=request.refund_required if request.HasField("refund_required") else None,
        held=request.held if request.HasField("held") else None,
        location_id=request.location_id or None,
        created=_span(request, "create"),
        updated=_span(request, "update"),
        due=_span(request, "due"),
        min_net=low,
        max_net=high,
        search=order_search(request.search) if request.search.strip() else None,
        tags=tuple(request.tags),
        sort=OrderSort(key),
        descending=direction == "desc",
    )


def _span(request: pb.ListOrdersRequest, name: str) -> Span:
    """Returns the range of two fields. Raises FieldInvalid when it ends before it starts."""
    fields = f"{name}_start_time", f"{name}_end_time"
    start, end = (moment(getattr(request, field), field) if request.HasField(field) else None for field in fields)  # type: ignore[arg-type]
    if start and end and end < start:
        raise FieldInvalid(fields[1], f"must not be before {fields[0]}")
    return Span(start, end)


def _amount(request: pb.ListOrdersRequest, field: str) -> Money | None:
    return money_of(getattr(request, field), field) if request.HasField(field) else None  # type: ignore[arg-type]
