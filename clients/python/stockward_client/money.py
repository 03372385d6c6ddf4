"""Amounts of money from and to decimals, exactly."""

from __future__ import annotations

from decimal import Decimal

from google.type.money_pb2 import Money

__all__ = ["eur", "money", "to_decimal"]

NANOS = 10**9


def money(amount: Decimal | str | int, currency: str) -> Money:
    """Returns an amount such as `money("12.50", "EUR")`, to nine decimals. TypeError for a float, which is not exact;
    ValueError for a text that is no decimal, or has more than nine decimals."""
    if isinstance(amount, float):
        raise TypeError(f"{amount!r} is a float, which is not exact: give a text or a Decimal")
    try:
        nanos = Decimal(amount).scaleb(9)
        whole = int(nanos)
    except (ArithmeticError, ValueError):
        raise ValueError(f"{amount!r} is not a decimal such as 12.50") from None
    if nanos != whole:
        raise ValueError(f"{amount!r} has more than nine decimals")
    units, rest = divmod(abs(whole), NANOS)
    sign = -1 if whole < 0 else 1
    return Money(currency_code=currency, units=sign * units, nanos=sign * rest)


def eur(amount: Decimal | str | int) -> Money:
    """Returns an amount in euro, such as `eur("12.50")`."""
    return money(amount, "EUR")


def to_decimal(amount: Money) -> Decimal:
    """Returns the amount without its currency, such as `Decimal("12.50")`: with two decimals, or the more it needs."""
    exact = Decimal(amount.units) + Decimal(amount.nanos).scaleb(-9)
    short = exact.quantize(Decimal("0.01"))
    return short if short == exact else exact.normalize()
