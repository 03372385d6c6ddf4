"""Money: exact, within its currency's decimals, never negative."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_server.domain.errors import MoneyInvalid
from stockward_server.domain.money import MAX_MINOR, Money, minor_digits

MILLI = 1_000_000
"""Nanos of a thousandth."""


@pytest.mark.parametrize(
    ("currency", "units", "nanos", "minor", "text"),
    [
        ("EUR", 19, 900 * MILLI, 1990, "EUR 19.90"),
        ("EUR", 0, 10 * MILLI, 1, "EUR 0.01"),
        ("USD", 0, 0, 0, "USD 0.00"),
        ("JPY", 1500, 0, 1500, "JPY 1500"),
        ("KWD", 1, 5 * MILLI, 1005, "KWD 1.005"),
    ],
)
def test_parts_become_minor_units_and_parts_again(currency: str, units: int, nanos: int, minor: int, text: str) -> None:
    money = Money.from_units(currency, units, nanos, "price")
    assert (money.minor, str(money), money.units_and_nanos()) == (minor, text, (units, nanos))


@pytest.mark.parametrize(
    ("currency", "units", "nanos", "message"),
    [
        ("EUR", 1, MILLI, "EUR has 2 decimals"),
        ("EUR", 0, 1, "EUR has 2 decimals"),
        ("JPY", 1, 500 * MILLI, "JPY has 0 decimals"),
        ("KWD", 1, MILLI // 10, "KWD has 3 decimals"),
        ("XYZ", 1, 0, "'XYZ' is not an ISO 4217 currency code"),
        ("eur", 1, 0, "not an ISO 4217"),
        ("", 1, 0, "not an ISO 4217"),
        ("EUR", -1, 0, "must not be negative"),
        ("EUR", 0, -10 * MILLI, "must not be negative"),
        ("EUR", 1, -10 * MILLI, "same sign"),
        ("EUR", -1, 10 * MILLI, "same sign"),
        ("EUR", 0, 10**9, "within ±999,999,999"),
        ("EUR", 0, -(10**9), "within ±999,999,999"),
        ("EUR", MAX_MINOR // 100, 10 * MILLI, "must not exceed EUR 10000000000000.00"),
        ("JPY", 2**63 - 1, 0, "must not exceed JPY 1000000000000000"),
    ],
)
def test_what_no_price_can_be_is_refused(currency: str, units: int, nanos: int, message: str) -> None:
    with pytest.raises(MoneyInvalid, match=message) as refusal:
        Money.from_units(currency, units, nanos, "variants[0].price")
    assert refusal.value.metadata["field"] == "variants[0].price"


def test_the_largest_price() -> None:
    assert Money.from_units("EUR", MAX_MINOR // 100, 0, "price").minor == MAX_MINOR


@pytest.mark.parametrize(
    ("money", "text", "parts"),
    [
        (Money("EUR", -5), "EUR -0.05", (0, -50 * MILLI)),
        (Money("EUR", -1234), "EUR -12.34", (-12, -340 * MILLI)),
        (Money("JPY", -7), "JPY -7", (-7, 0)),
    ],
)
def test_a_computed_amount_may_be_negative(money: Money, text: str, parts: tuple[int, int]) -> None:
    assert (str(money), money.units_and_nanos()) == (text, parts)


def test_unknown_currencies_have_no_decimals() -> None:
    assert minor_digits("XYZ") is None


@given(st.sampled_from(["EUR", "JPY", "KWD"]), st.integers(0, MAX_MINOR))
def test_every_amount_survives_the_way_there_and_back(currency: str, minor: int) -> None:
    money = Money(currency, minor)
    assert Money.from_units(currency, *money.units_and_nanos(), "price") == money
