"""Prices the lines of an order: at the catalogue's price, unless staff override it; prices shown to the customer must
be current.

Also spreads charges over the lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stockward_server.domain.charge import Charge, ChargeKind, split
from stockward_server.domain.errors import ChargeExceeded, CurrencyMismatch, LineUnknown, PriceChanged
from stockward_server.domain.money import Money
from stockward_server.domain.order import OrderLine
from stockward_server.domain.stock import Offer


@dataclass(frozen=True, slots=True)
class WantedLine:
    """One line of a request. `path` is its field in the request, such as `lines[0]`."""

    sku: str
    quantity: int
    path: str
    shown_unit_price: Money | None = None
    unit_price_override: Money | None = None
    price_override_reason: str = ""


def merge_lines(wanted: Sequence[WantedLine]) -> dict[str, int]:
    """Returns units by SKU, in order of first mention."""
    merged: dict[str, int] = {}
    for line in wanted:
        merged[line.sku] = merged.get(line.sku, 0) + line.quantity
    return merged


def price_lines(
    wanted: Sequence[WantedLine], quantities: Mapping[str, int], offers: Mapping[str, Offer]
) -> tuple[str, tuple[OrderLine, ...]]:
    """Returns the currency and the priced lines. Raises PriceChanged or CurrencyMismatch naming the line at fault.

    Every SKU of `quantities` must have an offer. `wanted` states prices; the first override of a SKU applies to all its
    units.
    """
    currency: str | None = None
    overrides: dict[str, WantedLine] = {}
    for line in wanted:
        offer = offers[line.sku]
        price = offer.price
        shown = line.shown_unit_price
        if shown is not None and shown != price and not offer.published:  # of a hold; the new price may be a draft's
            raise PriceChanged(line.sku, f"{line.path}.shown_unit_price", shown=shown, current=None)
        for stated, name in ((shown, "shown_unit_price"), (line.unit_price_override, "unit_price_override")):
            if stated is not None and stated.currency != price.currency:
                raise CurrencyMismatch(f"{line.path}.{name}", expected=price.currency, actual=stated.currency)
        if shown is not None and shown != price:
            raise PriceChanged(line.sku, f"{line.path}.shown_unit_price", shown=shown, current=price)
        if line.unit_price_override is not None:
            overrides.setdefault(line.sku, line)
    paths = {line.sku: line.path for line in reversed(wanted)}
    lines = []
    for number, (sku, quantity) in enumerate(quantities.items(), start=1):
        offer = offers[sku]
        currency = currency or offer.price.currency
        if offer.price.currency != currency:
            raise CurrencyMismatch(
                f"{paths.get(sku, 'reservation_id')}.sku", expected=currency, actual=offer.price.currency
            )
        override = overrides.get(sku)
        price = (override and override.unit_price_override) or offer.price
        reason = override.price_override_reason if override else ""
        lines.append(OrderLine(number, sku, offer.title, quantity, price.minor, reason))
    assert currency is not None
    return currency, tuple(lines)


def spread_charge(
    lines: tuple[OrderLine, ...], charge: Charge, currency: str, path: str, amount_field: str = ""
) -> tuple[OrderLine, ...]:
    """Returns the lines with their shares of a tax or discount; any other charge leaves them unchanged.

    Shares are in proportion to the lines' amounts for the units that are not gone. A discount deducts no more from a
    line than is left of it; the excess stays with the order. Raises LineUnknown and ChargeExceeded for named lines.
    `path` is the field of the charge in the request; `amount_field` is at fault for its amount, where it is another.
    """
    if not charge.kind.is_spread:
        return lines
    known = {line.line_number: line for line in lines}
    for position, number in enumerate(charge.line_numbers):
        if number not in known:
            raise LineUnknown(number, f"{path}.line_numbers[{position}]")
    named = [known[number] for number in sorted(set(charge.line_numbers) or known)]
    amount = charge.amount
    weights = {line.line_number: line.amount for line in named}
    if charge.kind is ChargeKind.DISCOUNT:
        room = {line.line_number: line.room for line in named}
        amount = min(amount, sum(room.values()))
        if charge.line_numbers and amount < charge.amount:
            raise charge_exceeded(charge, amount, currency, amount_field or f"{path}.amount")
        if amount and any(share > room[number] for number, share in split(amount, weights).items()):
            weights = room
    elif not any(weights.values()):
        weights = {line.line_number: line.quantity - line.gone for line in named}
    if not amount or not any(weights.values()):
        return lines
    shares = split(amount, weights)
    return tuple(
        replace(line, shares=line.shares.plus(charge.kind, share, line.gone, line.quantity))
        if (share := shares.get(line.line_number))
        else line
        for line in lines
    )


def charge_exceeded(charge: Charge, left: int, currency: str, field: str) -> ChargeExceeded:
    """Returns the error for a charge that deducts more than `left` minor units."""
    return ChargeExceeded(
        charge.kind.name.lower(), field, amount=Money(currency, charge.amount), left=Money(currency, left)
    )
