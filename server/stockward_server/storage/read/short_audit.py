"""A short audit: compares the stock that moved last with its ledger and its open claims."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from stockward_server.application.ports.stock import Discrepancy
from stockward_server.storage.database import Pool
from stockward_server.storage.former_skus import renamed, sku_now
from stockward_server.storage.read.stock_views import SqlStockViews

SKUS = 20
"""Maximum number of SKUs, those of the last movements; `stockward audit` compares all."""

MOVEMENTS = 1000
"""Number of last movements that are searched for SKUs."""


@dataclass(slots=True)
class AuditMetrics:
    """Figures since the process began."""

    checked: int = 0
    """Stock rows compared."""
    discrepancies: int = 0
    """Wrong counters found by the last audit."""
    finish_time: float = 0.0
    """Unix time of the last audit."""

    def add(self, checked: int, discrepancies: int) -> None:
        """Records one audit."""
        self.checked += checked
        self.discrepancies = discrepancies
        self.finish_time = time.time()


async def audit_recent(pool: Pool) -> AsyncIterator[tuple[int, Sequence[Discrepancy]]]:
    """Yields, for each SKU in a snapshot of its own, the number of stock rows compared and the discrepancies."""
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
