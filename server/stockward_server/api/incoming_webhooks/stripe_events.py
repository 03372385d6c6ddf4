"""Stripe's events as payments: which order each is about, and what it says became of the money.

What is recorded is named after the Stripe object and what happened to it, not after the event: several types of event
report the same movement, and each of them may come twice. Sources: docs.stripe.com/api/events/types, and for the
differences between API versions docs.stripe.com/changelog.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.type.money_pb2 import Money
from stockward.order.v1.order_pb2 import RecordPaymentRequest

from stockward_server.domain.errors import WebhookBodyInvalid
from stockward_server.domain.payment import PaymentKind
from stockward_server.wire.enums import wire
from stockward_server.wire.times import timestamp

PROVIDER = "stripe"

# Stripe counts an amount in the smallest unit of its currency: hundredths but for these (docs.stripe.com/currencies).
WITHOUT_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
WITH_THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])

RELEASES_ARE_NO_REFUNDS = "2025-03-31"
"""First API version in which an authorization that is released, in full or in part, makes no refund and does not count
in `amount_refunded`; from then on one that lapsed is cancelled as `expired`, before as `automatic`."""

Event = Mapping[str, Any]

_ID = re.compile(r"[!-~]{1,100}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about: the order that it names, if any, and the tender."""

    order_id: str | None
    tender: str
    """Id of the payment intent, or of what was paid without one: a charge or a checkout session."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that became of a tender's money."""

    name: str
    """Names the object and what happened to it, the same in every event that reports it."""
    kind: PaymentKind
    amount: int
    """In Stripe's unit of the currency."""
    running_total: bool = False
    """The amount is all of this kind so far."""


def subject_of(event: Event) -> Subject:
    """Returns what the event is about; WebhookBodyInvalid naming what cannot be understood."""
    found = find(event, "data.object", dict)
    tender = _reference(event, "payment_intent") or _reference(event, "charge") or _id(event, "data.object.id")
    wholes = (found, found.get("payment_intent"), found.get("charge"))
    named = [*(_order_id_in(whole) for whole in wholes), found.get("client_reference_id")]
    ids = [each.lower() for each in named if isinstance(each, str) and _UUID.fullmatch(each)]
    return Subject(ids[0] if ids else None, tender)


def payments_of(event: Event, order_id: str) -> list[RecordPaymentRequest]:
    """Returns what an event of a known type says happened to the order's money, which may be nothing;
    WebhookBodyInvalid naming what is missing."""
    facts = list(READERS[event["type"]](event))
    if not facts:
        return []  # a checkout session that only sets a payment method up has no currency
    tender, currency = subject_of(event).tender, currency_of(event)
    time = timestamp(_moment(find(event, "created", int)))
    return [
        RecordPaymentRequest(
            order_id=order_id,
            provider=PROVIDER,
            provider_event_id=fact.name,
            payment_reference=tender,
            kind=wire(fact.kind),
            amount=_money(currency, fact.amount),
            running_total=fact.running_total,
            event_time=time,
        )
        for fact in facts
    ]


def currency_of(event: Event) -> str:
    """Returns the code of the event's currency in upper case; WebhookBodyInvalid."""
    currency = find(event, "data.object.currency", str)
    if not (currency.isascii() and currency.isalpha() and len(currency) <= 10):
        raise _invalid("data.object.currency")
    return str(currency.upper())


def event_id_of(event: Event) -> str:
    """Returns the id that Stripe gave the event; WebhookBodyInvalid."""
    return _id(event, "id")


def find(event: Any, path: str, kind: type[Any], default: Any = _MISSING) -> Any:
    """Returns what stands at a path, or the default when nothing or null does; WebhookBodyInvalid when it is of another
    kind, or missing without a default."""
    found = event
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if found is None and default is not _MISSING:
        return default
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise _invalid(path)
    return found


# What each type of event says


def _intent_capturable(event: Event) -> Iterator[Fact]:
    """An authorization, its increments, and each of several captures: `amount_capturable` is what is left of it."""
    received = _amount(event, "amount_received", 0)
    yield from _so_far(event, PaymentKind.AUTHORIZED, _amount(event, "amount_capturable") + received)
    yield from _so_far(event, PaymentKind.CAPTURED, received)


def _intent_succeeded(event: Event) -> Iterator[Fact]:
    """Nothing more can be captured, so what was authorized beyond `amount_received` is released."""
    received = _amount(event, "amount_received")
    yield from _so_far(event, PaymentKind.CAPTURED, received)
    yield from _so_far(event, PaymentKind.VOIDED, _amount(event, "amount", received) - received)


def _intent_canceled(event: Event) -> Iterator[Fact]:
    lapsed = find(event, "data.object.cancellation_reason", str, "") in ("automatic", "expired")
    kind = PaymentKind.AUTHORIZATION_EXPIRED if lapsed else PaymentKind.VOIDED
    yield from _so_far(event, kind, _amount(event, "amount") - _amount(event, "amount_received", 0))


def _failed(event: Event) -> Iterator[Fact]:
    """One attempt, which the intent and its charge both report; an attempt without a charge has the event's id."""
    of_intent = event["type"].startswith("payment_intent.")
    charge = find(event, "data.object.last_payment_error.charge" if of_intent else "data.object.id", str, "")
    name = charge if _ID.fullmatch(charge) else event_id_of(event)
    yield Fact(f"{name} failed", PaymentKind.FAILED, _amount(event, "amount"))


def _charged(event: Event) -> Iterator[Fact]:
    amount = _amount(event, "amount")
    if not find(event, "data.object.captured", bool):
        yield from _so_far(event, PaymentKind.AUTHORIZED, amount)
        return
    captured = _amount(event, "amount_captured", amount)
    yield from _so_far(event, PaymentKind.CAPTURED, captured)
    yield from _released(event, amount - captured)


def _charge_expired(event: Event) -> Iterator[Fact]:
    yield from _so_far(event, PaymentKind.AUTHORIZATION_EXPIRED, _amount(event, "amount"))


def _charge_refunded(event: Event) -> Iterator[Fact]:
    """`amount_refunded` is a sum. It has what was released of an authorization in it, up to a certain API version."""
    refunded = _amount(event, "amount_refunded")
    if not find(event, "data.object.captured", bool, True):
        yield from _so_far(event, PaymentKind.VOIDED, refunded)
        return
    captured = _amount(event, "amount_captured", _amount(event, "amount", 0))
    released = max(0, _amount(event, "amount", captured) - captured)
    yield from _released(event, released)
    refunded -= released if _releases_are_refunds(event) else 0
    if refunded > 0:
        # After a refund that failed the sum may come to the same again, so its time is part of the name.
        name = f"{_id(event, 'data.object.id')} refunded {refunded} at {find(event, 'created', int)}"
        yield Fact(name, PaymentKind.REFUNDED, refunded, running_total=True)


def _released(event: Event, amount: int) -> Iterator[Fact]:
    """What a capture leaves of an authorization, unless the charge can be captured several times: then its intent says
    when it is over."""
    several = find(event, "data.object.payment_method_details.card.multicapture.status", str, "") == "available"
    yield from _so_far(event, PaymentKind.VOIDED, 0 if several else amount)


def _refund(event: Event) -> Iterator[Fact]:
    """A refund counts from its creation, pending or not: the merchant has given the money away. One that failed or was
    cancelled has been made before, so that is recorded with it, in case its creation was not reported."""
    refund, amount = _id(event, "data.object.id"), _amount(event, "amount")
    status = find(event, "data.object.status", str, "")
    reason = find(event, "data.object.reason", str, "")
    if reason == "expired_uncaptured_charge":
        yield Fact(f"{refund} expired", PaymentKind.AUTHORIZATION_EXPIRED, amount)
    elif reason == "partial_capture" or (status == "succeeded" and _moved_nothing(event)):
        yield Fact(f"{refund} released", PaymentKind.VOIDED, amount)
    else:
        yield Fact(f"{refund} refunded", PaymentKind.REFUNDED, amount)
        if status in ("failed", "canceled"):
            yield Fact(f"{refund} failed", PaymentKind.REFUND_FAILED, amount)


def _moved_nothing(event: Event) -> bool:
    """Whether a refund is the release of an authorization, for which nothing is booked."""
    refund = event["data"]["object"]
    return _releases_are_refunds(event) and "balance_transaction" in refund and refund["balance_transaction"] is None


def _dispute(event: Event) -> Iterator[Fact]:
    """Read from the status, whichever event reports it. Inquiries (`warning_...`) and disputes that were prevented move
    no money. One that is over was there before, so that is recorded with it."""
    dispute, amount = _id(event, "data.object.id"), _amount(event, "amount")
    status = find(event, "data.object.status", str)
    if status.startswith("warning_") or status in ("charge_refunded", "prevented"):
        return
    yield Fact(f"{dispute} disputed", PaymentKind.DISPUTED, amount)
    if status == "lost":
        yield Fact(f"{dispute} lost", PaymentKind.DISPUTE_LOST, amount)
    elif status == "won" or event["type"] == "charge.dispute.funds_reinstated":
        yield Fact(f"{dispute} won", PaymentKind.DISPUTE_WON, amount)


def _session_completed(event: Event) -> Iterator[Fact]:
    """One that is not paid yet waits for a slow payment method or for its capture; either is reported later."""
    if find(event, "data.object.payment_status", str) == "paid":
        yield from _session_paid(event)


def _session_paid(event: Event) -> Iterator[Fact]:
    yield from _so_far(event, PaymentKind.CAPTURED, _amount(event, "amount_total"))


def _session_failed(event: Event) -> Iterator[Fact]:
    yield Fact(f"{_id(event, 'data.object.id')} failed", PaymentKind.FAILED, _amount(event, "amount_total"))


READERS: Mapping[str, Callable[[Event], Iterator[Fact]]] = {
    "payment_intent.amount_capturable_updated": _intent_capturable,
    "payment_intent.succeeded": _intent_succeeded,
    "payment_intent.canceled": _intent_canceled,
    "payment_intent.payment_failed": _failed,
    "charge.succeeded": _charged,
    "charge.captured": _charged,
    "charge.expired": _charge_expired,
    "charge.failed": _failed,
    "charge.refunded": _charge_refunded,
    "charge.refund.updated": _refund,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "charge.dispute.closed": _dispute,
    "checkout.session.completed": _session_completed,
    "checkout.session.async_payment_succeeded": _session_paid,
    "checkout.session.async_payment_failed": _session_failed,
}
"""By type of event. Every other type reports no movement of money."""


# Parts of an event


def _so_far(event: Event, kind: PaymentKind, amount: int) -> Iterator[Fact]:
    """A running total of the tender, unless it is nothing yet."""
    if amount > 0:
        yield Fact(f"{subject_of(event).tender} {kind.name.lower()} {amount}", kind, amount, running_total=True)


def _releases_are_refunds(event: Event) -> bool:
    return bool(find(event, "api_version", str, "") < RELEASES_ARE_NO_REFUNDS)


def _amount(event: Event, name: str, default: Any = _MISSING) -> int:
    amount: int = find(event, f"data.object.{name}", int, default)
    if not 0 <= amount < 10**15:
        raise _invalid(f"data.object.{name}")
    return amount


def _reference(event: Event, name: str) -> str | None:
    """Returns the id of another object, of which the event has either the id or all of it; None when it has neither."""
    path = f"data.object.{name}"
    found = event["data"]["object"].get(name)
    if found is None:
        return None
    return _id(event, f"{path}.id" if isinstance(found, dict) else path)


def _id(event: Event, path: str) -> str:
    found: str = find(event, path, str)
    if not _ID.fullmatch(found):
        raise _invalid(path)
    return found


def _order_id_in(whole: Any) -> Any:
    metadata = whole.get("metadata") if isinstance(whole, dict) else None
    return metadata.get("order_id") if isinstance(metadata, dict) else None


def _money(currency: str, amount: int) -> Money:
    digits = 0 if currency in WITHOUT_DECIMALS else 3 if currency in WITH_THREE_DECIMALS else 2
    units, part = divmod(amount, 10**digits)
    return Money(currency_code=currency, units=units, nanos=part * 10 ** (9 - digits))


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise _invalid("created") from None


def _invalid(path: str) -> WebhookBodyInvalid:
    return WebhookBodyInvalid(path, "is missing or of the wrong kind")
