"""The parts of a page's position. A client returns a position, perhaps one of another release: a position of another
shape is refused before a query uses it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Part(Enum):
    """One value of a position."""

    TEXT = auto()
    """Text that PostgreSQL can hold."""
    NUMBER = auto()
    """A whole number from 0 that fits in 8 bytes."""
    UNITS = auto()
    """A whole number of at most 8 bytes, which may be below zero."""
    ID = auto()
    """A UUID in text."""
    TIME = auto()
    """A moment in ISO 8601 with its offset."""


def has_shape(position: object, shape: Sequence[Part]) -> bool:
    """Returns whether a position, as JSON has it, consists of these parts."""
    return (
        isinstance(position, list)
        and len(position) == len(shape)
        and all(_IS[part](value) for part, value in zip(shape, position, strict=True))
    )


def _is_text(value: Any) -> bool:
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can contain
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_units(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _is_time(value: Any) -> bool:
    try:
        moment = datetime.fromisoformat(value)
        return moment.tzinfo is not None and moment.astimezone(UTC) is not None
    except (TypeError, ValueError, OverflowError):
        return False


_IS: Mapping[Part, Callable[[Any], bool]] = {
    Part.TEXT: _is_text,
    Part.NUMBER: _is_number,
    Part.UNITS: _is_units,
    Part.ID: _is_id,
    Part.TIME: _is_time,
}
