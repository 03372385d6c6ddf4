"""Limits of the stock that one customer may order without paying."""

from __future__ import annotations

from dataclasses import dataclass

from stockward_server.domain.errors import UnpaidOrderLimitReached


@dataclass(frozen=True, slots=True)
class Unpaid:
    """Orders of a customer or key that are PENDING and not past due, and the units in them."""

    orders: int = 0
    units: int = 0

    def and_one_of(self, units: int) -> Unpaid:
        """Adds one order of `units`."""
        return Unpaid(self.orders + 1, self.units + units)


@dataclass(frozen=True, slots=True)
class UnpaidLimits:
    """Limits of unpaid orders; zero means no limit."""

    orders: int = 0
    """Maximum number of unpaid orders of one customer."""
    units: int = 0
    """Maximum units in them, over all SKUs."""
    orders_of_key: int = 0
    """Maximum number of unpaid orders of one key without a customer."""

    def of_customer(self, unpaid: Unpaid, units: int) -> None:
        """Raises UnpaidOrderLimitReached when a customer with `unpaid` may not order `units` more."""
        if 0 < self.orders <= unpaid.orders:
            raise UnpaidOrderLimitReached.of_orders(self.orders, unpaid.orders)
        if 0 < self.units < unpaid.units + units:
            raise UnpaidOrderLimitReached.of_units(self.units, unpaid.units)

    def of_key(self, unpaid: Unpaid) -> None:
        """Raises UnpaidOrderLimitReached when a key with `unpaid` and no customer may have no more."""
        if 0 < self.orders_of_key <= unpaid.orders:
            raise UnpaidOrderLimitReached.of_key(self.orders_of_key, unpaid.orders)

    def beside(self, added: Unpaid, customer_id: str) -> tuple[int | None, int | None]:
        """Returns the most orders and units that a customer, or a key without one, may have before `added` come to
        them; None where there is no limit."""
        orders = self.orders if customer_id else self.orders_of_key
        units = self.units if customer_id else 0
        return orders - added.orders if orders else None, units - added.units if units else None


NO_LIMITS = UnpaidLimits()
