"""Pages of lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

Position = list[Any]
"""The position after a page: the sort key of its last row."""

PAGE_BYTES = 2 * 2**20
"""Approximate encoded bytes of one page: half of a gRPC client's default limit. A single larger row makes its own
page."""


T = TypeVar("T")


class Beginning(list[T]):
    """The first rows of those requested, as more of them at once would take too much memory."""


@dataclass(frozen=True, slots=True)
class Page:
    """The number of rows to return, and the sort key after which they begin."""

    size: int
    after: Position | None
