"""Long work holds nobody up: others get their turn between its steps."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import current_thread, main_thread
from typing import Any

import pytest
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.order.v1 import order_pb2 as orders

from stockward_server.api.orders import servicer as order_service
from stockward_server.api.orders.servicer import OrderServicer
from stockward_server.application.command import Command
from stockward_server.application.ports.pages import PAGE_BYTES, Page
from stockward_server.application.response_codec import M, R, ResponseCodec
from stockward_server.domain.errors import FieldInvalid
from stockward_server.domain.product import ProductState
from stockward_server.runtime import turns
from stockward_server.runtime.turns import Turns, beside, long_read, whose
from stockward_server.storage.product_rows import products_of
from stockward_server.wire.pages import read_page
from stockward_server.wire.validation import rules
from tests.turns import turns_during

NOW = datetime.now(UTC)


def row(variants: int) -> Any:
    """One of SELECT_PRODUCTS."""
    columns = dict.fromkeys(("title", "barcode", "image_url"), "") | dict.fromkeys(("compare_at_price", "cost"))
    texts = dict.fromkeys(("product_id", "handle", "title", "description", "vendor", "product_type"), "")
    times = {"create_time": NOW, "update_time": NOW, "scheduled_publish_time": None, "publish_time": None}
    return {
        **texts,
        **times,
        "state": ProductState.DRAFT,
        "tags": [],
        "images": [],
        "attributes": {},
        "version": 1,
        "variants": json.dumps(
            [
                {**columns, "sku": f"S{n}", "currency": "EUR", "price": 1, "options": {}, "weight_grams": 0}
                | {"cost_currency": None, "untracked": False}
                for n in range(variants)
            ]
        ),
    }


@pytest.fixture
def in_smallest_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where each step takes long."""
    monkeypatch.setattr(turns, "SLICE", 0.0)


async def test_work_that_is_quickly_done_gives_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLICE", float("inf"))
    assert await turns_during(products_of([row(3)] * 10)) == 0


async def test_callers_take_turns_however_much_work_each_has() -> None:
    done: list[str] = []

    async def work(caller: str) -> None:
        whose.set(caller)
        mine = Turns()
        for _ in range(3):
            await mine.begin()
            done.append(caller)

    busy = [asyncio.create_task(work("busy")) for _ in range(10)]
    gone = asyncio.create_task(work("gone"))
    modest = asyncio.create_task(work("modest"))
    await asyncio.sleep(0)
    gone.cancel()
    await modest
    assert done.count("busy") <= 4
    await asyncio.gather(*busy)
    assert done.count("busy") == 30
    assert "gone" not in done


@pytest.mark.usefixtures("in_smallest_slices")
async def test_one_slice_of_long_work_is_done_in_a_round() -> None:
    """However many calls want theirs: between two of them everybody else has a turn."""
    rounds = 0
    seen: list[int] = []

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async def work() -> None:
        mine = Turns()
        for _ in range(5):
            await mine.give()
            seen.append(rounds)

    other = asyncio.create_task(count())
    await asyncio.gather(*(work() for _ in range(10)))
    other.cancel()
    assert seen == sorted(seen)
    assert all(after - before >= turns.ROUNDS for before, after in pairwise(seen[1:]))


async def test_what_is_done_beside_holds_nobody_up() -> None:
    """It waits for what only the event loop can do."""
    reached = threading.Event()
    asyncio.get_running_loop().call_later(0, reached.set)
    assert await beside(lambda: reached.wait(10))


async def test_callers_take_turns_with_what_is_done_beside() -> None:
    done: list[str] = []
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    async def work(caller: str) -> None:
        whose.set(caller)
        await beside(lambda: done.append(whose.get()))

    def first() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)

    async with asyncio.TaskGroup() as group:
        group.create_task(beside(first))
        await begun.wait()
        for caller in ("busy", "busy", "busy", "gone", "modest"):
            task = group.create_task(work(caller))
            if caller == "gone":
                gone = task
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        go_on.set()
    assert done == ["busy", "modest", "busy", "busy"]


async def test_what_nobody_waits_for_any_longer_is_ended_before_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """And nobody learns how it failed."""
    begun, go_on, ended = asyncio.Event(), threading.Event(), list[str]()
    loop = asyncio.get_running_loop()

    def first() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        ended.append("first")
        raise FieldInvalid("lines", "wrong")

    gone = asyncio.create_task(beside(first))
    await begun.wait()
    gone.cancel()
    second = asyncio.create_task(beside(lambda: ended.append("second")))
    await asyncio.sleep(0)
    go_on.set()
    await second
    assert ended == ["first", "second"]
    del gone
    gc.collect()
    assert not caplog.records


@pytest.mark.parametrize("size", [rules.SHORT - 100, rules.SHORT + 100])
async def test_large_messages_are_checked_beside(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []
    monkeypatch.setattr(rules, "validate", lambda _: threads.append(current_thread() is main_thread()))
    message = orders.CreateOrderRequest(reference="x" * size)
    assert await rules.Rules(10**6).read(message.SerializeToString(), orders.CreateOrderRequest) == message
    assert threads == [size < rules.SHORT]


async def test_a_caller_has_few_long_reads_at_a_time() -> None:
    under_way, most, done = {"busy": 0, "modest": 0}, {"busy": 0, "modest": 0}, asyncio.Event()

    async def read(caller: str, rows: int) -> None:
        whose.set(caller)
        async with long_read(rows):
            under_way[caller] += 1
            most[caller] = max(most[caller], under_way[caller])
            await done.wait()
            under_way[caller] -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(read("busy", turns.MUCH + 1))
        for _ in range(3):
            group.create_task(read("modest", turns.MUCH))
        for _ in range(100):
            await asyncio.sleep(0)
        assert under_way == {"busy": turns.LONG_READS, "modest": 3}
        done.set()
    assert most == {"busy": turns.LONG_READS, "modest": 3}


@pytest.mark.usefixtures("in_smallest_slices")
async def test_products_are_made_of_rows_in_turns() -> None:
    assert await turns_during(products_of([row(2048)] * 10)) >= 10


@pytest.mark.usefixtures("in_smallest_slices")
async def test_a_page_is_made_in_turns() -> None:
    large = catalog.Product(description="x" * 100_000)

    async def load(page: Page) -> Sequence[int]:
        return range(page.size)

    async def read(message: catalog.Product) -> int:
        page = await read_page(load, Page(1000, None), lambda _: message, lambda row: [row])
        return len(page.messages)

    assert await read(large) == PAGE_BYTES // 100_000
    assert await turns_during(read(large)) >= 20


async def test_the_long_orders_of_a_batch_are_checked_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []

    def validate(_: orders.CreateOrderRequest) -> None:
        threads.append(current_thread() is main_thread())
        raise FieldInvalid("lines", "wrong")

    monkeypatch.setattr(order_service, "validate", validate)
    unused: Any = None
    servicer = OrderServicer(unused, unused, unused, timedelta(), unused, unused, unused)
    requests = [orders.CreateOrderRequest(lines=[orders.CreateOrderRequest.Line()] * count) for count in (1, 101)]
    await servicer.BatchCreateOrders(orders.BatchCreateOrdersRequest(requests=requests), unused)
    assert threads == [True, False]


@pytest.mark.usefixtures("in_smallest_slices")
async def test_the_orders_of_a_batch_are_checked_in_turns() -> None:
    async def submit(command: Command[R], codec: ResponseCodec[R, M]) -> M:
        raise AssertionError(f"{command} was submitted")

    unused: Any = None
    servicer = OrderServicer(submit, unused, unused, timedelta(), unused, unused, unused)
    batch = orders.BatchCreateOrdersRequest(
        requests=[orders.CreateOrderRequest(lines=[orders.CreateOrderRequest.Line()])] * 20
    )
    answers: list[orders.BatchCreateOrdersResponse] = []

    async def create() -> None:
        answers.append(await servicer.BatchCreateOrders(batch, unused))

    assert await turns_during(create()) >= 20
    assert [result.error.code for result in answers[0].results] == [3] * 20
