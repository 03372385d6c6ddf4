"""The largest order that can be made: a gRPC client that takes 4 MiB a message, which is the default, reads it."""

from __future__ import annotations

from stockward_server.api.orders.messages import order_message
from stockward_server.domain.charge import Charge, ChargeKind, LineShares
from stockward_server.domain.money import MAX_MINOR
from stockward_server.domain.order import Address, Customer, Hold, HoldReason, OrderLine
from stockward_server.domain.order_edits import MAX_TEXT_BYTES
from stockward_server.domain.order_steps import MAX_CHARGES
from tests.examples import LATER, order

WIDE = "\N{SHOPPING TROLLEY}"
"""A character of four bytes."""

LINES = 1000


def test_the_largest_order_is_smaller_than_what_a_client_reads() -> None:
    title = f"{WIDE * 300} – {WIDE * 300}"
    shares = LineShares(discount=MAX_MINOR, tax=MAX_MINOR)
    lines = tuple(
        OrderLine(n, WIDE * 32, title, 10**9, 10**6, WIDE * 200, 10**9, returned=10**9, shares=shares)
        for n in range(1, LINES + 1)
    )
    numbers = tuple(range(1, LINES + 1))
    charge = Charge(ChargeKind.TAX, MAX_MINOR, WIDE * 200, numbers, WIDE * 1000, WIDE * 200, LATER)
    address = Address(WIDE * 200, (WIDE * 200,) * 5, WIDE * 200, WIDE * 200, WIDE * 32, "DE", WIDE * 64)
    customer = Customer(WIDE * 128, WIDE * 320, WIDE * 200, address, address)
    largest = order(
        lines=lines,
        charges=(charge,) * MAX_CHARGES,
        customer=customer,
        reference=WIDE * 200,
        cancel_reason=WIDE * 1000,
        staff_hold=Hold(HoldReason.OTHER, WIDE * 500, LATER, WIDE * 200, LATER),
        gift_note=WIDE * (MAX_TEXT_BYTES // 4),  # or as many bytes of tags, attributes and notes on lines
    )
    assert 3_500_000 < order_message(largest).ByteSize() < 4 * 1024 * 1024
