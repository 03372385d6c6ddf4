"""Enum values on the wire. The domain's enums carry the contract's numbers, and a test holds them to it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


def wire(value: IntEnum) -> Any:
    """The number, which every generated enum takes; typed Any because each has a type of its own."""
    return value
