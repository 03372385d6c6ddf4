"""Enum values on the wire. The domain's enums have the contract's numbers, which a test checks."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


def wire(value: IntEnum) -> Any:
    """Returns the number, which every generated enum accepts; typed Any because each enum has its own type."""
    return value
