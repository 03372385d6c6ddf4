"""Converts google.type.Money from and to exact minor units."""

from __future__ import annotations

from functools import lru_cache

from google.type import money_pb2

from stockward_server.domain.money import Money


def money_of(message: money_pb2.Money, field: str) -> Money:
    """Returns the amount. Raises MoneyInvalid naming `field` when it is invalid."""
    return Money.from_units(message.currency_code, message.units, message.nanos, field)


@lru_cache(maxsize=8192)
def money_message(currency: str, minor: int) -> money_pb2.Money:
    """Returns an amount of minor units as google.type.Money. It is cached and shared: copy it into another message,
    never change it."""
    units, nanos = Money(currency, minor).units_and_nanos()
    return money_pb2.Money(currency_code=currency, units=units, nanos=nanos)
