"""WatchOrders, and what holds for every watch: its room, its end, and those who read too slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from stockward.inventory.v1 import inventory_pb2_grpc
from stockward.inventory.v1.inventory_pb2 import (
    GetAvailabilityRequest,
    SyncStockRequest,
    WatchStockRequest,
    WatchStockResponse,
)
from stockward.order.v1.order_pb2 import CancelOrderRequest, Customer, Order, ProcessOrderRequest, WatchOrdersRequest

from stockward_server.api.watching import WATCH_ENCODER
from stockward_server.application.follower import Follower
from stockward_server.application.ports.orders import OrderFilter
from stockward_server.application.ports.pages import Page
from stockward_server.application.watch_queues import Change, ChangeQueue, Interest
from stockward_server.application.watches import SnapshotItem, Watches, WatchLimits, WatchSlot, WatchUpdate
from stockward_server.config import Settings
from stockward_server.domain.errors import WatchLagged
from stockward_server.domain.identifiers import new_id
from stockward_server.storage.database import Pool
from stockward_server.storage.events.event_log import SqlEventLog
from stockward_server.storage.read.order_views import SqlOrderViews
from stockward_server.storage.read.stock_views import SqlStockViews
from tests.events import event, record, until
from tests.shop import KEYS, Refused, Shop, callers, refused, running_shop
from tests.watching import Watch, timed, watch_availability, watch_orders, watch_stock


def has(order: Order, version: int) -> Callable[[Watch], bool]:
    return lambda watch: version in watch.versions.get(order.order_id, [])


def has_versions(row: str, count: int) -> Callable[[Watch], bool]:
    return lambda watch: len(watch.versions[row]) >= count


def has_left(units: int) -> Callable[[Watch], bool]:
    return lambda watch: watch.available["TEE"] == units


async def test_staff_are_told_open_orders_and_each_change(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    done, waiting = await shop.order("TEE"), await shop.order("TEE", 2, customer=Customer(name="Ada", customer_id="c1"))
    await shop.pms.orders.CancelOrder(CancelOrderRequest(order_id=done.order_id))
    async with watch_orders(shop.pms) as watch:
        await watch.begun()
        (present,) = watch.responses[0].changes
        order = present.order
        assert (order.order_id, order.version, present.type) == (waiting.order_id, waiting.version, "")
        assert (order.state, order.customer_id, order.totals) == (waiting.state, "c1", waiting.totals)

        await shop.pay(waiting)
        await shop.pms.orders.ProcessOrder(ProcessOrderRequest(order_id=waiting.order_id))
        new = await shop.order("TEE")
        await watch.until(has(new, 1))
        changes = [change for response in watch.responses[1:] for change in response.changes]
        assert [(change.type, change.order.order_id) for change in changes] == [
            ("payment.updated", waiting.order_id),
            ("order.processing", waiting.order_id),
            ("order.created", new.order_id),
        ]
        assert [change.order.version for change in changes] == [2, 3, 1]
        assert changes[1].order.state == Order.STATE_PROCESSING
        assert changes[1].order.lines == waiting.lines
        assert changes[0].order.payment.captured == waiting.totals.total


async def test_a_watch_hears_of_what_it_asked_for_only(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    mine, other = await shop.order("TEE", customer=Customer(customer_id="mine")), await shop.order("TEE")
    cancelled = [Order.STATE_CANCELLED]
    async with AsyncExitStack() as stack:
        by_id, by_customer, by_state, both = [
            await (await stack.enter_async_context(watch_orders(shop.pms, **fields))).begun()
            for fields in (
                {"order_ids": [mine.order_id.upper()]},
                {"customer_id": "mine"},
                {"states": cancelled},
                {"order_ids": [other.order_id], "states": cancelled},
            )
        ]
        for order in (other, mine):
            await shop.pms.orders.CancelOrder(CancelOrderRequest(order_id=order.order_id))
        for watch in (by_id, by_customer, by_state):
            await watch.until(has(mine, 2))
        await both.until(has(other, 2))
        assert by_id.versions == by_customer.versions == {mine.order_id: [1, 2]}
        assert by_state.versions == {other.order_id: [2], mine.order_id: [2]}
        assert both.versions == {other.order_id: [2]}
    async with watch_orders(shop.pms, states=cancelled) as late:
        await late.begun()
        assert late.versions.keys() == {mine.order_id, other.order_id}


async def test_a_long_present_state_comes_whole_and_each_version_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders are made while the present ones are read page by page."""
    monkeypatch.setattr("stockward_server.api.watching.PRESENT_PAGE", 5)
    await shop.sell("TEE", 100)
    orders = [await shop.order("TEE") for _ in range(23)]
    async with watch_orders(shop.pms) as watch:
        orders += await asyncio.gather(*(shop.order("TEE") for _ in range(40)))
        await watch.until(lambda watch: len(watch.versions) == 63 and watch.cursor)
        assert watch.versions == {order.order_id: [1] for order in orders}


async def slow_watch(channel: grpc.aio.Channel, sku: str, responses: list[WatchStockResponse]) -> AsyncIterator[None]:
    """Reads a response into `responses` when it is asked for one, and otherwise nothing."""
    stub = inventory_pb2_grpc.InventoryServiceStub(channel)
    metadata = [("authorization", f"Bearer {KEYS['pms']}")]
    call: Any = stub.WatchStock(WatchStockRequest(skus=[sku]), metadata=metadata, timeout=60)
    async for response in call:
        responses.append(response)
        yield


async def test_what_the_present_state_told_is_not_told_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change between the moment from which a watch learns of changes and the one at which it reads what is there."""
    await shop.sell("TEE", 10)
    first = await shop.order("TEE")
    made: list[Order] = []
    read = SqlOrderViews.orders

    async def read_late(views: SqlOrderViews, page: Page, wanted: OrderFilter) -> Any:
        if not made:
            made.append(await shop.order("TEE"))
            await shop.pay(first)
        return await read(views, page, wanted)

    monkeypatch.setattr(SqlOrderViews, "orders", read_late)
    async with watch_orders(shop.pms) as watch:
        await watch.begun()
        last = await shop.order("TEE")
        await watch.until(has(last, 1))
        assert watch.versions == {first.order_id: [2], made[0].order_id: [1], last.order_id: [1]}
    cursors = [response.cursor for response in watch.responses if response.cursor]
    async with watch_orders(shop.pms, cursor=cursors[0]) as resumed:
        await resumed.until(has(last, 1))
        assert resumed.versions == {last.order_id: [1]}, "the first cursor is good to go on from"


async def test_nothing_is_left_of_a_watch_that_has_ended(database: Pool) -> None:
    events = SqlEventLog(database)
    follower = Follower(
        events, SqlStockViews(database).availability, WATCH_ENCODER, poll_seconds=0.01, refresh_seconds=0.01
    )
    watches = Watches(events, follower, WATCH_ENCODER, WatchLimits(10, 10, 0.01))

    async def nothing() -> AsyncIterator[Sequence[SnapshotItem]]:
        return
        yield []

    kinds: list[Callable[[WatchSlot], AsyncGenerator[WatchUpdate, None]]] = [
        lambda slot: watches.availability(slot, {"TEE", "MUG"}, None),
        lambda slot: watches.changes(slot, Interest("stock", {"TEE", "MUG"}), None, nothing()),
        lambda slot: watches.changes(slot, Interest("order", ()), None, nothing()),
    ]
    for open_ in kinds:
        slot = watches.enter()
        opened = open_(slot)
        await anext(opened)
        assert (watches.open, follower.watching > 0) == (1, True)
        await opened.aclose()
        slot.close()
        slot.close()
        assert (watches.open, follower.watching) == (0, 0)
    await follower.close()


async def test_what_waits_for_all_watches_is_bounded_by_its_bytes(database: Pool) -> None:
    """Of two watches, the one that does not take what waits for it is cut off, the other one is not."""
    size = len(event(new_id(), 1).SerializeToString())
    log = SqlEventLog(database)
    follower = Follower(
        log,
        SqlStockViews(database).availability,
        WATCH_ENCODER,
        poll_seconds=0.01,
        refresh_seconds=60,
        window_bytes=10 * size + size // 2,
    )
    idle, quick = ChangeQueue(Interest("order", ()), 1000), ChangeQueue(Interest("order", ()), 1000)
    for queue in (idle, quick):
        await follower.join(queue)
    for number in range(1, 12):
        assert not idle.lagged
        await record(database, event(new_id(), 1))
        assert await quick.wait(10)
        assert len(quick.take(1)) == 1
        assert number == 11 or idle.oldest is not None
    await until(lambda: idle.lagged)
    with pytest.raises(WatchLagged):
        await idle.wait(1)
    assert not quick.lagged
    assert follower.watching == 1
    await follower.close()


async def test_a_queue_gives_its_changes_in_parts(database: Pool) -> None:
    queue = ChangeQueue(Interest("order", ()), 10)
    for seq, size in enumerate((10, 30, 100, 20, 20), 1):
        queue.put(Change(seq, "a", seq, None, size))
    assert [[change.seq for change in queue.take(50)] for _ in range(4)] == [[1, 2], [3], [4, 5], []]


async def test_names_that_are_watched_are_counted(settings: Settings) -> None:
    async with running_shop(settings.model_copy(update={"max_watched_keys": 5})) as shop:
        for sku in ("A", "B", "C"):
            await shop.sell(sku, 1)
        async with (
            watch_availability(shop.storefront, "A", "B", "C") as first,
            watch_stock(shop.pms, "A", "B") as second,
        ):
            await first.begun()
            await second.begun()
            for one_more in (watch_availability(shop.storefront, "A"), watch_stock(shop.pms, "A")):
                async with one_more as third:
                    refusal = await third.end()
                    assert (refusal.reason, refusal.metadata) == ("WATCH_LIMIT_REACHED", {"limit": "5"})

        async def again() -> bool:
            async with watch_availability(shop.storefront, "A", "B", "C") as watch:
                await watch.until(lambda watch: watch.cursor or watch.ended)
                return not watch.ended

        await until(again)


@pytest.mark.long
async def test_one_who_reads_too_slowly_is_told_to_resume_and_holds_up_nobody(settings: Settings) -> None:
    """It does not read at all, until the buffers between it and the server are full and its queue is, too."""
    sku, rounds = "T" * 64, 12
    async with running_shop(settings.model_copy(update={"watch_queue_limit": 2000})) as shop:
        await shop.sell(sku)
        await shop.receive(sku, 1)
        many = SyncStockRequest(rows=[SyncStockRequest.Row(sku=sku, delta=1)] * 1000)
        small = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384), ("grpc.enable_http_proxy", 0)]
        async with (
            watch_stock(shop.pms, sku) as quick,
            grpc.aio.insecure_channel(shop.address, options=small) as channel,
        ):
            responses: list[WatchStockResponse] = []
            slow = slow_watch(channel, sku, responses)
            await anext(slow)
            await quick.begun()
            for round_ in range(1, rounds + 1):
                async for _ in shop.pms.inventory.SyncStock(iter([many])):
                    pass
                await quick.until(has_versions(f"{sku}@main", 1 + 1000 * round_))
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                async for _ in slow:
                    pass
            refusal = Refused(ended.value)
            assert (refusal.code.name, refusal.reason) == ("ABORTED", "WATCH_LAGGED")
            assert refusal.metadata == {"limit": "2000"}
            assert refusal.retry_after > 0

            cursor = next(response.cursor for response in reversed(responses) if response.cursor)
            before = [counters.version for response in responses for counters in response.stock_levels]
            async with watch_stock(shop.pms, sku, cursor=cursor) as resumed:
                await resumed.begun()
                final = (await shop.level(sku)).version
                await resumed.until(lambda watch: watch.versions[f"{sku}@main"][-1] == final)
                after = resumed.versions[f"{sku}@main"]
            assert len(before) < len(quick.versions[f"{sku}@main"])
            assert before + after == list(range(before[0], final + 1))


async def test_a_stopping_server_ends_its_watches_at_once(settings: Settings) -> None:
    async with running_shop(settings) as other:
        await other.sell("TEE", 5)
        stack = AsyncExitStack()
        shop = await stack.enter_async_context(
            running_shop(settings.model_copy(update={"shutdown_grace_seconds": 60.0}))
        )
        staff, shopper = callers(shop.address, KEYS["pms"]), callers(shop.address, KEYS["storefront"])
        async with staff.channel, shopper.channel:
            watches = [watch_availability(shopper, "TEE"), watch_stock(staff), watch_orders(staff)]
            for watch in watches:
                await watch.begun()
            assert await timed(stack.aclose()) < 10
            for watch in watches:
                assert (await watch.end()).code is grpc.StatusCode.UNAVAILABLE
        await other.order("TEE")
        async with watch_availability(other.storefront, "TEE", cursor=watches[0].cursor) as elsewhere:
            await elsewhere.until(lambda watch: watch.available == {"TEE": 4})


@pytest.mark.long
async def test_a_thousand_watches_of_one_process_and_calls_beside_them(settings: Settings) -> None:
    """There is room for ten calls, and the watches take none of it."""
    settings = settings.model_copy(update={"max_watches": 1000, "max_concurrent_rpcs": 10})
    async with running_shop(settings) as shop:
        await shop.sell("TEE", 100)
        await shop.sell("MUG", 100)
        many = [callers(shop.address, KEYS["storefront"]) for _ in range(4)]
        try:
            watches = [
                watch_availability(many[number % 4], "TEE", "MUG") if number % 10 else watch_orders(shop.pms)
                for number in range(1000)
            ]
            for watch in watches:
                await watch.begun()
            refusal = await refused(anext(aiter(shop.pms.orders.WatchOrders(WatchOrdersRequest()))))
            assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "WATCH_LIMIT_REACHED")
            assert refusal.metadata == {"limit": "1000"}

            order = await shop.order("TEE")
            assert (await shop.storefront.inventory.GetAvailability(GetAvailabilityRequest(sku="TEE"))).available == 99
            for number, watch in enumerate(watches):
                await watch.until(has_left(99) if number % 10 else has(order, 1))
        finally:
            await asyncio.gather(*(watch.__aexit__() for watch in watches))
            await asyncio.gather(*(each.channel.close() for each in many))


async def test_a_watch_that_ends_gives_its_place_back(settings: Settings) -> None:
    async with running_shop(settings.model_copy(update={"max_watches": 1})) as shop:
        await shop.sell("TEE", 5)
        kinds: list[Callable[[], Watch]] = [
            lambda: watch_availability(shop.storefront, "TEE"),
            lambda: watch_stock(shop.pms, "TEE"),
            lambda: watch_orders(shop.pms),
        ]

        async def has_room(kind: Callable[[], Watch]) -> bool:
            async with kind() as watch:
                await watch.until(lambda watch: watch.ended or watch.cursor)
                assert not watch.ended or (await watch.end()).reason == "WATCH_LIMIT_REACHED"
                return not watch.ended

        for kind in kinds * 2:
            await until(lambda kind=kind: has_room(kind))  # type: ignore[misc]


async def test_a_failure_ends_watches_and_they_resume(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    async with watch_stock(shop.pms, "TEE") as watch:
        await watch.begun()
        await shop.pool.execute(
            "ALTER TABLE event_retention RENAME TO away; "
            "CREATE VIEW event_retention AS SELECT 1 / (dropped_seq * 0) AS dropped_seq, oldest_time FROM away"
        )
        refusal = await watch.end()
        await shop.pool.execute("DROP VIEW event_retention; ALTER TABLE away RENAME TO event_retention")
    assert refusal.code is grpc.StatusCode.INTERNAL
    await shop.receive("TEE", 1)
    async with watch_stock(shop.pms, "TEE", cursor=watch.cursor) as resumed:
        await resumed.until(lambda watch: watch.versions)
