"""Arguments of the generated methods: values of enums by their short names, and arguments that exclude each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def number_of(enum: Any, value: Any) -> Any:
    """Returns the number of an enum's value: `received` is `ADJUSTMENT_REASON_RECEIVED`. ValueError for other words."""
    if not isinstance(value, str):
        return value
    (unspecified, _), *values = enum.items()
    prefix = unspecified.removesuffix("UNSPECIFIED")
    numbers = {name.removeprefix(prefix).lower(): number for name, number in values}
    if value not in numbers:
        raise ValueError(f"{value!r} is none of {', '.join(numbers)}")
    return numbers[value]


def numbers_of(enum: Any, values: Iterable[Any]) -> list[Any]:
    """Returns the numbers of several values of an enum."""
    return [number_of(enum, value) for value in values]


def at_most_one(**arguments: object) -> None:
    """Raises ValueError when more than one of these arguments is given: the contract knows one of them only."""
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other: give one of them")
