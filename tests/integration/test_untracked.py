"""Variants whose stock is not tracked, and variants that have left the catalogue: money moves, counters do not."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as pb
from stockward.order.v1 import order_pb2 as orders

from stockward_server.config import Settings
from tests.events import until as wait_until
from tests.incoming import SECRET, deliver
from tests.products import made, update
from tests.shop import KEYS, Shop, money, refused, running_shop
from tests.snapshot import nothing_written
from tests.terminal import stockward
from tests.watching import watch_availability

EVERY = 1_000_000_000
"""Units that one order may name."""
SOON = 10.0
"""Seconds: less than a watch waits before it reads all availability again."""
ON_ACCOUNT = orders.PAYMENT_TERMS_ON_ACCOUNT


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with running_shop(settings.model_copy(update={"webhook_secret": SecretStr(SECRET)})) as shop:
        yield shop


def variant(sku: str = "PDF", price: str = "7.50", *, untracked: bool = True) -> catalog.Variant:
    return catalog.Variant(sku=sku, price=money(price), options={"Kind": sku}, untracked=untracked)


async def sell(shop: Shop, *variants: catalog.Variant) -> catalog.Product:
    """A published product."""
    product = await made(shop.pms, catalog.Product(title="Book", handle="book", variants=variants))
    await shop.pms.catalog.PublishProduct(catalog.PublishProductRequest(product_id=product.product_id))
    return product


def line(sku: str, units: int) -> orders.CreateOrderRequest.Line:
    return orders.CreateOrderRequest.Line(sku=sku, quantity=units)


async def order(shop: Shop, *lines: tuple[str, int], **fields: Any) -> orders.Order:
    """On account, so that it can be processed at once."""
    fields = {"payment_terms": ON_ACCOUNT, **fields}
    placed: orders.Order = await shop.pms.orders.CreateOrder(
        orders.CreateOrderRequest(lines=[line(*each) for each in lines], **fields)
    )
    return placed


async def ship(shop: Shop, placed: orders.Order, **fields: Any) -> orders.Order:
    await shop.pms.orders.ProcessOrder(orders.ProcessOrderRequest(order_id=placed.order_id))
    request = orders.FulfillOrderRequest(order_id=placed.order_id, **fields)
    shipped: orders.Order = await shop.pms.orders.FulfillOrder(request)
    return shipped


def coming_back(placed: orders.Order, units: int = 1, *, damaged: bool = False, number: int = 1) -> Any:
    part = orders.ReturnOrderRequest.Line(line_number=number, quantity=units, damaged=damaged)
    return orders.ReturnOrderRequest(order_id=placed.order_id, lines=[part], request_id=str(uuid.uuid4()))


async def reserve(shop: Shop, *lines: tuple[str, int], **fields: Any) -> pb.Reservation:
    wanted = [pb.StockLine(sku=sku, quantity=units) for sku, units in lines]
    held: pb.Reservation = await shop.storefront.inventory.ReserveStock(pb.ReserveStockRequest(lines=wanted, **fields))
    return held


async def availability(shop: Shop, sku: str = "PDF") -> tuple[int, bool, bool]:
    """Units, in stock, untracked: what every reader says."""
    one = await shop.storefront.inventory.GetAvailability(pb.GetAvailabilityRequest(sku=sku))
    (same,) = (
        await shop.storefront.inventory.BatchGetAvailability(pb.BatchGetAvailabilityRequest(skus=[sku]))
    ).availabilities
    explained = await shop.pms.inventory.ExplainAvailability(pb.ExplainAvailabilityRequest(sku=sku))
    listed = await shop.storefront.catalog.ListAvailableProducts(catalog.ListAvailableProductsRequest())
    (offered,) = (each for product in listed.products for each in product.variants if each.sku == sku)
    assert (one.available, one.untracked) == (same.available, same.untracked)
    assert (one.available, one.untracked) == (explained.available, explained.untracked)
    assert (one.available, one.untracked) == (offered.available, offered.untracked)
    return one.available, one.in_stock, one.untracked


async def counted(shop: Shop) -> tuple[int, int]:
    """Stock rows and movements that there are."""
    rows = await shop.pool.fetchrow("SELECT (SELECT count(*) FROM stock), (SELECT count(*) FROM movements)")
    assert rows is not None
    return tuple(rows)


# Not tracked


async def test_what_is_not_tracked_never_runs_out(shop: Shop) -> None:
    await sell(shop, variant())
    assert await availability(shop) == (EVERY, True, True)
    assert (await order(shop, ("PDF", EVERY))).lines[0].untracked
    assert await availability(shop) == (EVERY, True, True)
    refusal = await refused(order(shop, ("PDF", EVERY), ("PDF", 1)))
    assert (refusal.reason, refusal.metadata["available"]) == ("INSUFFICIENT_STOCK", str(EVERY))
    assert await counted(shop) == (0, 0)


async def test_an_order_of_it_goes_all_its_way_without_a_movement(shop: Shop) -> None:
    await sell(shop, variant(), variant("MUG", "10.00", untracked=False))
    await shop.receive("MUG", 5)
    placed = await order(shop, ("PDF", 3), ("MUG", 2))
    assert [each.untracked for each in placed.lines] == [True, False]
    assert placed == await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=placed.order_id))
    shipped = await ship(shop, placed)
    assert shipped.state == orders.Order.STATE_FULFILLED
    assert [(each.line_number, each.location_id, each.quantity) for each in shipped.fulfillments[0].lines] == [
        (1, "", 3),
        (2, "main", 2),
    ]
    for damaged in (False, True):
        returned = await shop.pms.orders.ReturnOrder(coming_back(placed, damaged=damaged))
    assert [each.returned for each in returned.lines] == [2, 0]
    assert await shop.counters("MUG") == (3, 0, 0)
    answer = await shop.pms.inventory.ListStockMovements(pb.ListStockMovementsRequest())
    assert {each.sku for each in answer.movements} == {"MUG"}
    await shop.verify()


async def test_it_is_held_released_expired_and_bought_like_anything_else(shop: Shop) -> None:
    await sell(shop, variant(), variant("MUG", "10.00", untracked=False))
    await shop.receive("MUG", 5)
    held = await reserve(shop, ("PDF", 2), ("MUG", 1))
    assert {(each.sku, each.location_id, each.quantity) for each in held.lines} == {("PDF", "", 2), ("MUG", "main", 1)}
    await shop.verify()
    explained = await shop.pms.inventory.ExplainAvailability(pb.ExplainAvailabilityRequest(sku="PDF"))
    assert (explained.claim_count, len(explained.levels)) == (0, 0)
    bought = await shop.storefront.orders.CreateOrder(orders.CreateOrderRequest(reservation_id=held.reservation_id))
    assert {each.sku: each.untracked for each in bought.lines} == {"PDF": True, "MUG": False}
    assert await shop.counters("MUG") == (5, 0, 1)
    await shop.pms.orders.CancelOrder(orders.CancelOrderRequest(order_id=bought.order_id))

    held = await reserve(shop, ("PDF", 2), ("MUG", 1))
    await shop.storefront.inventory.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id=held.reservation_id))
    held = await reserve(shop, ("PDF", 2))
    await shop.pool.execute("UPDATE reservations SET expire_time = now() WHERE state = 1")
    await wait_until(lambda: shop.pool.fetchval("SELECT true FROM reservations WHERE state = 4"))
    assert await shop.counters("MUG") == (5, 0, 0)
    await shop.verify()


async def test_a_late_payment_revives_what_is_not_tracked(shop: Shop) -> None:
    await sell(shop, variant())
    placed = await shop.order("PDF", 2)
    await shop.pool.execute("UPDATE orders SET payment_due_time = now()")
    await wait_until(lambda: shop.pool.fetchval("SELECT true FROM orders WHERE state = 6"))
    paid = await shop.pay(placed)
    assert (paid.state, paid.lines[0].untracked) == (orders.Order.STATE_PROCESSING, True)


COUNTS = {
    "adjusted": pb.AdjustStockRequest(sku="PDF", on_hand=1, reason=pb.ADJUSTMENT_REASON_COUNTED),
    "received": pb.AdjustStockRequest(sku="PDF", delta=1, reason=pb.ADJUSTMENT_REASON_RECEIVED),
    "policy": pb.SetStockPolicyRequest(sku="PDF", safety_stock=1),
}


@pytest.mark.parametrize("asked", COUNTS.values(), ids=COUNTS)
async def test_nothing_of_it_can_be_counted(shop: Shop, asked: Any) -> None:
    await sell(shop, variant())
    stub = shop.pms.inventory
    async with nothing_written(shop.pool):
        call = stub.SetStockPolicy if isinstance(asked, pb.SetStockPolicyRequest) else stub.AdjustStock
        refusal = await refused(call(asked))
    assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "STOCK_NOT_TRACKED")
    assert refusal.metadata == {"sku": "PDF", "field": "sku"}
    assert "not tracked" in refusal.message


async def test_a_row_of_it_is_refused_and_the_others_are_taken(shop: Shop) -> None:
    await sell(shop, variant(), variant("MUG", untracked=False))
    rows = [pb.SyncStockRequest.Row(sku=sku, on_hand=4) for sku in ("PDF", "MUG")]
    (answer,) = [each async for each in shop.pms.inventory.SyncStock(iter([pb.SyncStockRequest(rows=rows)]))]
    assert [each.HasField("error") for each in answer.results] == [True, False]
    assert "not tracked" in answer.results[0].error.message
    assert await shop.counters("MUG") == (4, 0, 0)


# From tracked to not tracked, and back


async def set_tracked(shop: Shop, product: catalog.Product, *, tracked: bool, sku: str = "PDF") -> catalog.Product:
    return await update(shop.pms, product, "variants", variants=[variant(sku, untracked=not tracked)])


@pytest.mark.parametrize("claim", ["hold", "order"])
async def test_a_variant_with_open_claims_stays_tracked(shop: Shop, claim: str) -> None:
    product = await sell(shop, variant(untracked=False))
    await shop.receive("PDF", 3)
    await (reserve(shop, ("PDF", 1)) if claim == "hold" else shop.order("PDF"))
    async with nothing_written(shop.pool):
        refusal = await refused(set_tracked(shop, product, tracked=False))
    assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "VARIANT_IN_USE")
    assert [each.subject for each in refusal.preconditions] == ["PDF"]
    assert refusal.metadata["sku"] == "PDF"


async def test_stock_on_hand_stays_and_is_not_offered_until_it_is_tracked_again(shop: Shop) -> None:
    product = await sell(shop, variant(untracked=False))
    await shop.receive("PDF", 3)
    await shop.pms.inventory.SetStockPolicy(pb.SetStockPolicyRequest(sku="PDF", reorder_point=5))
    async with watch_availability(shop.storefront, "PDF") as watch:
        await watch.begun()
        assert watch.available == {"PDF": 3}

        product = await set_tracked(shop, product, tracked=False)
        await watch.until(lambda watch: watch.available == {"PDF": EVERY})
        assert watch.responses[-1].availabilities[0].untracked
        assert await availability(shop) == (EVERY, True, True)
        level = await shop.level("PDF")
        assert (level.on_hand, level.alert_level) == (3, pb.StockAlert.LEVEL_UNSPECIFIED)
        assert not (await shop.pms.inventory.ListStockAlerts(pb.ListStockAlertsRequest())).alerts

        placed = await order(shop, ("PDF", 9))
        await set_tracked(shop, product, tracked=True)
        await watch.until(lambda watch: watch.available == {"PDF": 3})
    assert await availability(shop) == (3, True, False)
    (alert,) = (await shop.pms.inventory.ListStockAlerts(pb.ListStockAlertsRequest())).alerts
    assert (alert.level, alert.available) == (pb.StockAlert.LEVEL_LOW, 3)
    types = await shop.pool.fetch("SELECT type FROM events WHERE aggregate_id = 'PDF@main' ORDER BY seq")
    assert [row["type"] for row in types][-3:] == ["stock.low", "stock.recovered", "stock.low"]

    assert (await ship(shop, placed)).lines[0].fulfilled == 9
    await shop.pms.orders.ReturnOrder(coming_back(placed, 2))
    assert await shop.counters("PDF") == (3, 0, 0), "the order line remembers that it was not tracked"
    await shop.verify()


async def test_a_watch_is_told_of_a_variant_that_never_had_stock(shop: Shop) -> None:
    product = await sell(shop, variant(untracked=False))
    async with watch_availability(shop.storefront, "PDF") as watch:
        await watch.begun()
        assert watch.available == {"PDF": 0}
        await set_tracked(shop, product, tracked=False)
        await watch.until(lambda watch: watch.available == {"PDF": EVERY}, SOON)
        cursor = watch.cursor
    await set_tracked(shop, product, tracked=True)
    async with watch_availability(shop.storefront, "PDF", cursor=cursor) as watch:
        await watch.until(lambda watch: watch.available == {"PDF": 0}, SOON)


async def test_units_sold_while_they_were_tracked_come_back_without_a_count(shop: Shop) -> None:
    product = await sell(shop, variant(untracked=False))
    await shop.receive("PDF", 3)
    placed = await order(shop, ("PDF", 2))
    await ship(shop, placed)
    await set_tracked(shop, product, tracked=False)
    returned = await shop.pms.orders.ReturnOrder(coming_back(placed, 2))
    assert returned.lines[0].returned == 2
    assert await shop.counters("PDF") == (1, 0, 0)
    await shop.verify()


# Ways in and out


@pytest.mark.long
async def test_staff_say_it_on_the_command_line(shop: Shop, tmp_path: Path) -> None:
    async def run(*arguments: str) -> Any:
        said = await stockward(*arguments, "--address", shop.address, cwd=tmp_path, STOCKWARD_KEY=KEYS["pms"])
        assert said.code == 0, said.err
        return said

    created = await run(
        *("products", "create", "--title", "Book", "--json"),
        *("--variant", "PDF 7.50 untracked Kind=PDF", "--variant", "PAPER 20 Kind=Paper"),
    )
    assert [each["untracked"] for each in created.json["variants"]] == [True, False]
    assert created.json["variants"][0]["options"] == {"Kind": "PDF"}
    assert "PDF (untracked), PAPER" in (await run("products", "list")).out
    explained = await run("stock", "show", "PDF", "--json")
    assert (explained.json["available"], explained.json["untracked"]) == (str(EVERY), True)


async def test_an_import_and_a_webhook_say_it(shop: Shop) -> None:
    def row(*, untracked: bool) -> catalog.ImportProductsRequest:
        product = catalog.Product(title="Book", handle="book", variants=[variant(untracked=untracked)])
        return catalog.ImportProductsRequest(product=product)

    await shop.pms.catalog.ImportProducts(iter([row(untracked=False)]))
    await deliver(shop, "pms", "product.upserted", row(untracked=True))
    (product,) = (await shop.pms.catalog.ListProducts(catalog.ListProductsRequest())).products
    assert product.variants[0].untracked
    await shop.pms.catalog.ImportProducts(iter([row(untracked=False)]))
    (product,) = (await shop.pms.catalog.ListProducts(catalog.ListProductsRequest())).products
    assert not product.variants[0].untracked


# What the catalogue has dropped


async def sold_and_dropped(shop: Shop, by: str) -> orders.Order:
    """Two units sold, paid and shipped, and their variant dropped."""
    kept = variant("MUG", "10.00", untracked=False)
    product = await sell(shop, variant(untracked=False), kept)
    await shop.receive("PDF", 2)
    placed = await shop.order("PDF", 2)
    await shop.pay(placed)
    await ship(shop, placed)
    if by == "update":
        await update(shop.pms, product, "variants", variants=[kept])
    else:
        row = catalog.ImportProductsRequest(product=catalog.Product(title="Book", handle="book", variants=[kept]))
        (result,) = (await shop.pms.catalog.ImportProducts(iter([row]))).results
        assert result.action == catalog.ImportResult.ACTION_UPDATED
    return placed


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("by", ["update", "import"])
async def test_units_of_a_dropped_variant_come_back_for_their_money(shop: Shop, by: str, damaged: bool) -> None:
    placed = await sold_and_dropped(shop, by)
    before = await counted(shop)
    request = coming_back(placed, damaged=damaged)
    returned = await shop.pms.orders.ReturnOrder(request)
    assert (returned.lines[0].returned, returned.payment.refund_due) == (1, money("7.50"))
    assert await shop.pms.orders.ReturnOrder(request) == returned
    types = await shop.pool.fetch("SELECT type FROM events WHERE aggregate_id = $1 ORDER BY seq", placed.order_id)
    assert [row["type"] for row in types][-1] == "order.returned"
    assert await counted(shop) == before, "there is nothing to put it on"
    refusal = await refused(shop.pms.orders.ReturnOrder(coming_back(placed, 2)))
    assert refusal.reason == "QUANTITY_EXCEEDED"
    await shop.verify()


async def test_a_late_payment_of_a_dropped_variant_is_due_back(shop: Shop) -> None:
    kept = variant("MUG", "10.00", untracked=False)
    product = await sell(shop, variant(untracked=False), kept)
    await shop.receive("PDF", 2)
    placed = await shop.order("PDF", 2)
    await shop.pool.execute("UPDATE orders SET payment_due_time = now()")
    await wait_until(lambda: shop.pool.fetchval("SELECT true FROM orders WHERE state = 6"))
    await shop.pms.inventory.AdjustStock(
        pb.AdjustStockRequest(sku="PDF", on_hand=0, reason=pb.ADJUSTMENT_REASON_COUNTED)
    )
    await update(shop.pms, product, "variants", variants=[kept])
    paid = await shop.pay(placed)
    assert (paid.state, paid.payment.refund_due) == (orders.Order.STATE_EXPIRED, money("15.00"))


async def test_a_variant_with_open_claims_is_not_dropped_unless_they_need_no_stock(shop: Shop) -> None:
    kept = variant("MUG", "10.00", untracked=False)
    product = await sell(shop, variant(), kept)
    placed = await order(shop, ("PDF", 3))
    held = await reserve(shop, ("PDF", 1))
    await reserve(shop, ("PDF", 1))
    await update(shop.pms, product, "variants", variants=[kept])
    assert (await ship(shop, placed, lines=[orders.LineQuantity(line_number=1, quantity=1)])).lines[0].fulfilled == 1
    part = orders.CancelOrderRequest(order_id=placed.order_id, lines=[orders.LineQuantity(line_number=1, quantity=2)])
    assert (await shop.pms.orders.CancelOrder(part)).lines[0].cancelled == 2
    assert (await shop.pms.orders.ReturnOrder(coming_back(placed))).lines[0].returned == 1
    async with nothing_written(shop.pool):
        convert = orders.CreateOrderRequest(reservation_id=held.reservation_id)
        refusal = await refused(shop.storefront.orders.CreateOrder(convert))
    assert (refusal.reason, refusal.fields) == ("SKU_UNKNOWN", ["reservation_id"])
    await shop.storefront.inventory.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id=held.reservation_id))
    await shop.pool.execute("UPDATE reservations SET expire_time = now() WHERE state = 1")
    await wait_until(lambda: shop.pool.fetchval("SELECT true FROM reservations WHERE state = 4"))
    await shop.verify()


@pytest.mark.parametrize("step", ["Unpublish", "Archive"])
async def test_what_is_owed_of_a_product_that_left_the_shop_is_still_done(shop: Shop, step: str) -> None:
    product = await sell(shop, variant(untracked=False))
    await shop.receive("PDF", 9)
    placed, other, third = [await order(shop, ("PDF", 2)) for _ in range(3)]
    held = await reserve(shop, ("PDF", 1))
    for name in ("Unpublish", "Archive")[: 1 + (step == "Archive")]:
        request = getattr(catalog, f"{name}ProductRequest")(product_id=product.product_id)
        await getattr(shop.pms.catalog, f"{name}Product")(request)
    assert (await ship(shop, placed)).state == orders.Order.STATE_FULFILLED
    assert (await shop.pms.orders.ReturnOrder(coming_back(placed))).lines[0].returned == 1
    await shop.pms.orders.CancelOrder(orders.CancelOrderRequest(order_id=other.order_id))
    await shop.storefront.inventory.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id=held.reservation_id))
    assert await shop.counters("PDF") == (8, 0, 2)
    assert (await refused(update(shop.pms, product, "variants", variants=[]))).reason == "VARIANT_IN_USE"
    assert (await ship(shop, third)).state == orders.Order.STATE_FULFILLED
    await shop.verify()
