"""Compares responses with the stored state."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from stockward.order.v1 import order_pb2 as orders

from torture.checks import Evidence, Finding, Violation
from torture.history import Call, Outcome
from torture.workload import RENAMED

READS = {"GetAvailability", "GetOrder"}

OPEN_STATES = (
    orders.Order.STATE_PENDING,
    orders.Order.STATE_PROCESSING,
    orders.Order.STATE_PARTIALLY_FULFILLED,
)


def changes(evidence: Evidence) -> Iterable[Call]:
    """Yields the calls that change something."""
    return (call for call in evidence.history.calls if call.method not in READS)


async def foreseen(evidence: Evidence) -> Finding:
    found = [
        Violation(f"answered {attempt.code} {attempt.reason}: {call}", (call.request_id,))
        for call in evidence.history.calls
        for attempt in call.attempts
        if attempt.code == "UNKNOWN" or attempt.reason == "INTERNAL"
    ]
    found += [Violation(f"logged {line}") for line in evidence.errors]
    attempts = sum(len(call.attempts) for call in evidence.history.calls)
    return Finding("answers", "every answer is one that the contract foresees", attempts, found)


async def acknowledged(evidence: Evidence) -> Finding:
    """Checks that the stored response equals the one that was sent, and that each aggregate has each kind of event
    once. Stock has each kind of movement once; a claim that moves to another location is allocated and shipped
    there."""
    stored: dict[str, list[bytes]] = defaultdict(list)
    for row in await evidence.pool.fetch("SELECT request_id::text, response FROM idempotency"):
        stored[row["request_id"]].append(row["response"])
    effects = Counter(
        (event.request_id, event.aggregate_id, event.type, event.data.stock.kind) for event in evidence.events
    )
    caused = {event.request_id for event in evidence.events}
    found = [
        Violation(f"{type_} of {aggregate_id} was done {count} times for one request_id", (request_id, aggregate_id))
        for (request_id, aggregate_id, type_, _), count in effects.items()
        if request_id and count > 1
    ]
    created: dict[str, set[str]] = defaultdict(set)
    for event in evidence.events:
        if event.type in ("order.created", "reservation.created", "product.created") and event.request_id:
            created[event.request_id].add(event.aggregate_id)
    found += [
        Violation(f"request {request_id} made {sorted(made)}", (request_id, *made))
        for request_id, made in created.items()
        if len(made) > 1
    ]
    examined = 0
    known: set[str] = set()
    for call in changes(evidence):
        known.add(call.request_id)
        if call.outcome is not Outcome.OK:
            continue
        examined += 1
        answers = stored.get(call.request_id, [])
        if len(answers) != 1:
            found.append(Violation(f"acknowledged, and stored {len(answers)} times: {call}", (call.request_id,)))
        elif any(not _agrees(call, response, answers[0]) for response in call.responses):
            found.append(Violation(f"the stored answer is another one: {call}", (call.request_id,)))
        elif call.method in ("CreateOrder", "ReserveStock", "AdjustStock") and call.request_id not in caused:
            found.append(Violation(f"acknowledged, and nothing came of it: {call}", (call.request_id,)))
    found += [Violation(f"no client sent request {each}", (each,)) for each in (set(stored) | caused) - known - {""}]
    return Finding("acknowledged", "what was acknowledged is there, once", examined, found)


def _agrees(call: Call, response: Any, stored: bytes) -> bool:
    if call.method.startswith("webhook"):
        return True  # its response is a receipt; the method's response is stored
    return bool(type(response).FromString(stored) == response)


async def refused(evidence: Evidence) -> Finding:
    stored = {row[0] for row in await evidence.pool.fetch("SELECT request_id::text FROM idempotency")}
    caused = {event.request_id for event in evidence.events}
    calls = [call for call in changes(evidence) if call.outcome is Outcome.FAIL]
    found = [
        Violation(f"refused, and has an effect: {call}", (call.request_id,))
        for call in calls
        if call.request_id in stored | caused
    ]
    return Finding("refused", "what was refused has no effect", len(calls), found)


def goods(sku: str) -> str:
    """Returns the SKU of a line's goods before any rename."""
    return sku.removesuffix(RENAMED)


async def whole_orders(evidence: Evidence) -> Finding:
    """Checks that an order has every requested line, and a claim on stock for every open, tracked unit."""
    wanted: dict[str, Counter[str]] = {}
    requests = {call.request_id: call for call in evidence.history.of("CreateOrder")}
    holds = {event.aggregate_id: Counter[str]() for event in evidence.events if event.type == "reservation.created"}
    for event in evidence.events:
        if event.type == "reservation.created":
            for line in event.data.reservation.lines:
                holds[event.aggregate_id][goods(line.sku)] += line.quantity
    for event in evidence.events:
        if event.type == "order.created" and event.request_id in requests:
            request = requests[event.request_id].request
            lines = {goods(line.sku): line.quantity for line in request.lines}
            if lines or request.reservation_id in holds:  # another check finds a hold without an event
                wanted[event.aggregate_id] = Counter(lines) if lines else holds[request.reservation_id]
        if event.type == "order.edited" and event.aggregate_id in wanted:
            wanted[event.aggregate_id] = Counter({goods(line.sku): line.quantity for line in event.data.order.lines})
    rows = await evidence.pool.fetch(
        """
        SELECT o.order_id::text, o.state, l.sku, l.quantity, NOT l.untracked AS tracked,
               l.quantity - l.fulfilled - l.cancelled AS open,
               coalesce((SELECT sum(quantity) FROM allocations a
                         WHERE a.order_id = o.order_id AND a.line_number = l.line_number), 0)::bigint AS claimed
        FROM orders o LEFT JOIN order_lines l USING (order_id)
        """
    )
    there: dict[str, Counter[str]] = defaultdict(Counter)
    found = []
    for row in rows:
        there[row["order_id"]][goods(row["sku"] or "")] += row["quantity"] or 0
        owed = row["open"] if row["state"] in OPEN_STATES and row["tracked"] else 0
        if row["claimed"] != owed:
            message = f"order {row['order_id']} has {owed} open of {row['sku']} and a claim on {row['claimed']}"
            found.append(Violation(message, (row["order_id"],)))
    found += [
        Violation(f"order {order_id} has {dict(there[order_id])}, asked for was {dict(lines)}", (order_id,))
        for order_id, lines in wanted.items()
        if there[order_id] != lines
    ]
    return Finding("orders", "an order is all of its lines or none", len(there), found)


async def payments(evidence: Evidence) -> Finding:
    """Checks that each report counts once, in any order and with any repetitions."""
    rows = await evidence.pool.fetch("SELECT provider_event_id, order_id::text, kind, amount FROM payments")
    known = {row["provider_event_id"] for row in rows}
    found = [
        Violation(f"payment {call.request.provider_event_id} was acknowledged and is not there", (call.request_id,))
        for call in evidence.history.of("RecordPayment", "webhook payment.updated")
        if call.outcome is Outcome.OK and call.request.provider_event_id not in known
    ]
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        sums[row["order_id"], orders.RecordPaymentRequest.Kind.Name(row["kind"])] += row["amount"]
    totals = await evidence.pool.fetch("SELECT order_id::text, authorized, captured, refunded FROM orders")
    for row in totals:
        for kind in ("authorized", "captured", "refunded"):
            reported = sums[row["order_id"], f"KIND_{kind.upper()}"]
            if kind == "refunded":
                reported -= sums[row["order_id"], "KIND_REFUND_FAILED"]
            if row[kind] != reported:
                message = f"order {row['order_id']} has {kind} {row[kind]}, reported were {reported}"
                found.append(Violation(message, (row["order_id"],)))
    return Finding("payments", "every payment that was reported counts once", len(rows), found)
