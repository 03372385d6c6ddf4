"""The audit in short: the stock that moved last, compared with its ledger and its open claims."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from stockward_server.application.ports.stock import Discrepancy
from stockward_server.storage.database import Pool
from stockward_server.storage.former_skus import renamed, sku_now
from stockward_server.storage.read.stock_views import SqlStockViews

SKUS = 20
"""Of the last movements; `stockward audit` compares all there is."""

MOVEMENTS = 1000
"""How far it looks back for them."""


@dataclass(slots=True)
class AuditMetrics:
    """Since the process began."""

    checked: int = 0
    """Stock rows compared."""
    discrepancies: int = 0
    """Counters that were wrong at the last look."""
    finish_time: float = 0.0
    """Unix time of it."""

    def add(self, checked: int, discrepancies: int) -> None:
        """One look."""
        self.checked += checked
        self.discrepancies = discrepancies
        self.finish_time = time.time()


async def audit_recent(pool: Pool) -> AsyncIterator[tuple[int, Sequence[Discrepancy]]]:
    """Stock rows compared, and what differs, SKU by SKU, each in a snapshot of its own."""
    rows = await pool.fetch(
        f"""
        SELECT {sku_now("m")} AS sku
        FROM (SELECT sku, movement_id FROM movements ORDER BY movement_id DESC LIMIT $1) m
            {renamed("m", "movement_id")}
        GROUP BY 1 ORDER BY max(movement_id) DESC LIMIT $2
        """,
        MOVEMENTS,
        SKUS,
    )
    views = SqlStockViews(pool)
    for row in rows:
        yield await views.verify(row["sku"])
