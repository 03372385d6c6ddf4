"""Money as an exact number of minor units (cents) of an ISO 4217 currency."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from babel.core import get_global

from stockward_server.domain.errors import MoneyInvalid

MAX_MINOR = 10**15
"""Maximum of one price or charge in minor units; the sum of a thousand lines still fits 64 bits."""

_NANOS = 10**9


@lru_cache(maxsize=256)
def minor_digits(currency: str) -> int | None:
    """Returns the number of decimals of the currency's minor unit (CLDR), or None for an unknown currency."""
    if currency not in get_global("all_currencies"):
        return None
    fractions = get_global("currency_fractions")
    digits: int = fractions.get(currency, fractions["DEFAULT"])[0]
    return digits


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of `minor` units of `currency` (ISO 4217 code)."""

    currency: str
    minor: int

    def __str__(self) -> str:
        digits = minor_digits(self.currency) or 0
        sign, minor = ("-" if self.minor < 0 else ""), abs(self.minor)
        if not digits:
            return f"{self.currency} {sign}{minor}"
        return f"{self.currency} {sign}{minor // 10**digits}.{minor % 10**digits:0{digits}d}"

    @classmethod
    def from_units(cls, currency: str, units: int, nanos: int, field: str) -> Money:
        """Converts from google.type.Money. Raises MoneyInvalid naming `field` when the value is no possible price."""
        digits = minor_digits(currency)
        if digits is None:
            raise MoneyInvalid(field, f"{currency!r} is not an ISO 4217 currency code", currency)
        if not -_NANOS < nanos < _NANOS or (units > 0 > nanos) or (units < 0 < nanos):
            raise MoneyInvalid(field, "units and nanos must have the same sign, nanos within ±999,999,999")
        cents, rest = divmod(nanos, 10 ** (9 - digits))
        if rest:
            raise MoneyInvalid(field, f"{currency} has {digits} decimals", currency, nanos)
        minor = units * 10**digits + cents
        if minor < 0:
            raise MoneyInvalid(field, "must not be negative", currency)
        if minor > MAX_MINOR:
            raise MoneyInvalid(field, f"must not exceed {Money(currency, MAX_MINOR)}", currency)
        return cls(currency, minor)

    def units_and_nanos(self) -> tuple[int, int]:
        """Returns the parts of google.type.Money."""
        scale = 10 ** (minor_digits(self.currency) or 0)
        whole, part = divmod(abs(self.minor), scale)
        sign = -1 if self.minor < 0 else 1
        return sign * whole, sign * part * (_NANOS // scale)
