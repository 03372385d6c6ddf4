"""The command that records payments of orders."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from stockward_server.application.order_commands import OnOrder, hold_events
from stockward_server.application.unit_of_work import PaymentKey, UnitOfWork
from stockward_server.domain.errors import CurrencyMismatch, PaymentEventConflict, TenderOfAnotherOrder
from stockward_server.domain.money import Money
from stockward_server.domain.order import Order
from stockward_server.domain.order_steps import decide_payment
from stockward_server.domain.payment import PaymentEvent, PaymentKind, TenderKey
from stockward_server.domain.timeline import About


@dataclass(slots=True, kw_only=True)
class RecordPayment(OnOrder):
    """Records a provider's report once. Without an `event_time` the database's current time counts."""

    provider: str
    provider_event_id: str
    kind: PaymentKind
    amount: Money
    event_time: datetime | None = None
    payment_reference: str = ""
    running_total: bool = False

    @property
    def payment_keys(self) -> Collection[PaymentKey]:
        return ((self.provider, self.provider_event_id),)

    @property
    def tenders(self) -> Collection[TenderKey]:
        return ((self.provider, self.payment_reference),) if self.payment_reference else ()

    def execute(self, uow: UnitOfWork) -> Order:
        order = uow.order(self.order_id, self.cause)
        if self.amount.currency != order.currency:
            raise CurrencyMismatch("amount", expected=order.currency, actual=self.amount.currency)
        event = PaymentEvent(
            self.provider,
            self.provider_event_id,
            self.order_id,
            self.kind,
            self.amount.minor,
            self.event_time or uow.now,
            self.payment_reference,
            self.running_total,
            uow.now,
        )
        known = uow.payments.get((event.provider, event.provider_event_id))
        if known is not None:
            same_tender = known.payment_reference in ("", event.payment_reference)
            if not same_tender or _content(known) != _content(event):
                raise PaymentEventConflict(event.provider, event.provider_event_id)
            return order
        if uow.tenders.get(event.tender, order.order_id) != order.order_id:
            raise TenderOfAnotherOrder(order.order_id, event.provider, event.payment_reference)
        paid, changes = decide_payment(order, event, uow.levels_of({x.sku for x in order.lines}), uow.now)
        uow.save_payment(event)
        revived = ["order.processing"] if paid.state is not order.state else []
        types = "payment.updated", *revived, *hold_events(order, paid)
        paid = uow.save_order(paid, self.cause, *types, about=About(payment=event))
        uow.move(changes, self.cause)
        return paid


def _content(event: PaymentEvent) -> tuple[object, ...]:
    """Returns the content of an event, which a repetition must equal."""
    return event.order_id, event.kind, event.amount, event.running_total
