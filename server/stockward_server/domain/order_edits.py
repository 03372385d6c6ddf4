"""Edits of orders: what an order says about itself, and its lines while it is PENDING."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from stockward_server.domain.charge import NO_SHARES
from stockward_server.domain.errors import (
    CurrencyMismatch,
    FieldInvalid,
    LineCharged,
    LineUnknown,
    QuantityExceeded,
)
from stockward_server.domain.money import Money
from stockward_server.domain.order import Allocation, Customer, Edit, Order, OrderLine, OrderState
from stockward_server.domain.order_steps import deallocations, released, require_sane_total, require_state, without
from stockward_server.domain.pricing import charge_exceeded, spread_charge
from stockward_server.domain.stock import MovementKind, Portion, StockChange, StockLevel, take_all

T = TypeVar("T")

MAX_LINES = 1000
"""Maximum number of lines of an order, and the highest number of one."""

MAX_TEXT_BYTES = 8000
"""Maximum length of tags, attributes and gift notes together, so that the largest order fits into one message."""

MAX_EDITS = 200
"""Edits of which an order remembers how they changed its amount; older ones are merged into the oldest of these."""

OVERHEAD = 8
"""Bytes that each of these texts takes in a message beside its own, at most."""


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """New values of what an order says about itself; None leaves one as it is."""

    contact: Mapping[str, object]
    """Fields of Customer, without its id."""
    reference: str | None = None
    tags: tuple[str, ...] | None = None
    attributes: tuple[tuple[str, str], ...] | None = None
    gift_note: str | None = None
    line_gift_notes: Mapping[int, str] | None = None
    customer_id: str = ""
    """Must be that of the order, or empty."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of what is updated, as a mask has them."""
        others = ("reference", "tags", "attributes", "gift_note", "line_gift_notes")
        contact = (f"customer.{name}" for name in self.contact)
        return (*contact, *(name for name in others if getattr(self, name) is not None))


@dataclass(frozen=True, slots=True)
class LineChange:
    """The new number of units of one line, cancelled ones not counted. `path` is its place in the request."""

    line_number: int
    quantity: int
    path: str


@dataclass(frozen=True, slots=True)
class AddedLine:
    """A priced line to add, whose number is not decided yet."""

    line: OrderLine
    path: str


def decide_update(order: Order, details: OrderDetails, now: datetime) -> Order:
    """Returns the order with new details; its steps, lines and stock stay."""
    if details.customer_id not in ("", order.customer.customer_id):
        raise FieldInvalid("customer.customer_id", "the customer of an order cannot be changed")
    notes = dict(details.line_gift_notes or {})
    known = {line.line_number for line in order.lines}
    for position, number in enumerate(notes):
        if number not in known:
            raise LineUnknown(number, f"line_gift_notes[{position}].line_number", order.order_id)
    customer: Customer = replace(order.customer, **details.contact)  # type: ignore[arg-type]
    updated = replace(
        order,
        customer=customer,
        reference=_or(details.reference, order.reference),
        tags=_or(details.tags, order.tags),
        attributes=_or(details.attributes, order.attributes),
        gift_note=_or(details.gift_note, order.gift_note),
        lines=tuple(
            replace(line, gift_note=notes[line.line_number]) if line.line_number in notes else line
            for line in order.lines
        ),
        update_time=now,
    )
    texts = [*updated.tags, *(text for pair in updated.attributes for text in pair), updated.gift_note]
    texts += [line.gift_note for line in updated.lines]
    if sum(len(text.encode()) + OVERHEAD for text in texts if text) > MAX_TEXT_BYTES:
        raise FieldInvalid("", f"tags, attributes and gift notes have more than {MAX_TEXT_BYTES:,} bytes together")
    return updated


def decide_edit(
    order: Order,
    changes: Sequence[LineChange],
    added: Sequence[AddedLine],
    prices: Mapping[int, int],
    levels: Mapping[str, Sequence[StockLevel]],
    now: datetime,
) -> tuple[Order, list[StockChange]]:
    """Returns a PENDING order with other lines, and its stock changes. Charges are spread again over what is left.

    `prices` are new prices by line number, in minor units; lines without one keep theirs. `levels` are those of each
    SKU at all locations, by priority.
    """
    require_editable(order)
    wanted = _wanted_units(order, changes)
    lines = [
        replace(line, quantity=line.cancelled + wanted.get(line.line_number, line.open), shares=NO_SHARES)
        for line in order.lines
    ]
    lines = [replace(line, unit_price=prices.get(line.line_number, line.unit_price)) for line in lines if line.quantity]
    lines += _numbered(order, added, [line.sku for line in lines if line.open])
    if not any(line.open for line in lines):
        raise FieldInvalid("changes", "an order keeps at least one unit: cancel it instead")
    if len(lines) > MAX_LINES or lines[-1].line_number > MAX_LINES:
        raise FieldInvalid("additions", f"an order has at most {MAX_LINES:,} lines")
    less = {line.line_number: line.open - wanted.get(line.line_number, line.open) for line in order.lines}
    freed = released(order, {number: units for number, units in less.items() if units > 0})
    before = {line.line_number: line.open for line in order.lines}
    more = {line.line_number: line.open - before.get(line.line_number, 0) for line in lines}
    counted = {line.sku: more[line.line_number] for line in lines if more[line.line_number] > 0 and not line.untracked}
    taken = take_all(counted, levels)
    numbers = {line.sku: line.line_number for line in lines if line.open}
    nowhere = {portion.sku for portion in taken if not portion.location_id}
    lines = [replace(line, untracked=True) if line.open and line.sku in nowhere else line for line in lines]
    spread = tuple(lines)
    for charge in order.charges:
        spread = spread_charge(spread, charge, order.currency, "charges", amount_field="changes")
    edited = replace(
        order,
        lines=spread,
        allocations=_with_portions(without(order.allocations, freed), taken, numbers),
        update_time=now,
    )
    _require_enough_left(edited)
    by = edited.amounts.remaining - order.amounts.remaining
    if by:
        edited = replace(edited, edits=_with_edit(order.edits, Edit(now, by)))
    allocated = [
        StockChange(p.sku, p.location_id, MovementKind.ALLOCATED, allocated=p.quantity, reference=order.order_id)
        for p in taken
        if p.location_id
    ]
    return edited, [*deallocations(order, freed, "edited"), *allocated]


def require_editable(order: Order) -> None:
    """Raises OrderStateInvalid unless the lines of the order can be edited."""
    require_state(order, "edit", OrderState.PENDING)


def current_prices(order: Order, prices: Mapping[str, Money]) -> dict[int, int]:
    """Returns what the catalogue asks now for the lines whose price was not overridden, in minor units by line number.

    `prices` are those of the catalogue by SKU. Raises CurrencyMismatch when one is in another currency by now.
    """
    found = {}
    for line in order.lines:
        if line.price_override_reason or not line.open or line.sku not in prices:
            continue
        price = prices[line.sku]
        if price.currency != order.currency:
            raise CurrencyMismatch("current_prices", expected=order.currency, actual=price.currency)
        found[line.line_number] = price.minor
    return found


def _or(new: T | None, old: T) -> T:
    return old if new is None else new


def _wanted_units(order: Order, changes: Sequence[LineChange]) -> dict[int, int]:
    """Returns the wanted open units of each line that changes."""
    lines = {line.line_number: line for line in order.lines}
    named = {number: charge.kind for charge in order.charges for number in charge.line_numbers}
    wanted: dict[int, int] = {}
    for change in changes:
        number = change.line_number
        line = lines.get(number)
        if line is None:
            raise LineUnknown(number, f"{change.path}.line_number", order.order_id)
        if number in wanted:
            raise FieldInvalid(f"{change.path}.line_number", f"line {number} is named twice")
        if not line.open and change.quantity:
            raise QuantityExceeded(order.order_id, number, line.sku, requested=change.quantity, remaining=0)
        if not change.quantity and number in named:
            raise LineCharged(order.order_id, number, named[number].name.lower(), f"{change.path}.quantity")
        wanted[number] = change.quantity
    return wanted


def _numbered(order: Order, added: Sequence[AddedLine], skus: Sequence[str]) -> list[OrderLine]:
    """Returns the lines to add with their numbers. `skus` are those that the order has already."""
    last = max(line.line_number for line in order.lines)
    for each in added:
        if each.line.sku in skus:
            raise FieldInvalid(f"{each.path}.sku", f"the order has a line of {each.line.sku}: change its quantity")
    return [replace(each.line, line_number=number) for number, each in enumerate(added, last + 1)]


def _with_portions(
    allocations: Sequence[Allocation], taken: Sequence[Portion], numbers: Mapping[str, int]
) -> tuple[Allocation, ...]:
    claims = {(each.line_number, each.location_id): each.quantity for each in allocations}
    for portion in taken:
        if portion.location_id:
            key = numbers[portion.sku], portion.location_id
            claims[key] = claims.get(key, 0) + portion.quantity
    return tuple(Allocation(number, place, units) for (number, place), units in claims.items())


def _with_edit(edits: tuple[Edit, ...], edit: Edit) -> tuple[Edit, ...]:
    if len(edits) < MAX_EDITS:
        return (*edits, edit)
    first, second, *rest = edits
    return (Edit(second.time, first.amount + second.amount), *rest, edit)


def _require_enough_left(order: Order) -> None:
    """Raises ChargeExceeded, naming the largest discount or credit, when they exceed everything else."""
    total = order.amounts.total
    if total < 0:
        largest = max((each for each in order.charges if each.kind.is_taken_off), key=lambda each: each.amount)
        raise charge_exceeded(largest, max(0, largest.amount + total), order.currency, "changes")
    require_sane_total(order)
