"""Bodies of Stripe events, by the names of its API reference: what we look at, and some of what we do not.

None leaves a field null, as Stripe does; fields beyond the usual are added.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

ORDER = "0190aaaa-0000-7000-8000-000000000000"

Json = dict[str, Any]


def event(type_: str, thing: Json, **fields: Any) -> Json:
    """An event about an object; `id`, `created`, `api_version` and so on as given, `previous_attributes` beside the
    object."""
    data: Json = {"object": thing}
    if "previous_attributes" in fields:
        data["previous_attributes"] = fields.pop("previous_attributes")
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2024-06-20",
        "created": 1_796_000_000,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": None},
        "type": type_,
        "data": data,
    } | fields


def fresh(type_: str, thing: Json, **fields: Any) -> Json:
    """An event with an id of its own."""
    return event(type_, thing, **{"id": f"evt_{uuid.uuid4().hex}"} | fields)


def intent(**fields: Any) -> Json:
    """A payment intent of 20.00."""
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 2000,
        "amount_capturable": 0,
        "amount_received": 0,
        "cancellation_reason": None,
        "currency": "eur",
        "last_payment_error": None,
        "latest_charge": "ch_1",
        "metadata": {"order_id": ORDER},
    } | fields


def charge(**fields: Any) -> Json:
    """A charge of 20.00, captured in full."""
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 2000,
        "amount_captured": 2000,
        "amount_refunded": 0,
        "captured": True,
        "currency": "eur",
        "metadata": {"order_id": ORDER},
        "payment_intent": "pi_1",
        "refunded": False,
        "status": "succeeded",
    } | fields


def refund(**fields: Any) -> Json:
    """A refund of 5.00; like most it says nothing of the order."""
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 500,
        "balance_transaction": "txn_1",
        "charge": "ch_1",
        "created": 1_796_000_000,
        "currency": "eur",
        "metadata": {},
        "payment_intent": "pi_1",
        "reason": None,
        "status": "succeeded",
    } | fields


def dispute(**fields: Any) -> Json:
    """A dispute about 20.00."""
    return {
        "id": "dp_1",
        "object": "dispute",
        "amount": 2000,
        "charge": "ch_1",
        "currency": "eur",
        "is_charge_refundable": False,
        "metadata": {},
        "payment_intent": "pi_1",
        "reason": "fraudulent",
        "status": "needs_response",
    } | fields


def checkout(**fields: Any) -> Json:
    """A checkout session of 20.00, paid; the order is its client_reference_id."""
    return {
        "id": "cs_1",
        "object": "checkout.session",
        "amount_total": 2000,
        "client_reference_id": ORDER,
        "currency": "eur",
        "metadata": {},
        "mode": "payment",
        "payment_intent": "pi_1",
        "payment_status": "paid",
        "status": "complete",
    } | fields


EVERY_TYPE: dict[str, Json] = {
    "payment_intent.amount_capturable_updated": intent(amount_capturable=2000),
    "payment_intent.succeeded": intent(amount_received=2000),
    "payment_intent.canceled": intent(cancellation_reason="expired"),
    "payment_intent.payment_failed": intent(last_payment_error={"charge": "ch_1"}),
    "charge.succeeded": charge(captured=False, amount_captured=0),
    "charge.captured": charge(amount_captured=1500),
    "charge.expired": charge(captured=False),
    "charge.failed": charge(status="failed"),
    "charge.refunded": charge(amount_refunded=500),
    "charge.refund.updated": refund(status="failed"),
    "refund.created": refund(),
    "refund.updated": refund(status="canceled"),
    "refund.failed": refund(status="failed"),
    "charge.dispute.created": dispute(),
    "charge.dispute.updated": dispute(status="under_review"),
    "charge.dispute.funds_withdrawn": dispute(),
    "charge.dispute.funds_reinstated": dispute(status="won"),
    "charge.dispute.closed": dispute(status="lost"),
    "checkout.session.completed": checkout(),
    "checkout.session.async_payment_succeeded": checkout(),
    "checkout.session.async_payment_failed": checkout(payment_status="unpaid"),
}
"""Something of each type of event that is recorded."""


def spoilt_events(order_id: str) -> Iterator[Json]:
    """Events of every type, each with one field that is missing or of another type."""
    for type_, thing in EVERY_TYPE.items():
        whole = event(type_, thing | {"metadata": {"order_id": order_id}}, previous_attributes={"amount_refunded": 0})
        for path in _paths(whole):
            for value in (None, True, -1, 10**30, 1.5, "", "\ud800", "x" * 300, "\0", [], [1], {}, {"id": 7}):
                yield _changed(whole, path, value)
            yield _changed(whole, path)


def _paths(whole: Json, *above: str) -> Iterator[tuple[str, ...]]:
    for name, value in whole.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from _paths(value, *above, name)


def _changed(whole: Json, path: tuple[str, ...], *value: Any) -> Json:
    """With another value at the path, or without one."""
    changed = deepcopy(whole)
    *above, name = path
    inner = changed
    for each in above:
        inner = inner[each]
    if value:
        inner[name] = value[0]
    else:
        del inner[name]
    return changed
