"""Orders and the state of every unit. The steps of an order are in `order_steps`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from operator import itemgetter
from typing import Any, NamedTuple

from stockward_server.domain.charge import NO_SHARES, Charge, LineShares
from stockward_server.domain.etag import etag_of_version
from stockward_server.domain.payment import Payment, PaymentState
from stockward_server.domain.returns import ExchangeOf, OrderReturn


class OrderState(IntEnum):
    """The numbers are those of order.v1.Order.State and of the table."""

    PENDING = 1
    PROCESSING = 2
    PARTIALLY_FULFILLED = 3
    FULFILLED = 4
    CANCELLED = 5
    EXPIRED = 6


OPEN_STATES = (OrderState.PENDING, OrderState.PROCESSING, OrderState.PARTIALLY_FULFILLED)
"""States of an open order; in all others the order is closed, unless a late payment reopens it."""


class HoldReason(IntEnum):
    """Why an order is on hold; the numbers are those of order.v1.Hold.Reason."""

    PAYMENT = 1
    FRAUD = 2
    ADDRESS = 3
    STOCK = 4
    CUSTOMER = 5
    OTHER = 6


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an order can be neither processed nor fulfilled for now."""

    reason: HoldReason
    note: str = ""
    expire_time: datetime | None = None
    """When it ends by itself; None when it does not."""
    actor: str = ""
    """Who put the order on hold; empty for a hold for want of payment."""
    create_time: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expire_time is not None and self.expire_time <= now


UNPAID_HOLD = Hold(HoldReason.PAYMENT)
"""The hold of an order that was paid and whose money went away."""


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
    """The customer of an order. Everything but the id is personal data and stored separately."""

    customer_id: str = ""
    email: str = ""
    name: str = ""
    shipping_address: Address | None = None
    billing_address: Address | None = None

    @property
    def has_contact(self) -> bool:
        """Whether there is personal data to store."""
        return bool(self.email or self.name or self.shipping_address or self.billing_address)


NO_CUSTOMER = Customer()
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
    """Whether its stock was not tracked when it was ordered: no stock is claimed, shipped or returned for it."""
    shares: LineShares = NO_SHARES
    gift_note: str = ""
    """Personal data, as is that of the order."""

    @property
    def open(self) -> int:
        """Units still to be fulfilled."""
        return self.quantity - self.fulfilled - self.cancelled

    @property
    def gone(self) -> int:
        """Units that were cancelled or returned."""
        return self.cancelled + self.returned

    @property
    def amount(self) -> int:
        """Price of the units that are not gone, before discount and tax."""
        return (self.quantity - self.gone) * self.unit_price

    @property
    def room(self) -> int:
        """Maximum that a discount can still deduct from the units that are not gone."""
        return self.amount - self.shares.discount + self.shares.taken(self.gone, self.quantity)[0]


@dataclass(frozen=True, slots=True)
class Allocation:
    """Units of one line that a location owes, or that have left it."""

    line_number: int
    location_id: str
    quantity: int


class FulfillmentState(IntEnum):
    """What became of a parcel; the numbers are those of order.v1.Fulfillment.State."""

    SHIPPED = 1
    DELIVERED = 2
    FAILED = 3
    CANCELLED = 4


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """One shipment."""

    fulfillment_id: str
    lines: tuple[Allocation, ...]
    tracking_number: str
    carrier: str
    create_time: datetime
    state: FulfillmentState = FulfillmentState.SHIPPED
    update_time: datetime | None = None
    """When its tracking or state was last changed."""


class Edit(NamedTuple):
    """A change of an order's amount by an edit of its lines, in minor units; negative when it comes to less."""

    time: datetime
    amount: int


class Amounts(NamedTuple):
    """The amounts of an order, in minor units of its currency. docs/concepts/money.md explains them."""

    subtotal: int
    charged: int
    """Shipping, tax and fees minus discounts and credits."""
    total: int
    """Lines and charges as ordered and added, before cancellations and returns."""
    cancelled: int
    """Value of the cancelled units, with their shares of discounts and taxes."""
    returned: int
    """Value of the returned units, with their shares of discounts and taxes."""
    remaining: int
    """total - cancelled - returned, at least zero: for an EXPIRED order, the amount that a late payment would have to
    cover."""
    net: int
    """The amount that the customer owes before payments; for a void order only charges added since."""
    asked: int
    """The amount that the state of the payment is compared with."""


@dataclass(frozen=True, eq=False)
class Order:
    """An immutable snapshot of an order, compared by identity."""

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
    customer: Customer = NO_CUSTOMER
    reference: str = ""
    reservation_id: str | None = None
    fulfillments: tuple[Fulfillment, ...] = ()
    version: int = 0
    actor: str = ""
    """The API key that created it without a customer, where such unpaid orders are limited."""
    staff_hold: Hold | None = None
    """The hold that staff put it on. It counts while the order is open."""
    tags: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    """Free data of staff, by key."""
    gift_note: str = ""
    edits: tuple[Edit, ...] = ()
    """The edits of its lines that changed its amount, oldest first."""
    cancel_reason: str = ""
    """Why units were last cancelled."""
    created_by: str = ""
    """Actor that created it; empty where that is not known."""
    returns: tuple[OrderReturn, ...] = ()
    """Returns, oldest first."""
    exchange_of: ExchangeOf | None = None
    """The return for which it is the exchange."""

    def but(self, **changes: Any) -> Order:
        """Works as `dataclasses.replace` at a tenth of its cost, as every order passes through it."""
        order = object.__new__(Order)
        vars(order).update(vars(self), **changes)
        return order

    @property
    def etag(self) -> str:
        """Etag that changes with every change (AIP-154)."""
        return etag_of_version(self.version)

    @property
    def amounts(self) -> Amounts:
        """Computed at each access: keep the result where several amounts are needed."""
        subtotal = cancelled = returned = charged = 0
        for line in self.lines:
            subtotal += line.quantity * line.unit_price
            cancelled += line.cancelled * line.unit_price + line.shares.cancelled
            returned += line.returned * line.unit_price + line.shares.returned
        for charge in self.charges:
            charged += charge.signed
        total = subtotal + charged
        remaining = net = max(0, total - cancelled - returned)
        asked = net or min(1, max(0, total - cancelled))  # everything returned: any capture counts as paid
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
        """Money kept beyond what is owed, in minor units."""
        return self.payment.refund_due(self.amounts.net)

    @property
    def still_to_pay(self) -> int:
        """Money that the customer still has to pay, in minor units."""
        return self.payment.still_to_pay(self.amounts.net)

    @property
    def terms_met(self) -> bool:
        """Whether captures and open authorizations cover the order's amount."""
        return self.payment_terms is PaymentTerms.ON_ACCOUNT or self.payment.cover.meets(self.amounts.remaining)

    @property
    def terms_met_once(self) -> bool:
        """Whether the terms were met at any moment: such an order never expires."""
        return self.payment_terms is PaymentTerms.ON_ACCOUNT or self._agreed(self.amounts.remaining) is not None

    @property
    def hold(self) -> Hold | None:
        """Why the order is on hold, by staff or for want of payment."""
        if self.staff_hold is not None and self.state in OPEN_STATES:
            return self.staff_hold
        return self._payment_hold

    @property
    def _payment_hold(self) -> Hold | None:
        """The hold of an order that was paid: its money was refunded, voided or disputed.

        A charge added since is no reason for a hold; it only increases the amount to pay.
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
                return None  # never paid: it waits for its payment
            agreed = self._least_since(None, remaining)
        return None if self.payment.cover.meets(agreed) else UNPAID_HOLD

    def _agreed(self, remaining: int) -> int | None:
        """Returns the largest part of the current amount that was covered at any one moment; None when it never was.

        The cover at each moment is compared with the lowest amount of the order from then on. Cancellations and returns
        count as if made before that moment, as they only ever lower the amount.
        """
        amounts = ((cover, self._least_since(cover.time, remaining)) for cover in self.payment.history)
        return max((amount for cover, amount in amounts if cover.meets(amount)), default=None)

    def _least_since(self, time: datetime | None, remaining: int) -> int:
        """Returns the lowest amount since `time`, or since the order was created: charges and edits since are
        subtracted one by one, newest first. So a fee that a credit cancelled out has not lowered the amount."""
        least = amount = remaining
        for changed, by in reversed(self._changes):
            if time is not None and changed < time:
                break
            amount -= by
            least = min(least, amount)
        return max(0, least)

    @property
    def _changes(self) -> Sequence[tuple[datetime, int]]:
        """What later charges and edits added to the amount of the order, oldest first."""
        charged = [(charge.added, charge.signed) for charge in self.charges if charge.added is not None]
        return sorted([*charged, *self.edits], key=itemgetter(0)) if self.edits else charged
