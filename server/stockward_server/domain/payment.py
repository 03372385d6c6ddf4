"""The payment axis of an order, computed from the set of payment events.

Every figure is a sum, so neither the order of arrival nor (the events being unique) a repetition can change the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum


class PaymentKind(IntEnum):
    """What a provider reports; the numbers are those of order.v1.RecordPaymentRequest.Kind."""

    AUTHORIZED = 1
    CAPTURED = 2
    FAILED = 3
    VOIDED = 4
    REFUNDED = 5
    REFUND_FAILED = 6
    DISPUTED = 7
    DISPUTE_WON = 8
    DISPUTE_LOST = 9
    AUTHORIZATION_EXPIRED = 10


class PaymentState(IntEnum):
    """The numbers are those of order.v1.Payment.State."""

    PENDING = 1
    AUTHORIZED = 2
    PARTIALLY_PAID = 3
    PAID = 4
    FAILED = 5
    VOIDED = 6
    PARTIALLY_REFUNDED = 7
    REFUNDED = 8


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """One report of a provider; `amount` in minor units of the order's currency."""

    provider: str
    provider_event_id: str
    order_id: str
    kind: PaymentKind
    amount: int
    event_time: datetime
    payment_reference: str = ""
    """The tender it belongs to, by the provider's id of it; empty for the one tender of this provider."""
    running_total: bool = False
    """`amount` is everything of this kind and tender so far, not one movement; see `as_additions`."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Sums over the events, in minor units."""

    authorized: int = 0
    voided: int = 0
    captured: int = 0
    refunded: int = 0
    failed: bool = False

    def record(self, event: PaymentEvent) -> Payment:
        """The sums with one more event."""
        match event.kind:
            case PaymentKind.AUTHORIZED:
                return replace(self, authorized=self.authorized + event.amount)
            case PaymentKind.CAPTURED:
                return replace(self, captured=self.captured + event.amount)
            case PaymentKind.VOIDED:
                return replace(self, voided=self.voided + event.amount)
            case PaymentKind.REFUNDED:
                return replace(self, refunded=self.refunded + event.amount)
            case PaymentKind.FAILED:
                return replace(self, failed=True)

    @property
    def held(self) -> int:
        """Authorized and not voided; a void that overtook its authorization counts once that arrives."""
        return max(0, self.authorized - self.voided)

    def kept_beyond(self, due: int) -> int:
        """What was captured and not refunded beyond what is owed (minor units)."""
        return max(0, self.captured - self.refunded - due)

    def state(self, payable: int) -> PaymentState:
        """Where the sums stand against what is to be paid (minor units)."""
        if self.refunded:
            if self.refunded >= self.captured:
                return PaymentState.REFUNDED
            return PaymentState.PARTIALLY_REFUNDED
        if self.captured >= payable:
            return PaymentState.PAID
        if self.captured:
            return PaymentState.PARTIALLY_PAID
        if self.held >= payable:
            return PaymentState.AUTHORIZED
        if self.voided:
            return PaymentState.VOIDED
        if self.failed:
            return PaymentState.FAILED
        return PaymentState.PENDING


def as_additions(events: Iterable[PaymentEvent]) -> list[PaymentEvent]:
    """Returns the events in the order in which they happened, each with the amount that it adds to those before it.

    Some providers report single movements ("refund 7: 5.00"), some how much it is by now ("refunded so far: 15.00"),
    and some both. So for each kind and tender there are two figures: the sum of the single reports, and the largest
    total. Neither can be more than what moved, and the one that all reports arrived for is what moved: the larger one
    counts. A total of refunds leaves out the refunds that have failed by then, so these are added to it.
    """
    single, largest, failed = Counter[object](), Counter[object](), Counter[object]()
    additions = []
    for event in sorted(events, key=lambda e: (e.event_time, e.kind, e.provider, e.provider_event_id)):
        tender = (event.provider, event.payment_reference)
        key = (*tender, event.kind)
        before = max(single[key], largest[key])
        if not event.running_total:
            single[key] += event.amount
        elif event.kind is PaymentKind.REFUNDED:
            largest[key] = max(largest[key], event.amount + failed[tender])
        else:
            largest[key] = max(largest[key], event.amount)
        if event.kind is PaymentKind.REFUND_FAILED:
            failed[tender] += event.amount
        additions.append(replace(event, amount=max(single[key], largest[key]) - before, running_total=False))
    return additions
