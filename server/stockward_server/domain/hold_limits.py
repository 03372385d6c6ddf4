"""Limits of the stock that one customer may hold at a time."""

from __future__ import annotations

from dataclasses import dataclass

from stockward_server.domain.errors import HoldLimitReached


@dataclass(frozen=True, slots=True)
class Held:
    """Active, unexpired reservations of a customer or key, and the units in them."""

    holds: int = 0
    units: int = 0

    def and_one_of(self, units: int) -> Held:
        """Adds one reservation of `units`."""
        return Held(self.holds + 1, self.units + units)


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """Limits of reservations; zero means no limit."""

    holds: int = 0
    """Maximum number of reservations of one customer."""
    units: int = 0
    """Maximum units in them, over all SKUs."""
    holds_of_key: int = 0
    """Maximum number of reservations of one key without a customer."""

    def of_customer(self, held: Held, units: int) -> None:
        """Raises HoldLimitReached when a customer who has `held` may not hold `units` more."""
        if 0 < self.holds <= held.holds:
            raise HoldLimitReached.of_reservations(self.holds, held.holds)
        if 0 < self.units < held.units + units:
            raise HoldLimitReached.of_units(self.units, held.units)

    def of_key(self, held: Held) -> None:
        """Raises HoldLimitReached when a key with `held` and no customer may hold no more."""
        if 0 < self.holds_of_key <= held.holds:
            raise HoldLimitReached.of_key(self.holds_of_key, held.holds)

    def beside(self, added: Held, customer_id: str) -> tuple[int | None, int | None]:
        """Returns the most holds and units that a customer, or a key without one, may have before `added` come to
        them; None where there is no limit."""
        holds = self.holds if customer_id else self.holds_of_key
        units = self.units if customer_id else 0
        return holds - added.holds if holds else None, units - added.units if units else None


NO_LIMITS = HoldLimits()
