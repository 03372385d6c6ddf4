"""Reading orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol

from stockward_server.application.ports.pages import Page
from stockward_server.domain.money import Money
from stockward_server.domain.order import Order, OrderState
from stockward_server.domain.order_search import OrderSearch
from stockward_server.domain.payment import PaymentEvent, PaymentState
from stockward_server.domain.timeline import TimelineEntry


class OrderSort(Enum):
    """What a list is sorted by, as `order_by` names it."""

    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"
    NET = "net"


class Span(NamedTuple):
    """A range of time, without its end; None where it is open."""

    start: datetime | None = None
    end: datetime | None = None


ALWAYS = Span()


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Every field that is set must match."""

    states: Sequence[OrderState] = ()
    customer_id: str | None = None
    reference: str | None = None
    sku: str | None = None
    order_ids: Sequence[str] = ()
    payment_states: Sequence[PaymentState] = ()
    refund_required: bool | None = None
    held: bool | None = None
    location_id: str | None = None
    """The location that owes units still to be shipped."""
    created: Span = ALWAYS
    updated: Span = ALWAYS
    due: Span = ALWAYS
    """When the payment of an unpaid order in PENDING is due."""
    min_net: Money | None = None
    max_net: Money | None = None
    search: OrderSearch | None = None
    tags: Sequence[str] = ()
    """All of them."""
    sort: OrderSort = OrderSort.CREATE_TIME
    descending: bool = True


class OrderCount(NamedTuple):
    """The number of orders with one state and one payment state."""

    state: OrderState
    payment_state: int
    """A PaymentState; 0 for orders that a server of an earlier release wrote within the last minute."""
    orders: int
    held: int
    refund_required: int


@dataclass(frozen=True, slots=True)
class PackingFilter:
    """Which orders to pack; every field that is set must match."""

    order_ids: Sequence[str] = ()
    location_id: str = ""
    """Only orders that this location owes units to."""
    start: datetime | None = None
    """When they were created, at the earliest."""
    end: datetime | None = None
    """Before when they were created."""


class OrderViews(Protocol):
    """Reads on orders."""

    async def order(self, order_id: str) -> Order | None: ...

    async def orders(self, page: Page, wanted: OrderFilter) -> Sequence[Order]: ...

    async def counts(self) -> Sequence[OrderCount]:
        """Returns the number of orders for each pair of states that an order has."""
        ...

    async def to_pack(self, page: Page, wanted: PackingFilter) -> Sequence[Order]:
        """Returns a page of the orders that have units to be shipped, oldest first."""
        ...

    async def timeline(self, page: Page, order_id: str, *, by_storefront: bool) -> Sequence[TimelineEntry]:
        """Returns a page of what happened to the order, oldest first; for a storefront only what it may see."""
        ...

    async def payments(self, page: Page, order_id: str) -> Sequence[PaymentEvent]:
        """Returns a page of the payment events of the order, in the order in which they were recorded."""
        ...

    async def find_paid(self, order_id: str | None, provider: str, payment_reference: str) -> tuple[str, str] | None:
        """Returns id and currency of the order with this id, otherwise of the order that this tender has paid; None
        when there is neither."""
        ...
