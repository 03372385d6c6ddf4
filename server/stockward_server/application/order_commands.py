"""Commands on orders and their payments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from stockward_server.application.command import Command
from stockward_server.application.context import MutationContext
from stockward_server.application.unit_of_work import Holder, UnitOfWork
from stockward_server.domain.charge import Charge, ChargeKind
from stockward_server.domain.errors import (
    CurrencyMismatch,
    FieldInvalid,
    OrderStateInvalid,
    RoleNotAllowed,
    SkuUnknown,
)
from stockward_server.domain.etag import require_etag
from stockward_server.domain.identifiers import new_id
from stockward_server.domain.money import Money
from stockward_server.domain.order import (
    OPEN_STATES,
    Customer,
    Fulfillment,
    Order,
    OrderState,
    PaymentTerms,
)
from stockward_server.domain.order_returns import require_exchangeable
from stockward_server.domain.order_steps import (
    decide_cancellation,
    decide_charge,
    decide_fulfillment,
    decide_order,
    decide_order_expiry,
    decide_order_from_hold,
    decide_processing,
    payment_due,
)
from stockward_server.domain.pricing import WantedLine, merge_lines, price_lines, spread_charge
from stockward_server.domain.reservation import decide_conversion, require_active
from stockward_server.domain.returns import ExchangeOf
from stockward_server.domain.timeline import About
from stockward_server.domain.unpaid_limits import NO_LIMITS, UnpaidLimits


@dataclass(frozen=True, slots=True)
class WantedCharge:
    """A requested charge. `path` is its field in the request, such as `charges[0]`."""

    kind: ChargeKind
    amount: Money
    description: str
    path: str
    line_numbers: tuple[int, ...] = ()

    def in_currency(self, currency: str) -> Charge:
        """Returns the charge for an order in this currency. Raises CurrencyMismatch."""
        if self.amount.currency != currency:
            raise CurrencyMismatch(f"{self.path}.amount", expected=currency, actual=self.amount.currency)
        return Charge(self.kind, self.amount.minor, self.description, self.line_numbers)


@dataclass(slots=True, kw_only=True)
class CreateOrder(Command[Order]):
    """Creates an order from a reservation or directly from stock."""

    cause: MutationContext
    lines: Sequence[WantedLine]
    reservation_id: str | None
    customer: Customer
    reference: str
    charges: Sequence[WantedCharge]
    terms: PaymentTerms
    payment_allowance: timedelta
    unpaid_limits: UnpaidLimits = NO_LIMITS
    exchange_of: ExchangeOf | None = None
    unique_reference: bool = False
    """Whether no other order of its sales channel may have its reference."""

    @property
    def optimistic(self) -> bool:
        return not self.reservation_id and self.exchange_of is None

    @property
    def order_ids(self) -> Collection[str]:
        return (self.exchange_of.order_id,) if self.exchange_of else ()

    @property
    def skus(self) -> Collection[str]:
        return [line.sku for line in self.lines]

    @property
    def reservation_ids(self) -> Collection[str]:
        return (self.reservation_id,) if self.reservation_id else ()

    @property
    def references(self) -> Collection[str]:
        return (self.reference,) if self.unique_reference and self.reference else ()

    @property
    def weight(self) -> int:
        return max(1, len(self.lines))

    @property
    def buyers(self) -> Mapping[Holder, UnpaidLimits]:
        limits = self.unpaid_limits
        if self.cause.role.is_staff:
            return {}
        if self.customer.customer_id:
            return {(self.customer.customer_id, ""): limits} if limits.orders or limits.units else {}
        return {("", self.cause.actor): limits} if limits.orders_of_key else {}

    def execute(self, uow: UnitOfWork) -> Order:
        self._require_allowed_fields()
        if self.exchange_of is not None:
            returned = uow.order(self.exchange_of.order_id, self.cause)
            require_exchangeable(returned, self.exchange_of.return_id, self.customer.customer_id)
        hold = uow.reservation(self.reservation_id, self.cause) if self.reservation_id else None
        if hold is None:
            wanted = merge_lines(self.lines)
            for line in self.lines:
                uow.offer(line.sku, f"{line.path}.sku", self.cause)
        else:
            require_active(hold, uow.now)
            wanted = {}
            for held in hold.lines:
                if held.sku not in uow.offers:  # an untracked SKU may be deleted while it is held
                    raise SkuUnknown(held.sku, "reservation_id")
                wanted[held.sku] = wanted.get(held.sku, 0) + held.quantity
            if self.lines and merge_lines(self.lines) != wanted:
                raise FieldInvalid("lines", "with a reservation the lines must be what it holds, or empty")
        self._count_unpaid(wanted, uow)
        currency, lines = price_lines(self.lines, wanted, uow.offers)
        charges = tuple(charge.in_currency(currency) for charge in self.charges)
        for wanted_charge, charge in zip(self.charges, charges, strict=True):
            lines = spread_charge(lines, charge, currency, wanted_charge.path)
        draft = Order(
            order_id=new_id(),
            state=OrderState.PENDING,
            currency=currency,
            lines=lines,
            allocations=(),
            create_time=uow.now,
            update_time=uow.now,
            payment_terms=self.terms,
            payment_due_time=payment_due(self.terms, uow.now, self.payment_allowance),
            charges=charges,
            customer=self.customer,
            reference=self.reference,
            reservation_id=self.reservation_id,
            actor="".join(key for _, key in self.buyers),
            created_by=self.cause.actor,
            exchange_of=self.exchange_of,
        )
        if self.references:
            uow.take_reference(draft, self.cause)
        if hold is None:
            order, changes = decide_order(draft, wanted, uow.levels_of(wanted))
        else:
            order = decide_order_from_hold(draft, hold.lines)
            converted, changes = decide_conversion(hold, order.order_id, uow.now)
            uow.save_reservation(converted, self.cause, "reservation.converted")
        order = uow.save_order(order, self.cause, "order.created")
        uow.move(changes, self.cause)
        return order

    def _count_unpaid(self, wanted: Mapping[str, int], uow: UnitOfWork) -> None:
        units = sum(units for sku, units in wanted.items() if not uow.offers[sku].untracked)
        for buyer in self.buyers:
            if self.customer.customer_id:
                self.unpaid_limits.of_customer(uow.unpaid[buyer], units)
            else:
                self.unpaid_limits.of_key(uow.unpaid[buyer])
            uow.unpaid[buyer] = uow.unpaid[buyer].and_one_of(units)

    def _require_allowed_fields(self) -> None:
        if self.cause.role.is_staff:
            return
        staff_only = [f"{line.path}.unit_price_override" for line in self.lines if line.unit_price_override]
        if self.charges:
            staff_only.append("charges")
        if self.terms is not PaymentTerms.PREPAID:
            staff_only.append("payment_terms")
        if self.exchange_of is not None:
            staff_only.append("exchange_of")
        if staff_only:
            raise RoleNotAllowed(self.cause.role.name.lower(), f"set {staff_only[0]}", field=staff_only[0])


@dataclass(slots=True, kw_only=True)
class OnOrder(Command[Order]):
    """A command on one existing order."""

    order_id: str
    etag: str = ""
    """Etag of the order as the caller read it; empty skips the check."""

    @property
    def order_ids(self) -> Collection[str]:
        return (self.order_id,)

    def order(self, uow: UnitOfWork) -> Order:
        """Returns the order. Raises OrderNotFound, or EtagMismatch when it has changed since the caller read it."""
        order = uow.order(self.order_id, self.cause)
        require_etag(f"order {order.order_id}", order.etag, self.etag, order_id=order.order_id)
        return order


@dataclass(slots=True, kw_only=True)
class ProcessOrder(OnOrder):
    """Starts processing an order."""

    def execute(self, uow: UnitOfWork) -> Order:
        order = self.order(uow)
        processed = decide_processing(order, uow.now)
        return uow.save_order(processed, self.cause, "order.processing", *hold_events(order, processed))


@dataclass(slots=True, kw_only=True)
class FulfillOrder(OnOrder):
    """Records a shipment; `quantities` by line number, empty for all open units.

    The units leave `location_id`, or any location that has them when it is empty.
    """

    needs_locations: ClassVar[bool] = True

    quantities: Mapping[int, int]
    tracking_number: str
    carrier: str
    location_id: str = ""

    def execute(self, uow: UnitOfWork) -> Order:
        if self.location_id:
            uow.require_location(self.location_id)
        order = self.order(uow)
        parcel = Fulfillment(new_id(), (), self.tracking_number, self.carrier, uow.now)
        levels = uow.levels_of(line.sku for line in order.lines)
        shipped, changes = decide_fulfillment(order, parcel, self.quantities, levels, uow.now, self.location_id)
        step, about = f"order.{shipped.state.name.lower()}", About(fulfillment=shipped.fulfillments[-1])
        shipped = uow.save_order(shipped, self.cause, step, *hold_events(order, shipped), about=about)
        uow.move(changes, self.cause)
        return shipped


@dataclass(slots=True, kw_only=True)
class CancelOrder(OnOrder):
    """Cancels an order or open units of it; a storefront may cancel only a whole PENDING order."""

    cause: MutationContext
    quantities: Mapping[int, int]
    reason: str

    def execute(self, uow: UnitOfWork) -> Order:
        order = self.order(uow)
        if not self.cause.role.is_staff:
            if self.quantities:
                raise RoleNotAllowed(self.cause.role.name.lower(), "cancel a part of an order", field="lines")
            if order.state is OrderState.PROCESSING:
                raise OrderStateInvalid(order.order_id, order.state.name, "cancel", staff_may=True)
        cancelled, changes = decide_cancellation(order, self.quantities, self.reason, uow.now)
        about = About(self.reason, lines=tuple(self.quantities.items()))
        order = uow.save_order(cancelled, self.cause, "order.cancelled", *hold_events(order, cancelled), about=about)
        uow.move(changes, self.cause)
        return order


@dataclass(slots=True, kw_only=True)
class AddCharge(OnOrder):
    """Adds a charge to an existing order, with a reason."""

    cause: MutationContext
    charge: WantedCharge
    reason: str

    def execute(self, uow: UnitOfWork) -> Order:
        order = self.order(uow)
        charge = self.charge.in_currency(order.currency)
        charge = replace(charge, reason=self.reason, actor=self.cause.actor, added=uow.now)
        charged = decide_charge(order, charge, self.charge.path, uow.now)
        about = About(charge=charge)
        return uow.save_order(charged, self.cause, "order.charged", *hold_events(order, charged), about=about)


@dataclass(slots=True, kw_only=True)
class ExpireOrder(Command[None]):
    """Expires an order that was not paid in time; does nothing when it is no longer due.

    When its terms were met once, that is stored, so that the sweeper skips it from then on.
    """

    order_id: str

    @property
    def order_ids(self) -> Collection[str]:
        return (self.order_id,)

    def execute(self, uow: UnitOfWork) -> None:
        order = uow.order(self.order_id, self.cause)
        decision = decide_order_expiry(order, uow.now)
        if decision is not None:
            expired, changes = decision
            uow.save_order(expired, self.cause, "order.expired")
            uow.move(changes, self.cause)
        elif order.state is OrderState.PENDING and order.terms_met_once:
            uow.save_order(order, self.cause)


def hold_events(before: Order, after: Order) -> tuple[str, ...]:
    """Returns the event of an order that was put on hold or released from it, if any."""
    held, holds = before.hold is not None, after.hold is not None
    if held == holds or after.state not in OPEN_STATES:
        return ()
    return ("order.held",) if holds else ("order.released",)
