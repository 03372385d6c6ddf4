"""The rows that a batch of commands has locked, as domain objects, and all changes to them.

Commands run one after another, so each sees the changes of earlier ones. Each runs on a scratch of the batch's state,
which is merged when the command returns: what a command saved before an error is dropped with its scratch. The
committer writes the merged changes in one statement. All objects in here are frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from stockward_server.application.alerts import ALERT_EVENTS, Alert, review_alert
from stockward_server.application.context import MutationContext, SystemCause
from stockward_server.application.overlay import Overlay
from stockward_server.domain.errors import (
    LocationUnknown,
    OrderNotFound,
    ProductNotPublished,
    ReferenceTaken,
    ReservationNotFound,
    SkuUnknown,
    StockNotTracked,
)
from stockward_server.domain.event import Event, EventData, Movement, RecordedEvent, StockNews
from stockward_server.domain.hold_limits import Held
from stockward_server.domain.identifiers import new_id
from stockward_server.domain.order import Order
from stockward_server.domain.payment import PaymentEvent, TenderKey
from stockward_server.domain.product import Product
from stockward_server.domain.reservation import Reservation
from stockward_server.domain.stock import (
    AlertLevel,
    Offer,
    StockChange,
    StockLevel,
    alert_level,
    untracked_level,
)
from stockward_server.domain.timeline import CREATED, NOTHING, About, TimelineEntry
from stockward_server.domain.unpaid_limits import Unpaid

StockKey = tuple[str, str]
"""SKU and location id."""

PaymentKey = tuple[str, str]
"""Provider and the provider's event id."""

Holder = tuple[str, str]
"""(customer id, ""), or ("", key name) for a key that holds or orders without a customer."""

ReferenceKey = tuple[str, str]
"""Sales channel and reference: the name of the key that created the order, and the merchant's number of the order."""

Cause = MutationContext | SystemCause
"""The cause of a change."""


@dataclass(slots=True)
class UnitOfWork:
    """The locked state at `now` (the database's clock), and the changes of a batch or of one command."""

    now: datetime
    encode_event: Callable[[Event], bytes]
    first_version: int
    """The lowest version that a change may get: every version of an earlier epoch of the event log is lower."""
    offers: Mapping[str, Offer] = field(default_factory=dict)
    locations: Mapping[str, tuple[int, bool]] = field(default_factory=dict)
    """Priority of each location, and whether it is active."""
    last_versions: Mapping[StockKey, int] = field(default_factory=dict)
    """For new stock rows whose SKU other goods had: the version from which their events continue."""

    levels: Overlay[StockKey, StockLevel] = field(default_factory=Overlay)
    orders: Overlay[str, Order] = field(default_factory=Overlay)
    reservations: Overlay[str, Reservation] = field(default_factory=Overlay)
    payments: Overlay[PaymentKey, PaymentEvent] = field(default_factory=Overlay)
    tenders: Overlay[TenderKey, str] = field(default_factory=Overlay)
    """The order of each named tender, where there is one."""
    references: Overlay[ReferenceKey, str] = field(default_factory=Overlay)
    """An order with each reference that a command names, where there is one."""
    held: Overlay[Holder, Held] = field(default_factory=Overlay)
    unpaid: Overlay[Holder, Unpaid] = field(default_factory=Overlay)
    alerts: Overlay[StockKey, tuple[Alert, ...]] = field(default_factory=Overlay)
    """Alerts of each stock row that were raised, changed or cleared, oldest first."""
    _places: Overlay[str, tuple[str, ...]] = field(default_factory=Overlay)
    """The locations where each SKU has a stock row, by priority."""

    movements: list[Movement] = field(default_factory=list)
    events: list[RecordedEvent] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)
    """What happened to orders."""
    edited_products: list[Product] = field(default_factory=list)
    """Products before and after an edit."""

    def load_levels(self, levels: Iterable[StockLevel]) -> None:
        """Adds locked stock rows."""
        self.levels.below = {**self.levels.below, **{(level.sku, level.location_id): level for level in levels}}
        places: dict[str, tuple[str, ...]] = {}
        for level in sorted(self.levels.values(), key=_by_priority):
            places[level.sku] = (*places.get(level.sku, ()), level.location_id)
        self._places.below = places

    def levels_at_all_locations(self, sku: str) -> Sequence[StockLevel]:
        """Returns the stock rows of a SKU by priority, also of an untracked one."""
        return [self.levels[sku, place] for place in self._places.get(sku, ())]

    # One command at a time

    def scratch(self) -> UnitOfWork:
        """Returns a state that starts as this one and keeps its changes to itself."""
        return UnitOfWork(
            self.now,
            self.encode_event,
            self.first_version,
            self.offers,
            self.locations,
            self.last_versions,
            Overlay(self.levels),
            Overlay(self.orders),
            Overlay(self.reservations),
            Overlay(self.payments),
            Overlay(self.tenders),
            Overlay(self.references),
            Overlay(self.held),
            Overlay(self.unpaid),
            Overlay(self.alerts),
            Overlay(self._places),
        )

    def merge(self, scratch: UnitOfWork) -> None:
        """Merges the changes of a scratch of this state."""
        self.levels.merge(scratch.levels)
        self.orders.merge(scratch.orders)
        self.reservations.merge(scratch.reservations)
        self.payments.merge(scratch.payments)
        self.tenders.merge(scratch.tenders)
        self.references.merge(scratch.references)
        self.held.merge(scratch.held)
        self.unpaid.merge(scratch.unpaid)
        self.alerts.merge(scratch.alerts)
        self._places.merge(scratch._places)
        self.movements += scratch.movements
        self.events += scratch.events
        self.timeline += scratch.timeline
        self.edited_products += scratch.edited_products

    # Reads by commands

    def offer(self, sku: str, path: str, cause: MutationContext) -> Offer:
        """Returns the offer of this SKU. Raises SkuUnknown or, for staff, ProductNotPublished, naming the field
        `path`."""
        offer = self.offers.get(sku)
        if offer is None or not cause.role.may_see(offer.published):
            raise SkuUnknown(sku, path)
        if not offer.published:
            raise ProductNotPublished(sku, path)
        return offer

    def levels_of(self, skus: Iterable[str]) -> dict[str, Sequence[StockLevel]]:
        """Returns the stock rows of each SKU at all locations by priority, or one level for an untracked SKU."""
        levels, places = self.levels, self._places
        return {
            sku: [untracked_level(sku)]
            if (offer := self.offers.get(sku)) and offer.untracked
            else [levels[sku, place] for place in places.get(sku, ())]
            for sku in skus
        }

    def is_counted(self, sku: str) -> bool:
        """Returns whether the SKU exists and its stock is tracked."""
        offer = self.offers.get(sku)
        return offer is not None and not offer.untracked

    def countable_level(self, sku: str, location_id: str) -> StockLevel:
        """Returns `level` for a change by staff. Raises StockNotTracked for an untracked SKU."""
        level = self.level(sku, location_id)
        if not self.is_counted(sku):
            raise StockNotTracked(sku)
        return level

    def level(self, sku: str, location_id: str) -> StockLevel:
        """Returns the stock row, a new one where there is none yet. Raises SkuUnknown or LocationUnknown."""
        level = self.levels.get((sku, location_id))
        if level is not None:
            return level
        if sku not in self.offers:
            raise SkuUnknown(sku)
        self.require_location(location_id)
        priority, active = self.locations[location_id]
        version = self.last_versions.get((sku, location_id), 0)
        return StockLevel(sku, location_id, version=version, priority=priority, active=active)

    def require_location(self, location_id: str) -> None:
        """Raises LocationUnknown for an unknown location."""
        if location_id not in self.locations:
            raise LocationUnknown(location_id)

    def order(self, order_id: str, cause: Cause) -> Order:
        """Returns the order. Raises OrderNotFound for an unknown order or another customer's."""
        order = self.orders.get(order_id)
        if order is None or not cause.acts_for(order.customer.customer_id):
            raise OrderNotFound(order_id)
        return order

    def take_reference(self, order: Order, cause: Cause) -> None:
        """Reserves the reference of the order in its sales channel. Raises ReferenceTaken when another order has it."""
        key = order.created_by, order.reference
        taken = self.references.get(key, order.order_id)
        if taken != order.order_id:
            raise ReferenceTaken(order.reference, taken if cause.acts_for("") else "")
        self.references[key] = order.order_id

    def reservation(self, reservation_id: str, cause: Cause) -> Reservation:
        """Returns the reservation. Raises ReservationNotFound for an unknown one or another customer's."""
        reservation = self.reservations.get(reservation_id)
        if reservation is None or not cause.acts_for(reservation.customer_id):
            raise ReservationNotFound(reservation_id)
        return reservation

    # Writes by commands

    def version_after(self, version: int) -> int:
        """Returns the version after this one. It skips some in the first change of an aggregate after an epoch began:
        an event that was lost may have had the next one."""
        return max(version + 1, self.first_version)

    def save_order(self, order: Order, cause: Cause, *event_types: str, about: About = NOTHING) -> Order:
        """Stores the order and records one event and one entry of its timeline for each type, the first of which is
        `about` something; returns it with its new version."""
        order_id = order.order_id
        for event_type in event_types:
            order = order.but(version=self.version_after(order.version))
            self.record(event_type, "order", order_id, order.version, order, cause, about)
            if event_type != CREATED:
                entry = TimelineEntry(order_id, order.version, event_type, self.now, cause.actor, about)
                self.timeline.append(entry)
            about = NOTHING
        self.orders[order_id] = order
        return order

    def save_reservation(self, reservation: Reservation, cause: Cause, event_type: str) -> Reservation:
        """Stores the reservation and records its event; returns it with its new version."""
        reservation = replace(reservation, version=self.version_after(reservation.version))
        reservation_id = reservation.reservation_id
        self.record(event_type, "reservation", reservation_id, reservation.version, reservation, cause)
        self.reservations[reservation_id] = reservation
        return reservation

    def save_payment(self, event: PaymentEvent) -> None:
        self.payments[event.provider, event.provider_event_id] = event
        if event.payment_reference:
            self.tenders[event.tender] = event.order_id

    def move(self, changes: Iterable[StockChange], cause: Cause) -> None:
        """Changes the counters; each change makes one movement and one event, and may raise or clear an alert."""
        for change in changes:
            level = self.level(change.sku, change.location_id)
            level = level.but(
                on_hand=level.on_hand + change.on_hand,
                reserved=level.reserved + change.reserved,
                allocated=level.allocated + change.allocated,
                version=self.version_after(level.version),
                update_time=self.now,
            )
            movement = Movement(
                change.sku,
                change.location_id,
                change.kind,
                change.reason,
                change.on_hand,
                change.reserved,
                change.allocated,
                level.on_hand,
                level.reserved,
                level.allocated,
                change.reference,
                change.note,
                cause.actor,
            )
            self.movements.append(movement)
            self._save_level(level, movement, cause)

    def set_tracked(self, level: StockLevel, tracked: bool, cause: Cause) -> None:
        """Clears the alert of a level whose SKU is no longer tracked, or raises one when it is tracked again."""
        after = alert_level(level) if tracked else AlertLevel.NONE
        if after is not level.alert_level:
            self._set_alert(level.but(update_time=self.now), after, cause)

    def set_policy(self, level: StockLevel, cause: Cause) -> StockLevel:
        """Stores a level with a changed policy; the counters do not change, so there is no movement."""
        return self._save_level(level.but(version=self.version_after(level.version), update_time=self.now), None, cause)

    def record(
        self,
        event_type: str,
        aggregate_type: str,
        aggregate_id: str,
        version: int,
        data: EventData,
        cause: Cause,
        about: About = NOTHING,
    ) -> None:
        """Records an event and encodes it at once: it reports the current state."""
        event_id = new_id()
        event = Event(
            event_id,
            event_type,
            aggregate_type,
            aggregate_id,
            version,
            self.now,
            cause.actor,
            cause.request_id,
            data,
            about,
        )
        payload = self.encode_event(event)
        self.events.append(
            RecordedEvent(event_id, event_type, aggregate_type, aggregate_id, version, payload, cause.traceparent)
        )

    def _save_level(self, level: StockLevel, movement: Movement | None, cause: Cause) -> StockLevel:
        """Stores a new version of a level, records its event, and raises or clears its alert, which makes a further
        version; returns the newest one."""
        key = (level.sku, level.location_id)
        if key not in self.levels:
            self.levels[key] = level
            self._add_place(level)
        self._record_stock("stock.changed", StockNews(level, movement), cause)
        self.levels[key] = level
        after = alert_level(level)
        return level if after is level.alert_level else self._set_alert(level, after, cause)

    def _set_alert(self, level: StockLevel, after: AlertLevel, cause: Cause) -> StockLevel:
        key = (level.sku, level.location_id)
        self.alerts[key] = review_alert(self.alerts.get(key, ()), level, after, self.now)
        level = level.but(alert_level=after, version=self.version_after(level.version))
        self._record_stock(ALERT_EVENTS[after], StockNews(level), cause)
        self.levels[key] = level
        return level

    def _add_place(self, level: StockLevel) -> None:
        levels = [level, *(self.levels[level.sku, place] for place in self._places.get(level.sku, ()))]
        self._places[level.sku] = tuple(each.location_id for each in sorted(levels, key=_by_priority))

    def _record_stock(self, event_type: str, news: StockNews, cause: Cause) -> None:
        self.record(event_type, "stock", news.aggregate_id, news.level.version, news, cause)


def _by_priority(level: StockLevel) -> tuple[str, int, str]:
    return level.sku, level.priority, level.location_id
