"""Orders: what was bought, and what became of every unit. What may be done with one is in `order_steps`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from stockward_server.domain.charge import NO_SHARES, Charge, LineShares
from stockward_server.domain.etag import etag_of_version
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


class HoldReason(IntEnum):
    """Why an order waits; the numbers are those of order.v1.Hold.Reason."""

    PAYMENT = 1


class PaymentTerms(IntEnum):
    """The numbers are those of order.v1.PaymentTerms."""

    PREPAID = 1
    ON_ACCOUNT = 2


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
    shares: LineShares = NO_SHARES

    @property
    def open(self) -> int:
        """Units still to be fulfilled."""
        return self.quantity - self.fulfilled - self.cancelled

    @property
    def gone(self) -> int:
        """Units that the customer neither has nor gets."""
        return self.cancelled + self.returned

    @property
    def amount(self) -> int:
        """Price of the units that are not gone, without discount and tax."""
        return (self.quantity - self.gone) * self.unit_price

    @property
    def room(self) -> int:
        """What a discount can still take off the units that are not gone."""
        return self.amount - self.shares.discount + self.shares.taken(self.gone, self.quantity)[0]


@dataclass(frozen=True, slots=True)
class Allocation:
    """Units of one line that are owed, or left, one location."""

    line_number: int
    location_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """Units that were shipped together."""

    fulfillment_id: str
    lines: tuple[Allocation, ...]
    tracking_number: str
    carrier: str
    create_time: datetime


class Amounts(NamedTuple):
    """What an order comes to, in minor units of its currency. docs/concepts/money.md shows how."""

    subtotal: int
    charged: int
    """Shipping, tax and fees less discounts and credits."""
    total: int
    """Lines and charges as ordered and added, before cancellations and returns."""
    cancelled: int
    """Value of the cancelled units, with their shares of discounts and taxes."""
    returned: int
    """Value of the returned units, with their shares of discounts and taxes."""
    remaining: int
    """total - cancelled - returned, not below zero: what an EXPIRED order would come to if it were paid after all."""
    net: int
    """What the customer owes in all, payments aside: of a void order only what was charged since."""
    asked: int
    """What the state of the payment is measured against."""


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
    actor: str = ""
    """The key that made it for no customer in particular, where such unpaid orders are limited: to count them by."""

    def but(self, **changes: Any) -> Order:
        """`dataclasses.replace` at a tenth of its cost, for what every order goes through."""
        order = object.__new__(Order)
        vars(order).update(vars(self), **changes)
        return order

    @property
    def etag(self) -> str:
        """Changes with every change (AIP-154)."""
        return etag_of_version(self.version)

    @property
    def amounts(self) -> Amounts:
        """Summed again each time: keep it where several are needed."""
        subtotal = cancelled = returned = charged = 0
        for line in self.lines:
            subtotal += line.quantity * line.unit_price
            cancelled += line.cancelled * line.unit_price + line.shares.cancelled
            returned += line.returned * line.unit_price + line.shares.returned
        for charge in self.charges:
            charged += charge.signed
        total = subtotal + charged
        remaining = net = max(0, total - cancelled - returned)
        asked = net or min(1, max(0, total - cancelled))  # all returned: it is paid if anything ever was
        if self.state is OrderState.CANCELLED:
            net = max(0, sum(charge.signed for charge in self.charges if charge.after_cancellation))
            asked = net or total
        elif self.state is OrderState.EXPIRED:
            net, asked = 0, remaining
        return Amounts(subtotal, charged, total, cancelled, returned, remaining, net, asked)

    @property
    def payment_state(self) -> PaymentState:
        return self.payment.state(self.amounts.asked)

    @property
    def refund_due(self) -> int:
        """What is kept beyond what is owed, in minor units."""
        return self.payment.refund_due(self.amounts.net)

    @property
    def still_to_pay(self) -> int:
        """What the customer has yet to pay, in minor units."""
        return self.payment.still_to_pay(self.amounts.net)

    @property
    def terms_met(self) -> bool:
        """Whether what was captured or is authorized covers what the order comes to."""
        return self.payment_terms is PaymentTerms.ON_ACCOUNT or self.payment.cover.meets(self.amounts.remaining)

    @property
    def terms_met_once(self) -> bool:
        """Whether they were met at any moment: such an order never expires by itself."""
        return self.payment_terms is PaymentTerms.ON_ACCOUNT or self._agreed(self.amounts.remaining) is not None

    @property
    def hold(self) -> HoldReason | None:
        """Why it must wait although it was paid for: the money that stood behind it went away.

        A charge that was added since is no reason to wait, it is only still to pay.
        """
        if self.payment_terms is PaymentTerms.ON_ACCOUNT or self.state not in OPEN_STATES:
            return None
        if self.state is OrderState.PENDING and not self.payment.events:
            return None
        remaining = self.amounts.remaining
        if self.payment.cover.meets(remaining):
            return None
        agreed = self._agreed(remaining)
        if agreed is None:
            if self.state is OrderState.PENDING:
                return None  # never paid for: it waits for its payment
            agreed = self._least_since(None, remaining)
        return None if self.payment.cover.meets(agreed) else HoldReason.PAYMENT

    def _agreed(self, remaining: int) -> int | None:
        """The most of what it comes to now that was covered at one moment; None when it never was.

        A moment is held against the least that the order came to from then on. Cancellations and returns count as if
        they had been made before it, as they only ever lower the amount.
        """
        amounts = ((cover, self._least_since(cover.time, remaining)) for cover in self.payment.history)
        return max((amount for cover, amount in amounts if cover.meets(amount)), default=None)

    def _least_since(self, time: datetime | None, remaining: int) -> int:
        """The least that it came to since `time`, or since it was ordered: what was charged since is taken back one by
        one, from the newest. So a fee that a credit took back has not lowered it."""
        least = amount = remaining
        for charge in reversed(self.charges):
            if charge.added is None or (time is not None and charge.added < time):
                break
            amount -= charge.signed
            least = min(least, amount)
        return max(0, least)
