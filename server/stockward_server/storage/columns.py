"""Rows as columns, for statements that write many at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def columns(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows turned into one tuple a column, as `unnest` takes them."""
    return list(zip(*rows, strict=True))
