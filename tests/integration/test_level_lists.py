"""Lists of stock levels: what they are filtered and sorted by, and the SKUs that were never stocked."""

from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.inventory.v1 import inventory_pb2 as pb

from tests.products import create, step
from tests.shop import Shop


@pytest.fixture
async def stocked(shop: Shop) -> Shop:
    """Two mugs of Acme and two hats of Brim, one of them never stocked; one mug is in paris, too."""
    await shop.pms.inventory.CreateLocation(
        pb.CreateLocationRequest(location=pb.Location(location_id="paris", name="Paris", priority=1))
    )
    await add(shop, "Mug", "Acme", "kitchen", "MUG-BLUE", "MUG-RED")
    await add(shop, "Hat", "Brim", "clothing", "HAT", "HAT-RARE")
    await shop.receive("MUG-BLUE", 7)
    await shop.receive("MUG-BLUE", 2, "paris")
    await shop.receive("HAT", 3)
    await shop.receive("MUG-RED", 1)
    await shop.pms.inventory.AdjustStock(
        pb.AdjustStockRequest(sku="MUG-RED", delta=-1, reason=pb.ADJUSTMENT_REASON_LOST)
    )
    return shop


async def add(shop: Shop, title: str, vendor: str, tag: str, *skus: str) -> None:
    """Publishes a product with these SKUs."""
    await step(shop.pms, "Publish", await create(shop.pms, title, *skus, vendor=vendor, tags=[tag]))


async def listed(shop: Shop, page_size: int = 50, **wanted: object) -> list[tuple[str, str, int]]:
    """All pages of a list: SKU, location and available units of each row."""
    request, found = pb.ListStockLevelsRequest(page_size=page_size, **wanted), []  # type: ignore[arg-type]
    while True:
        page = await shop.pms.inventory.ListStockLevels(request)
        found += [(level.sku, level.location_id, level.available) for level in page.stock_levels]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return found


BLUE, PARIS, RED, HAT = ("MUG-BLUE", "main", 7), ("MUG-BLUE", "paris", 2), ("MUG-RED", "main", 0), ("HAT", "main", 3)


async def test_levels_are_filtered(stocked: Shop) -> None:
    assert await listed(stocked) == [HAT, BLUE, PARIS, RED]
    assert await listed(stocked, vendor="Acme") == [BLUE, PARIS, RED]
    assert await listed(stocked, vendor="acme") == []
    assert await listed(stocked, tag="clothing") == [HAT]
    assert await listed(stocked, search="mug") == [BLUE, PARIS, RED]
    assert await listed(stocked, search="HAT-RARE") == [HAT]  # the product that has the SKU, with all that it has
    assert await listed(stocked, search="mug", tag="clothing") == []
    assert await listed(stocked, search="-mug") == [HAT]
    assert await listed(stocked, available_below=3) == [PARIS, RED]
    assert await listed(stocked, available_below=0) == []
    assert await listed(stocked, location_id="paris") == [PARIS]
    assert await listed(stocked, vendor="Acme", location_id="main", available_below=5) == [RED]


async def test_levels_are_filtered_by_alert(stocked: Shop) -> None:
    await stocked.pms.inventory.SetStockPolicy(
        pb.SetStockPolicyRequest(sku="HAT", reorder_point=5, update_mask=FieldMask(paths=["reorder_point"]))
    )
    low, depleted = pb.StockAlert.LEVEL_LOW, pb.StockAlert.LEVEL_DEPLETED
    assert await listed(stocked, alert_levels=[low]) == [HAT]
    assert await listed(stocked, alert_levels=[depleted]) == [RED]
    assert await listed(stocked, alert_levels=[low, depleted], order_by="available") == [RED, HAT]
    await stocked.receive("HAT", 9)
    assert await listed(stocked, alert_levels=[low]) == []


@pytest.mark.parametrize("page_size", [1, 2, 50])
async def test_levels_are_sorted_over_pages(stocked: Shop, page_size: int) -> None:
    assert await listed(stocked, page_size, order_by="sku desc") == [RED, PARIS, BLUE, HAT]
    assert await listed(stocked, page_size, order_by="available") == [RED, PARIS, HAT, BLUE]
    assert await listed(stocked, page_size, order_by="available desc") == [BLUE, HAT, PARIS, RED]
    await stocked.pms.inventory.SetStockPolicy(  # two with as many, and below zero
        pb.SetStockPolicyRequest(sku="HAT", safety_stock=5, update_mask=FieldMask(paths=["safety_stock"]))
    )
    await stocked.receive("MUG-RED", 2)
    lean, red = ("HAT", "main", -2), ("MUG-RED", "main", 2)
    assert await listed(stocked, page_size, order_by="available") == [lean, PARIS, red, BLUE]
    assert await listed(stocked, page_size, order_by="available desc", search="mug or hat") == [BLUE, red, PARIS, lean]
    assert await listed(stocked, page_size, available_below=0) == [lean]


@pytest.mark.parametrize("page_size", [1, 50])
async def test_what_was_never_stocked_is_listed_at_zero(stocked: Shop, page_size: int) -> None:
    await stocked.sell("GIFT-CARD", untracked=True)
    rare = ("HAT-RARE", "", 0)
    everything = [HAT, rare, BLUE, PARIS, RED]
    assert await listed(stocked, page_size, include_unstocked=True) == everything
    assert await listed(stocked, page_size, include_unstocked=True, order_by="sku desc") == everything[::-1]
    assert await listed(stocked, page_size, include_unstocked=True, order_by="available") == [
        rare,
        RED,
        PARIS,
        HAT,
        BLUE,
    ]
    assert await listed(stocked, page_size, include_unstocked=True, location_id="paris") == [
        ("HAT", "paris", 0),
        ("HAT-RARE", "paris", 0),
        PARIS,
        ("MUG-RED", "paris", 0),
    ]
    assert await listed(stocked, page_size, include_unstocked=True, location_id="nowhere") == []
    assert await listed(stocked, include_unstocked=True, vendor="Brim", available_below=1) == [rare]
    assert await listed(stocked, include_unstocked=True, sku="HAT-RARE") == [rare]
    assert await listed(stocked, include_unstocked=True, alert_levels=[pb.StockAlert.LEVEL_DEPLETED]) == [RED]
    page = await stocked.pms.inventory.ListStockLevels(
        pb.ListStockLevelsRequest(include_unstocked=True, sku="HAT-RARE", location_id="paris")
    )
    (level,) = page.stock_levels
    assert (level.version, level.on_hand, level.HasField("update_time")) == (0, 0, False)
    await stocked.receive("HAT-RARE", 4)
    assert ("HAT-RARE", "main", 4) in await listed(stocked, include_unstocked=True)
    assert rare not in await listed(stocked, include_unstocked=True)
