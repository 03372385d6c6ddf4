"""Reading orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from stockward_server.application.ports.pages import Page
from stockward_server.domain.order import Order, OrderState
from stockward_server.domain.payment import PaymentEvent
from stockward_server.domain.timeline import TimelineEntry


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Every field that is set must match."""

    states: Sequence[OrderState] = ()
    customer_id: str | None = None
    reference: str | None = None
    sku: str | None = None
    order_ids: Sequence[str] = ()
    oldest_first: bool = False


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
