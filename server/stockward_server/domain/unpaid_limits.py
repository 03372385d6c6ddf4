"""How much stock one customer may order without paying for it, so that nobody parks it."""

from __future__ import annotations

from dataclasses import dataclass

from stockward_server.domain.errors import UnpaidOrderLimitReached


@dataclass(frozen=True, slots=True)
class Unpaid:
    """What somebody has ordered and not paid for: orders that are PENDING and not past due, and the units in them."""

    orders: int = 0
    units: int = 0

    def and_one_of(self, units: int) -> Unpaid:
        """With one more order, of so many units."""
        return Unpaid(self.orders + 1, self.units + units)


@dataclass(frozen=True, slots=True)
class UnpaidLimits:
    """Zero stands for no limit."""

    orders: int = 0
    """Unpaid orders of one customer."""
    units: int = 0
    """Units in them, over all SKUs."""
    orders_of_key: int = 0
    """Unpaid orders of one key that name no customer."""

    def of_customer(self, unpaid: Unpaid, units: int) -> None:
        """UnpaidOrderLimitReached when a customer who has `unpaid` may not order so many units more."""
        if 0 < self.orders <= unpaid.orders:
            raise UnpaidOrderLimitReached.of_orders(self.orders, unpaid.orders)
        if 0 < self.units < unpaid.units + units:
            raise UnpaidOrderLimitReached.of_units(self.units, unpaid.units)

    def of_key(self, unpaid: Unpaid) -> None:
        """UnpaidOrderLimitReached when a key that has `unpaid` for no customer in particular may have no more."""
        if 0 < self.orders_of_key <= unpaid.orders:
            raise UnpaidOrderLimitReached.of_key(self.orders_of_key, unpaid.orders)


NO_LIMITS = UnpaidLimits()
