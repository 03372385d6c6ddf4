"""Alerts: raised once when stock falls, made worse but not repeated, cleared with hysteresis."""

from __future__ import annotations

from typing import Any

import pytest
from stockward.inventory.v1 import inventory_pb2 as pb

from tests.shop import Shop

NONE, LOW = pb.StockAlert.LEVEL_UNSPECIFIED, pb.StockAlert.LEVEL_LOW
DEPLETED, SHORTFALL = pb.StockAlert.LEVEL_DEPLETED, pb.StockAlert.LEVEL_SHORTFALL


async def alerts(shop: Shop, **fields: Any) -> list[pb.StockAlert]:
    answer = await shop.pms.inventory.ListStockAlerts(pb.ListStockAlertsRequest(**fields))
    return list(answer.alerts)


async def alert_events(shop: Shop, sku: str = "TEE") -> list[str]:
    rows = await shop.pool.fetch(
        "SELECT type FROM events WHERE aggregate_id = $1 AND type <> 'stock.changed' ORDER BY seq", f"{sku}@main"
    )
    return [row["type"] for row in rows]


async def sell_with_reorder_point(shop: Shop, units: int, reorder_point: int | None, sku: str = "TEE") -> None:
    await shop.sell(sku, units)
    await shop.pms.inventory.SetStockPolicy(pb.SetStockPolicyRequest(sku=sku, reorder_point=reorder_point))


async def count(shop: Shop, units: int, sku: str = "TEE") -> pb.StockLevel:
    """Sets on_hand."""
    level: pb.StockLevel = await shop.pms.inventory.AdjustStock(
        pb.AdjustStockRequest(sku=sku, on_hand=units, reason=pb.ADJUSTMENT_REASON_COUNTED)
    )
    return level


async def test_an_alert_fires_once_when_available_reaches_the_reorder_point(shop: Shop) -> None:
    await sell_with_reorder_point(shop, 10, 5)
    await shop.order("TEE", 4)
    assert await alerts(shop) == []
    await shop.order("TEE", 1)
    (alert,) = await alerts(shop)
    assert (alert.sku, alert.location_id, alert.level) == ("TEE", "main", LOW)
    assert (alert.available, alert.reorder_point) == (5, 5)
    assert alert.HasField("raise_time")
    assert not alert.HasField("clear_time")

    await shop.order("TEE", 1)
    await shop.order("TEE", 1)

    assert await alerts(shop) == [alert]
    assert await alert_events(shop) == ["stock.low"]
    assert (await shop.level("TEE")).alert_level == LOW


async def test_an_alert_clears_only_well_above_the_reorder_point(shop: Shop) -> None:
    await sell_with_reorder_point(shop, 40, 30)
    assert await alert_events(shop) == []
    await count(shop, 30)
    for hovering in (31, 30, 33, 29, 33):
        assert (await count(shop, hovering)).alert_level == LOW
    assert await alert_events(shop) == ["stock.low"]

    assert (await count(shop, 34)).alert_level == NONE

    assert await alert_events(shop) == ["stock.low", "stock.recovered"]
    assert await alerts(shop) == []
    (cleared,) = await alerts(shop, include_cleared=True)
    assert cleared.clear_time.ToDatetime() >= cleared.raise_time.ToDatetime()


@pytest.mark.parametrize("reorder_point", [0, 1, 9])
async def test_a_small_reorder_point_clears_one_unit_further_up(shop: Shop, reorder_point: int) -> None:
    await sell_with_reorder_point(shop, reorder_point + 5, reorder_point)
    await count(shop, reorder_point)
    assert (await count(shop, reorder_point + 1)).alert_level != NONE
    assert (await count(shop, reorder_point + 2)).alert_level == NONE


async def test_it_fires_anew_after_it_has_cleared(shop: Shop) -> None:
    await sell_with_reorder_point(shop, 10, 5)
    for units in (4, 10, 3):
        await count(shop, units)
    assert await alert_events(shop) == ["stock.low", "stock.recovered", "stock.low"]
    newest, oldest = await alerts(shop, include_cleared=True)
    assert newest.alert_id > oldest.alert_id
    assert [newest.HasField("clear_time"), oldest.HasField("clear_time")] == [False, True]
    assert (newest.available, oldest.available) == (3, 4)


async def test_without_a_reorder_point_only_an_empty_shelf_alerts(shop: Shop) -> None:
    await shop.sell("TEE", 2)
    await shop.order("TEE", 1)
    assert await alerts(shop) == []
    await shop.order("TEE", 1)
    (alert,) = await alerts(shop)
    assert (alert.level, alert.available) == (DEPLETED, 0)
    assert not alert.HasField("reorder_point")
    await shop.receive("TEE", 1)
    assert await alerts(shop) == []
    assert await alert_events(shop) == ["stock.depleted", "stock.recovered"]


async def test_an_alert_that_gets_worse_stays_the_same_alert(shop: Shop) -> None:
    await sell_with_reorder_point(shop, 10, 5)
    await shop.order("TEE", 6)
    (low,) = await alerts(shop)
    await shop.order("TEE", 4)
    (depleted,) = await alerts(shop)
    await count(shop, 7)
    (shortfall,) = await alerts(shop)
    assert low.alert_id == depleted.alert_id == shortfall.alert_id
    assert [each.level for each in (low, depleted, shortfall)] == [LOW, DEPLETED, SHORTFALL]
    assert [each.available for each in (low, depleted, shortfall)] == [4, 0, -3]
    assert await alert_events(shop) == ["stock.low", "stock.depleted", "stock.shortfall"]


async def test_a_standing_alert_follows_the_stock_as_it_comes_in(shop: Shop) -> None:
    await sell_with_reorder_point(shop, 10, 5)
    await shop.order("TEE", 10)
    await count(shop, 7)
    told = []
    for units in (7, 10, 12, 15, 16, 17):
        row = await count(shop, units)
        standing = await alerts(shop)
        assert [each.level for each in standing] == ([row.alert_level] if row.alert_level else [])
        told += [(each.level, each.available) for each in standing]
    assert told == [(SHORTFALL, -3), (DEPLETED, 0), *[(LOW, 2)] * 3]
    assert await alert_events(shop) == [
        *("stock.depleted", "stock.shortfall", "stock.depleted", "stock.low", "stock.recovered")
    ]
    (cleared,) = await alerts(shop, include_cleared=True)
    assert (cleared.level, cleared.available, cleared.HasField("clear_time")) == (LOW, 2, True)


async def test_backorders_within_their_limit_are_no_shortfall(shop: Shop) -> None:
    await shop.sell("TEE", 1)
    await shop.pms.inventory.SetStockPolicy(pb.SetStockPolicyRequest(sku="TEE", backorder_limit=2))
    await shop.order("TEE", 3)
    assert [each.level for each in await alerts(shop)] == [DEPLETED]
    await count(shop, 0)
    assert [each.level for each in await alerts(shop)] == [SHORTFALL]


async def test_a_changed_reorder_point_alerts_and_clears(shop: Shop) -> None:
    await sell_with_reorder_point(shop, 10, 5)
    await shop.pms.inventory.SetStockPolicy(pb.SetStockPolicyRequest(sku="TEE", reorder_point=10))
    (alert,) = await alerts(shop)
    assert (alert.available, alert.reorder_point) == (10, 10)
    await shop.pms.inventory.SetStockPolicy(pb.SetStockPolicyRequest(sku="TEE"))
    assert await alerts(shop) == []


async def test_alerts_are_listed_newest_first_by_sku_and_page(shop: Shop) -> None:
    skus = ["A", "B", "C", "D", "E"]
    for sku in skus:
        await sell_with_reorder_point(shop, 5, 3, sku)
    for sku in skus:
        await count(shop, 2, sku)
    await count(shop, 9, "C")
    assert [each.sku for each in await alerts(shop)] == ["E", "D", "B", "A"]
    assert [each.sku for each in await alerts(shop, include_cleared=True)] == ["E", "D", "C", "B", "A"]
    assert await alerts(shop, sku="C") == []
    assert [each.sku for each in await alerts(shop, sku="C", include_cleared=True)] == ["C"]
    request = pb.ListStockAlertsRequest(page_size=3)
    first = await shop.pms.inventory.ListStockAlerts(request)
    request.page_token = first.next_page_token
    second = await shop.pms.inventory.ListStockAlerts(request)
    assert [[each.sku for each in page.alerts] for page in (first, second)] == [["E", "D", "B"], ["A"]]
    assert second.next_page_token == ""
