"""Orders: what was bought, and what became of every unit. What may be done with one is in `order_steps`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property

from stockward_server.domain.payment import Payment, PaymentState


class OrderState(IntEnum):
    """The numbers are those of order.v1.Order.State and of the table."""

    PENDING = 1
    PROCESSING = 2
    PARTIALLY_FULFILLED = 3
    FULFILLED = 4
    CANCELLED = 5
    EXPIRED = 6


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

    @property
    def open(self) -> int:
        """Units still to be fulfilled."""
        return self.quantity - self.fulfilled - self.cancelled


@dataclass(frozen=True, slots=True)
class Allocation:
    """Units of one line that are owed from one location."""

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


@dataclass(frozen=True)
class Order:
    """An order. Amounts are minor units of `currency`, each summed once: an order never changes."""

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

    @cached_property
    def subtotal(self) -> int:
        return sum(line.quantity * line.unit_price for line in self.lines)

    @cached_property
    def charged(self) -> int:
        """Shipping and tax less discounts."""
        return sum(-c.amount if c.kind is ChargeKind.DISCOUNT else c.amount for c in self.charges)

    @cached_property
    def total(self) -> int:
        """What it came to when it was ordered."""
        return self.subtotal + self.charged

    @cached_property
    def cancelled(self) -> int:
        """Value of the cancelled units."""
        return sum(line.cancelled * line.unit_price for line in self.lines)

    @cached_property
    def returned(self) -> int:
        """Value of the returned units."""
        return sum(line.returned * line.unit_price for line in self.lines)

    @property
    def is_void(self) -> bool:
        """Whether nothing will come of it."""
        return self.state in (OrderState.CANCELLED, OrderState.EXPIRED)

    @cached_property
    def due(self) -> int:
        """What the customer owes in all, payments aside; a discount never makes it negative."""
        return 0 if self.is_void else max(0, self.total - self.cancelled - self.returned)

    @cached_property
    def payable(self) -> int:
        """What the payments are measured against: returns are refunds, not a lower price, and an expired order may yet
        be paid."""
        return self.total if self.state is OrderState.CANCELLED else max(0, self.total - self.cancelled)

    @cached_property
    def payment_state(self) -> PaymentState:
        return self.payment.state(self.payable)

    @cached_property
    def refund_due(self) -> int:
        """What is kept beyond what is owed."""
        return max(0, self.payment.captured - self.payment.refunded - self.due)

    @cached_property
    def terms_met(self) -> bool:
        """Whether it may be processed as far as money goes: what is to be paid is kept, or authorized."""
        payment = self.payment
        return (
            self.payment_terms is PaymentTerms.ON_ACCOUNT
            or payment.captured - payment.refunded >= self.payable
            or (not payment.refunded and payment.held >= self.payable)
        )
