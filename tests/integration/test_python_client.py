"""The Python client against a running server: calls, errors, deadlines, pages, streams."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_type

import pytest
from stockward.catalog.v1.catalog_pb2 import ImportProductsRequest, ListProductsResponse, Product
from stockward.inventory.v1.inventory_pb2 import (
    ADJUSTMENT_REASON_COUNTED,
    Reservation,
    StockLine,
    SyncStockRequest,
)
from stockward.order.v1.order_pb2 import CreateOrderRequest, Order

import stockward_client
from stockward_client import AsyncPages, AsyncStockward, Stockward
from stockward_dev import Nats
from stockward_server.config import Settings
from tests.commands import locked, waiting_for_locks
from tests.events import until
from tests.shop import KEYS, Shop, running_shop

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "python"


@pytest.fixture(scope="module")
async def shop(module_database_url: str, nats: Nats) -> AsyncIterator[Shop]:
    """One server for all of these tests; each sells SKUs of its own."""
    settings = Settings.model_validate({"database_url": module_database_url, "event_queue_url": nats.url})
    async with running_shop(settings) as shop:
        yield shop


@pytest.fixture(scope="module")
async def client(shop: Shop) -> AsyncIterator[AsyncStockward]:
    async with AsyncStockward(shop.address, KEYS["storefront"]) as client:
        yield client


@pytest.fixture(scope="module")
async def staff(shop: Shop) -> AsyncIterator[AsyncStockward]:
    async with AsyncStockward(shop.address, KEYS["pms"]) as client:
        yield client


def line(sku: str, quantity: int = 1) -> CreateOrderRequest.Line:
    return CreateOrderRequest.Line(sku=sku, quantity=quantity)


async def test_the_order_flow_in_ten_lines_is_the_one_of_the_readme(shop: Shop, tmp_path: Path) -> None:
    example = CLIENT / "examples" / "order_flow.py"
    assert example.read_text().partition('"""\n\n')[2] in (CLIENT / "README.md").read_text()
    home = tmp_path / ".stockward"
    home.mkdir()
    (home / "run.json").write_text(json.dumps({"grpc": shop.address, "keys": KEYS}))

    def run_it() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, example], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    run = await asyncio.to_thread(run_it)
    assert (run.returncode, run.stdout, run.stderr) == (0, "STATE_FULFILLED 8\n", "")


async def test_a_hold_becomes_an_order_of_a_known_type(shop: Shop, client: AsyncStockward) -> None:
    await shop.sell("FLOW", units=5)
    hold = await client.inventory.reserve_stock(lines=[StockLine(sku="FLOW", quantity=2)])
    assert_type(hold, Reservation)
    order = await client.orders.create_order(reservation_id=hold.reservation_id)
    assert_type(order, Order)
    assert order.state == Order.STATE_PENDING
    assert await shop.counters("FLOW") == (5, 0, 2)


async def test_a_choice_that_is_not_made_is_not_sent(shop: Shop, staff: AsyncStockward) -> None:
    await shop.sell("CHOICE", units=5)
    for count in (3, 0):
        level = await staff.inventory.adjust_stock(sku="CHOICE", on_hand=count, reason=ADJUSTMENT_REASON_COUNTED)
        assert level.on_hand == count


async def test_a_refusal_is_an_exception_of_its_reason(shop: Shop, client: AsyncStockward) -> None:
    await shop.sell("SHORT", units=1)
    with pytest.raises(stockward_client.InsufficientStock) as refused:
        await client.orders.create_order(lines=[line("SHORT", 2)])
    error = refused.value
    assert isinstance(error, stockward_client.FailedPrecondition)
    assert error.metadata == {"sku": "SHORT", "requested": "2", "available": "1"}
    assert [each.subject for each in error.preconditions] == ["SHORT"]
    assert error.request_id

    with pytest.raises(stockward_client.FieldInvalid) as invalid:
        await client.orders.create_order(lines=[line("SHORT", 0)])
    assert [each.field for each in invalid.value.violations] == ["lines[0].quantity"]

    with pytest.raises(stockward_client.RoleNotAllowed):
        await anext(aiter(client.catalog.list_products()))


async def test_one_result_of_a_batch_is_the_same_exception(shop: Shop, client: AsyncStockward) -> None:
    await shop.sell("BATCH", units=1)
    answer = await client.orders.batch_create_orders(
        requests=[CreateOrderRequest(lines=[line("BATCH")]), CreateOrderRequest(lines=[line("NOWHERE")])]
    )
    taken, refused = answer.results
    assert taken.order.state == Order.STATE_PENDING
    assert isinstance(stockward_client.error_of(refused.error), stockward_client.SkuUnknown)


async def test_a_wrong_key_is_told(shop: Shop) -> None:
    async with AsyncStockward(shop.address, "swk_storefront_wrong") as stranger:
        with pytest.raises(stockward_client.CredentialsInvalid):
            await stranger.inventory.get_availability(sku="MUG")

    def with_key() -> None:
        with Stockward(shop.address, "swk_storefront_wrong") as stranger:
            stranger.inventory.get_availability(sku="MUG")

    with pytest.raises(stockward_client.Unauthenticated):
        await asyncio.to_thread(with_key)


async def test_a_token_may_be_fetched_for_every_call(shop: Shop) -> None:
    await shop.sell("TOKEN", units=1)
    asked = 0

    async def token() -> str:
        nonlocal asked
        asked += 1
        return KEYS["storefront"]

    async with AsyncStockward(shop.address, token) as client:
        for _ in range(2):
            assert (await client.inventory.get_availability(sku="TOKEN")).available == 1
    assert asked == 2


async def test_tls_is_not_given_up_silently(shop: Shop) -> None:
    async with AsyncStockward(shop.address, KEYS["storefront"], plaintext=False, timeout=0.3) as client:
        with pytest.raises((stockward_client.Unavailable, stockward_client.DeadlineExceeded)):
            await client.inventory.get_availability(sku="MUG")


async def test_after_a_deadline_the_same_request_id_tells_what_became_of_it(shop: Shop, client: AsyncStockward) -> None:
    await shop.sell("LATE", units=9)

    def buy(request_id: str = "", timeout: float | None = None) -> Order:
        with Stockward(shop.address, KEYS["storefront"]) as synchronous:
            return synchronous.orders.create_order(lines=[line("LATE")], request_id=request_id, timeout=timeout)

    async with locked(shop.pool, "LATE"):
        late = asyncio.create_task(client.orders.create_order(lines=[line("LATE")], timeout=3))
        await until(lambda: waiting_for_locks(shop.pool, 1))
        with pytest.raises(stockward_client.DeadlineExceeded) as passed:
            await late
        with pytest.raises(stockward_client.DeadlineExceeded):
            await asyncio.to_thread(buy, timeout=0.1)

    order = await asyncio.to_thread(buy, passed.value.request_id)
    assert order.lines[0].sku == "LATE"
    assert await shop.counters("LATE") == (9, 0, 1)


async def test_a_list_walks_its_pages(shop: Shop, staff: AsyncStockward) -> None:
    made = [await shop.sell(f"PAGE-{i}") for i in range(5)]
    listed = staff.catalog.list_products(page_size=2, search="PAGE-0 or PAGE-1 or PAGE-2 or PAGE-3 or PAGE-4")
    assert_type(listed, AsyncPages[ListProductsResponse, Product])
    assert sorted([product.product_id async for product in listed]) == sorted(made)
    pages = [page async for page in listed.pages()]
    assert [len(page.products) for page in pages] == [2, 2, 1]

    def walk() -> list[str]:
        with Stockward(shop.address, KEYS["pms"]) as synchronous:
            return [product.product_id for product in synchronous.catalog.list_products(page_size=2)]

    assert set(made) <= set(await asyncio.to_thread(walk))


async def test_the_first_rows_of_a_list_are_one_response_to_go_on_from(
    shop: Shop, staff: AsyncStockward, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("calls", "aio_calls"):
        monkeypatch.setattr(f"stockward_client.{module}.MAX_PAGE_SIZE", 2)
    made = [await shop.sell(f"FIRST-{i}") for i in range(5)]
    listed = staff.catalog.list_products(search="FIRST-0 or FIRST-1 or FIRST-2 or FIRST-3 or FIRST-4")
    three, everything = await listed.first(3), await listed.first(9)
    assert [len(three.products), len(everything.products), everything.next_page_token] == [3, 5, ""]
    assert [*three.products] == [*everything.products][:3]
    assert {product.product_id for product in everything.products} == set(made)
    with pytest.raises(ValueError, match="at least 1"):
        await listed.first(0)

    def walk() -> tuple[int, bool]:
        with Stockward(shop.address, KEYS["pms"]) as synchronous:
            answer = synchronous.events.list_events(types=["product.published"]).first(3)
            return len(answer.events), answer.caught_up

    assert await asyncio.to_thread(walk) == (3, False)


async def test_events_go_on_from_a_cursor(shop: Shop, staff: AsyncStockward) -> None:
    async def read(cursor: str) -> tuple[list[str], str]:
        events: list[str] = []
        async for page in staff.events.list_events(cursor=cursor, page_size=1, types=["product.*"]).pages():
            events += [event.aggregate_id for event in page.events]
            cursor = page.next_cursor
        return events, cursor

    _, cursor = await read("")
    product_id = await shop.sell("CURSOR")
    heard, cursor = await read(cursor)
    assert heard == [product_id, product_id]  # created, published
    assert await read(cursor) == ([], cursor)


async def test_streams_carry_rows_both_ways(shop: Shop, staff: AsyncStockward) -> None:
    await shop.sell("STREAM", units=1)
    rows = [SyncStockRequest(rows=[SyncStockRequest.Row(sku="STREAM", on_hand=count)]) for count in (7, 8)]
    assert [answer.results[0].on_hand async for answer in staff.inventory.sync_stock(rows)] == [7, 8]
    imported = await staff.catalog.import_products([ImportProductsRequest(product=Product(title="Imported"))])
    assert imported.results[0].product_id

    def again() -> list[int]:
        with Stockward(shop.address, KEYS["pms"]) as synchronous:
            synchronous.catalog.import_products(iter([ImportProductsRequest(product=Product(title="Imported"))]))
            return [answer.results[0].on_hand for answer in synchronous.inventory.sync_stock(rows)]

    assert await asyncio.to_thread(again) == [7, 8]


async def test_a_stream_is_refused_with_the_same_exceptions(client: AsyncStockward) -> None:
    with pytest.raises(stockward_client.RoleNotAllowed):
        _ = [answer async for answer in client.inventory.sync_stock([SyncStockRequest()])]
    with pytest.raises(stockward_client.RoleNotAllowed):
        await client.catalog.import_products([ImportProductsRequest()])
