"""Goods at several places: what is owed anywhere is not sold again, and orders ship from where the goods are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from pydantic import SecretStr
from stockward.catalog.v1 import catalog_pb2
from stockward.inventory.v1 import inventory_pb2 as pb
from stockward.order.v1 import order_pb2

from stockward_server.config import Settings
from tests.incoming import SECRET, deliver
from tests.shop import KEYS, Shop, refused, running_shop
from tests.snapshot import nothing_written
from tests.terminal import stockward
from tests.watching import watch_availability

PROCESSING, FULFILLED = order_pb2.Order.STATE_PROCESSING, order_pb2.Order.STATE_FULFILLED
DEALLOCATED, ALLOCATED = pb.StockMovement.KIND_DEALLOCATED, pb.StockMovement.KIND_ALLOCATED
SHIPPED = pb.StockMovement.KIND_FULFILLED


async def open_locations(shop: Shop, *names: str) -> None:
    """By priority, behind `main`."""
    for priority, name in enumerate(names, start=1):
        location = pb.Location(location_id=name, name=name, priority=priority)
        await shop.pms.inventory.CreateLocation(pb.CreateLocationRequest(location=location))


async def count(shop: Shop, sku: str, units: int, location_id: str = "") -> pb.StockLevel:
    """Sets on_hand."""
    level: pb.StockLevel = await shop.pms.inventory.AdjustStock(
        pb.AdjustStockRequest(sku=sku, location_id=location_id, on_hand=units, reason=pb.ADJUSTMENT_REASON_TRANSFERRED)
    )
    return level


async def close(shop: Shop, location_id: str) -> None:
    await shop.pms.inventory.UpdateLocation(
        pb.UpdateLocationRequest(location=pb.Location(location_id=location_id), update_mask=FieldMask(paths=["active"]))
    )


async def to_ship(shop: Shop, sku: str, units: int) -> order_pb2.Order:
    """An order that is paid and in processing."""
    order = await shop.order(sku, units)
    await shop.pay(order)
    processing: order_pb2.Order = await shop.pms.orders.ProcessOrder(
        order_pb2.ProcessOrderRequest(order_id=order.order_id)
    )
    return processing


def parcel(order: order_pb2.Order, units: int = 0, location_id: str = "") -> order_pb2.FulfillOrderRequest:
    """Of line 1; of everything when no units are named."""
    lines = [order_pb2.LineQuantity(line_number=1, quantity=units)] if units else []
    return order_pb2.FulfillOrderRequest(order_id=order.order_id, lines=lines, location_id=location_id)


async def ship(shop: Shop, order: order_pb2.Order, units: int = 0, location_id: str = "") -> order_pb2.Order:
    shipped: order_pb2.Order = await shop.pms.orders.FulfillOrder(parcel(order, units, location_id))
    return shipped


def left(order: order_pb2.Order) -> list[tuple[str, int]]:
    """Where the last parcel left, and its units."""
    return [(line.location_id, line.quantity) for line in order.fulfillments[-1].lines]


async def available(shop: Shop, sku: str) -> set[int]:
    """What each reader says can be ordered."""
    answer = await shop.storefront.inventory.GetAvailability(pb.GetAvailabilityRequest(sku=sku))
    batch = await shop.storefront.inventory.BatchGetAvailability(pb.BatchGetAvailabilityRequest(skus=[sku]))
    explained = await shop.pms.inventory.ExplainAvailability(pb.ExplainAvailabilityRequest(sku=sku))
    listed = await shop.storefront.catalog.ListAvailableProducts(catalog_pb2.ListAvailableProductsRequest())
    async with watch_availability(shop.storefront, sku) as watch:
        await watch.begun()
        watched = watch.available[sku]
    refusal = await refused(shop.order(sku, 1_000_000))
    return {
        answer.available,
        *(each.available for each in batch.availabilities),
        explained.available,
        *(variant.available for product in listed.products for variant in product.variants if variant.sku == sku),
        watched,
        int(refusal.metadata["available"]),
    }


async def movements(shop: Shop, reference: str, *kinds: int) -> list[tuple[int, str, int, int]]:
    """Kind, location, and what was added to on_hand and allocated, oldest first."""
    answer = await shop.pms.inventory.ListStockMovements(pb.ListStockMovementsRequest(reference=reference))
    return [
        (each.kind, each.location_id, each.on_hand_delta, each.allocated_delta)
        for each in reversed(answer.movements)
        if not kinds or each.kind in kinds
    ]


async def test_what_is_owed_at_one_location_is_not_sold_at_another(shop: Shop) -> None:
    """Ten at main, five of them ordered, all ten counted away from there and into north."""
    await open_locations(shop, "north")
    await shop.sell("TEE", 10)
    order = await to_ship(shop, "TEE", 5)
    await count(shop, "TEE", 0)
    await count(shop, "TEE", 10, "north")

    assert await available(shop, "TEE") == {5}
    explained = await shop.pms.inventory.ExplainAvailability(pb.ExplainAvailabilityRequest(sku="TEE"))
    assert [(each.location_id, each.overhang) for each in explained.levels] == [("main", 5), ("north", 0)]
    assert explained.overhang == 5
    assert (await shop.level("TEE")).overhang == 5

    for wanted in (shop.order("TEE", 8), shop.order("TEE", 6)):
        refusal = await refused(wanted)
        assert (refusal.reason, refusal.metadata["available"]) == ("INSUFFICIENT_STOCK", "5")
    hold = pb.ReserveStockRequest(lines=[pb.StockLine(sku="TEE", quantity=6)])
    assert (await refused(shop.storefront.inventory.ReserveStock(hold))).reason == "INSUFFICIENT_STOCK"

    other = await to_ship(shop, "TEE", 5)
    assert await available(shop, "TEE") == {0}
    for each in (order, other):
        shipped = await ship(shop, each)
        assert (shipped.state, left(shipped)) == (FULFILLED, [("north", 5)])
    assert await movements(shop, order.order_id, DEALLOCATED, ALLOCATED, SHIPPED) == [
        (ALLOCATED, "main", 0, 5),
        (DEALLOCATED, "main", 0, -5),
        (ALLOCATED, "north", 0, 5),
        (SHIPPED, "north", -5, -5),
    ]
    types = await shop.pool.fetch("SELECT type FROM events WHERE aggregate_id = $1 ORDER BY seq", order.order_id)
    assert [row["type"] for row in types] == [
        *("order.created", "payment.updated", "order.processing", "order.fulfilled")
    ]
    assert await shop.counters("TEE") == (0, 0, 0)
    await shop.verify()


async def test_a_closed_location_owes_all_that_it_has_not(shop: Shop) -> None:
    await open_locations(shop, "north")
    await shop.sell("TEE", 4)
    await shop.receive("TEE", 9, "north")
    policy = pb.SetStockPolicyRequest(sku="TEE", backorder_limit=5)
    await shop.pms.inventory.SetStockPolicy(policy)
    await shop.order("TEE", 4)
    await count(shop, "TEE", 0)
    assert await available(shop, "TEE") == {10}, "four of the backorders are used up"
    await close(shop, "main")
    assert await available(shop, "TEE") == {5}, "nothing will come in where it is closed"
    await shop.verify()


async def test_a_watch_is_told_what_a_count_at_another_location_leaves(shop: Shop) -> None:
    await open_locations(shop, "north")
    await shop.sell("TEE", 10)
    await shop.receive("TEE", 3, "north")
    await shop.order("TEE", 10)
    async with watch_availability(shop.storefront, "TEE") as watch:
        await watch.begun()
        assert watch.available == {"TEE": 3}
        await count(shop, "TEE", 8)
        await watch.until(lambda watch: watch.available == {"TEE": 1})
        await count(shop, "TEE", 1)
        await watch.until(lambda watch: watch.available == {"TEE": 0})


async def test_a_parcel_leaves_the_location_that_is_named(shop: Shop) -> None:
    await open_locations(shop, "north", "south")
    await shop.sell("TEE", 4)
    await shop.receive("TEE", 4, "south")
    await close(shop, "south")
    order = await to_ship(shop, "TEE", 4)

    first = await ship(shop, order, 3, "south")
    assert left(first) == [("south", 3)]
    assert await shop.counters("TEE") == (4, 0, 1)
    assert await shop.counters("TEE", "south") == (1, 0, 0)
    assert left(await ship(shop, order)) == [("main", 1)]
    await shop.verify()


async def test_a_parcel_from_where_the_goods_are_not_changes_nothing(shop: Shop) -> None:
    await open_locations(shop, "north")
    await shop.sell("TEE", 4)
    await shop.receive("TEE", 4, "north")
    order = await to_ship(shop, "TEE", 4)
    await to_ship(shop, "TEE", 3)  # owns three of the four at north
    async with nothing_written(shop.pool):
        refusal = await refused(ship(shop, order, 2, "north"))
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "STOCK_NEGATIVE")
        assert "1 of 2 TEE are not on hand at north yet: this order can have 4 at main, 1 at north" in refusal.message
        assert refusal.metadata == {
            "sku": "TEE",
            "order_id": order.order_id,
            "line_number": "1",
            "missing": "1",
            "location_id": "north",
            "field": "location_id",
        }
        unknown = await refused(ship(shop, order, 2, "paris"))
        assert (unknown.code.name, unknown.reason, unknown.fields) == ("NOT_FOUND", "LOCATION_UNKNOWN", ["location_id"])


async def test_a_parcel_is_gathered_from_several_locations(shop: Shop) -> None:
    await open_locations(shop, "north", "south")
    await shop.sell("TEE", 9)
    order = await to_ship(shop, "TEE", 6)
    await count(shop, "TEE", 2)
    await count(shop, "TEE", 1, "north")
    await shop.pms.inventory.SetStockPolicy(pb.SetStockPolicyRequest(sku="TEE", location_id="north", safety_stock=9))
    async with nothing_written(shop.pool):
        refusal = await refused(ship(shop, order))
        assert "3 of 6 TEE are not on hand yet: this order can have 2 at main, 1 at north" in refusal.message
    await count(shop, "TEE", 5, "south")
    assert left(await ship(shop, order)) == [("main", 2), ("north", 1), ("south", 3)]
    await shop.verify()


@pytest.fixture
async def shop_with_webhooks(settings: Settings) -> Any:
    async with running_shop(settings.model_copy(update={"webhook_secret": SecretStr(SECRET)})) as shop:
        yield shop


async def test_a_webhook_and_the_command_line_may_name_the_location(shop_with_webhooks: Shop, tmp_path: Path) -> None:
    shop = shop_with_webhooks
    await open_locations(shop, "north")
    await shop.sell("TEE", 5)
    await shop.receive("TEE", 5, "north")
    order = await to_ship(shop, "TEE", 4)
    await deliver(shop, "storefront", "order.fulfilled", parcel(order, 1, "north"))
    assert await shop.counters("TEE", "north") == (4, 0, 0)
    said = await stockward(
        *(
            "orders",
            "fulfill",
            order.order_id,
            "--line",
            "1=2",
            "--location",
            "north",
            "--json",
            "--address",
            shop.address,
        ),
        cwd=tmp_path,
        STOCKWARD_KEY=KEYS["pms"],
    )
    assert (said.code, said.err) == (0, "")
    assert said.json["fulfillments"][-1]["lines"] == [{"lineNumber": 1, "locationId": "north", "quantity": "2"}]
    assert await shop.counters("TEE", "north") == (2, 0, 0)
    assert await shop.counters("TEE") == (5, 0, 1)


# What is said of a SKU for the first time


@pytest.mark.parametrize("way", ["adjusted", "synchronised", "imported", "webhook"])
async def test_the_first_count_makes_a_row_and_an_alert_even_when_it_is_zero(
    shop_with_webhooks: Shop, tmp_path: Path, way: str
) -> None:
    shop = shop_with_webhooks
    if way != "imported":
        await shop.sell("TEE")
    counted = pb.AdjustStockRequest(sku="TEE", on_hand=0, reason=pb.ADJUSTMENT_REASON_COUNTED)
    match way:
        case "adjusted":
            await shop.pms.inventory.AdjustStock(counted)
        case "webhook":
            await deliver(shop, "pms", "stock.adjusted", counted)
        case "synchronised":
            rows = [pb.SyncStockRequest.Row(sku="TEE", on_hand=0), pb.SyncStockRequest.Row(sku="TEE", on_hand=0)]
            (answer,) = [each async for each in shop.pms.inventory.SyncStock(iter([pb.SyncStockRequest(rows=rows)]))]
            assert not any(each.HasField("error") for each in answer.results)
        case "imported":
            file = tmp_path / "products.csv"
            file.write_text(
                "Handle,Title,Published,Variant SKU,Variant Price,Variant Inventory Qty\ntee,Tee,true,TEE,5,0\n"
            )
            said = await stockward(
                *("import", "products", file, "--stock", "--address", shop.address),
                cwd=tmp_path,
                STOCKWARD_KEY=KEYS["pms"],
            )
            assert said.code == 0, said.err
    level = await shop.level("TEE")
    assert (level.on_hand, level.alert_level) == (0, pb.StockAlert.LEVEL_DEPLETED)
    (moved,) = (await shop.pms.inventory.ListStockMovements(pb.ListStockMovementsRequest(sku="TEE"))).movements
    assert (moved.kind, moved.on_hand_delta) == (pb.StockMovement.KIND_ADJUSTED, 0)
    (alert,) = (await shop.pms.inventory.ListStockAlerts(pb.ListStockAlertsRequest())).alerts
    assert (alert.sku, alert.level) == ("TEE", pb.StockAlert.LEVEL_DEPLETED)
    types = await shop.pool.fetch("SELECT type FROM events WHERE aggregate_id = 'TEE@main' ORDER BY seq")
    assert [row["type"] for row in types] == ["stock.changed", "stock.depleted"]


async def test_the_first_policy_makes_a_row_and_an_alert(shop: Shop) -> None:
    await shop.sell("TEE")
    level = await shop.pms.inventory.SetStockPolicy(pb.SetStockPolicyRequest(sku="TEE", reorder_point=5))
    assert level == await shop.level("TEE")
    assert level.alert_level == pb.StockAlert.LEVEL_DEPLETED
    (alert,) = (await shop.pms.inventory.ListStockAlerts(pb.ListStockAlertsRequest())).alerts
    assert (alert.level, alert.reorder_point) == (pb.StockAlert.LEVEL_DEPLETED, 5)
    await shop.verify()
