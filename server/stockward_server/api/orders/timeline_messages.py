"""Entries of the timeline of an order, and reports of payments, as messages."""

from __future__ import annotations

from stockward.order.v1 import order_pb2 as pb

from stockward_server.api.orders.messages import charge_message, fulfillment_message, hold_message
from stockward_server.domain.payment import PaymentEvent
from stockward_server.domain.timeline import TimelineEntry
from stockward_server.wire.enums import wire
from stockward_server.wire.money import money_message
from stockward_server.wire.times import timestamp


def entry_message(entry: TimelineEntry, currency: str) -> pb.OrderTimelineEntry:
    """An entry of an order in this currency, as staff see it."""
    about = entry.about
    return pb.OrderTimelineEntry(
        version=entry.version,
        type=entry.type,
        create_time=timestamp(entry.time),
        actor=entry.actor,
        note=about.note,
        customer_visible=about.customer_visible,
        lines=[pb.LineQuantity(line_number=number, quantity=units) for number, units in about.lines],
        edits=[pb.LineEdit(sku=sku, from_quantity=was, to_quantity=now) for sku, was, now in about.edits],
        fields=about.fields,
        payment=payment_report(about.payment, currency) if about.payment else None,
        fulfillment=fulfillment_message(about.fulfillment) if about.fulfillment else None,
        charge=charge_message(about.charge, currency) if about.charge else None,
        hold=hold_message(about.hold),
        return_id=about.return_id,
    )


def payment_report(event: PaymentEvent, currency: str) -> pb.PaymentReport:
    """A payment event of an order in this currency."""
    return pb.PaymentReport(
        provider=event.provider,
        provider_event_id=event.provider_event_id,
        kind=wire(event.kind),
        amount=money_message(currency, event.amount),
        event_time=timestamp(event.event_time),
        payment_reference=event.payment_reference,
        running_total=event.running_total,
        create_time=timestamp(event.record_time),
    )
