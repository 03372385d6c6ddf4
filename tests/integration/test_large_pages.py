"""The largest rows there may be, read by a gRPC client that takes 4 MiB a message, which is the default."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.event.v1 import event_pb2 as events
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as pb

from stockward_client import AsyncStockward
from stockward_dev import Nats
from stockward_server.application.ports.pages import PAGE_BYTES
from stockward_server.config import Settings
from tests.shop import (
    KEYS,
    Callers,
    Shop,
    _StreamWithKey,
    _UnaryWithKey,
    _UploadWithKey,
    _WatchWithKey,
    money,
    running_shop,
)

pytestmark = pytest.mark.long

LONG, SHORTER = 1000, 100
"""Lines of an order: as many as there may be, and some."""

WIDE = "\N{SHOPPING TROLLEY}"
"""A character of four bytes."""


@pytest.fixture(scope="module")
async def shop(module_database_url: str, nats: Nats) -> AsyncIterator[Shop]:
    """A thousand SKUs with the longest titles; three orders of all of them, and thirty of a hundred."""
    settings = Settings.model_validate({"database_url": module_database_url, "event_queue_url": nats.url})
    async with running_shop(settings) as shop:
        skus = [f"{number:04}".ljust(64, "-") for number in range(LONG)]
        for start in range(0, LONG, 500):
            variants = [
                catalog.Variant(sku=sku, title=WIDE * 300, price=money("5.00"), options={"Code": sku})
                for sku in skus[start : start + 500]
            ]
            product = catalog.Product(
                title=WIDE * 300, handle=f"p-{start}", description=WIDE * 100_000, variants=variants
            )
            made = await shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=product))
            await shop.pms.catalog.PublishProduct(catalog.PublishProductRequest(product_id=made.product_id))
        rows = [inventory.SyncStockRequest.Row(sku=sku, on_hand=1000) for sku in skus]
        await anext(aiter(shop.pms.inventory.SyncStock(iter([inventory.SyncStockRequest(rows=rows)]))))
        for lines in (LONG, *[SHORTER] * 30, LONG, LONG):
            await shop.pms.orders.CreateOrder(order_of(skus[:lines]))
        yield shop


def order_of(skus: list[str]) -> pb.CreateOrderRequest:
    """The largest order of these SKUs."""
    dear: dict[str, Any] = {"unit_price_override": money("4.00"), "price_override_reason": WIDE * 200}
    return pb.CreateOrderRequest(
        lines=[pb.CreateOrderRequest.Line(sku=sku, quantity=1, **dear) for sku in skus], reference=WIDE * 200
    )


@pytest.fixture
async def staff(shop: Shop) -> AsyncIterator[Callers]:
    """On a channel as gRPC makes it."""
    key = KEYS["pms"]
    keys: list[Any] = [_UnaryWithKey(key), _UploadWithKey(key), _WatchWithKey(key), _StreamWithKey(key)]
    async with grpc.aio.insecure_channel(
        shop.address, interceptors=keys, options=[("grpc.enable_http_proxy", 0)]
    ) as channel:
        yield Callers(channel)


async def ids(shop: Shop, direction: str) -> list[str]:
    return [row[0] for row in await shop.pool.fetch(f"SELECT order_id::text FROM orders ORDER BY 1 {direction}")]


@pytest.mark.parametrize(("method", "direction"), [("ListOrders", "DESC"), ("ListPendingOrders", "ASC")])
async def test_all_orders_are_listed_once_and_in_order(shop: Shop, staff: Callers, method: str, direction: str) -> None:
    request = getattr(pb, f"{method}Request")(page_size=1000)
    pages = list[Any]()
    while not pages or request.page_token:
        pages.append(await getattr(staff.orders, method)(request))
        request.page_token = pages[-1].next_page_token
    assert [order.order_id for page in pages for order in page.orders] == await ids(shop, direction)
    assert all(page.ByteSize() < PAGE_BYTES + 1000 or len(page.orders) == 1 for page in pages)
    assert max(page.ByteSize() for page in pages) > 3_000_000, "a single order may be larger than a page"
    assert max(len(page.orders) for page in pages) > 3


async def test_the_python_client_reads_them(shop: Shop) -> None:
    async with AsyncStockward(shop.address, KEYS["pms"]) as client:
        read = [order.order_id async for order in client.orders.list_orders(page_size=1000)]
    assert read == await ids(shop, "DESC")


async def test_products_with_long_descriptions(staff: Callers) -> None:
    for method in ("ListProducts", "ListAvailableProducts"):
        answer = await getattr(staff.catalog, method)(getattr(catalog, f"{method}Request")(page_size=1000))
        assert (len(answer.products), bool(answer.next_page_token)) == (1, True)


@pytest.mark.parametrize("types", [[], ["order.created"]])
async def test_all_events_are_listed(shop: Shop, staff: Callers, types: list[str]) -> None:
    read, cursor, caught_up = list[str](), "", False
    while not caught_up:
        page = await staff.events.ListEvents(events.ListEventsRequest(page_size=1000, cursor=cursor, types=types))
        read += [event.event_id for event in page.events]
        cursor, caught_up = page.next_cursor, page.caught_up
    rows = await shop.pool.fetch(
        "SELECT event_id::text FROM events WHERE $1::text[] = '{}' OR type = ANY($1) ORDER BY seq", types
    )
    assert read == [row["event_id"] for row in rows]


async def present(watch: Any) -> tuple[list[Any], str]:
    """What a watch sends until there is a cursor, and the cursor."""
    told: list[Any] = []
    async for response in watch:
        told += response.changes
        if response.cursor:
            return told, response.cursor
    raise AssertionError("it ended")


async def test_a_watch_begins_with_large_orders_and_goes_on_with_them(shop: Shop, staff: Callers) -> None:
    start = (await staff.events.ListEvents(events.ListEventsRequest(page_size=1))).next_cursor
    watch = staff.orders.WatchOrders(pb.WatchOrdersRequest())
    told, _ = await present(watch)
    orders = await ids(shop, "ASC")
    assert [change.order.order_id for change in told] == orders

    again = staff.orders.WatchOrders(pb.WatchOrdersRequest(cursor=start))
    replayed: list[str] = []
    while len(replayed) < len(orders):
        replayed += [change.order.order_id for change in (await anext(aiter(again))).changes]
    assert replayed == orders
    again.cancel()

    large = [change.order.order_id for change in told if len(change.order.lines) == LONG]
    cancel = [shop.pms.orders.CancelOrder(pb.CancelOrderRequest(order_id=each, reason="x")) for each in large]
    await asyncio.gather(*cancel)
    cancelled: list[str] = []
    while len(cancelled) < len(large):
        cancelled += [change.order.order_id for change in (await anext(aiter(watch))).changes]
    assert sorted(cancelled) == sorted(large)
    watch.cancel()


async def test_a_batch_leaves_out_the_lines_of_what_has_no_place(shop: Shop, staff: Callers) -> None:
    listed = await staff.inventory.ListStockLevels(inventory.ListStockLevelsRequest(page_size=1000))
    skus = [level.sku for level in listed.stock_levels]
    sizes = [SHORTER, LONG, SHORTER, LONG, SHORTER]
    answer = await staff.orders.BatchCreateOrders(
        pb.BatchCreateOrdersRequest(requests=[order_of(skus[:size]) for size in sizes])
    )
    assert [each.abridged for each in answer.results] == [False, True, False, True, False]
    for size, result in zip(sizes, answer.results, strict=True):
        whole = await staff.orders.GetOrder(pb.GetOrderRequest(order_id=result.order.order_id))
        assert len(whole.lines) == size
        assert result.order.totals == whole.totals
        assert len(result.order.lines) == (0 if result.abridged else size)


async def test_the_errors_of_an_import_are_shortened(staff: Callers) -> None:
    row = catalog.ImportProductsRequest(
        product=catalog.Product(
            title="x", handle="x", variants=[catalog.Variant(sku=f"X-{n}", title=WIDE * 301) for n in range(20)]
        )
    )
    answer = await staff.catalog.ImportProducts(iter([row] * 2_000))
    assert len(answer.results) == 2_000
    sizes = [result.error.ByteSize() for result in answer.results]
    assert sizes[0] > 1000
    assert sizes[-1] < 250
    assert all(result.error.details for result in answer.results)
