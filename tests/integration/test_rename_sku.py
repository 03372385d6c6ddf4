"""RenameSku: the goods keep their stock, claims, orders and history under another name."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.event.v1 import event_pb2
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_server.application.order_commands import CancelOrder
from stockward_server.application.stock_commands import ReleaseReservation
from stockward_server.storage.database import transaction
from stockward_server.storage.write.retention import drop_expired_movements
from tests.commands import committing, on, request, waiting_for_locks
from tests.events import until
from tests.integration.test_movement_retention import make_old
from tests.shop import Refused, Shop, refused


async def rename(shop: Shop, sku: str, new_sku: str, **fields: Any) -> catalog.Product:
    product = await shop.pms.catalog.RenameSku(catalog.RenameSkuRequest(sku=sku, new_sku=new_sku, **fields))
    assert isinstance(product, catalog.Product)
    return product


async def order(shop: Shop, sku: str, quantity: int = 1, **fields: Any) -> orders.Order:
    line = orders.CreateOrderRequest.Line(sku=sku, quantity=quantity)
    made = await shop.pms.orders.CreateOrder(
        orders.CreateOrderRequest(lines=[line], payment_terms=orders.PAYMENT_TERMS_ON_ACCOUNT, **fields)
    )
    assert isinstance(made, orders.Order)
    return made


async def level(shop: Shop, sku: str) -> inventory.StockLevel:
    answer = await shop.pms.inventory.ListStockLevels(inventory.ListStockLevelsRequest(sku=sku))
    (only,) = answer.stock_levels
    assert isinstance(only, inventory.StockLevel)
    return only


async def history(shop: Shop, sku: str) -> list[inventory.StockMovement]:
    answer = await shop.pms.inventory.ListStockMovements(inventory.ListStockMovementsRequest(sku=sku))
    return list(answer.movements)


async def unless_refused(call: Awaitable[Message], *reasons: str) -> Message | None:
    """The answer; None when it is refused for one of the reasons."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        refusal = Refused(error)
    if refusal.reason not in reasons:
        raise AssertionError(f"{refusal.reason}: {refusal.message}")
    return None


async def assert_books_agree(shop: Shop, *skus: str) -> None:
    for sku in ("", *skus):
        answer = await shop.pms.inventory.VerifyStock(inventory.VerifyStockRequest(sku=sku))
        assert not answer.discrepancies, sku


async def events(shop: Shop, *types: str) -> list[event_pb2.Event]:
    answer = await shop.pms.events.ListEvents(event_pb2.ListEventsRequest(types=types, page_size=1000))
    return list(answer.events)


async def test_everything_that_went_by_the_old_sku_goes_by_the_new_one(shop: Shop) -> None:
    product_id = await shop.sell("OLD", 10)
    sold = await order(shop, "OLD", 2)
    await shop.pms.orders.ProcessOrder(orders.ProcessOrderRequest(order_id=sold.order_id))
    await shop.pms.orders.FulfillOrder(orders.FulfillOrderRequest(order_id=sold.order_id))
    still_open = await order(shop, "OLD", 3)
    hold = await shop.pms.inventory.ReserveStock(
        inventory.ReserveStockRequest(lines=[inventory.StockLine(sku="OLD", quantity=1)])
    )
    before = await history(shop, "OLD")

    product = await rename(shop, "OLD", "緑-1")

    assert [variant.sku for variant in product.variants] == ["緑-1"]
    assert product.product_id == product_id
    assert (await level(shop, "緑-1")).allocated == 3
    assert [m.movement_id for m in await history(shop, "緑-1")] == [m.movement_id for m in before]
    assert {m.sku for m in await history(shop, "緑-1")} == {"緑-1"}
    found = await shop.pms.orders.ListOrders(orders.ListOrdersRequest(sku="緑-1"))
    assert {each.order_id for each in found.orders} == {sold.order_id, still_open.order_id}
    assert {line.sku for each in found.orders for line in each.lines} == {"緑-1"}
    held = await shop.pms.inventory.ListReservations(inventory.ListReservationsRequest(sku="緑-1"))
    assert [each.reservation_id for each in held.reservations] == [hold.reservation_id]
    explained = await shop.pms.inventory.ExplainAvailability(inventory.ExplainAvailabilityRequest(sku="緑-1"))
    assert {claim.order_id or claim.reservation_id for claim in explained.claims} == {
        still_open.order_id,
        hold.reservation_id,
    }
    returned = await shop.pms.orders.ReturnOrder(
        orders.ReturnOrderRequest(
            order_id=sold.order_id, lines=[orders.ReturnOrderRequest.Line(line_number=1, quantity=1)]
        )
    )
    assert returned.lines[0].sku == "緑-1"
    await shop.pms.orders.CancelOrder(orders.CancelOrderRequest(order_id=still_open.order_id))
    await shop.pms.inventory.ReleaseReservation(inventory.ReleaseReservationRequest(reservation_id=hold.reservation_id))
    now = await level(shop, "緑-1")
    assert (now.on_hand, now.reserved, now.allocated) == (9, 0, 0)
    await assert_books_agree(shop, "緑-1")
    for reader in (
        shop.pms.inventory.GetAvailability(inventory.GetAvailabilityRequest(sku="OLD")),
        shop.pms.inventory.ExplainAvailability(inventory.ExplainAvailabilityRequest(sku="OLD")),
        order(shop, "OLD"),
    ):
        assert (await refused(reader)).reason == "SKU_UNKNOWN"
    assert await history(shop, "OLD") == []


async def test_the_old_name_can_be_given_to_other_goods(shop: Shop) -> None:
    """A becomes B, then C becomes A: whatever was written under A before is B's, and what comes now is the other's."""
    await shop.sell("A", 10)
    await shop.sell("C", 20)
    of_a = await order(shop, "A", 1)
    of_c = await order(shop, "C", 2)
    await rename(shop, "A", "B")
    await rename(shop, "C", "A")
    newest = await order(shop, "A", 4)

    now = {sku: await level(shop, sku) for sku in ("A", "B")}
    assert (now["B"].on_hand, now["B"].allocated) == (10, 1)
    assert (now["A"].on_hand, now["A"].allocated) == (20, 6)
    await assert_books_agree(shop, "A", "B")
    for sku, wanted in (("A", {of_c.order_id, newest.order_id}), ("B", {of_a.order_id})):
        found = await shop.pms.orders.ListOrders(orders.ListOrdersRequest(sku=sku))
        assert {each.order_id for each in found.orders} == wanted
    for each, sku, left in ((of_a, "B", 0), (of_c, "A", 4), (newest, "A", 0)):
        cancelled = await shop.pms.orders.CancelOrder(orders.CancelOrderRequest(order_id=each.order_id))
        assert cancelled.lines[0].sku == sku
        assert (await level(shop, sku)).allocated == left
    await assert_books_agree(shop, "A", "B")


async def test_two_names_are_swapped_over_a_third_and_back(shop: Shop) -> None:
    await shop.sell("A", 1)
    await shop.sell("B", 2)
    of_a = await order(shop, "A")
    for _ in range(2):
        for sku, new_sku in (("A", "temporary"), ("B", "A"), ("temporary", "B")):
            await rename(shop, sku, new_sku)
            await assert_books_agree(shop)
    assert ((await level(shop, "A")).on_hand, (await level(shop, "B")).on_hand) == (1, 2)
    found = await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=of_a.order_id))
    assert found.lines[0].sku == "A"
    assert len(await history(shop, "A")) == 2


async def test_a_sku_made_anew_is_not_the_one_that_was_renamed(shop: Shop) -> None:
    await shop.sell("A", 5)
    of_the_first = await order(shop, "A")
    await rename(shop, "A", "B")
    await shop.sell("A", 7)
    of_the_second = await order(shop, "A")
    for each, sku in ((of_the_first, "B"), (of_the_second, "A")):
        found = await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=each.order_id))
        assert found.lines[0].sku == sku
        assert len(await history(shop, sku)) == 2
    await assert_books_agree(shop, "A", "B")


async def test_the_ledger_adds_up_when_months_of_it_go_after_a_rename(shop: Shop) -> None:
    """Also those that were summed up before, and under names that other goods have now."""
    await shop.sell("A", 10)
    await shop.sell("C", 20)
    await order(shop, "A", 2)
    await make_old(shop.pool, 800)
    await drop_expired_movements(shop.pool, 700)
    await order(shop, "A", 1)
    await rename(shop, "A", "B")
    await rename(shop, "C", "A")
    await order(shop, "A", 3)
    await make_old(shop.pool, 400)
    await assert_books_agree(shop, "A", "B")
    assert await drop_expired_movements(shop.pool, 30)
    await assert_books_agree(shop, "A", "B")
    assert await history(shop, "A") == await history(shop, "B") == []


async def test_a_rename_is_told_with_both_names(shop: Shop) -> None:
    product_id = await shop.sell("OLD", 3)
    await order(shop, "OLD")
    version = (await level(shop, "OLD")).version
    await rename(shop, "OLD", "NEW")

    told, updated = (await events(shop, "product.*"))[-2:]
    assert (told.type, updated.type) == ("product.sku_renamed", "product.updated")
    assert (told.product.renamed.from_sku, told.product.renamed.to_sku) == ("OLD", "NEW")
    assert told.aggregate_id == updated.aggregate_id == product_id
    assert updated.aggregate_version == told.aggregate_version + 1
    assert [variant.sku for variant in updated.product.variants] == ["NEW"]

    gone, here = await events(shop, "stock.renamed")
    assert (gone.aggregate_id, gone.stock.renamed_to_sku, gone.aggregate_version) == ("OLD@main", "NEW", version + 1)
    assert (gone.stock.on_hand, gone.stock.allocated, gone.stock.available) == (0, 0, 0)
    assert (here.aggregate_id, here.stock.renamed_from_sku, here.aggregate_version) == ("NEW@main", "OLD", 1)
    assert (here.stock.on_hand, here.stock.allocated, here.stock.available) == (3, 1, 2)
    assert (await level(shop, "NEW")).version == here.aggregate_version
    await order(shop, "NEW")
    assert (await events(shop, "stock.changed"))[-1].aggregate_version == 2


async def test_versions_under_one_name_have_no_gap(shop: Shop) -> None:
    await shop.sell("A", 10)
    for _ in range(5):
        await order(shop, "A")
    await shop.sell("C", 1)
    await rename(shop, "A", "B")
    await rename(shop, "C", "A")
    await order(shop, "A")
    answer = await shop.pms.events.ListEvents(event_pb2.ListEventsRequest(aggregate_id="A@main", page_size=1000))
    versions = [each.aggregate_version for each in answer.events]
    assert versions == list(range(1, len(versions) + 1))


async def test_a_sku_without_stock_is_renamed_and_found(shop: Shop) -> None:
    product_id = await shop.sell("Service-1", untracked=True)
    edit = catalog.UpdateProductRequest(product=catalog.Product(product_id=product_id, title="Repair"))
    edit.update_mask.paths.append("title")
    await shop.pms.catalog.UpdateProduct(edit)
    made = await order(shop, "Service-1", 3)
    await rename(shop, "Service-1", "Réparation-2")
    found = await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=made.order_id))
    assert [(line.sku, line.quantity) for line in found.lines] == [("Réparation-2", 3)]
    for search, count in [("service-1", 0), ("reparation-2", 1), ("paration", 1)]:
        answer = await shop.storefront.catalog.ListAvailableProducts(
            catalog.ListAvailableProductsRequest(search=search)
        )
        assert len(answer.products) == count, search


async def test_versions_go_on_where_a_new_variant_is_given_the_name(shop: Shop) -> None:
    await shop.sell("A", 10)
    await order(shop, "A")
    await rename(shop, "A", "B")
    await shop.sell("A", 1)
    await order(shop, "A")
    answer = await shop.pms.events.ListEvents(event_pb2.ListEventsRequest(aggregate_id="A@main", page_size=1000))
    versions = [each.aggregate_version for each in answer.events]
    assert versions == list(range(1, len(versions) + 1))
    assert (await level(shop, "A")).version == versions[-1]
    await assert_books_agree(shop, "A", "B")


@pytest.mark.parametrize(
    ("sku", "new_sku", "etag", "reason"),
    [
        ("A", "B", "", "SKU_TAKEN"),
        ("A", "A2", "", "SKU_TAKEN"),
        ("nothing", "B2", "", "SKU_UNKNOWN"),
        ("A", "B2", "99", "ETAG_MISMATCH"),
        ("A", "a\u202eb", "", "FIELD_INVALID"),
        ("A", " b", "", "FIELD_INVALID"),
        ("A", "", "", "FIELD_INVALID"),
        ("", "B2", "", "FIELD_INVALID"),
        ("A", "x" * 65, "", "FIELD_INVALID"),
    ],
)
async def test_what_cannot_be_renamed_is_refused_and_changes_nothing(
    shop: Shop, sku: str, new_sku: str, etag: str, reason: str
) -> None:
    await shop.sell("B", 1)
    price = catalog.Variant(sku="A").price
    price.currency_code, price.units = "EUR", 5
    variants = [catalog.Variant(sku=each, price=price) for each in ("A", "A2")]
    await shop.pms.catalog.CreateProduct(
        catalog.CreateProductRequest(product=catalog.Product(title="Two", variants=variants))
    )
    before = await events(shop)
    refusal = await refused(rename(shop, sku, new_sku, etag=etag))
    assert refusal.reason == reason
    assert await events(shop) == before
    assert await shop.pool.fetchval("SELECT count FROM sku_renames") == 0


async def test_a_sku_that_has_its_name_already_is_left_as_it_is(shop: Shop) -> None:
    await shop.sell("Café", 1)
    before = await events(shop)
    product = await rename(shop, "Cafe\u0301", "Café")  # the same in another form of Unicode
    assert product.variants[0].sku == "Café"
    assert await events(shop) == before


async def test_a_repeated_rename_is_done_once(shop: Shop) -> None:
    await shop.sell("A", 1)
    request_id = str(uuid.uuid4())
    first = await rename(shop, "A", "B", request_id=request_id)
    await shop.sell("A", 1)
    assert await rename(shop, "A", "B", request_id=request_id) == first
    assert (await refused(rename(shop, "A", "D", request_id=request_id))).reason == "REQUEST_ID_REUSED"


async def test_what_a_storefront_remembers_follows_at_once(shop: Shop) -> None:
    product_id = await shop.sell("A", 4)
    ask = shop.storefront.inventory.GetAvailability
    assert (await ask(inventory.GetAvailabilityRequest(sku="A"))).available == 4
    assert (await refused(ask(inventory.GetAvailabilityRequest(sku="B")))).reason == "SKU_UNKNOWN"
    await rename(shop, "A", "B")
    assert (await ask(inventory.GetAvailabilityRequest(sku="B"))).available == 4
    assert (await refused(ask(inventory.GetAvailabilityRequest(sku="A")))).reason == "SKU_UNKNOWN"
    product = await shop.storefront.catalog.GetAvailableProduct(
        catalog.GetAvailableProductRequest(product_id=product_id)
    )
    assert [(each.sku, each.available) for each in product.variants] == [("B", 4)]


async def test_an_alert_goes_along_and_clears_under_the_new_name(shop: Shop) -> None:
    await shop.sell("A", 1)
    await order(shop, "A")
    await rename(shop, "A", "B")
    alerts = await shop.pms.inventory.ListStockAlerts(inventory.ListStockAlertsRequest(sku="B"))
    assert [each.level for each in alerts.alerts] == [inventory.StockAlert.LEVEL_DEPLETED]
    await shop.pms.inventory.AdjustStock(
        inventory.AdjustStockRequest(sku="B", delta=5, reason=inventory.ADJUSTMENT_REASON_RECEIVED)
    )
    alerts = await shop.pms.inventory.ListStockAlerts(inventory.ListStockAlertsRequest(sku="B"))
    assert not alerts.alerts


async def test_watches_of_both_names_are_told(shop: Shop) -> None:
    await shop.sell("A", 4)
    staff = shop.pms.inventory.WatchStock(inventory.WatchStockRequest(skus=["A", "B"]))
    customer = shop.storefront.inventory.WatchAvailability(inventory.WatchAvailabilityRequest(skus=["A", "B"]))
    counters: dict[str, inventory.StockLevel] = {}
    available: dict[str, int | None] = {}

    async def read_staff() -> None:
        async for answer in staff:
            counters.update({each.sku: each for each in answer.stock_levels})

    async def read_customer() -> None:
        async for answer in customer:
            available.update({each.sku: each.available for each in answer.availabilities})
            available.update(dict.fromkeys(answer.unknown_skus))

    reading = [asyncio.create_task(each()) for each in (read_staff, read_customer)]
    await until(lambda: "A" in counters and available == {"A": 4, "B": None})
    await rename(shop, "A", "B")
    await until(lambda: "B" in counters and available == {"A": None, "B": 4})
    assert (counters["A"].on_hand, counters["B"].on_hand) == (0, 4)
    for task in reading:
        task.cancel()


async def test_a_command_that_waited_while_its_sku_was_given_away_finds_its_own_goods(shop: Shop) -> None:
    """It has read the SKU of its order, and waits before it can lock the stock of that."""
    for sku in ("A", "C", "OTHER"):
        await shop.sell(sku, 10)
    made, of_other_goods = await order(shop, "A"), await order(shop, "C")
    line = inventory.StockLine(sku="OTHER", quantity=1)
    hold = await shop.pms.inventory.ReserveStock(inventory.ReserveStockRequest(lines=[line]))
    release = ReleaseReservation(cause=request(), reservation_id=hold.reservation_id)
    async with committing(shop.pool) as committer:
        async with transaction(shop.pool) as holder:
            await holder.execute("SELECT FROM reservations FOR UPDATE")
            cancel = CancelOrder(**on(made.order_id), quantities={}, reason="")
            batch = asyncio.gather(*map(committer.submit, (cancel, release)))
            await until(lambda: waiting_for_locks(shop.pool, 1))
            await rename(shop, "A", "B")
            await rename(shop, "C", "A")
        await batch
    assert [(await level(shop, sku)).allocated for sku in ("A", "B")] == [1, 0], of_other_goods
    await assert_books_agree(shop, "A", "B")


@pytest.mark.long
async def test_renames_under_load_break_no_command_and_no_book(shop: Shop) -> None:
    """Orders, shipments, returns and holds go on while names move: a command with an unknown SKU is refused, and one
    on an order or a hold always finds its goods."""
    names = [f"N{number}" for number in range(6)]
    for name in names[:4]:
        await shop.sell(name, 1000)
    stop = asyncio.Event()
    done = {"orders": 0, "renames": 0}
    chance = random.Random(7)

    async def shopper() -> None:
        while not stop.is_set():
            sku = chance.choice(names)
            made: Any = await unless_refused(order(shop, sku, 1), "SKU_UNKNOWN")
            if made is None:
                continue
            done["orders"] += 1
            await shop.pms.orders.ProcessOrder(orders.ProcessOrderRequest(order_id=made.order_id))
            if chance.random() < 0.5:
                await shop.pms.orders.FulfillOrder(orders.FulfillOrderRequest(order_id=made.order_id))
                line = orders.ReturnOrderRequest.Line(line_number=1, quantity=1)
                await shop.pms.orders.ReturnOrder(orders.ReturnOrderRequest(order_id=made.order_id, lines=[line]))
            else:
                await shop.pms.orders.CancelOrder(orders.CancelOrderRequest(order_id=made.order_id))

    async def holder() -> None:
        while not stop.is_set():
            line = inventory.StockLine(sku=chance.choice(names), quantity=2)
            reserving = shop.pms.inventory.ReserveStock(inventory.ReserveStockRequest(lines=[line]))
            hold: Any = await unless_refused(reserving, "SKU_UNKNOWN")
            if hold is None:
                continue
            await shop.pms.inventory.ReleaseReservation(
                inventory.ReleaseReservationRequest(reservation_id=hold.reservation_id)
            )

    async def renamer() -> None:
        while done["renames"] < 40:
            sku, new_sku = chance.sample(names, 2)
            if await unless_refused(rename(shop, sku, new_sku), "SKU_UNKNOWN", "SKU_TAKEN"):
                done["renames"] += 1

    others = [asyncio.create_task(each()) for each in (shopper,) * 8 + (holder,) * 3]
    await asyncio.gather(renamer(), renamer())
    stop.set()
    await asyncio.gather(*others)

    assert done["orders"]
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await shop.pool.fetchval(deadlocks) == 0
    await assert_books_agree(shop, *names)
    answer = await shop.pms.inventory.ListStockLevels(inventory.ListStockLevelsRequest())
    assert sorted((each.on_hand, each.reserved, each.allocated) for each in answer.stock_levels) == [(1000, 0, 0)] * 4
    told = await events(shop, "stock.*")
    seen: dict[str, int] = {}
    for each in told:
        assert each.aggregate_version == seen.get(each.aggregate_id, 0) + 1
        seen[each.aggregate_id] = each.aggregate_version
