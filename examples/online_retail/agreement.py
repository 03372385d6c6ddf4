"""Whether the system holds what the file says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stockward.inventory.v1.inventory_pb2 import ListStockLevelsRequest, StockLevel, VerifyStockRequest
from stockward.order.v1.order_pb2 import ListOrdersRequest

from examples.online_retail.count import count_month
from examples.online_retail.month import Month
from examples.online_retail.replay import OPENING
from stockward_server.commands.connection import Callers


@dataclass(frozen=True, slots=True)
class Agreement:
    """One thing that was counted in several ways."""

    what: str
    counts: dict[str, int]
    """By who counted."""

    def __bool__(self) -> bool:
        return len(set(self.counts.values())) == 1


async def agreements(staff: Callers, month: Month, file: Path) -> list[Agreement]:
    """Counters, ledger, orders and the count straight from the file, side by side."""
    expected, orders, pence = count_month(file, OPENING)
    levels = {level.sku: level for level in await _levels(staff) if level.sku in month.prices}
    verified = await staff.inventory.VerifyStock(VerifyStockRequest())
    on_hand = {sku: level.on_hand for sku, level in levels.items()}
    made, taken = await _orders(staff, {invoice.number for invoice in month.invoices})
    return [
        Agreement("SKUs", {"counters": len(levels), "file": len(expected)}),
        Agreement("units on hand", {"counters": sum(on_hand.values()), "file": sum(expected.values())}),
        Agreement(
            "SKUs whose units differ",
            {"counters": sum(on_hand.get(sku) != units for sku, units in expected.items()), "file": 0},
        ),
        Agreement(
            "units still reserved or owed",
            {"counters": sum(level.reserved + level.allocated for level in levels.values()), "file": 0},
        ),
        Agreement("counters that the ledger denies", {"ledger": len(verified.discrepancies), "file": 0}),
        Agreement("orders", {"orders": made, "file": orders}),
        Agreement("takings in pence", {"orders": taken, "file": pence}),
    ]


async def _levels(staff: Callers) -> list[StockLevel]:
    levels: list[StockLevel] = []
    request = ListStockLevelsRequest(page_size=1000, location_id="main")
    while True:
        page = await staff.inventory.ListStockLevels(request)
        levels += page.stock_levels
        request.page_token = page.next_page_token
        if not request.page_token:
            return levels


async def _orders(staff: Callers, references: set[str]) -> tuple[int, int]:
    """How many there are, and what they come to in pence."""
    made = taken = 0
    request = ListOrdersRequest(page_size=100)
    while True:
        page = await staff.orders.ListOrders(request)
        for order in page.orders:
            if order.reference in references:
                made += 1
                taken += order.totals.total.units * 100 + order.totals.total.nanos // 10**7
        request.page_token = page.next_page_token
        if not request.page_token:
            return made, taken
