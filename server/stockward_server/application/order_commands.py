"""Commands on orders and their payments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
from stockward_server.domain.order_steps import (
    decide_cancellation,
    decide_charge,
    decide_fulfillment,
    decide_order,
    decide_order_expiry,
    decide_order_from_hold,
    decide_processing,
    decide_return,
    payment_due,
)
from stockward_server.domain.pricing import WantedLine, merge_lines, price_lines, spread_charge
from stockward_server.domain.reservation import decide_conversion, require_active
from stockward_server.domain.unpaid_limits import NO_LIMITS, UnpaidLimits


@dataclass(frozen=True, slots=True)
class WantedCharge:
    """A charge as staff want it. `path` names it in the request, such as `charges[0]`."""

    kind: ChargeKind
    amount: Money
    description: str
    path: str
    line_numbers: tuple[int, ...] = ()

    def in_currency(self, currency: str) -> Charge:
        """The charge for an order in this currency, or CurrencyMismatch."""
        if self.amount.currency != currency:
            raise CurrencyMismatch(
                f"{self.amount.currency} where {currency} is expected",
                field=f"{self.path}.amount",
                expected=currency,
                actual=self.amount.currency,
            )
        return Charge(self.kind, self.amount.minor, self.description, self.line_numbers)


@dataclass(slots=True, kw_only=True)
class CreateOrder(Command):
    """Creates an order, from a reservation or straight from the stock."""

    cause: MutationContext
    lines: Sequence[WantedLine]
    reservation_id: str | None
    customer: Customer
    reference: str
    charges: Sequence[WantedCharge]
    terms: PaymentTerms
    payment_allowance: timedelta
    unpaid_limits: UnpaidLimits = NO_LIMITS
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

    @property
    def buyers(self) -> Collection[Holder]:
        limits = self.unpaid_limits
        if self.cause.role.is_staff:
            return ()
        if self.customer.customer_id:
            return ((self.customer.customer_id, ""),) if limits.orders or limits.units else ()
        return (("", self.cause.actor),) if limits.orders_of_key else ()

    def execute(self, state: UnitOfWork) -> bytes:
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
                if held.sku not in state.offers:  # what is not tracked may leave the catalogue while it is held
                    raise SkuUnknown(f"no variant has the SKU {held.sku!r}", field="reservation_id", sku=held.sku)
                wanted[held.sku] = wanted.get(held.sku, 0) + held.quantity
            if self.lines and merge_lines(self.lines) != wanted:
                raise FieldInvalid("with a reservation the lines must be what it holds, or empty", field="lines")
        self._count_unpaid(wanted, state)
        currency, lines = price_lines(self.lines, wanted, state.offers)
        charges = tuple(charge.in_currency(currency) for charge in self.charges)
        for wanted_charge, charge in zip(self.charges, charges, strict=True):
            lines = spread_charge(lines, charge, currency, wanted_charge.path)
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
            charges=charges,
            customer=self.customer,
            reference=self.reference,
            reservation_id=self.reservation_id,
            actor="".join(key for _, key in self.buyers),
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

    def _count_unpaid(self, wanted: Mapping[str, int], state: UnitOfWork) -> None:
        units = sum(units for sku, units in wanted.items() if not state.offers[sku].untracked)
        for buyer in self.buyers:
            if self.customer.customer_id:
                self.unpaid_limits.of_customer(state.unpaid[buyer], units)
            else:
                self.unpaid_limits.of_key(state.unpaid[buyer])
            state.unpaid[buyer] = state.unpaid[buyer].and_one_of(units)

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

    def execute(self, state: UnitOfWork) -> bytes:
        order = decide_processing(state.order(self.order_id, self.cause), state.now)
        return self.reply(state.save_order(order, self.cause, "order.processing"))


@dataclass(slots=True, kw_only=True)
class FulfillOrder(OnOrder):
    """Records a parcel; `quantities` by line number, empty for all that is open.

    It leaves `location_id`, or, when that is empty, wherever its goods are.
    """

    needs_locations: ClassVar[bool] = True

    quantities: Mapping[int, int]
    tracking_number: str
    carrier: str
    location_id: str = ""

    def execute(self, state: UnitOfWork) -> bytes:
        if self.location_id:
            state.require_location(self.location_id)
        order = state.order(self.order_id, self.cause)
        parcel = Fulfillment(new_id(), (), self.tracking_number, self.carrier, state.now)
        levels = state.levels_of(line.sku for line in order.lines)
        order, changes = decide_fulfillment(order, parcel, self.quantities, levels, state.now, self.location_id)
        order = state.save_order(order, self.cause, f"order.{order.state.name.lower()}")
        state.move(changes, self.cause)
        return self.reply(order)


@dataclass(slots=True, kw_only=True)
class CancelOrder(OnOrder):
    """Cancels an order or open units of it; a storefront only a whole one that is PENDING."""

    cause: MutationContext
    quantities: Mapping[int, int]
    reason: str

    def execute(self, state: UnitOfWork) -> bytes:
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
        cancelled, changes = decide_cancellation(order, self.quantities, self.reason, state.now)
        order = state.save_order(cancelled, self.cause, "order.cancelled", *hold_events(order, cancelled))
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

    def execute(self, state: UnitOfWork) -> bytes:
        state.require_location(self.location_id)
        order = state.order(self.order_id, self.cause)
        returned, changes = decide_return(
            order,
            self.restocked,
            self.damaged,
            self.location_id,
            self.reason,
            state.now,
        )
        order = state.save_order(returned, self.cause, "order.returned", *hold_events(order, returned))
        # What the catalogue has dropped, or no longer tracks, comes back for its money alone: nothing counts it.
        state.move((change for change in changes if state.is_counted(change.sku)), self.cause)
        return self.reply(order)


@dataclass(slots=True, kw_only=True)
class AddCharge(OnOrder):
    """Adds a charge to an order later, for a reason."""

    cause: MutationContext
    charge: WantedCharge
    reason: str

    def execute(self, state: UnitOfWork) -> bytes:
        order = state.order(self.order_id, self.cause)
        charge = self.charge.in_currency(order.currency)
        charge = replace(charge, reason=self.reason, actor=self.cause.actor, added=state.now)
        charged = decide_charge(order, charge, self.charge.path, state.now)
        return self.reply(state.save_order(charged, self.cause, "order.charged", *hold_events(order, charged)))


@dataclass(slots=True, kw_only=True)
class ExpireOrder(Command):
    """Ends an order that was not paid in time; does nothing when it is no longer due.

    Where its terms were met once, that is stored, so that the sweeper does not come back to it.
    """

    order_id: str

    @property
    def order_ids(self) -> Collection[str]:
        return (self.order_id,)

    def execute(self, state: UnitOfWork) -> bytes:
        order = state.order(self.order_id, self.cause)
        decision = decide_order_expiry(order, state.now)
        if decision is not None:
            expired, changes = decision
            state.save_order(expired, self.cause, "order.expired")
            state.move(changes, self.cause)
        elif order.state is OrderState.PENDING and order.terms_met_once:
            state.save_order(order, self.cause)
        return b""


def hold_events(before: Order, after: Order) -> tuple[str, ...]:
    """The event of an order that has come to be on hold, or to be so no longer."""
    held, holds = before.hold is not None, after.hold is not None
    if held == holds or after.state not in OPEN_STATES:
        return ()
    return ("order.held",) if holds else ("order.released",)
