"""Commands on orders and their payments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from stockward_server.application.command import Command
from stockward_server.application.locked_state import LockedState, PaymentKey
from stockward_server.application.request import Request
from stockward_server.domain.errors import (
    CurrencyMismatch,
    FieldInvalid,
    LocationUnknown,
    OrderStateInvalid,
    PaymentEventConflict,
    RoleNotAllowed,
)
from stockward_server.domain.identifiers import new_id
from stockward_server.domain.money import Money
from stockward_server.domain.order import (
    Charge,
    ChargeKind,
    Customer,
    Fulfillment,
    Order,
    OrderState,
    PaymentTerms,
)
from stockward_server.domain.order_steps import (
    decide_cancellation,
    decide_fulfillment,
    decide_order,
    decide_order_expiry,
    decide_order_from_hold,
    decide_payment,
    decide_processing,
    decide_return,
    payment_due,
)
from stockward_server.domain.payment import PaymentEvent
from stockward_server.domain.pricing import WantedLine, merge_lines, price_lines
from stockward_server.domain.reservation import decide_conversion, require_active


@dataclass(frozen=True, slots=True)
class WantedCharge:
    """A charge as staff want it."""

    kind: ChargeKind
    amount: Money
    description: str
    path: str


@dataclass(slots=True, kw_only=True)
class CreateOrder(Command):
    """Creates an order, from a reservation or straight from the stock."""

    cause: Request
    lines: Sequence[WantedLine]
    reservation_id: str | None
    customer: Customer
    reference: str
    charges: Sequence[WantedCharge]
    terms: PaymentTerms
    payment_allowance: timedelta
    reply: Callable[[Order], bytes]

    @property
    def skus(self) -> Collection[str]:
        return [line.sku for line in self.lines]

    @property
    def reservation_ids(self) -> Collection[str]:
        return (self.reservation_id,) if self.reservation_id else ()

    @property
    def weight(self) -> int:
        return max(1, len(self.lines))

    def execute(self, state: LockedState) -> bytes:
        self._require_allowed_fields()
        hold = state.reservation(self.reservation_id, self.cause) if self.reservation_id else None
        if hold is None:
            wanted = merge_lines(self.lines)
            for line in self.lines:
                state.offer(line.sku, f"{line.path}.sku", self.cause)
        else:
            require_active(hold, state.now)
            wanted = {}
            for held in hold.lines:
                wanted[held.sku] = wanted.get(held.sku, 0) + held.quantity
            if self.lines and merge_lines(self.lines) != wanted:
                raise FieldInvalid("with a reservation the lines must be what it holds, or empty", field="lines")
        currency, lines = price_lines(self.lines, wanted, state.offers)
        draft = Order(
            order_id=new_id(),
            state=OrderState.PENDING,
            currency=currency,
            lines=lines,
            allocations=(),
            create_time=state.now,
            update_time=state.now,
            payment_terms=self.terms,
            payment_due_time=payment_due(self.terms, state.now, self.payment_allowance),
            charges=self._charges(currency),
            customer=self.customer,
            reference=self.reference,
            reservation_id=self.reservation_id,
        )
        if hold is None:
            order, changes = decide_order(draft, wanted, state.levels_of(wanted))
        else:
            order = decide_order_from_hold(draft, hold.lines)
            converted, changes = decide_conversion(hold, order.order_id, state.now)
            state.save_reservation(converted, self.cause, "reservation.converted")
        order = state.save_order(order, self.cause, "order.created")
        state.move(changes, self.cause)
        return self.reply(order)

    def _require_allowed_fields(self) -> None:
        if self.cause.role.is_staff:
            return
        staff_only = [f"{line.path}.unit_price_override" for line in self.lines if line.unit_price_override]
        if self.charges:
            staff_only.append("charges")
        if self.terms is not PaymentTerms.PREPAID:
            staff_only.append("payment_terms")
        if staff_only:
            raise RoleNotAllowed(
                f"{staff_only[0]} may be set by staff only",
                field=staff_only[0],
                role=self.cause.role.name.lower(),
                allowed="pms,admin",
            )

    def _charges(self, currency: str) -> tuple[Charge, ...]:
        for charge in self.charges:
            if charge.amount.currency != currency:
                raise CurrencyMismatch(
                    f"{charge.amount.currency} where {currency} is expected",
                    field=f"{charge.path}.amount",
                    expected=currency,
                    actual=charge.amount.currency,
                )
        return tuple(Charge(c.kind, c.amount.minor, c.description) for c in self.charges)


@dataclass(slots=True, kw_only=True)
class OnOrder(Command):
    """A command on one existing order."""

    order_id: str
    reply: Callable[[Order], bytes]

    @property
    def order_ids(self) -> Collection[str]:
        return (self.order_id,)


@dataclass(slots=True, kw_only=True)
class ProcessOrder(OnOrder):
    """Takes an order into processing."""

    def execute(self, state: LockedState) -> bytes:
        order = decide_processing(state.order(self.order_id, self.cause), state.now)
        return self.reply(state.save_order(order, self.cause, "order.processing"))


@dataclass(slots=True, kw_only=True)
class FulfillOrder(OnOrder):
    """Records a parcel; `quantities` by line number, empty for all that is open."""

    quantities: Mapping[int, int]
    tracking_number: str
    carrier: str

    def execute(self, state: LockedState) -> bytes:
        parcel = Fulfillment(new_id(), (), self.tracking_number, self.carrier, state.now)
        order, changes = decide_fulfillment(
            state.order(self.order_id, self.cause), parcel, self.quantities, state.levels, state.now
        )
        order = state.save_order(order, self.cause, f"order.{order.state.name.lower()}")
        state.move(changes, self.cause)
        return self.reply(order)


@dataclass(slots=True, kw_only=True)
class CancelOrder(OnOrder):
    """Cancels an order or open units of it; a storefront only a whole one that is PENDING."""

    cause: Request
    quantities: Mapping[int, int]
    reason: str

    def execute(self, state: LockedState) -> bytes:
        order = state.order(self.order_id, self.cause)
        if not self.cause.role.is_staff:
            if self.quantities:
                raise RoleNotAllowed(
                    "only staff may cancel a part of an order",
                    field="lines",
                    role=self.cause.role.name.lower(),
                    allowed="pms,admin",
                )
            if order.state is OrderState.PROCESSING:
                raise OrderStateInvalid(
                    f"order {order.order_id} is being processed: only staff may cancel it now",
                    order_id=order.order_id,
                    state=order.state.name,
                    action="cancel",
                )
        order, changes = decide_cancellation(order, self.quantities, self.reason, state.now)
        order = state.save_order(order, self.cause, "order.cancelled")
        state.move(changes, self.cause)
        return self.reply(order)


@dataclass(slots=True, kw_only=True)
class ReturnOrder(OnOrder):
    """Takes fulfilled units back, by line number."""

    needs_locations: ClassVar[bool] = True

    restocked: Mapping[int, int]
    damaged: Mapping[int, int]
    location_id: str
    reason: str

    def execute(self, state: LockedState) -> bytes:
        if self.location_id not in state.locations:
            raise LocationUnknown(
                f"there is no location {self.location_id!r}",
                field="location_id",
                location_id=self.location_id,
            )
        order, changes = decide_return(
            state.order(self.order_id, self.cause),
            self.restocked,
            self.damaged,
            self.location_id,
            self.reason,
            state.now,
        )
        order = state.save_order(order, self.cause, "order.returned")
        state.move(changes, self.cause)
        return self.reply(order)


@dataclass(slots=True, kw_only=True)
class RecordPayment(OnOrder):
    """Records what a provider reports, once."""

    event: PaymentEvent
    currency: str

    @property
    def payment_keys(self) -> Collection[PaymentKey]:
        return ((self.event.provider, self.event.provider_event_id),)

    def execute(self, state: LockedState) -> bytes:
        order = state.order(self.order_id, self.cause)
        event = self.event
        if self.currency != order.currency:
            raise CurrencyMismatch(
                f"{self.currency} where {order.currency} is expected",
                field="amount",
                expected=order.currency,
                actual=self.currency,
            )
        known = state.payments.get((event.provider, event.provider_event_id))
        if known is not None:
            if (known.order_id, known.kind, known.amount) != (event.order_id, event.kind, event.amount):
                raise PaymentEventConflict(
                    f"{event.provider} event {event.provider_event_id} is known with other content",
                    field="provider_event_id",
                    provider=event.provider,
                    provider_event_id=event.provider_event_id,
                )
            return self.reply(order)
        paid, changes = decide_payment(order, event, state.levels_of({x.sku for x in order.lines}), state.now)
        state.save_payment(event)
        revived = paid.state is not order.state
        paid = state.save_order(paid, self.cause, "payment.updated", *(["order.processing"] if revived else []))
        state.move(changes, self.cause)
        return self.reply(paid)


@dataclass(slots=True, kw_only=True)
class ExpireOrder(Command):
    """Ends an order that was not paid in time; does nothing when somebody was faster."""

    order_id: str

    @property
    def order_ids(self) -> Collection[str]:
        return (self.order_id,)

    def execute(self, state: LockedState) -> bytes:
        decision = decide_order_expiry(state.order(self.order_id, self.cause), state.now)
        if decision is not None:
            expired, changes = decision
            state.save_order(expired, self.cause, "order.expired")
            state.move(changes, self.cause)
        return b""
