"""How much stock one customer may hold at a time, so that nobody parks it."""

from __future__ import annotations

from dataclasses import dataclass

from stockward_server.domain.errors import HoldLimitReached


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody holds: reservations that are ACTIVE and have not run out, and the units in them."""

    holds: int = 0
    units: int = 0

    def and_one_of(self, units: int) -> Held:
        """With one more reservation, of so many units."""
        return Held(self.holds + 1, self.units + units)


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """Zero stands for no limit."""

    holds: int = 0
    """Reservations of one customer."""
    units: int = 0
    """Units in them, over all SKUs."""
    holds_of_key: int = 0
    """Reservations of one key that name no customer."""

    def of_customer(self, held: Held, units: int) -> None:
        """HoldLimitReached when a customer who has `held` may not hold so many units more."""
        if 0 < self.holds <= held.holds:
            raise HoldLimitReached.of_reservations(self.holds, held.holds)
        if 0 < self.units < held.units + units:
            raise HoldLimitReached.of_units(self.units, held.units)

    def of_key(self, held: Held) -> None:
        """HoldLimitReached when a key that has `held` for no customer in particular may hold no more."""
        if 0 < self.holds_of_key <= held.holds:
            raise HoldLimitReached.of_key(self.holds_of_key, held.holds)


NO_LIMITS = HoldLimits()
