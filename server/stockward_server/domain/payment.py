"""The payment of an order: a pure function of the set of its payment events.

Neither the order of arrival nor (as events are unique) a repetition changes the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple


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


PAYING = (PaymentKind.AUTHORIZED, PaymentKind.CAPTURED)
"""Reports of incoming money; all others are about its later fate."""


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
    PARTIALLY_AUTHORIZED = 9


TenderKey = tuple[str, str]
"""Provider, and the provider's id of the intent, charge or gift card; an empty id means the provider's only tender."""


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
    """The provider's id of its tender; empty for the provider's only tender."""
    running_total: bool = False
    """Whether `amount` is the total of this kind and tender so far, not one movement; see `as_additions`."""
    record_time: datetime | None = None
    """When it was recorded, by the database's clock, which also dates the order's charges."""

    @property
    def known_time(self) -> datetime:
        """When it happened, but no later than when it was recorded, as the provider's clock may be ahead."""
        return min(self.event_time, self.record_time or self.event_time)

    @property
    def tender(self) -> TenderKey:
        return self.provider, self.payment_reference


SUMS: Mapping[PaymentKind, str] = {
    PaymentKind.AUTHORIZED: "authorizations",
    PaymentKind.CAPTURED: "captured",
    PaymentKind.VOIDED: "voided",
    PaymentKind.AUTHORIZATION_EXPIRED: "voided",
    PaymentKind.REFUNDED: "refunds",
    PaymentKind.REFUND_FAILED: "refunds_failed",
    PaymentKind.DISPUTED: "disputes",
    PaymentKind.DISPUTE_WON: "disputes_won",
    PaymentKind.DISPUTE_LOST: "lost",
}
"""The sum of a tender that each kind of event increases; FAILED increases none."""


@dataclass(frozen=True, slots=True)
class Tender:
    """One means of payment of an order, with sums over its events in minor units."""

    provider: str
    payment_reference: str
    authorizations: int = 0
    voided: int = 0
    captured: int = 0
    refunds: int = 0
    refunds_failed: int = 0
    disputes: int = 0
    disputes_won: int = 0
    lost: int = 0

    def record(self, event: PaymentEvent) -> Tender:
        """Adds one event to the sums."""
        name = SUMS.get(event.kind)
        return replace(self, **{name: getattr(self, name) + event.amount}) if name else self

    @property
    def authorized(self) -> int:
        """Authorized, neither voided nor expired. A void that arrived before its authorization counts, too."""
        return max(0, self.authorizations - self.voided)

    @property
    def open_authorization(self) -> int:
        """Part of the authorization that can still be captured."""
        return max(0, self.authorized - self.captured)

    @property
    def refunded(self) -> int:
        return max(0, self.refunds - self.refunds_failed)

    @property
    def disputed(self) -> int:
        """Disputed, not decided."""
        return max(0, self.disputes - self.disputes_won - self.lost)

    @property
    def kept(self) -> int:
        """Captured, neither refunded nor lost in a dispute; below zero where the capture is not reported yet."""
        return self.captured - self.refunded - self.lost


class Cover(NamedTuple):
    """The money that covered an order at one moment, in minor units."""

    time: datetime | None
    """Time of the newest event until then, no later than it was recorded; None before the first."""
    secured: int
    """All captures until then, plus open authorizations."""
    at_hand: int
    """The part that was not refunded or lost by then."""

    def meets(self, amount: int) -> bool:
        """Whether it covers the amount. A refund beyond what is due counts as a credit, unless no money is left."""
        return amount == 0 or (self.secured >= amount and self.at_hand > 0)


NOTHING = Cover(None, 0, 0)


@dataclass(frozen=True)
class Payment:
    """All payment events of an order, by the time when they happened."""

    events: tuple[PaymentEvent, ...] = ()

    def record(self, event: PaymentEvent) -> Payment:
        """Adds one event."""
        return payment_of((*self.events, event))

    @cached_property
    def tenders(self) -> tuple[Tender, ...]:
        """Tenders with any reported amount, by the time of their first event."""
        return tuple(tender for key, tender in self._replayed[0].items() if tender != Tender(*key))

    @cached_property
    def history(self) -> tuple[Cover, ...]:
        """The cover before the first event and after each one."""
        return self._replayed[1]

    @property
    def cover(self) -> Cover:
        """The current cover."""
        return self.history[-1]

    @cached_property
    def authorized(self) -> int:
        """Authorized, neither voided nor expired."""
        return sum(tender.authorized for tender in self.tenders)

    @cached_property
    def open_authorizations(self) -> int:
        """Part of the authorizations that can still be captured."""
        return sum(tender.open_authorization for tender in self.tenders)

    @cached_property
    def captured(self) -> int:
        return sum(tender.captured for tender in self.tenders)

    @cached_property
    def refunded(self) -> int:
        """Refunds that did not fail."""
        return sum(tender.refunded for tender in self.tenders)

    @cached_property
    def disputed(self) -> int:
        """Disputed, not decided."""
        return sum(tender.disputed for tender in self.tenders)

    @cached_property
    def lost(self) -> int:
        """Lost in disputes."""
        return sum(tender.lost for tender in self.tenders)

    @property
    def kept(self) -> int:
        """Captured, neither refunded nor lost."""
        return self.captured - self.refunded - self.lost

    def tender(self, key: TenderKey) -> Tender:
        """Returns the sums of one tender, zero for an unknown one."""
        return self._replayed[0].get(key) or Tender(*key)

    def refund_due(self, net: int) -> int:
        """Returns the money kept beyond the order's `net` amount."""
        return max(0, self.kept - net)

    def still_to_pay(self, net: int) -> int:
        """Returns what the customer still has to pay. A refund leaves nothing to pay, unless no money is left."""
        return max(0, net - self.captured) if self.kept > 0 else net

    def state(self, asked: int) -> PaymentState:
        """Returns the state of the payment for the amount `asked`."""
        if self.refunded:
            return PaymentState.REFUNDED if self.refunded >= self.captured else PaymentState.PARTIALLY_REFUNDED
        if self.captured >= asked:
            return PaymentState.PAID
        if self.captured:
            return PaymentState.PARTIALLY_PAID
        if held := self.open_authorizations:
            return PaymentState.AUTHORIZED if held >= asked else PaymentState.PARTIALLY_AUTHORIZED
        if any(tender.voided for tender in self.tenders):
            return PaymentState.VOIDED
        return PaymentState.FAILED if self.failed else PaymentState.PENDING

    @property
    def failed(self) -> bool:
        """Whether the provider reported a failure."""
        return any(event.kind is PaymentKind.FAILED for event in self.events)

    @cached_property
    def _replayed(self) -> tuple[dict[TenderKey, Tender], tuple[Cover, ...]]:
        tenders: dict[TenderKey, Tender] = {}
        covers = [NOTHING]
        for event in as_additions(self.events):
            before = tenders.get(event.tender) or Tender(*event.tender)
            after = tenders[event.tender] = before.record(event)
            time, secured, at_hand = covers[-1]
            held = after.open_authorization - before.open_authorization
            secured += after.captured - before.captured + held
            time = max(event.known_time, time or event.known_time)
            covers.append(Cover(time, secured, at_hand + after.kept - before.kept + held))
        return tenders, tuple(covers)


def payment_of(events: tuple[PaymentEvent, ...]) -> Payment:
    """Returns the payment with these events; their order makes no difference."""
    return Payment(tuple(sorted(events, key=_moment)))


def _moment(event: PaymentEvent) -> tuple[datetime, PaymentKind, str, str]:
    """Returns the sort key of events: their time, then a fixed order."""
    return event.event_time, event.kind, event.provider, event.provider_event_id


def as_additions(events: Iterable[PaymentEvent]) -> list[PaymentEvent]:
    """Returns the events in the order in which they happened, each with the amount that it adds to earlier ones.

    Some providers report single movements ("refund 7: 5.00"), some running totals ("refunded so far: 15.00"), and some
    both. So each kind and tender has two figures: the sum of the single reports, and the largest total. Neither can
    exceed what moved, and the figure for which all reports have arrived equals it: so the larger one counts. A total of
    refunds excludes refunds that have failed by then, so these are added to it.
    """
    in_order = sorted(events, key=_moment)
    if not any(event.running_total for event in in_order):
        return in_order
    single, largest, failed = Counter[object](), Counter[object](), Counter[object]()
    additions = []
    for event in in_order:
        tender = event.tender
        key = (*tender, event.kind)
        before = max(single[key], largest[key])
        if not event.running_total:
            single[key] += event.amount
        elif event.kind is PaymentKind.REFUNDED:
            largest[key] = max(largest[key], event.amount + failed[tender])
        else:
            largest[key] = max(largest[key], event.amount)
        added = max(single[key], largest[key]) - before
        if event.kind is PaymentKind.REFUND_FAILED:
            failed[tender] += added
        additions.append(replace(event, amount=added, running_total=False))
    return additions
