"""Orders as messages, and order requests as the domain takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from google.type.money_pb2 import Money
from stockward.order.v1 import order_pb2

from stockward_server.api.responses import response_codec
from stockward_server.application.order_commands import WantedCharge
from stockward_server.domain.charge import Charge, ChargeKind
from stockward_server.domain.errors import FieldInvalid
from stockward_server.domain.order import (
    NO_CUSTOMER,
    UNPAID,
    Address,
    Amounts,
    Customer,
    Fulfillment,
    Hold,
    Order,
    OrderLine,
)
from stockward_server.domain.payment import Payment, Tender
from stockward_server.domain.pricing import WantedLine
from stockward_server.domain.returns import ExchangeOf, OrderReturn
from stockward_server.wire.enums import wire
from stockward_server.wire.money import money_message, money_of
from stockward_server.wire.times import timestamp

# Messages from the domain


OrderParts = tuple[list[order_pb2.OrderLine], order_pb2.Totals, order_pb2.Payment, order_pb2.Hold | None]


@lru_cache(maxsize=2)  # asked for by the event of an order and then by its response; the largest take megabytes
def order_parts(order: Order) -> OrderParts:
    """Returns what the response and the event of an order both have, made once: for other messages, never changed."""
    amounts = order.amounts
    return (
        [_line_message(line, order.currency) for line in order.lines],
        _totals_message(amounts, order.currency),
        _payment_message(order.payment, amounts, order.currency),
        hold_message(order.hold),
    )


def order_message(order: Order) -> order_pb2.Order:
    """The whole order."""
    lines, totals, payment, hold = order_parts(order)
    message = order_pb2.Order(
        order_id=order.order_id,
        state=wire(order.state),
        reference=order.reference,
        customer=_customer_message(order.customer),
        lines=lines,
        charges=[charge_message(charge, order.currency) for charge in order.charges],
        totals=totals,
        payment_terms=wire(order.payment_terms),
        payment=payment,
        payment_due_time=timestamp(order.payment_due_time),
        reservation_id=order.reservation_id or "",
        fulfillments=[fulfillment_message(each) for each in order.fulfillments],
        create_time=timestamp(order.create_time),
        update_time=timestamp(order.update_time),
        version=order.version,
        hold=hold,
        etag=order.etag,
        tags=order.tags,
        attributes=dict(order.attributes),
        gift_note=order.gift_note,
        cancel_reason=order.cancel_reason,
    )
    if order.returns:
        message.returns.extend(map(return_message, order.returns))
    if order.exchange_of:
        message.exchange_of.order_id = order.exchange_of.order_id
        message.exchange_of.return_id = order.exchange_of.return_id
    for line, to_pack in zip(order.lines, message.lines, strict=True):
        if line.gift_note:  # not in the lines that the events of the order have
            to_pack.gift_note = line.gift_note
    return message


def snapshot_message(order: Order) -> order_pb2.OrderSnapshot:
    """Returns the order without personal data, as events and watches carry it."""
    lines, totals, payment, hold = order_parts(order)
    return order_pb2.OrderSnapshot(
        order_id=order.order_id,
        state=wire(order.state),
        reference=order.reference,
        customer_id=order.customer.customer_id,
        lines=lines,
        totals=totals,
        payment=payment,
        hold=hold,
        version=order.version,
        update_time=timestamp(order.update_time),
        tags=order.tags,
    )


ORDER = response_codec(order_pb2.Order, order_message)
"""The response of every order mutation."""


def charge_message(charge: Charge, currency: str) -> order_pb2.Charge:
    return order_pb2.Charge(
        kind=wire(charge.kind),
        amount=money_message(currency, charge.amount),
        description=charge.description,
        line_numbers=charge.line_numbers,
        reason=charge.reason,
        actor=charge.actor,
        create_time=timestamp(charge.added),
    )


def hold_message(hold: Hold | None) -> order_pb2.Hold | None:
    if hold is None:
        return None
    return order_pb2.Hold(
        reason=wire(hold.reason),
        note=hold.note,
        expire_time=timestamp(hold.expire_time),
        actor=hold.actor,
        create_time=timestamp(hold.create_time),
    )


def _line_message(line: OrderLine, currency: str) -> order_pb2.OrderLine:
    return order_pb2.OrderLine(
        line_number=line.line_number,
        sku=line.sku,
        title=line.title,
        quantity=line.quantity,
        unit_price=money_message(currency, line.unit_price),
        price_override_reason=line.price_override_reason,
        fulfilled=line.fulfilled,
        cancelled=line.cancelled,
        returned=line.returned,
        untracked=line.untracked,
        discount=_unless_zero(currency, line.shares.discount),
        tax=_unless_zero(currency, line.shares.tax),
    )


@lru_cache(maxsize=8192)  # in a flash sale most orders are alike
def _totals_message(amounts: Amounts, currency: str) -> order_pb2.Totals:
    return order_pb2.Totals(
        subtotal=money_message(currency, amounts.subtotal),
        charges=money_message(currency, amounts.charged),
        total=money_message(currency, amounts.total),
        cancelled=money_message(currency, amounts.cancelled),
        returned=money_message(currency, amounts.returned),
        net=money_message(currency, amounts.net),
    )


def _payment_message(payment: Payment, amounts: Amounts, currency: str) -> order_pb2.Payment:
    # A payment may have any number of events, so only that of a new order is kept.
    return _paid_message(payment, amounts, currency) if payment.events else _unpaid_message(amounts, currency)


@lru_cache(maxsize=8192)  # as above
def _unpaid_message(amounts: Amounts, currency: str) -> order_pb2.Payment:
    return _paid_message(UNPAID, amounts, currency)


def _paid_message(payment: Payment, amounts: Amounts, currency: str) -> order_pb2.Payment:
    refund_due = payment.refund_due(amounts.net)
    return order_pb2.Payment(
        state=wire(payment.state(amounts.asked)),
        authorized=money_message(currency, payment.authorized),
        captured=money_message(currency, payment.captured),
        refunded=money_message(currency, payment.refunded),
        refund_required=refund_due > 0,
        refund_due=_unless_zero(currency, refund_due),
        still_to_pay=money_message(currency, payment.still_to_pay(amounts.net)),
        disputed=_unless_zero(currency, payment.disputed),
        lost=_unless_zero(currency, payment.lost),
        tenders=[_tender_message(tender, currency) for tender in payment.tenders],
    )


def _tender_message(tender: Tender, currency: str) -> order_pb2.Tender:
    return order_pb2.Tender(
        provider=tender.provider,
        payment_reference=tender.payment_reference,
        authorized=money_message(currency, tender.authorized),
        captured=money_message(currency, tender.captured),
        refunded=money_message(currency, tender.refunded),
        disputed=_unless_zero(currency, tender.disputed),
        lost=_unless_zero(currency, tender.lost),
    )


def _unless_zero(currency: str, minor: int) -> Money | None:
    return money_message(currency, minor) if minor else None


def fulfillment_message(fulfillment: Fulfillment) -> order_pb2.Fulfillment:
    return order_pb2.Fulfillment(
        fulfillment_id=fulfillment.fulfillment_id,
        lines=[
            order_pb2.FulfillmentLine(
                line_number=line.line_number, location_id=line.location_id, quantity=line.quantity
            )
            for line in fulfillment.lines
        ],
        tracking_number=fulfillment.tracking_number,
        carrier=fulfillment.carrier,
        create_time=timestamp(fulfillment.create_time),
        state=wire(fulfillment.state),
        update_time=timestamp(fulfillment.update_time),
    )


def return_message(returned: OrderReturn) -> order_pb2.OrderReturn:
    return order_pb2.OrderReturn(
        return_id=returned.return_id,
        state=wire(returned.state),
        lines=[
            order_pb2.ReturnLine(
                line_number=line.line_number, quantity=line.quantity, received=line.received, damaged=line.damaged
            )
            for line in returned.lines
        ],
        reason=returned.reason,
        note=returned.note,
        tracking_number=returned.tracking_number,
        carrier=returned.carrier,
        label_url=returned.label_url,
        actor=returned.actor,
        create_time=timestamp(returned.create_time),
        update_time=timestamp(returned.update_time),
    )


def _customer_message(customer: Customer) -> order_pb2.Customer | None:
    if customer == NO_CUSTOMER:
        return None
    return order_pb2.Customer(
        customer_id=customer.customer_id,
        email=customer.email,
        name=customer.name,
        shipping_address=address_message(customer.shipping_address),
        billing_address=address_message(customer.billing_address),
    )


def address_message(address: Address | None) -> order_pb2.Address | None:
    if address is None:
        return None
    return order_pb2.Address(
        recipient=address.recipient,
        lines=address.lines,
        city=address.city,
        region=address.region,
        postal_code=address.postal_code,
        country_code=address.country_code,
        phone=address.phone,
    )


# The domain from messages


CONTACT = ("email", "name", "shipping_address", "billing_address")
"""The fields of a Customer that can be changed."""


def contact_of(customer: order_pb2.Customer, names: Iterable[str] = CONTACT) -> dict[str, Any]:
    """Returns these fields of a Customer as those of the domain."""
    addresses = ("shipping_address", "billing_address")
    return {
        name: (_address_of(getattr(customer, name)) if customer.HasField(name) else None)  # type: ignore[arg-type]
        if name in addresses
        else getattr(customer, name)
        for name in names
    }


def customer_of(message: order_pb2.CreateOrderRequest, customer_id: str) -> Customer:
    """Who orders, by the name that the call is for."""
    return Customer(customer_id, **contact_of(message.customer))


def exchange_of(message: order_pb2.CreateOrderRequest) -> ExchangeOf | None:
    """The return for which the order is the exchange, if any."""
    if not message.HasField("exchange_of"):
        return None
    return ExchangeOf(message.exchange_of.order_id.lower(), message.exchange_of.return_id.lower())


def _address_of(message: order_pb2.Address) -> Address:
    return Address(
        message.recipient,
        tuple(message.lines),
        message.city,
        message.region,
        message.postal_code,
        message.country_code,
        message.phone,
    )


def wanted_lines(message: order_pb2.CreateOrderRequest) -> list[WantedLine]:
    """The lines of a new order; FieldInvalid for an override without a reason, or nothing to order."""
    if not message.lines and not message.reservation_id:
        raise FieldInvalid("lines", "an order needs lines or a reservation")
    return priced_lines(message.lines, "lines")


def priced_lines(lines: Iterable[order_pb2.CreateOrderRequest.Line], field: str) -> list[WantedLine]:
    """The lines that stand in `field`, with the prices they state; FieldInvalid for an override without a reason."""
    wanted = []
    for index, line in enumerate(lines):
        path = f"{field}[{index}]"
        shown = override = None
        if line.HasField("shown_unit_price"):
            shown = money_of(line.shown_unit_price, f"{path}.shown_unit_price")
        if line.HasField("unit_price_override"):
            override = money_of(line.unit_price_override, f"{path}.unit_price_override")
            if not line.price_override_reason:
                raise FieldInvalid(f"{path}.price_override_reason", "an override needs a reason")
        wanted.append(WantedLine(line.sku, line.quantity, path, shown, override, line.price_override_reason))
    return wanted


def wanted_charges(message: order_pb2.CreateOrderRequest) -> list[WantedCharge]:
    return [wanted_charge(charge, f"charges[{index}]") for index, charge in enumerate(message.charges)]


def wanted_charge(charge: order_pb2.Charge, path: str) -> WantedCharge:
    """The charge that stands at `path`; FieldInvalid when it names lines and stays with the order."""
    kind = ChargeKind(charge.kind)
    if charge.line_numbers and not kind.is_spread:
        raise FieldInvalid(
            f"{path}.line_numbers",
            f"a {kind.name.lower()} belongs to the whole order: only taxes and discounts may name lines",
        )
    amount = money_of(charge.amount, f"{path}.amount")
    return WantedCharge(kind, amount, charge.description, path, tuple(charge.line_numbers))


def line_quantities(lines: Iterable[Any]) -> Mapping[int, int]:
    """Units by line number; lines named twice are summed."""
    quantities: dict[int, int] = {}
    for line in lines:
        quantities[line.line_number] = quantities.get(line.line_number, 0) + line.quantity
    return quantities
