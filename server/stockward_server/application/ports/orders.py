"""Reading orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stockward_server.application.ports.pages import Page
from stockward_server.domain.order import Order, OrderState


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Every field that is set must match."""

    states: Sequence[OrderState] = ()
    customer_id: str | None = None
    reference: str | None = None
    sku: str | None = None
    order_ids: Sequence[str] = ()
    oldest_first: bool = False


class OrderViews(Protocol):
    """Reads on orders."""

    async def order(self, order_id: str) -> Order | None: ...

    async def orders(self, page: Page, wanted: OrderFilter) -> Sequence[Order]: ...

    async def find_paid(self, order_id: str | None, provider: str, payment_reference: str) -> tuple[str, str] | None:
        """Returns id and currency of the order with this id, otherwise of the order that this tender has paid; None
        when there is neither."""
        ...
