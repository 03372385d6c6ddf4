"""What the shop should do, said once more and as plainly as can be: units move one by one, sums are taken anew.

It shares nothing with the server but words. A refusal is its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field

LOCATIONS = ("main", "north")
"""By priority."""

ENDLESS = ""
"""Where units are that nobody counts."""

Place = tuple[str, str]
"""SKU and location."""


class RefusedError(Exception):
    """The shop says no, with a reason."""


@dataclass
class Shelf:
    """One SKU at one location."""

    on_hand: int = 0
    reserved: int = 0
    allocated: int = 0
    safety: int = 0
    backorder: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved - self.allocated - self.safety

    @property
    def unowned(self) -> int:
        """Below zero: units that somebody owns and that are not there."""
        return self.on_hand - self.reserved - self.allocated


@dataclass
class Listing:
    """The product of one SKU."""

    price: int
    state: str = "PUBLISHED"
    dated: bool = False
    """Whether it is known when it was published."""
    untracked: bool = False


@dataclass
class Hold:
    units: Counter[Place]
    state: str = "ACTIVE"
    overdue: bool = False


@dataclass
class Purchase:
    wanted: dict[str, int]
    prices: Mapping[str, int]
    shipping: int
    prepaid: bool
    owed: Counter[Place]
    endless: set[str]
    """SKUs that were not tracked when they were ordered."""
    state: str = "PENDING"
    overdue: bool = False
    fulfilled: Counter[str] = field(default_factory=Counter)
    cancelled: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    payments: list[tuple[str, int]] = field(default_factory=list)

    def by_line(self, units: Mapping[str, int]) -> dict[int, int]:
        """Lines are numbered in the order of `wanted`."""
        return {list(self.wanted).index(sku) + 1: count for sku, count in units.items()}

    @property
    def open(self) -> dict[str, int]:
        units = {sku: n - self.fulfilled[sku] - self.cancelled[sku] for sku, n in self.wanted.items()}
        return {sku: n for sku, n in units.items() if n}

    def value(self, units: Mapping[str, int]) -> int:
        return sum(n * self.prices[sku] for sku, n in units.items())

    @property
    def total(self) -> int:
        return self.value(self.wanted) + self.shipping

    @property
    def kept(self) -> int:
        return self.sum("CAPTURED") - self.sum("REFUNDED")

    def sum(self, kind: str) -> int:
        return sum(amount for each, amount in self.payments if each == kind)

    @property
    def ready(self) -> bool:
        """Whether the money allows to process it."""
        price = self.total - self.value(self.cancelled)
        secured = self.sum("AUTHORIZED") - self.sum("VOIDED") if not self.sum("REFUNDED") else 0
        return not self.prepaid or max(self.kept, secured) >= price

    @property
    def refund_due(self) -> int:
        void = self.state in ("CANCELLED", "EXPIRED")
        owing = 0 if void else self.total - self.value(self.cancelled) - self.value(self.returned)
        return max(0, self.kept - owing)


class Model:
    """Listings, shelves, holds, orders and payments, changed by one step at a time."""

    def __init__(self, prices: Mapping[str, int]) -> None:
        self.listings = {sku: Listing(price) for sku, price in prices.items()}
        self.shelves = {(sku, location): Shelf() for sku in prices for location in LOCATIONS}
        self.closed: set[str] = set()
        self.payments: dict[str, tuple[Purchase, str, int]] = {}

    @property
    def prices(self) -> dict[str, int]:
        return {sku: listing.price for sku, listing in self.listings.items()}

    def publish(self, sku: str) -> None:
        listing = self.listings[sku]
        require(listing.state != "ARCHIVED", "PRODUCT_STATE_INVALID")
        listing.dated = listing.dated or listing.state != "PUBLISHED"
        listing.state = "PUBLISHED"

    def unpublish(self, sku: str) -> None:
        listing = self.listings[sku]
        require(listing.state != "ARCHIVED", "PRODUCT_STATE_INVALID")
        if listing.state == "PUBLISHED":
            listing.state = "UNPUBLISHED"

    def archive(self, sku: str) -> None:
        require(self.listings[sku].state != "PUBLISHED", "PRODUCT_STATE_INVALID")
        self.listings[sku].state = "ARCHIVED"

    def restore(self, sku: str) -> None:
        listing = self.listings[sku]
        require(listing.state != "PUBLISHED", "PRODUCT_STATE_INVALID")
        if listing.state == "ARCHIVED":
            listing.state = "UNPUBLISHED" if listing.dated else "DRAFT"

    def set_untracked(self, sku: str, untracked: bool) -> None:
        claims = [shelf.reserved + shelf.allocated for (each, _), shelf in self.shelves.items() if each == sku]
        require(not untracked or self.listings[sku].untracked or not any(claims), "VARIANT_IN_USE")
        self.listings[sku].untracked = untracked

    def require_counted(self, place: Place) -> None:
        require(not self.listings[place[0]].untracked, "STOCK_NOT_TRACKED")

    def require_for_sale(self, wanted: Mapping[str, int]) -> None:
        require(all(self.listings[sku].state == "PUBLISHED" for sku in wanted), "PRODUCT_NOT_PUBLISHED")

    def pick(self, wanted: Mapping[str, int]) -> Counter[Place]:
        """Unit by unit from the first location that has one, or else may owe one; as many must be left over as are
        missing at all locations."""
        picked: Counter[Place] = Counter()
        for sku, quantity in wanted.items():
            if self.listings[sku].untracked:
                picked[sku, ENDLESS] += quantity
                continue
            require(quantity <= self.room(sku), "INSUFFICIENT_STOCK")
            places = [(sku, location) for location in LOCATIONS if location not in self.closed]
            for _ in range(quantity):
                room = {place: self.shelves[place].available - picked[place] for place in places}
                found = [place for place in places if room[place] > 0] or [
                    place for place in places if room[place] + self.shelves[place].backorder > 0
                ]
                require(found, "INSUFFICIENT_STOCK")
                picked[found[0]] += 1
        return picked

    def room(self, sku: str) -> int:
        """Units that can be promised in all."""
        units = 0
        for location in LOCATIONS:
            shelf = self.shelves[sku, location]
            backorder = 0 if location in self.closed else shelf.backorder
            units -= max(0, -(shelf.unowned + backorder))
            units += 0 if location in self.closed else max(0, shelf.available + backorder)
        return units

    def offered(self, sku: str) -> int:
        """Units that a customer can order."""
        return 1_000_000_000 if self.listings[sku].untracked else max(0, self.room(sku))

    def adjust(self, place: Place, delta: int) -> None:
        self.require_counted(place)
        require(self.shelves[place].on_hand + delta >= 0, "STOCK_NEGATIVE")
        self.shelves[place].on_hand += delta

    def count(self, place: Place, on_hand: int, expected: int | None) -> None:
        self.require_counted(place)
        require(expected in (None, self.shelves[place].on_hand), "STOCK_CHANGED")
        self.shelves[place].on_hand = on_hand

    def set_policy(self, place: Place, safety: int, backorder: int) -> None:
        self.require_counted(place)
        self.shelves[place].safety, self.shelves[place].backorder = safety, backorder

    def reserve(self, wanted: Mapping[str, int]) -> Hold:
        self.require_for_sale(wanted)
        hold = Hold(self.pick(wanted))
        for place, units in counted(hold.units).items():
            self.shelves[place].reserved += units
        return hold

    def extend(self, hold: Hold) -> None:
        self.require_alive(hold)

    def release(self, hold: Hold, state: str = "RELEASED") -> None:
        require(hold.state == "ACTIVE", "RESERVATION_NOT_ACTIVE")
        hold.state = state
        for place, units in counted(hold.units).items():
            self.shelves[place].reserved -= units

    def require_alive(self, hold: Hold) -> None:
        over = hold.state == "EXPIRED" or (hold.state == "ACTIVE" and hold.overdue)
        require(not over, "RESERVATION_EXPIRED")
        require(hold.state == "ACTIVE", "RESERVATION_NOT_ACTIVE")

    def order(self, wanted: dict[str, int], shipping: int, prepaid: bool) -> Purchase:
        self.require_for_sale(wanted)
        return self.purchase(wanted, self.pick(wanted), shipping, prepaid)

    def purchase(self, wanted: dict[str, int], units: Counter[Place], shipping: int, prepaid: bool) -> Purchase:
        endless = {sku for sku, location in units if location == ENDLESS}
        self.owe(counted(units))
        return Purchase(wanted, self.prices, shipping, prepaid, counted(units), endless)

    def convert(self, hold: Hold, shipping: int, prepaid: bool) -> Purchase:
        self.require_alive(hold)
        self.release(hold, "CONVERTED")
        wanted: Counter[str] = Counter()
        for (sku, _), units in sorted(hold.units.items()):
            wanted[sku] += units
        return self.purchase(dict(wanted), hold.units, shipping, prepaid)

    def owe(self, units: Mapping[Place, int], sign: int = 1) -> None:
        for place, count in units.items():
            self.shelves[place].allocated += sign * count

    def process(self, purchase: Purchase) -> None:
        require(purchase.state == "PENDING", "ORDER_STATE_INVALID")
        require(purchase.ready, "PAYMENT_REQUIRED")
        purchase.state = "PROCESSING"

    def fulfill(self, purchase: Purchase, units: Mapping[str, int], location: str | None = None) -> None:
        """Unit by unit: the order's own where it is there, or else one that nobody owns, whose claim comes from where
        units are missing, or else from the last location."""
        require(purchase.state in ("PROCESSING", "PARTIALLY_FULFILLED"), "ORDER_STATE_INVALID")
        units = units or purchase.open
        require(all(n <= purchase.open.get(sku, 0) for sku, n in units.items()), "QUANTITY_EXCEEDED")
        shelves, owed = deepcopy(self.shelves), purchase.owed.copy()
        for sku in [sku for sku, count in units.items() for _ in range(count) if sku not in purchase.endless]:
            places = [(sku, each) for each in LOCATIONS if location in (None, each)]
            own = [place for place in places if owed[place] and shelves[place].on_hand]
            free = [place for place in places if shelves[place].unowned > 0]
            require(own or free, "STOCK_NEGATIVE")
            if own:
                place = own[0]
            else:
                place = min(free, key=lambda place: place[1] in self.closed)
                claims = [(sku, each) for each in LOCATIONS if owed[sku, each]]
                claim = ([each for each in claims if shelves[each].unowned < 0] or claims)[-1]
                owed[claim] -= 1
                shelves[claim].allocated -= 1
                owed[place] += 1
                shelves[place].allocated += 1
            owed[place] -= 1
            shelves[place].allocated -= 1
            shelves[place].on_hand -= 1
        self.shelves, purchase.owed = shelves, owed
        purchase.fulfilled.update(units)
        purchase.state = "PARTIALLY_FULFILLED" if purchase.open else "FULFILLED"

    def cancel(self, purchase: Purchase, units: Mapping[str, int]) -> None:
        allowed = ("PENDING", "PROCESSING", *(["PARTIALLY_FULFILLED"] if units else []))
        require(purchase.state in allowed, "ORDER_STATE_INVALID")
        units = units or purchase.open
        require(all(n <= purchase.open.get(sku, 0) for sku, n in units.items()), "QUANTITY_EXCEEDED")
        for sku in units.keys() - purchase.endless:
            for _ in range(units[sku]):
                last = [(sku, location) for location in LOCATIONS if purchase.owed[sku, location]][-1]
                purchase.owed[last] -= 1
                self.shelves[last].allocated -= 1
        purchase.cancelled.update(units)
        if not purchase.open:
            purchase.state = "FULFILLED" if any(purchase.fulfilled.values()) else "CANCELLED"

    def take_back(self, purchase: Purchase, good: Mapping[str, int], broken: Mapping[str, int], location: str) -> None:
        require(purchase.state in ("PARTIALLY_FULFILLED", "FULFILLED"), "ORDER_STATE_INVALID")
        back = Counter(good) + Counter(broken)
        require(all(n <= purchase.fulfilled[s] - purchase.returned[s] for s, n in back.items()), "QUANTITY_EXCEEDED")
        purchase.returned.update(back)
        for sku, count in good.items():
            if sku not in purchase.endless and not self.listings[sku].untracked:
                self.shelves[sku, location].on_hand += count

    def pay(self, purchase: Purchase, event_id: str, kind: str, amount: int) -> None:
        event = (purchase, kind, amount)
        if event_id in self.payments:
            known = self.payments[event_id]
            require(known[0] is purchase and known[1:] == event[1:], "PAYMENT_EVENT_CONFLICT")
            return
        self.payments[event_id] = event
        purchase.payments.append((kind, amount))
        if purchase.state == "EXPIRED" and purchase.ready:
            try:
                units = self.pick({sku: n for sku, n in purchase.open.items() if sku not in purchase.endless})
            except RefusedError:
                return
            purchase.endless |= {sku for sku, location in units if location == ENDLESS}
            purchase.owed = counted(units)
            self.owe(purchase.owed)
            purchase.state = "PROCESSING"

    def sweep(self, holds: list[Hold], purchases: list[Purchase]) -> None:
        for hold in holds:
            if hold.state == "ACTIVE" and hold.overdue:
                self.release(hold, "EXPIRED")
        for purchase in purchases:
            if purchase.state == "PENDING" and purchase.overdue and not purchase.ready:
                purchase.state = "EXPIRED"
                self.owe(purchase.owed, -1)
                purchase.owed.clear()


def counted(units: Counter[Place]) -> Counter[Place]:
    """Those that are at a location."""
    return Counter({place: count for place, count in units.items() if place[1] != ENDLESS})


def require(condition: object, reason: str) -> None:
    """Refuses for this reason unless the condition holds."""
    if not condition:
        raise RefusedError(reason)
