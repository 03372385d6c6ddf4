"""Raises, changes and clears the alerts of stock rows in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from stockward_server.domain.stock import AlertLevel, StockLevel

ALERT_EVENTS = {
    AlertLevel.NONE: "stock.recovered",
    AlertLevel.LOW: "stock.low",
    AlertLevel.DEPLETED: "stock.depleted",
    AlertLevel.SHORTFALL: "stock.shortfall",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that a batch raised, changed or cleared. `known`: it existed before the batch."""

    sku: str
    location_id: str
    level: AlertLevel
    available: int
    reorder_point: int | None
    raise_time: datetime
    known: bool = False
    clear_time: datetime | None = None


def review_alert(alerts: Sequence[Alert], level: StockLevel, after: AlertLevel, now: datetime) -> tuple[Alert, ...]:
    """Returns the alerts of a stock row, oldest first, after raising, changing or clearing its current one.

    `alerts` are those so far; `level` still has the previous `alert_level`, `after` is the new one.
    """
    before = level.alert_level
    if alerts and alerts[-1].clear_time is None:
        alerts, standing = alerts[:-1], alerts[-1]
    else:
        standing = Alert(
            level.sku,
            level.location_id,
            after or before,
            level.available,
            level.reorder_point,
            now,
            known=before is not AlertLevel.NONE,
        )
    if after is AlertLevel.NONE:
        standing = replace(standing, clear_time=now)
    else:
        standing = replace(standing, level=after, available=level.available)
    return (*alerts, standing)
