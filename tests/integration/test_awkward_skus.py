"""A SKU of any script or with any sign goes in and comes out by every way there is, in either form of Unicode."""

from __future__ import annotations

import asyncio
import unicodedata
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import pytest
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.event.v1 import event_pb2
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_dev import Nats
from stockward_server.config import Settings
from stockward_server.relay.cloud_event import decode_token
from tests.awkward import SKUS
from tests.events import drained, relaying, stored, until
from tests.shop import Shop, money, refused


def decomposed(sku: str) -> str:
    return unicodedata.normalize("NFD", sku)


@pytest.fixture
async def stocked(shop: Shop) -> Shop:
    """Every one of them for sale, ten each; they came in decomposed."""

    async def rows() -> AsyncIterator[catalog.ImportProductsRequest]:
        for sku in map(decomposed, SKUS):
            variant = catalog.Variant(sku=sku, price=money("5.00"))
            yield catalog.ImportProductsRequest(product=catalog.Product(title=f"Product {sku}", variants=[variant]))

    imported = await shop.pms.catalog.ImportProducts(rows())
    assert not [each for each in imported.results if each.HasField("error")]
    for each in imported.results:
        await shop.pms.catalog.PublishProduct(catalog.PublishProductRequest(product_id=each.product_id))
    counts = [inventory.SyncStockRequest.Row(sku=decomposed(sku), on_hand=10) for sku in SKUS]
    async for answer in shop.pms.inventory.SyncStock(iter([inventory.SyncStockRequest(rows=counts)])):
        assert [result.on_hand for result in answer.results] == [10] * len(SKUS)
    return shop


async def test_it_is_sold_held_counted_and_found(stocked: Shop) -> None:
    staff, storefront = stocked.pms, stocked.storefront
    asked = inventory.BatchGetAvailabilityRequest(skus=map(decomposed, SKUS))
    answer = await storefront.inventory.BatchGetAvailability(asked)
    assert [each.sku for each in answer.availabilities] == SKUS
    lines = [orders.CreateOrderRequest.Line(sku=decomposed(sku), quantity=1) for sku in SKUS]
    order = await storefront.orders.CreateOrder(orders.CreateOrderRequest(lines=lines))
    assert [line.sku for line in order.lines] == SKUS
    held = await storefront.inventory.ReserveStock(
        inventory.ReserveStockRequest(lines=[inventory.StockLine(sku=decomposed(sku), quantity=2) for sku in SKUS])
    )
    assert {line.sku for line in held.lines} == set(SKUS)
    for sku in SKUS:
        by_sku: dict[str, Any] = {"sku": decomposed(sku)}
        adjusted = await staff.inventory.AdjustStock(
            inventory.AdjustStockRequest(delta=1, reason=inventory.ADJUSTMENT_REASON_FOUND, **by_sku)
        )
        assert (adjusted.sku, adjusted.available) == (sku, 8)
        policy = await staff.inventory.SetStockPolicy(inventory.SetStockPolicyRequest(safety_stock=1, **by_sku))
        assert policy.available == 7
        explained = await staff.inventory.ExplainAvailability(inventory.ExplainAvailabilityRequest(**by_sku))
        assert explained.claim_count == 2
        assert not (await staff.inventory.VerifyStock(inventory.VerifyStockRequest(**by_sku))).discrepancies
        history = await staff.inventory.ListStockMovements(inventory.ListStockMovementsRequest(**by_sku))
        assert len(history.movements) == 4
        assert len((await staff.orders.ListOrders(orders.ListOrdersRequest(**by_sku))).orders) == 1
        found = await staff.inventory.ListReservations(inventory.ListReservationsRequest(**by_sku))
        assert len(found.reservations) == 1
        about = event_pb2.ListEventsRequest(aggregate_id=f"{decomposed(sku)}@main")
        assert len((await staff.events.ListEvents(about)).events) == 5


async def test_pages_go_by_code_point_and_miss_none(stocked: Shop) -> None:
    found: list[str] = []
    request = inventory.ListStockLevelsRequest(page_size=1)
    while True:
        page = await stocked.pms.inventory.ListStockLevels(request)
        found += [each.sku for each in page.stock_levels]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == sorted(SKUS)


async def test_a_watch_is_told_of_it(stocked: Shop) -> None:
    skus = [*map(decomposed, SKUS)]
    watches = [
        stocked.pms.inventory.WatchStock(inventory.WatchStockRequest(skus=skus)),
        stocked.storefront.inventory.WatchAvailability(inventory.WatchAvailabilityRequest(skus=skus)),
    ]
    told: list[dict[str, int]] = [{}, {}]

    async def hear(number: int) -> None:
        async for answer in watches[number]:
            changed = answer.availabilities if number else answer.stock_levels
            told[number].update({each.sku: each.available for each in changed})

    listening = [asyncio.create_task(hear(number)) for number in range(2)]
    await until(lambda: all(set(each) == set(SKUS) for each in told))
    lines = [orders.CreateOrderRequest.Line(sku=decomposed(sku), quantity=1) for sku in SKUS]
    await stocked.pms.orders.CreateOrder(orders.CreateOrderRequest(lines=lines))
    await until(lambda: all(set(each.values()) == {9} for each in told))
    for task in listening:
        task.cancel()


async def test_subscribers_get_it_in_subjects_headers_and_bodies(stocked: Shop, settings: Settings, nats: Nats) -> None:
    async with relaying(settings.database_url.get_secret_value(), nats.url):
        await until(lambda: drained(stocked.pool))
    messages = [each for each in await stored(nats.url) if each.subject.startswith("stockward.v1.stock.changed.")]
    for message in messages[-len(SKUS) :]:
        sku = event_pb2.Event.FromString(message.data).stock.sku
        assert sku in SKUS
        assert decode_token(message.subject.rsplit(".", 1)[1]) == sku
        assert unquote((message.headers or {})["ce-subject"]) == f"{sku}@main"


async def test_the_same_request_in_either_form_is_done_once(stocked: Shop) -> None:
    request_id = str(uuid.uuid4())
    answers = [
        await stocked.pms.inventory.AdjustStock(
            inventory.AdjustStockRequest(
                sku=sku, delta=1, reason=inventory.ADJUSTMENT_REASON_FOUND, request_id=request_id
            )
        )
        for sku in ("GRÜN-1", decomposed("GRÜN-1"))
    ]
    assert answers[0] == answers[1]


async def test_the_same_row_and_order_of_a_batch_in_either_form_are_done_once(stocked: Shop) -> None:
    request_id, order_id = str(uuid.uuid4()), str(uuid.uuid4())
    levels, bought = [], []
    for sku in ("GRÜN-1", decomposed("GRÜN-1")):
        row = inventory.SyncStockRequest.Row(sku=sku, delta=1)
        message = inventory.SyncStockRequest(rows=[row], request_id=request_id)
        levels += [answer async for answer in stocked.pms.inventory.SyncStock(iter([message]))]
        line = orders.CreateOrderRequest.Line(sku=sku, quantity=1)
        batch = orders.BatchCreateOrdersRequest(requests=[orders.CreateOrderRequest(lines=[line], request_id=order_id)])
        bought.append(await stocked.storefront.orders.BatchCreateOrders(batch))
        order_id = order_id.upper()
    assert levels[0] == levels[1]
    assert not levels[0].results[0].HasField("error")
    assert bought[0] == bought[1]
    assert bought[0].results[0].order.order_id


async def test_two_forms_of_one_sku_are_one(stocked: Shop) -> None:
    for product in (
        catalog.Product(title="Again", variants=[catalog.Variant(sku=decomposed("GRÜN-1"), price=money("1.00"))]),
        catalog.Product(
            title="Twice",
            variants=[catalog.Variant(sku=sku, price=money("1.00")) for sku in ("Ä", decomposed("Ä"))],
        ),
    ):
        creation = stocked.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=product))
        assert (await refused(creation)).reason == "SKU_TAKEN"
