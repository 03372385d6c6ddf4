"""Decides which locations ship the units of an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stockward_server.domain.stock import StockLevel


@dataclass(frozen=True, slots=True)
class Shipment:
    """Units of one SKU that ship together, by location, and the claims that move for them."""

    leaving: Mapping[str, int]
    """Units that leave each location; the total is less than requested when there are not enough."""
    claimed: Mapping[str, int]
    """Units that the order must first claim, at locations where they are unclaimed."""
    released: Mapping[str, int]
    """Units that it releases for them at other locations."""
    used: Mapping[str, int]
    """Units of its previous claims that end: those that ship and those that it releases."""


def shippable(level: StockLevel, owed: int) -> int:
    """Returns the units that can leave a location that owes the order `owed` units."""
    return min(owed, level.on_hand) + level.free


def plan_shipment(
    levels: Sequence[StockLevel], owed: Mapping[str, int], quantity: int, location_id: str = ""
) -> Shipment:
    """Plans how `quantity` units of one SKU leave for an order that is owed `owed` (location -> units).

    `levels` are those of all locations, by priority. The order first uses its own claims, as far as they are on hand;
    the rest comes from unclaimed goods, safety stock included: from active locations first, then from inactive ones.
    With a `location_id` all units leave that one. Claims move first from locations that are short of goods, and the
    location with the highest priority keeps its claim longest.
    """
    sources = [level for level in levels if location_id in ("", level.location_id)]
    leaving: dict[str, int] = {}
    missing = quantity
    for level in sources:
        if units := min(owed.get(level.location_id, 0), level.on_hand, missing):
            leaving[level.location_id] = units
            missing -= units
    used = dict(leaving)
    claimed: dict[str, int] = {}
    for level in sorted(sources, key=lambda level: not level.active):
        if units := min(level.free, missing):
            claimed[level.location_id] = units
            leaving[level.location_id] = leaving.get(level.location_id, 0) + units
            missing -= units
    released: dict[str, int] = {}
    moving = sum(claimed.values())
    for short_of_goods in (True, False):
        for level in reversed(levels):
            place = level.location_id
            units = min(owed.get(place, 0) - used.get(place, 0), moving)
            if short_of_goods:
                units = min(units, max(0, level.reserved + level.allocated - level.on_hand))
            if units:
                released[place] = released.get(place, 0) + units
                used[place] = used.get(place, 0) + units
                moving -= units
    return Shipment(leaving, claimed, released, used)
