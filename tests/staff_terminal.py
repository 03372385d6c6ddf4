"""The command line as staff use it, and as scripts do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.shop import KEYS, Shop
from tests.terminal import Outcome

Run = Callable[..., Awaitable[Outcome]]
"""Runs a command."""

Both = Callable[..., Awaitable[tuple[str, Any]]]
"""Runs a command twice: what it prints, and its JSON."""


def reaching(shop: Shop) -> dict[str, str]:
    """What names the server, and lets staff in."""
    return {"STOCKWARD_ADDRESS": shop.address, "STOCKWARD_KEY": KEYS["pms"]}


def rows(printed: str) -> list[list[str]]:
    """The rows of a table, in words."""
    below = printed.partition("───")[2].splitlines()[1:]
    return [line.split() for line in below if line.strip()]
