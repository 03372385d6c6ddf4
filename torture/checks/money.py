"""Compares the amounts of orders, step by step, with sums computed from the event log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from google.type.money_pb2 import Money
from stockward.order.v1 import order_pb2 as orders

from torture.checks import Evidence, Finding, Recorded, Violation

Unit = tuple[int, int]
"""Discount and tax of one unit, in minor units."""

VOID = (orders.Order.STATE_CANCELLED, orders.Order.STATE_EXPIRED)


async def added_up(evidence: Evidence) -> Finding:
    """Checks the value of cancelled and returned units of each order, and that no paid order expired."""
    steps = defaultdict[str, list[Recorded]](list)
    for event in evidence.events:
        if event.data.HasField("order"):
            steps[event.aggregate_id].append(event)
    found = []
    for order_id, events in steps.items():
        if events[0].type == "order.created":  # another check finds an order without its first event
            found += [Violation(f"order {order_id} {message}", (order_id,)) for message in _wrong_sums(events)]
            found += [Violation(f"order {order_id} {message}", (order_id,)) for message in _wrong_ends(events)]
    return Finding("money", "every amount of an order is right to the cent", sum(map(len, steps.values())), found)


def _wrong_sums(events: Sequence[Recorded]) -> Iterable[str]:
    """Yields wrong sums: a unit of a line has the same shares whether it goes alone or with others."""
    units: dict[int, list[Unit]] = {}
    shares: dict[int, Unit] = {}
    gone = 0
    for event in events:
        order = event.data.order
        if event.type == "order.edited":  # what is charged is spread again over the units that are left
            units = {line.line_number: _left(line) for line in order.lines}
            shares = {line.line_number: (minor(line.discount), minor(line.tax)) for line in order.lines}
            gone = sum(line.cancelled * minor(line.unit_price) for line in order.lines)
        for line in order.lines:
            number, left = line.line_number, line.quantity - line.cancelled - line.returned
            share = minor(line.discount), minor(line.tax)
            known, former = units.setdefault(number, [(0, 0)] * line.quantity), shares.get(number, (0, 0))
            for _ in range(len(known) - left):
                discount, tax = known.pop(0)
                gone += minor(line.unit_price) - discount + tax
            if share != former:
                shares[number] = share
                more = [sum(each[kind] for each in known) + share[kind] - former[kind] for kind in (0, 1)]
                known[:] = zip(*(_one_by_one(amount, len(known)) for amount in more), strict=True)
        totals = order.totals
        taken = minor(totals.cancelled) + minor(totals.returned)
        if taken != gone:
            yield f"has {taken} cancelled and returned after {event.type}, its units came to {gone}"
        if order.state not in VOID and minor(totals.net) != max(0, minor(totals.total) - taken):
            yield f"comes to {minor(totals.net)} after {event.type}, and not to its total less what is gone"
        if minor(order.payment.still_to_pay) and minor(order.payment.refund_due):
            yield f"is to be paid and to be refunded after {event.type}"


def _left(line: orders.OrderLine) -> list[Unit]:
    """Returns the units of an edited line that are not cancelled."""
    left = line.quantity - line.cancelled
    if not left:
        return []
    return list(zip(*(_one_by_one(minor(amount), left) for amount in (line.discount, line.tax)), strict=True))


def _wrong_ends(events: Sequence[Recorded]) -> Iterable[str]:
    """Yields orders that were covered at some time, in the order of their payments, and expired."""
    for before, after in pairwise(events):
        payment, net = before.data.order.payment, minor(before.data.order.totals.net)
        held = sum(max(0, minor(each.authorized) - minor(each.captured)) for each in payment.tenders)
        kept = minor(payment.captured) - minor(payment.refunded) - minor(payment.lost)
        covered = net == 0 or (minor(payment.captured) + held >= net and kept + held > 0)
        if after.type == "order.expired" and covered:
            yield "has expired, and was paid for"


def _one_by_one(amount: int, units: int) -> list[int]:
    """Returns the amount of each unit when units go one after another."""
    so_far = [int(Fraction(amount * number, units) + Fraction(1, 2)) for number in range(units + 1)]
    return [after - before for before, after in pairwise(so_far)]


def minor(amount: Money | Any) -> int:
    """Returns cents; all test orders are in euros."""
    return int(amount.units * 100 + amount.nanos // 10**7)
