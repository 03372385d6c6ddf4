"""Orders: from the checkout to the parcel and back, and what each step does to the stock."""

from __future__ import annotations

import uuid
from datetime import UTC, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.money_pb2 import Money
from stockward.catalog.v1 import catalog_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2 as pb

from tests.shop import Shop, money, refused
from tests.snapshot import nothing_written

PENDING, PROCESSING = pb.Order.STATE_PENDING, pb.Order.STATE_PROCESSING
PART, FULFILLED = pb.Order.STATE_PARTIALLY_FULFILLED, pb.Order.STATE_FULFILLED
CANCELLED = pb.Order.STATE_CANCELLED


def line(sku: str, quantity: int = 1, **fields: Any) -> pb.CreateOrderRequest.Line:
    return pb.CreateOrderRequest.Line(sku=sku, quantity=quantity, **fields)


def units(*quantities: tuple[int, int]) -> list[pb.LineQuantity]:
    """`units((1, 2))`: two of line 1."""
    return [pb.LineQuantity(line_number=number, quantity=quantity) for number, quantity in quantities]


async def create(shop: Shop, *lines: pb.CreateOrderRequest.Line, by: str = "storefront", **fields: Any) -> pb.Order:
    order: pb.Order = await getattr(shop, by).orders.CreateOrder(pb.CreateOrderRequest(lines=lines, **fields))
    return order


async def process(shop: Shop, order: pb.Order) -> pb.Order:
    processed: pb.Order = await shop.pms.orders.ProcessOrder(pb.ProcessOrderRequest(order_id=order.order_id))
    return processed


async def fulfill(shop: Shop, order: pb.Order, *quantities: tuple[int, int], **fields: Any) -> pb.Order:
    fulfilled: pb.Order = await shop.pms.orders.FulfillOrder(
        pb.FulfillOrderRequest(order_id=order.order_id, lines=units(*quantities), **fields)
    )
    return fulfilled


async def cancel(shop: Shop, order: pb.Order, *quantities: tuple[int, int]) -> pb.Order:
    cancelled: pb.Order = await shop.pms.orders.CancelOrder(
        pb.CancelOrderRequest(order_id=order.order_id, lines=units(*quantities), reason="changed mind")
    )
    return cancelled


async def take_back(shop: Shop, order: pb.Order, quantity: int, damaged: bool = False, **fields: Any) -> pb.Order:
    returned: pb.Order = await shop.pms.orders.ReturnOrder(
        pb.ReturnOrderRequest(
            order_id=order.order_id,
            lines=[pb.ReturnOrderRequest.Line(line_number=1, quantity=quantity, damaged=damaged)],
            **fields,
        )
    )
    return returned


async def get(shop: Shop, order: pb.Order) -> pb.Order:
    found: pb.Order = await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id))
    return found


async def paid_order(shop: Shop, *lines: pb.CreateOrderRequest.Line) -> pb.Order:
    """In PROCESSING."""
    order = await create(shop, *lines)
    await shop.pay(order)
    return await process(shop, order)


# Creating


async def test_an_order_allocates_its_stock_at_the_prices_of_the_catalogue(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="19.90")
    await shop.sell("MUG", 5, price="7.05")
    order = await create(shop, line("TEE", 2), line("MUG", 3), reference="web-17")
    assert (order.state, order.reference, order.version) == (PENDING, "web-17", 1)
    assert [(each.line_number, each.sku, each.quantity, each.unit_price) for each in order.lines] == [
        (1, "TEE", 2, money("19.90")),
        (2, "MUG", 3, money("7.05")),
    ]
    assert order.lines[0].title == "Product TEE"
    assert (order.totals.subtotal, order.totals.total, order.totals.net) == (money("60.95"),) * 3
    assert order.payment.state == pb.Payment.STATE_PENDING
    assert order.payment_terms == pb.PAYMENT_TERMS_PREPAID
    assert order.payment_due_time.ToDatetime(UTC) - order.create_time.ToDatetime(UTC) == timedelta(minutes=30)
    assert await get(shop, order) == order
    assert await shop.counters("TEE") == (5, 0, 2)
    assert await shop.counters("MUG") == (5, 0, 3)
    await shop.verify()


async def test_an_order_is_all_lines_or_none(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG", 1)
    async with nothing_written(shop.pool):
        refusal = await refused(create(shop, line("TEE", 1), line("MUG", 2)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert refusal.metadata == {"sku": "MUG", "requested": "2", "available": "1"}


async def test_a_hold_becomes_an_order(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG", 5)
    held = await shop.storefront.inventory.ReserveStock(
        inventory_pb2.ReserveStockRequest(
            lines=[
                inventory_pb2.StockLine(sku="TEE", quantity=2),
                inventory_pb2.StockLine(sku="MUG", quantity=1),
            ]
        )
    )
    order = await create(shop, reservation_id=held.reservation_id)
    assert order.reservation_id == held.reservation_id
    assert {(each.sku, each.quantity) for each in order.lines} == {("TEE", 2), ("MUG", 1)}
    assert await shop.counters("TEE") == (5, 0, 2)
    converted = await shop.storefront.inventory.GetReservation(
        inventory_pb2.GetReservationRequest(reservation_id=held.reservation_id)
    )
    assert (converted.state, converted.order_id) == (inventory_pb2.Reservation.STATE_CONVERTED, order.order_id)
    async with nothing_written(shop.pool):
        refusal = await refused(create(shop, reservation_id=held.reservation_id))
    assert (refusal.reason, refusal.metadata["state"]) == ("RESERVATION_NOT_ACTIVE", "CONVERTED")
    await shop.verify()


async def test_lines_beside_a_hold_may_state_prices_but_no_other_units(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    held = await shop.storefront.inventory.ReserveStock(
        inventory_pb2.ReserveStockRequest(lines=[inventory_pb2.StockLine(sku="TEE", quantity=3)])
    )
    hold: Any = {"reservation_id": held.reservation_id}
    async with nothing_written(shop.pool):
        assert (await refused(create(shop, line("TEE", 4), **hold))).fields == ["lines"]
        assert (await refused(create(shop, line("MUG", 3), **hold))).fields == ["lines"]
        stale = line("TEE", 3, shown_unit_price=money("18.00"))
        assert (await refused(create(shop, stale, **hold))).reason == "PRICE_CHANGED"
    halves = [line("TEE", 1, shown_unit_price=money("19.90")), line("TEE", 2)]
    order = await create(shop, *halves, **hold)
    assert [(each.sku, each.quantity) for each in order.lines] == [("TEE", 3)]


async def test_only_what_is_for_sale_can_be_ordered(shop: Shop) -> None:
    product_id = await shop.sell("TEE", 5)
    await shop.pms.catalog.UnpublishProduct(catalog_pb2.UnpublishProductRequest(product_id=product_id))
    async with nothing_written(shop.pool):
        refusal = await refused(create(shop, line("TEE")))
        precise = await refused(create(shop, line("TEE"), by="pms"))
    assert (refusal.reason, refusal.fields) == ("SKU_UNKNOWN", ["lines[0].sku"]), "to a storefront it does not exist"
    assert (precise.reason, precise.fields) == ("PRODUCT_NOT_PUBLISHED", ["lines[0].sku"])


async def test_the_price_that_the_customer_was_shown_must_be_the_present_one(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="21.90")
    async with nothing_written(shop.pool):
        refusal = await refused(create(shop, line("TEE", shown_unit_price=money("19.90"))))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PRICE_CHANGED")
    assert refusal.metadata == {
        "sku": "TEE",
        "shown": "EUR 19.90",
        "current": "EUR 21.90",
        "field": "lines[0].shown_unit_price",
    }
    order = await create(shop, line("TEE", shown_unit_price=money("21.90")))
    assert order.totals.total == money("21.90")


async def test_the_price_at_the_time_stays(shop: Shop) -> None:
    product_id = await shop.sell("TEE", 5, price="19.90")
    order = await shop.order("TEE")
    await shop.pms.catalog.UpdateProduct(
        catalog_pb2.UpdateProductRequest(
            product=catalog_pb2.Product(
                product_id=product_id,
                title="New name",
                variants=[catalog_pb2.Variant(sku="TEE", price=money("25.00"))],
            ),
            update_mask=FieldMask(paths=["title", "variants"]),
        )
    )
    assert await get(shop, order) == order
    assert (await shop.order("TEE")).lines[0].unit_price == money("25.00")


async def test_staff_may_override_a_price_with_a_reason(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="19.90")
    override = line("TEE", 2, unit_price_override=money("15.00"), price_override_reason="scratched")
    order = await create(shop, override, by="pms")
    assert (order.lines[0].unit_price, order.lines[0].price_override_reason) == (money("15.00"), "scratched")
    assert order.totals.total == money("30.00")
    assert await shop.pms.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id)) == order
    seen = await shop.storefront.orders.GetOrder(pb.GetOrderRequest(order_id=order.order_id))
    assert seen.lines[0].price_override_reason == "", "that is between staff"
    free = line("TEE", unit_price_override=money("0"), price_override_reason="sample")
    assert (await create(shop, free, by="pms")).totals.total == money("0")
    async with nothing_written(shop.pool):
        refusal = await refused(create(shop, line("TEE", unit_price_override=money("15.00")), by="pms"))
    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["lines[0].price_override_reason"])


async def test_charges_add_up_to_the_total(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="10.00")
    charges = [
        pb.Charge(kind=pb.Charge.KIND_SHIPPING, amount=money("4.90"), description="parcel"),
        pb.Charge(kind=pb.Charge.KIND_TAX, amount=money("2.00")),
        pb.Charge(kind=pb.Charge.KIND_DISCOUNT, amount=money("5.00"), description="SUMMER"),
    ]
    order = await create(shop, line("TEE", 2), by="pms", charges=charges)
    assert list(order.charges) == charges
    assert (order.totals.subtotal, order.totals.charges) == (money("20.00"), money("1.90"))
    assert (order.totals.total, order.totals.net) == (money("21.90"), money("21.90"))
    assert await get(shop, order) == order
    assert (await shop.pay(order)).payment.state == pb.Payment.STATE_PAID


async def test_a_currency_without_decimals(shop: Shop) -> None:
    await shop.sell("FAN", 5, price="1500", currency="JPY")
    order = await shop.order("FAN", 3)
    assert order.totals.total == Money(currency_code="JPY", units=4500)


async def test_what_the_customer_said_comes_back_unchanged(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    customer = pb.Customer(
        customer_id="c-17",
        email="ada@example.org",
        name="Ada Łovelace-Ñandú 愛",
        shipping_address=pb.Address(
            recipient="Ada",
            lines=["12 St James's Square", "2nd floor"],
            city="London",
            region="Westminster",
            postal_code="SW1Y 4JH",
            country_code="GB",
            phone="+44 20 7946 0000",
        ),
        billing_address=pb.Address(recipient="Ada Ltd.", city="London", country_code="GB"),
    )
    order = await create(shop, line("TEE"), customer=customer)
    assert order.customer == customer
    assert (await get(shop, order)).customer == customer
    only_id = await create(shop, line("TEE"), customer=pb.Customer(customer_id="c-18"))
    assert (await get(shop, only_id)).customer == pb.Customer(customer_id="c-18")
    assert not (await get(shop, await create(shop, line("TEE")))).HasField("customer")


async def test_personal_data_stays_out_of_the_events(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    customer = pb.Customer(customer_id="c-17", email="ada@example.org", name="Ada Lovelace")
    await create(shop, line("TEE"), customer=customer)
    payloads = b"".join(row["payload"] for row in await shop.pool.fetch("SELECT payload FROM events"))
    assert b"c-17" in payloads
    assert b"ada@example.org" not in payloads
    assert b"Lovelace" not in payloads


async def test_an_order_of_seven_hundred_lines(shop: Shop) -> None:
    skus = [f"S{number:03}" for number in range(700)]
    for start in (0, 350):
        product = await shop.pms.catalog.CreateProduct(
            catalog_pb2.CreateProductRequest(
                product=catalog_pb2.Product(
                    title=f"Set {start}",
                    variants=[
                        catalog_pb2.Variant(sku=sku, title=sku, price=money("1.10"), options={"Code": sku})
                        for sku in skus[start : start + 350]
                    ],
                )
            )
        )
        await shop.pms.catalog.PublishProduct(catalog_pb2.PublishProductRequest(product_id=product.product_id))
    request = pb.CreateOrderRequest(lines=[line(sku, 2) for sku in skus], request_id=str(uuid.uuid4()))
    async with nothing_written(shop.pool):
        refusal = await refused(shop.storefront.orders.CreateOrder(request))
    assert refusal.metadata == {"sku": "S000", "requested": "2", "available": "0"}
    assert "700 SKUs are short" in refusal.message
    assert refusal.preconditions[0].subject == "S000"

    stock = [inventory_pb2.SyncStockRequest.Row(sku=sku, on_hand=3) for sku in skus]
    async for _ in shop.pms.inventory.SyncStock(iter([inventory_pb2.SyncStockRequest(rows=stock)])):
        pass
    order = await shop.storefront.orders.CreateOrder(request)
    assert [each.sku for each in order.lines] == skus
    assert order.totals.total == money("1540.00")
    await shop.pay(order)
    await process(shop, order)
    fulfilled = await fulfill(shop, order)
    assert (fulfilled.state, len(fulfilled.fulfillments[0].lines)) == (FULFILLED, 700)
    assert await get(shop, order) == fulfilled
    assert await shop.counters("S699") == (1, 0, 0)
    await shop.verify()


# Processing and fulfilling


async def test_a_prepaid_order_is_processed_once_it_is_paid(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await shop.order("TEE")
    async with nothing_written(shop.pool):
        refusal = await refused(process(shop, order))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PAYMENT_REQUIRED")
    assert refusal.metadata == {"order_id": order.order_id, "payment_state": "PENDING"}
    await shop.pay(order, "AUTHORIZED")
    assert (await process(shop, order)).state == PROCESSING


async def test_an_order_on_account_is_processed_without_payment(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await create(shop, line("TEE"), by="pms", payment_terms=pb.PAYMENT_TERMS_ON_ACCOUNT)
    assert order.payment_terms == pb.PAYMENT_TERMS_ON_ACCOUNT
    assert not order.HasField("payment_due_time")
    processed = await process(shop, order)
    assert (processed.state, processed.payment.state) == (PROCESSING, pb.Payment.STATE_PENDING)


async def test_parcels_lead_to_fulfilled(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG", 5)
    order = await paid_order(shop, line("TEE", 3), line("MUG", 2))

    first = await fulfill(shop, order, (1, 2), tracking_number="1Z999", carrier="UPS")
    assert (first.state, [each.fulfilled for each in first.lines]) == (PART, [2, 0])
    (parcel,) = first.fulfillments
    assert (parcel.tracking_number, parcel.carrier) == ("1Z999", "UPS")
    assert list(parcel.lines) == [pb.FulfillmentLine(line_number=1, location_id="main", quantity=2)]
    assert await shop.counters("TEE") == (3, 0, 1)

    second = await fulfill(shop, order)
    assert (second.state, [each.fulfilled for each in second.lines]) == (FULFILLED, [3, 2])
    assert [[each.quantity for each in parcel.lines] for parcel in second.fulfillments] == [[2], [1, 2]]
    assert await get(shop, order) == second
    assert await shop.counters("TEE") == (2, 0, 0)
    assert await shop.counters("MUG") == (3, 0, 0)
    await shop.verify()


async def test_a_parcel_comes_from_where_the_units_are(shop: Shop) -> None:
    await shop.pms.inventory.CreateLocation(
        inventory_pb2.CreateLocationRequest(location=inventory_pb2.Location(location_id="paris", priority=1))
    )
    await shop.sell("TEE", 2)
    await shop.receive("TEE", 2, "paris")
    order = await paid_order(shop, line("TEE", 3))
    fulfilled = await fulfill(shop, order)
    assert [(each.location_id, each.quantity) for each in fulfilled.fulfillments[0].lines] == [
        ("main", 2),
        ("paris", 1),
    ]
    assert await shop.counters("TEE", "paris") == (1, 0, 0)


async def test_a_backordered_unit_must_come_in_before_it_leaves(shop: Shop) -> None:
    await shop.sell("TEE", 1)
    await shop.pms.inventory.SetStockPolicy(inventory_pb2.SetStockPolicyRequest(sku="TEE", backorder_limit=5))
    order = await paid_order(shop, line("TEE", 3))
    async with nothing_written(shop.pool):
        refusal = await refused(fulfill(shop, order))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_NEGATIVE")
    assert refusal.metadata["missing"] == "2"
    assert (await fulfill(shop, order, (1, 1))).state == PART
    await shop.receive("TEE", 2)
    assert (await fulfill(shop, order)).state == FULFILLED
    assert await shop.counters("TEE") == (0, 0, 0)


async def test_no_more_than_remains_can_leave(shop: Shop) -> None:
    await shop.sell("TEE", 9)
    order = await paid_order(shop, line("TEE", 3))
    await fulfill(shop, order, (1, 1))
    async with nothing_written(shop.pool):
        refusal = await refused(fulfill(shop, order, (1, 2), (1, 1)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "QUANTITY_EXCEEDED")
        assert (refusal.metadata["requested"], refusal.metadata["remaining"]) == ("3", "2")
        refusal = await refused(fulfill(shop, order, (2, 1)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "LINE_UNKNOWN")
        assert refusal.metadata["line_number"] == "2"


# Cancelling


@pytest.mark.parametrize("state", [PENDING, PROCESSING])
async def test_a_whole_order_is_cancelled_and_its_stock_is_free(shop: Shop, state: int) -> None:
    await shop.sell("TEE", 5)
    order = await (shop.order("TEE", 3) if state == PENDING else paid_order(shop, line("TEE", 3)))
    assert order.state == state
    cancelled = await cancel(shop, order)
    assert (cancelled.state, cancelled.lines[0].cancelled) == (CANCELLED, 3)
    assert cancelled.totals.net == money("0")
    assert cancelled.payment.refund_required == (state == PROCESSING)
    if state == PROCESSING:
        assert cancelled.payment.refund_due == order.totals.total
    assert await shop.counters("TEE") == (5, 0, 0)
    await shop.verify()


async def test_units_are_cancelled_and_the_rest_goes_on(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="10.00")
    await shop.sell("MUG", 5, price="5.00")
    order = await paid_order(shop, line("TEE", 3), line("MUG", 1))
    part = await cancel(shop, order, (1, 1), (2, 1))
    assert (part.state, [each.cancelled for each in part.lines]) == (PROCESSING, [1, 1])
    assert (part.totals.total, part.totals.cancelled, part.totals.net) == (
        money("35.00"),
        money("15.00"),
        money("20.00"),
    )
    assert (part.payment.refund_required, part.payment.refund_due) == (True, money("15.00"))
    assert await shop.counters("TEE") == (5, 0, 2)
    assert await shop.counters("MUG") == (5, 0, 0)

    assert (await fulfill(shop, order, (1, 1))).state == PART
    rest = await cancel(shop, order, (1, 1))
    assert (rest.state, rest.lines[0].fulfilled, rest.lines[0].cancelled) == (FULFILLED, 1, 2)
    assert await shop.counters("TEE") == (4, 0, 0)
    await shop.verify()


async def test_cancelling_every_unit_is_cancelling_the_order(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await shop.order("TEE", 2)
    assert (await cancel(shop, order, (1, 2))).state == CANCELLED


async def test_what_has_left_the_house_cannot_be_cancelled(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await paid_order(shop, line("TEE", 3))
    await fulfill(shop, order, (1, 1))
    async with nothing_written(shop.pool):
        refusal = await refused(cancel(shop, order))
        assert (refusal.reason, refusal.metadata["state"]) == ("ORDER_STATE_INVALID", "PARTIALLY_FULFILLED")
        assert (await refused(cancel(shop, order, (1, 3)))).metadata["remaining"] == "2"


# Returning


async def test_returned_units_go_back_on_the_shelf_or_are_written_off(shop: Shop) -> None:
    await shop.sell("TEE", 5, price="10.00")
    order = await paid_order(shop, line("TEE", 3))
    await fulfill(shop, order)
    assert await shop.counters("TEE") == (2, 0, 0)

    restocked = await take_back(shop, order, 1)
    assert (restocked.state, restocked.lines[0].returned) == (FULFILLED, 1)
    assert (restocked.totals.returned, restocked.totals.net) == (money("10.00"), money("20.00"))
    assert restocked.payment.refund_due == money("10.00")
    assert await shop.counters("TEE") == (3, 0, 0)

    damaged = await take_back(shop, order, 1, damaged=True, reason="wet")
    assert damaged.lines[0].returned == 2
    assert await shop.counters("TEE") == (3, 0, 0)
    ledger = await shop.pms.inventory.ListStockMovements(
        inventory_pb2.ListStockMovementsRequest(kind=inventory_pb2.StockMovement.KIND_RETURNED)
    )
    assert [(each.on_hand_delta, each.note) for each in ledger.movements] == [(0, "1 damaged: wet"), (1, "")]
    async with nothing_written(shop.pool):
        assert (await refused(take_back(shop, order, 2))).metadata["remaining"] == "1"
    await shop.verify()


async def test_units_may_come_back_to_another_location(shop: Shop) -> None:
    await shop.pms.inventory.CreateLocation(
        inventory_pb2.CreateLocationRequest(location=inventory_pb2.Location(location_id="paris"))
    )
    await shop.sell("TEE", 1)
    order = await paid_order(shop, line("TEE"))
    await fulfill(shop, order)
    async with nothing_written(shop.pool):
        assert (await refused(take_back(shop, order, 1, location_id="rome"))).reason == "LOCATION_UNKNOWN"
    await take_back(shop, order, 1, location_id="paris")
    assert await shop.counters("TEE", "paris") == (1, 0, 0)
    await shop.verify()


async def test_nothing_comes_back_that_has_not_left(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await paid_order(shop, line("TEE", 3))
    async with nothing_written(shop.pool):
        refusal = await refused(take_back(shop, order, 1))
    assert (refusal.reason, refusal.metadata["state"]) == ("ORDER_STATE_INVALID", "PROCESSING")
