"""The status of the shop: what checks found, and what waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """Result of a check, by severity."""

    OK = "ok"
    WARNING = "warning"
    """It works, and needs attention."""
    PROBLEM = "problem"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    check: str
    verdict: Verdict
    found: str
    """Result as text, without secrets."""
    next_step: str = ""
    """What to do; empty if the verdict is OK."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for the processes and for staff. Counts are capped; ages are in seconds, 0 when nothing waits."""

    outbox_pending: int
    outbox_age: float
    deliveries_pending: int
    deliveries_age: float
    deliveries_dead: int
    sweeper_age: float
    failing_endpoints: Sequence[str]
    disabled_endpoints: Sequence[str]
    orders_pending: int
    reservations_active: int
    reservations_late: int
    stock_alerts: int


@dataclass(frozen=True, slots=True)
class ShopStatus:
    """The status at one moment."""

    time: datetime
    findings: Sequence[Finding]
    waiting: Waiting | None
    """None while the database cannot be read."""


ReadStatus = Callable[[], Awaitable[ShopStatus]]
