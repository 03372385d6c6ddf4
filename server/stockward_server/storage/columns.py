"""Rows as columns, for statements that write many at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def columns(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Returns the rows as one tuple a column, as `unnest` accepts them."""
    return list(zip(*rows, strict=True))
