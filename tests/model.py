"""What the shop should do, said once more and as plainly as can be: units move one by one, sums are taken again.

It shares nothing with the server but words. A refusal is its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from tests.model_purchase import WITH_THE_ORDER, Expected, Place, Purchase, RefusedError, require

LOCATIONS = ("main", "north")
"""By priority."""

ENDLESS = ""
"""The location of units that are not counted."""


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
        """Below zero: claimed units that are not there."""
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


class Model:
    """Listings, shelves, holds, orders and payments, changed by one step at a time."""

    def __init__(self, prices: Mapping[str, int]) -> None:
        self.listings = {sku: Listing(price) for sku, price in prices.items()}
        self.shelves = {(sku, location): Shelf() for sku in prices for location in LOCATIONS}
        self.closed: set[str] = set()
        self.payments: dict[str, tuple[Purchase, str, int, str]] = {}
        self.tenders: dict[str, Purchase] = {}

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

    def require_for_sale(self, wanted: Iterable[str]) -> None:
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

    def order(self, wanted: dict[str, int], charges: Mapping[str, int], prepaid: bool) -> Purchase:
        self.require_for_sale(wanted)
        purchase = self.priced(wanted, charges, prepaid)
        self.claim(purchase, self.pick(wanted))
        return purchase

    def claim(self, purchase: Purchase, units: Counter[Place]) -> None:
        """Gives it these units; those of goods that are not tracked are nowhere."""
        purchase.endless |= {sku for sku, location in units if location == ENDLESS}
        purchase.owed = counted(units)
        self.owe(purchase.owed)

    def convert(self, hold: Hold, charges: Mapping[str, int], prepaid: bool) -> Purchase:
        self.require_alive(hold)
        wanted: Counter[str] = Counter()
        for (sku, _), units in sorted(hold.units.items()):
            wanted[sku] += units
        purchase = self.priced(dict(wanted), charges, prepaid)
        self.release(hold, "CONVERTED")
        self.claim(purchase, hold.units)
        return purchase

    def priced(self, wanted: dict[str, int], charges: Mapping[str, int], prepaid: bool) -> Purchase:
        purchase = Purchase(wanted, self.prices, prepaid)
        for kind, amount in charges.items():
            purchase.charge(kind, amount, WITH_THE_ORDER)
        require(purchase.total >= 0, "FIELD_INVALID")
        return purchase

    def charge(self, purchase: Purchase, kind: str, amount: int) -> None:
        require(purchase.state != "EXPIRED", "ORDER_STATE_INVALID")
        purchase.charge(kind, amount, len(purchase.payments))

    def owe(self, units: Mapping[Place, int], sign: int = 1) -> None:
        for place, count in units.items():
            self.shelves[place].allocated += sign * count

    def process(self, purchase: Purchase) -> None:
        require(purchase.state == "PENDING", "ORDER_STATE_INVALID")
        require(not purchase.held, "ORDER_ON_HOLD")
        require(purchase.ready, "PAYMENT_REQUIRED")
        purchase.state = "PROCESSING"

    def fulfill(self, purchase: Purchase, units: Mapping[str, int], location: str | None = None) -> Counter[Place]:
        """Returns what left where. Unit by unit: the order's own where it is there, or else an unclaimed one, whose
        claim comes from where units are missing, or else from the last location."""
        require(purchase.state in ("PROCESSING", "PARTIALLY_FULFILLED"), "ORDER_STATE_INVALID")
        require(not purchase.held, "ORDER_ON_HOLD")
        units = units or purchase.open
        require(all(n <= purchase.open.get(sku, 0) for sku, n in units.items()), "QUANTITY_EXCEEDED")
        shelves, owed = deepcopy(self.shelves), purchase.owed.copy()
        left = Counter({(sku, ENDLESS): count for sku, count in units.items() if sku in purchase.endless})
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
            left[place] += 1
        self.shelves, purchase.owed = shelves, owed
        purchase.fulfilled.update(units)
        purchase.state = "PARTIALLY_FULFILLED" if purchase.open else "FULFILLED"
        return left

    def unpack(self, purchase: Purchase, parcel: str) -> None:
        """What left is there again, and owed."""
        units: Counter[str] = Counter()
        for (sku, _), count in purchase.parcels[parcel].items():
            units[sku] += count
        require(all(count <= purchase.with_customer(sku) for sku, count in units.items()), "QUANTITY_EXCEEDED")
        back = counted(purchase.parcels[parcel])
        for place in back:
            self.require_counted(place)
        del purchase.parcels[parcel]
        for place, count in back.items():
            self.shelves[place].on_hand += count
            self.shelves[place].allocated += count
        purchase.owed += back
        purchase.fulfilled -= units
        purchase.state = "PARTIALLY_FULFILLED" if any(purchase.fulfilled.values()) else "PROCESSING"

    def cancel(self, purchase: Purchase, units: Mapping[str, int]) -> None:
        allowed = ("PENDING", "PROCESSING", *(["PARTIALLY_FULFILLED"] if units else []))
        require(purchase.state in allowed, "ORDER_STATE_INVALID")
        units = units or purchase.open
        require(all(n <= purchase.open.get(sku, 0) for sku, n in units.items()), "QUANTITY_EXCEEDED")
        for sku, count in units.items():
            for _ in range(count):
                purchase.lose(sku)
                if sku not in purchase.endless:
                    last = [(sku, location) for location in LOCATIONS if purchase.owed[sku, location]][-1]
                    purchase.owed[last] -= 1
                    self.shelves[last].allocated -= 1
        purchase.cancelled.update(units)
        if not purchase.open:
            purchase.state = "FULFILLED" if any(purchase.fulfilled.values()) else "CANCELLED"

    def edit(self, purchase: Purchase, changes: Mapping[str, int], added: Mapping[str, int], *, present: bool) -> None:
        """`changes` are the new units of SKUs that it has; `present`: at the prices of now."""
        require(purchase.state == "PENDING", "ORDER_STATE_INVALID")
        was, before = purchase.open, purchase.left
        self.require_for_sale([sku for sku, n in changes.items() if n > was.get(sku, 0) > 0])
        self.require_for_sale(added)
        require(all(sku in was or not n for sku, n in changes.items()), "QUANTITY_EXCEEDED")
        now = {**was, **changes, **added}
        require(any(now.values()), "FIELD_INVALID")
        more = {sku: n - was.get(sku, 0) for sku, n in now.items() if n > was.get(sku, 0)}
        picked = self.pick({sku: n for sku, n in more.items() if sku not in purchase.endless})
        edited = deepcopy(purchase)
        edited.endless |= {sku for sku, location in picked if location == ENDLESS}
        less = {sku: n - now[sku] for sku, n in was.items() if n > now[sku] and sku not in purchase.endless}
        for sku in Counter(less).elements():
            last = [(sku, location) for location in LOCATIONS if edited.owed[sku, location]][-1]
            edited.owed[last] -= 1
        edited.owed += counted(picked)
        edited.wanted = {sku: edited.cancelled[sku] + n for sku, n in now.items()} | {
            sku: n for sku, n in edited.wanted.items() if sku not in now
        }
        edited.wanted = {sku: n for sku, n in edited.wanted.items() if n}
        last_number = max(edited.numbers.values())
        edited.numbers |= {sku: number for number, sku in enumerate(added, last_number + 1)}
        edited.numbers = {sku: number for sku, number in edited.numbers.items() if sku in edited.wanted}
        renewed = [*added, *(sku for sku in was if now[sku] and present)]
        edited.prices = {**edited.prices, **{sku: self.prices[sku] for sku in renewed}}
        edited.units = {sku: [(0, 0)] * n for sku, n in now.items() if n}
        edited.gone = sum(n * edited.prices[sku] for sku, n in edited.cancelled.items())
        edited.wanted = dict(sorted(edited.wanted.items(), key=lambda item: edited.numbers[item[0]]))
        for kind, amount, _ in edited.charges:
            edited.spread(kind, amount)
        require(edited.total >= 0, "CHARGE_EXCEEDED")
        if edited.left != before:
            edited.later.append((edited.left - before, len(edited.payments)))
        self.owe(purchase.owed, -1)
        self.owe(edited.owed)
        vars(purchase).update(vars(edited))

    def take_back(self, purchase: Purchase, good: Mapping[str, int], broken: Mapping[str, int], location: str) -> None:
        require(purchase.state in ("PARTIALLY_FULFILLED", "FULFILLED"), "ORDER_STATE_INVALID")
        back = Counter(good) + Counter(broken)
        require(all(n <= purchase.with_customer(sku) for sku, n in back.items()), "QUANTITY_EXCEEDED")
        purchase.returned.update(back)
        for sku, count in back.items():
            for _ in range(count):
                purchase.lose(sku)
        for sku, count in good.items():
            if sku not in purchase.endless and not self.listings[sku].untracked:
                self.shelves[sku, location].on_hand += count

    def announce(self, purchase: Purchase, units: Mapping[str, int]) -> Expected:
        require(purchase.state in ("PARTIALLY_FULFILLED", "FULFILLED"), "ORDER_STATE_INVALID")
        require(all(n <= purchase.with_customer(sku) for sku, n in units.items()), "QUANTITY_EXCEEDED")
        return Expected(Counter(units))

    def receive(
        self, purchase: Purchase, each: Expected, good: Mapping[str, int], broken: Mapping[str, int], location: str
    ) -> None:
        require(each.state in ("ANNOUNCED", "PARTIALLY_RECEIVED"), "RETURN_STATE_INVALID")
        good = good if good or broken else each.missing
        back = Counter(good) + Counter(broken)
        require(all(n <= each.missing[sku] for sku, n in back.items()), "QUANTITY_EXCEEDED")
        each.came += back
        each.state = "PARTIALLY_RECEIVED" if each.missing else "RECEIVED"
        self.take_back(purchase, good, broken, location)

    def end_return(self, each: Expected, came: str, state: str) -> None:
        require(each.state == came, "RETURN_STATE_INVALID")
        each.state = state

    def pay(self, purchase: Purchase, event_id: str, kind: str, amount: int, tender: str) -> None:
        event = (purchase, kind, amount)
        if event_id in self.payments:
            known = self.payments[event_id]
            require(known[0] is purchase and known[1:] == (*event[1:], tender), "PAYMENT_EVENT_CONFLICT")
            return
        require(self.tenders.get(tender, purchase) is purchase, "TENDER_OF_ANOTHER_ORDER")
        if kind == "REFUND_FAILED":
            of_tender = [(each, paid) for each, paid, of in purchase.payments if of == tender]
            made = sum(paid for each, paid in of_tender if each == "REFUNDED")
            failed = sum(paid for each, paid in of_tender if each == "REFUND_FAILED")
            require(failed + amount <= made, "REFUND_EXCEEDED")
        self.payments[event_id] = (*event, tender)
        if tender:
            self.tenders[tender] = purchase
        purchase.payments.append((kind, amount, tender))
        if purchase.state == "EXPIRED" and kind in ("AUTHORIZED", "CAPTURED") and purchase.ready:
            try:
                units = self.pick({sku: n for sku, n in purchase.open.items() if sku not in purchase.endless})
            except RefusedError:
                return
            self.claim(purchase, units)
            purchase.state = "PROCESSING"

    def sweep(self, holds: list[Hold], purchases: list[Purchase]) -> None:
        for hold in holds:
            if hold.state == "ACTIVE" and hold.overdue:
                self.release(hold, "EXPIRED")
        for purchase in purchases:
            if purchase.state == "PENDING" and purchase.overdue and purchase.prepaid and not purchase.paid_for:
                purchase.state = "EXPIRED"
                self.owe(purchase.owed, -1)
                purchase.owed.clear()


def counted(units: Counter[Place]) -> Counter[Place]:
    """Those that are at a location."""
    return Counter({place: count for place, count in units.items() if place[1] != ENDLESS})
