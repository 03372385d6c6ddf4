"""The rows that a batch of commands has locked, as domain objects, and every change made to them.

Commands decide against it one after another, so each sees what those before it did. What a command saves here is
written by the committer in one go. Saving never refuses: a command makes all its decisions first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from stockward_server.application.request import Clockwork, Request
from stockward_server.domain.errors import (
    LocationUnknown,
    OrderNotFound,
    ProductNotPublished,
    ReservationNotFound,
    SkuUnknown,
)
from stockward_server.domain.event import Event, EventData, Movement, RecordedEvent, StockNews
from stockward_server.domain.hold_limits import Held
from stockward_server.domain.identifiers import new_id
from stockward_server.domain.order import Order
from stockward_server.domain.payment import PaymentEvent
from stockward_server.domain.product import Product
from stockward_server.domain.reservation import Reservation
from stockward_server.domain.stock import AlertLevel, Offer, StockChange, StockLevel, alert_level

StockKey = tuple[str, str]
"""SKU and location id."""

PaymentKey = tuple[str, str]
"""Provider and the provider's event id."""

Holder = tuple[str, str]
"""A customer's id and nothing, or nothing and the name of a key that holds for no customer in particular."""

Cause = Request | Clockwork
"""Who or what brings a change about."""

ALERT_EVENTS = {
    AlertLevel.NONE: "stock.recovered",
    AlertLevel.LOW: "stock.low",
    AlertLevel.DEPLETED: "stock.depleted",
    AlertLevel.SHORTFALL: "stock.shortfall",
}


@dataclass(slots=True)
class Alert:
    """An alert that a batch raised, changed or cleared. `known`: it stood before the batch."""

    sku: str
    location_id: str
    level: AlertLevel
    available: int
    reorder_point: int | None
    raise_time: datetime
    known: bool = False
    clear_time: datetime | None = None


@dataclass(slots=True)
class LockedState:
    """State under lock at `now` (the database's clock), and the changes so far."""

    now: datetime
    encode_event: Callable[[Event], bytes]
    offers: dict[str, Offer] = field(default_factory=dict)
    levels: dict[StockKey, StockLevel] = field(default_factory=dict)
    locations: dict[str, tuple[int, bool]] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    payments: dict[PaymentKey, PaymentEvent] = field(default_factory=dict)
    held: dict[Holder, Held] = field(default_factory=dict)

    new_orders: dict[str, Order] = field(default_factory=dict)
    changed_orders: dict[str, Order] = field(default_factory=dict)
    new_reservations: dict[str, Reservation] = field(default_factory=dict)
    changed_reservations: dict[str, Reservation] = field(default_factory=dict)
    new_levels: dict[StockKey, StockLevel] = field(default_factory=dict)
    changed_levels: dict[StockKey, StockLevel] = field(default_factory=dict)
    new_payments: list[PaymentEvent] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    events: list[RecordedEvent] = field(default_factory=list)
    edited_products: list[Product] = field(default_factory=list)
    """Products as they were before an edit and as they are after it."""

    _by_sku: dict[str, list[StockLevel]] = field(default_factory=dict)
    _standing: dict[StockKey, Alert] = field(default_factory=dict)

    def add_levels(self, levels: Iterable[StockLevel]) -> None:
        """Takes over locked stock rows."""
        for level in levels:
            self.levels[level.sku, level.location_id] = level
            self._by_sku.setdefault(level.sku, []).append(level)
        for same_sku in self._by_sku.values():
            same_sku.sort(key=lambda level: (level.priority, level.location_id))

    # What commands look at

    def offer(self, sku: str, path: str, cause: Request) -> Offer:
        """What is for sale under this SKU; SkuUnknown or, for staff, ProductNotPublished naming the field `path`."""
        offer = self.offers.get(sku)
        if offer is None or not cause.role.may_see(offer.published):
            raise SkuUnknown(f"no variant has the SKU {sku!r}", field=path, sku=sku)
        if not offer.published:
            raise ProductNotPublished(f"the product of {sku} is not published", field=path, sku=sku)
        return offer

    def levels_of(self, skus: Iterable[str]) -> dict[str, Sequence[StockLevel]]:
        """The stock rows of each SKU by the priority of their locations."""
        return {sku: self._by_sku.get(sku, ()) for sku in skus}

    def level(self, sku: str, location_id: str) -> StockLevel:
        """The stock row, a fresh one where there is none yet; SkuUnknown or LocationUnknown."""
        level = self.levels.get((sku, location_id))
        if level is not None:
            return level
        if sku not in self.offers:
            raise SkuUnknown(f"no variant has the SKU {sku!r}", field="sku", sku=sku)
        if location_id not in self.locations:
            raise LocationUnknown(f"there is no location {location_id!r}", field="location_id", location_id=location_id)
        priority, active = self.locations[location_id]
        return StockLevel(sku, location_id, priority=priority, active=active)

    def order(self, order_id: str, cause: Cause) -> Order:
        """OrderNotFound for one that is not there, and for another customer's."""
        order = self.orders.get(order_id)
        if order is None or not cause.acts_for(order.customer.customer_id):
            raise OrderNotFound(f"there is no order {order_id}", order_id=order_id)
        return order

    def reservation(self, reservation_id: str, cause: Cause) -> Reservation:
        """ReservationNotFound for one that is not there, and for another customer's."""
        reservation = self.reservations.get(reservation_id)
        if reservation is None or not cause.acts_for(reservation.customer_id):
            raise ReservationNotFound(
                f"there is no reservation {reservation_id}",
                field="reservation_id",
                reservation_id=reservation_id,
            )
        return reservation

    # What commands save

    def save_order(self, order: Order, cause: Cause, *event_types: str) -> Order:
        """Stores the order and records one event a type; answers it with its new version."""
        created = order.order_id not in self.orders or order.order_id in self.new_orders
        for event_type in event_types:
            order = order.but(version=order.version + 1)
            self.record(event_type, "order", order.order_id, order.version, order, cause)
        self.orders[order.order_id] = order
        (self.new_orders if created else self.changed_orders)[order.order_id] = order
        return order

    def save_reservation(self, reservation: Reservation, cause: Cause, event_type: str) -> Reservation:
        """Stores the reservation and records its event; answers it with its new version."""
        reservation = replace(reservation, version=reservation.version + 1)
        reservation_id = reservation.reservation_id
        created = reservation_id not in self.reservations or reservation_id in self.new_reservations
        self.record(event_type, "reservation", reservation_id, reservation.version, reservation, cause)
        self.reservations[reservation_id] = reservation
        (self.new_reservations if created else self.changed_reservations)[reservation_id] = reservation
        return reservation

    def save_payment(self, event: PaymentEvent) -> None:
        self.payments[event.provider, event.provider_event_id] = event
        self.new_payments.append(event)

    def move(self, changes: Iterable[StockChange], cause: Cause) -> None:
        """Changes the counters; each change is one movement and one event, and may raise or clear an alert."""
        for change in changes:
            level = self.level(change.sku, change.location_id)
            level.on_hand += change.on_hand
            level.reserved += change.reserved
            level.allocated += change.allocated
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
            self._touch(level)
            self._record_stock("stock.changed", StockNews(level, movement), cause)
            self._review_alert(level, cause)

    def set_policy(self, level: StockLevel, cause: Cause) -> None:
        """Stores a level whose policy was changed; the counters stay, so there is no movement."""
        self._touch(level)
        self._record_stock("stock.changed", StockNews(level), cause)
        self._review_alert(level, cause)

    def record(
        self,
        event_type: str,
        aggregate_type: str,
        aggregate_id: str,
        version: int,
        data: EventData,
        cause: Cause,
    ) -> None:
        """Encodes the event at once: what it tells is the state of this moment."""
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
        )
        payload = self.encode_event(event)
        self.events.append(
            RecordedEvent(event_id, event_type, aggregate_type, aggregate_id, version, payload, cause.traceparent)
        )

    def _touch(self, level: StockLevel) -> None:
        key = (level.sku, level.location_id)
        level.update_time = self.now
        if key not in self.levels:
            self.add_levels([level])
            self.new_levels[key] = level
        elif key not in self.new_levels:
            self.changed_levels[key] = level

    def _record_stock(self, event_type: str, news: StockNews, cause: Cause) -> None:
        news.level.version += 1
        self.record(event_type, "stock", news.aggregate_id, news.level.version, news, cause)

    def _review_alert(self, level: StockLevel, cause: Cause) -> None:
        before, after = level.alert_level, alert_level(level)
        if after is before:
            return
        level.alert_level = after
        standing = self._standing.get((level.sku, level.location_id))
        if standing is None:
            standing = Alert(
                level.sku,
                level.location_id,
                after or before,
                level.available,
                level.reorder_point,
                self.now,
                known=before is not AlertLevel.NONE,
            )
            self._standing[level.sku, level.location_id] = standing
            self.alerts.append(standing)
        if after is AlertLevel.NONE:
            standing.clear_time = self.now
            del self._standing[level.sku, level.location_id]
        else:
            standing.level, standing.available = after, level.available
        self._record_stock(ALERT_EVENTS[after], StockNews(level), cause)
