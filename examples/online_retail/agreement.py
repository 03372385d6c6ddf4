"""Whether the system holds what the file says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stockward.inventory.v1.inventory_pb2 import StockLevel

from examples.online_retail.count import count_month
from examples.online_retail.month import Month
from examples.online_retail.replay import OPENING
from stockward_client import AsyncStockward


@dataclass(frozen=True, slots=True)
class Agreement:
    """One thing that was counted in several ways."""

    what: str
    counts: dict[str, int]
    """By who counted."""

    def __bool__(self) -> bool:
        return len(set(self.counts.values())) == 1


async def agreements(client: AsyncStockward, month: Month, file: Path) -> list[Agreement]:
    """Counters, ledger, orders and the count straight from the file, side by side."""
    expected, orders, pence = count_month(file, OPENING)
    levels = {level.sku: level for level in await _levels(client) if level.sku in month.prices}
    verified = await client.inventory.verify_stock()
    on_hand = {sku: level.on_hand for sku, level in levels.items()}
    made, taken, back, received, expected_back = await _orders(client, {invoice.number for invoice in month.invoices})
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
        Agreement("units that came back to their order", {"lines": back, "returns": received}),
        Agreement("units still expected back", {"returns": expected_back, "file": 0}),
    ]


async def _levels(client: AsyncStockward) -> list[StockLevel]:
    return [level async for level in client.inventory.list_stock_levels(location_id="main", page_size=1000)]


async def _orders(client: AsyncStockward, references: set[str]) -> tuple[int, int, int, int, int]:
    """How many there are, what they come to in pence, and the units that came back by their lines and by their returns,
    and that returns still expect."""
    made = taken = back = received = expected = 0
    async for order in client.orders.list_orders(page_size=100):
        if order.reference in references:
            made += 1
            taken += order.totals.total.units * 100 + order.totals.total.nanos // 10**7
            back += sum(line.returned for line in order.lines)
            came = [line.received for each in order.returns for line in each.lines]
            received += sum(came)
            expected += sum(line.quantity for each in order.returns for line in each.lines) - sum(came)
    return made, taken, back, received, expected
