"""Pages of lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Position = list[Any]
"""Where a page ends: the sort key of its last row."""

PAGE_BYTES = 2 * 2**20
"""Encoded bytes of one page, roughly: half of what a gRPC client reads unless it is set up otherwise. A single row that
is larger comes alone."""


@dataclass(frozen=True, slots=True)
class Page:
    """How many rows to answer, and the sort key after which they begin."""

    size: int
    after: Position | None
