"""WatchAvailability and WatchStock: the present state, then every change of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from stockward.catalog.v1.catalog_pb2 import (
    Product,
    PublishProductRequest,
    UnpublishProductRequest,
    UpdateProductRequest,
)
from stockward.inventory.v1.inventory_pb2 import (
    ADJUSTMENT_REASON_FOUND,
    AdjustStockRequest,
    CreateLocationRequest,
    Location,
    SetStockPolicyRequest,
    StockAlert,
    UpdateLocationRequest,
    WatchAvailabilityRequest,
    WatchStockRequest,
)

from stockward_server.config import Settings
from stockward_server.storage.write.retention import drop_expired_events
from tests.events import event, record
from tests.shop import Shop, money, refused, running_shop
from tests.watching import Watch, timed, watch_availability, watch_stock


def has_left(units: int) -> Callable[[Watch], bool]:
    return lambda watch: watch.available.get("TEE") == units


def changed(response: Any) -> bool:
    """Whether a response has any change."""
    return any(field.name not in ("cursor", "checkpoint") for field, _ in response.ListFields())


def moved_on(cursor: str, responses: int) -> Callable[[Watch], bool]:
    return lambda watch: watch.cursor != cursor and len(watch.responses) > responses


async def test_a_storefront_is_told_what_is_available_and_each_change_of_it(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG")
    async with watch_availability(shop.storefront, "TEE", "MUG", "LATER") as watch:
        await watch.begun()
        assert watch.available == {"TEE": 5, "MUG": 0}
        assert [response.checkpoint for response in watch.responses if changed(response)] == [False]
        await shop.order("TEE", 2)
        await watch.until(lambda watch: watch.available["TEE"] == 3)
        await shop.sell("LATER", 1)
        await watch.until(lambda watch: watch.available.get("LATER") == 1)
        await shop.pms.inventory.SetStockPolicy(SetStockPolicyRequest(sku="TEE", safety_stock=1))
        await watch.until(lambda watch: watch.available["TEE"] == 2)


async def test_a_change_is_told_soon(shop: Shop) -> None:
    await shop.sell("TEE", 100)
    async with watch_availability(shop.storefront, "TEE") as watch:
        await watch.begun()
        waits = []
        for left in range(99, 89, -1):
            await shop.order("TEE")
            waits.append(await timed(watch.until(has_left(left))))
        assert sorted(waits)[5] < 0.1, waits


async def test_a_storefront_hears_of_a_location_that_closes(shop: Shop) -> None:
    """No event reports that."""
    await shop.sell("TEE", 5)
    await shop.pms.inventory.CreateLocation(CreateLocationRequest(location=Location(location_id="paris")))
    await shop.receive("TEE", 3, "paris")
    async with watch_availability(shop.storefront, "TEE") as watch:
        await watch.begun()
        assert watch.available == {"TEE": 8}
        closed = UpdateLocationRequest(location=Location(location_id="paris"))
        closed.update_mask.paths.append("active")
        await shop.pms.inventory.UpdateLocation(closed)
        await watch.until(lambda watch: watch.available["TEE"] == 5, 5)  # at once, not with the next refreshing


async def test_staff_are_told_the_counters_of_each_location(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG", 1)
    await shop.pms.inventory.CreateLocation(CreateLocationRequest(location=Location(location_id="paris")))
    async with watch_stock(shop.pms, "TEE") as watch, watch_stock(shop.admin, location_id="paris") as paris:
        await watch.begun()
        await paris.begun()
        (counters,) = watch.responses[0].stock_levels
        assert (counters.sku, counters.location_id, counters.on_hand, counters.available) == ("TEE", "main", 5, 5)
        assert (watch.responses[0].cursor, watch.responses[0].checkpoint) == ("", False), "more may come"
        assert (bool(watch.responses[1].cursor), watch.responses[1].checkpoint) == (True, True), "all was sent"
        assert counters.version == (await shop.level("TEE")).version

        await shop.order("TEE", 2)
        await shop.receive("MUG", 1)
        await shop.receive("TEE", 4, "paris")
        await watch.until(lambda watch: "TEE@paris" in watch.versions)
        await paris.until(lambda watch: watch.versions)
        assert paris.versions.keys() == {"TEE@paris"}
        assert watch.versions.keys() == {"TEE@main", "TEE@paris"}
        sold = next(c for r in watch.responses[1:] for c in r.stock_levels)
        assert (sold.on_hand, sold.allocated, sold.available) == (5, 2, 3)
        assert sold.update_time.ToDatetime(UTC) > datetime.now(UTC) - timedelta(minutes=1)


async def test_what_a_storefront_may_not_watch(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    for request, reason, field in (
        (WatchAvailabilityRequest(), "FIELD_INVALID", "skus"),
        (WatchAvailabilityRequest(skus=["TEE"], cursor="nonsense"), "PAGE_TOKEN_INVALID", "cursor"),
        (WatchAvailabilityRequest(skus=["TEE"] * 1001), "FIELD_INVALID", "skus"),
    ):
        refusal = await refused(anext(aiter(shop.storefront.inventory.WatchAvailability(request))))
        assert (refusal.reason, refusal.fields) == (reason, [field])
    refusal = await refused(anext(aiter(shop.storefront.inventory.WatchStock(WatchStockRequest(skus=["TEE"])))))
    assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")


async def test_a_level_is_the_same_as_it_stands_and_after_a_change(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.pms.inventory.SetStockPolicy(SetStockPolicyRequest(sku="TEE", reorder_point=4, backorder_limit=7))
    async with watch_stock(shop.pms, "TEE") as watch:
        await watch.begun()
        assert [*watch.responses[0].stock_levels] == [await shop.level("TEE")]
        await shop.order("TEE", 9)
        now = await shop.level("TEE")
        assert (now.alert_level, now.overhang) == (StockAlert.LEVEL_DEPLETED, 0)
        await watch.until(lambda watch: watch.versions["TEE@main"][-1] == now.version)
        assert [level for each in watch.responses for level in each.stock_levels][-1] == now


async def test_a_watch_resumes_without_gap_or_duplicate_while_writers_go_on(shop: Shop) -> None:
    skus = [f"SKU-{number}" for number in range(4)]
    for sku in skus:
        await shop.sell(sku, 100)

    enough = asyncio.Event()

    async def write(sku: str) -> None:
        while not enough.is_set():
            await shop.receive(sku, 1)

    writing = asyncio.gather(*(write(sku) for sku in skus))
    versions: dict[str, list[int]] = {}
    cursor = ""
    for _ in range(15):
        async with watch_stock(shop.pms, *skus, cursor=cursor) as watch:
            await watch.until(lambda watch: watch.cursor and len(watch.versions) == 4)
        cursor = watch.cursor
        for row, told in watch.versions.items():
            versions.setdefault(row, []).extend(told)
    enough.set()
    await writing
    final = {f"{sku}@main": (await shop.level(sku)).version for sku in skus}
    async with watch_stock(shop.pms, *skus, cursor=cursor) as watch:
        await watch.until(
            lambda watch: all((versions[row] + watch.versions.get(row, []))[-1] == final[row] for row in final)
        )
        for row, told in watch.versions.items():
            versions[row] += told
    for row, told in versions.items():
        assert told == list(range(told[0], final[row] + 1)), row


async def test_a_storefront_that_resumes_is_told_what_changed_meanwhile(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG", 5)
    async with watch_availability(shop.storefront, "TEE", "MUG") as watch:
        await watch.begun()
    await shop.order("TEE")
    async with watch_availability(shop.storefront, "TEE", "MUG", cursor=watch.cursor) as resumed:
        await resumed.begun()
        assert resumed.available == {"TEE": 4}, "and nothing of what did not change"
        await shop.order("MUG")
        await resumed.until(lambda watch: watch.available.get("MUG") == 4)
    async with watch_availability(shop.storefront, "TEE", "MUG", cursor=resumed.cursor) as again:
        await again.begun()
        assert again.available == {}


async def test_every_storefront_is_told_though_another_one_was_first(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    async with watch_availability(shop.storefront, "TEE") as first:
        await first.begun()
        await shop.order("TEE")
        await first.until(lambda watch: watch.available["TEE"] == 4)
        async with watch_availability(shop.storefront, "TEE") as second:
            await second.begun()
            assert second.available == {"TEE": 4}


async def test_an_expired_cursor_is_told_so(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    day = (datetime.now(UTC) - timedelta(days=40)).replace(hour=12)
    await shop.pool.execute(
        f"CREATE TABLE events_{day:%Y%m%d} PARTITION OF events "
        f"FOR VALUES FROM ('{day:%Y-%m-%d} 00:00+00') TO ('{day + timedelta(days=1):%Y-%m-%d} 00:00+00')"
    )
    async with watch_stock(shop.pms, "TEE") as watch:
        await watch.begun()
    await record(shop.pool, event("TEE@main", 9, "stock.changed"), event("TEE@main", 10, "stock.changed"), time=day)
    await shop.receive("TEE", 1)
    await shop.pool.execute("DELETE FROM outbox")
    assert await drop_expired_events(shop.pool, 30)
    for again in (
        watch_stock(shop.pms, "TEE", cursor=watch.cursor),
        watch_availability(shop.storefront, "TEE", cursor=watch.cursor),
    ):
        async with again as late:
            refusal = await late.end()
            assert (refusal.code.name, refusal.reason) == ("OUT_OF_RANGE", "CURSOR_EXPIRED")


async def test_silence_is_told_from_a_lost_stream_by_heartbeats(settings: Settings) -> None:
    settings = settings.model_copy(update={"watch_heartbeat_seconds": 0.05})
    async with running_shop(settings) as shop:
        await shop.sell("TEE", 5)
        async with watch_availability(shop.storefront, "TEE") as shopper, watch_stock(shop.pms, "TEE") as staff:
            for watch in (shopper, staff):
                await watch.begun()
                heard = len(watch.responses)
                before = watch.cursor
                await shop.sell(f"OTHER-{heard}", 1)  # nothing that is watched
                await watch.until(moved_on(before, heard + 3))
                assert all(response.checkpoint and not changed(response) for response in watch.responses[heard:])


async def test_a_commit_of_one_process_reaches_the_watches_of_another(settings: Settings) -> None:
    async with running_shop(settings) as here, running_shop(settings) as there:
        await here.sell("TEE", 100)
        async with watch_availability(here.storefront, "TEE") as shopper, watch_stock(here.pms, "TEE") as staff:
            await shopper.begun()
            await staff.begun()
            waits = []
            for left in range(99, 89, -1):
                await there.order("TEE")
                waits.append(await timed(shopper.until(has_left(left))))
            await staff.until(lambda watch: len(watch.versions["TEE@main"]) == 11)
            assert sorted(waits)[5] < 0.1, waits


async def test_an_adjustment_that_changes_nothing_for_customers_is_not_told_them(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG", 5)
    async with watch_availability(shop.storefront, "TEE", "MUG") as watch:
        await watch.begun()
        told = sum(len(response.availabilities) for response in watch.responses)
        await shop.pms.inventory.AdjustStock(
            AdjustStockRequest(sku="TEE", on_hand=5, reason=ADJUSTMENT_REASON_FOUND)
        )  # a count that agrees
        await shop.order("MUG")
        await watch.until(lambda watch: watch.available["MUG"] == 4)
        assert sum(len(response.availabilities) for response in watch.responses) == told + 1


# What is for sale


async def publish(shop: Shop, product_id: str, published: bool = True) -> None:
    if published:
        await shop.pms.catalog.PublishProduct(PublishProductRequest(product_id=product_id))
    else:
        await shop.pms.catalog.UnpublishProduct(UnpublishProductRequest(product_id=product_id))


def gone(sku: str) -> Callable[[Watch], bool]:
    return lambda watch: sku in watch.unknown


async def test_a_storefront_is_told_when_a_product_is_published_and_when_it_no_longer_is(settings: Settings) -> None:
    """Also by the watches of a process that did not do it."""
    async with running_shop(settings) as shop, running_shop(settings) as other:
        product_id = await shop.sell("TEE", 5)
        await publish(shop, product_id, published=False)
        async with (
            watch_availability(shop.storefront, "TEE", "NONE") as watch,
            watch_availability(other.storefront, "TEE", "NONE") as elsewhere,
            watch_stock(shop.pms, "TEE") as staff,
        ):
            for each in (watch, elsewhere):
                await each.begun()
                assert (each.available, each.unknown) == ({}, {"TEE", "NONE"})
            await staff.begun()
            await shop.receive("TEE", 1)
            await staff.until(lambda watch: len(watch.versions["TEE@main"]) == 2)
            for _ in range(2):
                await publish(shop, product_id)
                for each in (watch, elsewhere):
                    await each.until(has_left(6))
                    assert each.unknown == {"NONE"}
                await publish(shop, product_id, published=False)
                for each in (watch, elsewhere):
                    await each.until(gone("TEE"))
            told = len(watch.responses)
            await shop.receive("TEE", 1)  # of no concern to anybody
            await publish(shop, product_id)
            await watch.until(has_left(7))
            assert not any(response.availabilities for response in watch.responses[told:-1])


async def test_a_storefront_that_resumes_is_told_what_is_gone_meanwhile(shop: Shop) -> None:
    product_id = await shop.sell("TEE", 5)
    await shop.sell("MUG", 5)
    async with watch_availability(shop.storefront, "TEE", "MUG") as watch:
        await watch.begun()
    await publish(shop, product_id, published=False)
    async with watch_availability(shop.storefront, "TEE", "MUG", cursor=watch.cursor) as resumed:
        await resumed.begun()
        assert (resumed.available, resumed.unknown) == ({}, {"TEE"})
    await publish(shop, product_id)
    async with watch_availability(shop.storefront, "TEE", "MUG", cursor=resumed.cursor) as resumed:
        await resumed.begun()
        assert (resumed.available, resumed.unknown) == ({"TEE": 5}, set())


async def test_a_storefront_is_told_of_a_variant_that_a_product_no_longer_has(shop: Shop) -> None:
    """No event names it."""
    product_id = await shop.sell("TEE")
    edit = UpdateProductRequest(product=Product(product_id=product_id))
    edit.product.variants.add(sku="OTHER", price=money("1.00"))
    edit.update_mask.paths.append("variants")
    async with watch_availability(shop.storefront, "TEE", "OTHER") as watch:
        await watch.begun()
        await shop.pms.catalog.UpdateProduct(edit)
        await watch.until(gone("TEE"), 5)  # at once, not with the next refreshing
        await watch.until(lambda watch: "OTHER" in watch.available)
    edit.product.variants[0].sku = "THIRD"
    await shop.pms.catalog.UpdateProduct(edit)
    async with watch_availability(shop.storefront, "TEE", "OTHER", cursor=watch.cursor) as resumed:
        await resumed.begun()
        assert resumed.unknown == {"TEE", "OTHER"}
