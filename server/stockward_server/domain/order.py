"""Orders: what was bought, and what became of every unit. What may be done with one is in `order_steps`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from stockward_server.domain.payment import Payment, PaymentState


class OrderState(IntEnum):
    """The numbers are those of order.v1.Order.State and of the table."""

    PENDING = 1
    PROCESSING = 2
    PARTIALLY_FULFILLED = 3
    FULFILLED = 4
    CANCELLED = 5
    EXPIRED = 6


OPEN_STATES = (OrderState.PENDING, OrderState.PROCESSING, OrderState.PARTIALLY_FULFILLED)
"""States in which something is still to be done; in all others the order is over, unless a late payment revives it."""


class PaymentTerms(IntEnum):
    """The numbers are those of order.v1.PaymentTerms."""

    PREPAID = 1
    ON_ACCOUNT = 2


class ChargeKind(IntEnum):
    """The numbers are those of order.v1.Charge.Kind."""

    SHIPPING = 1
    TAX = 2
    DISCOUNT = 3


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount on top of the lines; `amount` in minor units, never negative: a discount is taken off."""

    kind: ChargeKind
    amount: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address."""

    recipient: str = ""
    lines: tuple[str, ...] = ()
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country_code: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Customer:
    """Who ordered. Everything but the id is personal data and stored apart."""

    customer_id: str = ""
    email: str = ""
    name: str = ""
    shipping_address: Address | None = None
    billing_address: Address | None = None

    @property
    def has_contact(self) -> bool:
        """Whether there is personal data to store."""
        return bool(self.email or self.name or self.shipping_address or self.billing_address)


NOBODY = Customer()
UNPAID = Payment()


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One SKU of an order, in units; quantity = open + fulfilled + cancelled. `unit_price` in minor units."""

    line_number: int
    sku: str
    title: str
    quantity: int
    unit_price: int
    price_override_reason: str = ""
    fulfilled: int = 0
    cancelled: int = 0
    returned: int = 0
    untracked: bool = False
    """Whether its units were not counted when they were ordered: no stock is claimed, shipped or given back for it."""

    @property
    def open(self) -> int:
        """Units still to be fulfilled."""
        return self.quantity - self.fulfilled - self.cancelled


@dataclass(frozen=True, slots=True)
class Allocation:
    """Units of one line that are owed, or left, one location."""

    line_number: int
    location_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """Units that left the house together."""

    fulfillment_id: str
    lines: tuple[Allocation, ...]
    tracking_number: str
    carrier: str
    create_time: datetime


class Amounts(NamedTuple):
    """What an order comes to, in minor units of its currency."""

    subtotal: int
    charged: int
    """Shipping and tax less discounts."""
    total: int
    """What it came to when it was ordered."""
    cancelled: int
    """Value of the cancelled units."""
    returned: int
    """Value of the returned units."""
    due: int
    """What the customer owes in all, payments aside; a discount never makes it negative."""
    payable: int
    """What the payments are measured against: returns are refunds, not a lower price, and an expired order may yet be
    paid."""


@dataclass(frozen=True, eq=False)
class Order:
    """An order as it stood at one moment. It never changes, and is the same as itself only."""

    order_id: str
    state: OrderState
    currency: str
    lines: tuple[OrderLine, ...]
    allocations: tuple[Allocation, ...]
    create_time: datetime
    update_time: datetime
    payment_terms: PaymentTerms = PaymentTerms.PREPAID
    payment_due_time: datetime | None = None
    payment: Payment = UNPAID
    charges: tuple[Charge, ...] = ()
    customer: Customer = NOBODY
    reference: str = ""
    reservation_id: str | None = None
    fulfillments: tuple[Fulfillment, ...] = ()
    version: int = 0

    def but(self, **changes: Any) -> Order:
        """`dataclasses.replace` at a tenth of its cost, for what every order goes through."""
        order = object.__new__(Order)
        vars(order).update(vars(self), **changes)
        return order

    @property
    def amounts(self) -> Amounts:
        """Summed anew each time: keep it where several are needed."""
        subtotal = cancelled = returned = charged = 0
        for line in self.lines:
            subtotal += line.quantity * line.unit_price
            cancelled += line.cancelled * line.unit_price
            returned += line.returned * line.unit_price
        for charge in self.charges:
            charged += -charge.amount if charge.kind is ChargeKind.DISCOUNT else charge.amount
        total = subtotal + charged
        left = max(0, total - cancelled)
        return Amounts(
            subtotal,
            charged,
            total,
            cancelled,
            returned,
            due=0 if self.is_void else max(0, left - returned),
            payable=total if self.state is OrderState.CANCELLED else left,
        )

    @property
    def is_void(self) -> bool:
        """Whether nothing will come of it."""
        return self.state in (OrderState.CANCELLED, OrderState.EXPIRED)

    @property
    def payment_state(self) -> PaymentState:
        return self.payment.state(self.amounts.payable)

    @property
    def refund_due(self) -> int:
        """What is kept beyond what is owed, in minor units."""
        return self.payment.kept_beyond(self.amounts.due)

    @property
    def terms_met(self) -> bool:
        """Whether it may be processed as far as money goes: what is to be paid is kept, or authorized."""
        payment, payable = self.payment, self.amounts.payable
        return (
            self.payment_terms is PaymentTerms.ON_ACCOUNT
            or payment.captured - payment.refunded >= payable
            or (not payment.refunded and payment.held >= payable)
        )
