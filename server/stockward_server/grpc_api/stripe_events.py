"""Stripe's events as payments: what each reports of which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.type.money_pb2 import Money
from stockward.order.v1.order_pb2 import RecordPaymentRequest

from stockward_server.domain.errors import WebhookBodyInvalid
from stockward_server.grpc_api.times import timestamp

PROVIDER = "stripe"

# Stripe counts an amount in the smallest unit of its currency: hundredths but for these (docs.stripe.com/currencies).
WITHOUT_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
WITH_THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])

Reading = tuple[int, int]
"""Kind of payment and amount."""


def _succeeded(event: Mapping[str, Any]) -> Reading:
    return RecordPaymentRequest.KIND_CAPTURED, find(event, "data.object.amount_received", int)


def _failed(event: Mapping[str, Any]) -> Reading:
    return RecordPaymentRequest.KIND_FAILED, find(event, "data.object.amount", int)


def _refunded(event: Mapping[str, Any]) -> Reading:
    """`amount_refunded` is the sum of all refunds of the charge: what it was before tells this one."""
    before = 0
    if "previous_attributes" in event["data"]:
        before = find(event, "data.previous_attributes.amount_refunded", int)
    return RecordPaymentRequest.KIND_REFUNDED, find(event, "data.object.amount_refunded", int) - before


READERS: Mapping[str, Callable[[Mapping[str, Any]], Reading]] = {
    "payment_intent.succeeded": _succeeded,
    "payment_intent.payment_failed": _failed,
    "charge.refunded": _refunded,
}
"""By type of event."""


def payment_of(event: Mapping[str, Any]) -> RecordPaymentRequest:
    """The payment that an event of a known type reports; WebhookBodyInvalid naming what is missing."""
    order_id = find(event, "data.object.metadata.order_id", str)
    kind, amount = READERS[event["type"]](event)
    return RecordPaymentRequest(
        order_id=order_id,
        provider=PROVIDER,
        provider_event_id=find(event, "id", str),
        kind=kind,  # type: ignore[arg-type]  # a plain number is as good
        amount=_money(find(event, "data.object.currency", str).upper(), amount),
        event_time=timestamp(_moment(find(event, "created", int))),
    )


def find(event: Any, path: str, kind: type[Any]) -> Any:
    """What stands at a path; WebhookBodyInvalid when it is not there or of another kind."""
    found = event
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise _invalid(path)
    return found


def _money(currency: str, amount: int) -> Money:
    if not 0 <= amount < 10**15:
        raise _invalid("data.object.amount")
    digits = 0 if currency in WITHOUT_DECIMALS else 3 if currency in WITH_THREE_DECIMALS else 2
    units, part = divmod(amount, 10**digits)
    return Money(currency_code=currency, units=units, nanos=part * 10 ** (9 - digits))


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise _invalid("created") from None


def _invalid(path: str) -> WebhookBodyInvalid:
    return WebhookBodyInvalid(f"{path} is missing or of the wrong kind", field=path)
