"""How much one customer may order without paying: what is counted, what is not, and that two at once do not pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as pb

from stockward_server.config import Settings
from tests.events import until
from tests.shop import Callers, Refused, Shop, refused, running_shop
from tests.snapshot import nothing_written


def limited(settings: Settings, **fields: int) -> Settings:
    update = {"unpaid_order_limit": 3, "unpaid_unit_limit": 10, **fields}
    return Settings.model_validate({**settings.model_dump(exclude_unset=True), **update})


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with running_shop(limited(settings)) as shop:
        await shop.sell("TEE", 1000)
        yield shop


async def order(
    by: Callers, customer_id: str = "ada", units: int = 1, request_id: str = "", sku: str = "TEE", **fields: Any
) -> pb.Order:
    lines = [pb.CreateOrderRequest.Line(sku=sku, quantity=units)]
    customer = pb.Customer(customer_id=customer_id)
    made: pb.Order = await by.orders.CreateOrder(
        pb.CreateOrderRequest(lines=lines, customer=customer, request_id=request_id, **fields)
    )
    return made


async def refusal_of_order(shop: Shop, **fields: Any) -> Refused:
    async with nothing_written(shop.pool):
        refusal = await refused(order(shop.storefront, **fields))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "UNPAID_ORDER_LIMIT_REACHED")
    return refusal


async def pay(shop: Shop, made: pb.Order) -> None:
    await shop.pms.orders.RecordPayment(
        pb.RecordPaymentRequest(
            order_id=made.order_id,
            provider="test",
            provider_event_id=made.order_id,
            kind=pb.RecordPaymentRequest.KIND_CAPTURED,
            amount=made.totals.total,
        )
    )


async def test_a_customer_has_so_many_unpaid_orders_and_everybody_else_has_theirs(shop: Shop) -> None:
    for _ in range(3):
        await order(shop.storefront)
    assert (await refusal_of_order(shop)).metadata == {"limit": "3", "unpaid": "3", "counted": "orders"}
    for by, customer_id in ((shop.storefront, "bob"), (shop.storefront, ""), (shop.pms, "ada")):
        for _ in range(4 if not customer_id or by is shop.pms else 3):
            await order(by, customer_id)
    assert (await refusal_of_order(shop, customer_id="bob")).metadata["unpaid"] == "3"


async def test_what_is_paid_for_or_over_is_not_counted(shop: Shop) -> None:
    paid, cancelled, expired = [await order(shop.storefront) for _ in range(3)]
    await pay(shop, paid)
    await shop.storefront.orders.CancelOrder(pb.CancelOrderRequest(order_id=cancelled.order_id))
    await shop.pool.execute("UPDATE orders SET payment_due_time = now() WHERE order_id = $1", expired.order_id)
    for _ in range(3):
        await order(shop.storefront)
    await until(lambda: shop.pool.fetchval("SELECT true FROM orders WHERE state = 6"))  # it was swept
    await refusal_of_order(shop)


async def test_orders_of_holds_and_of_staff_on_account_are_counted_as_what_they_are(shop: Shop) -> None:
    held = await shop.storefront.inventory.ReserveStock(
        inventory.ReserveStockRequest(lines=[inventory.StockLine(sku="TEE", quantity=4)], customer_id="ada")
    )
    await shop.storefront.orders.CreateOrder(
        pb.CreateOrderRequest(reservation_id=held.reservation_id, customer=pb.Customer(customer_id="ada"))
    )
    await order(shop.pms, units=50, payment_terms=pb.PAYMENT_TERMS_ON_ACCOUNT)
    refusal = await refusal_of_order(shop, units=7)
    assert refusal.metadata == {"limit": "10", "unpaid": "4", "counted": "units"}
    await order(shop.storefront, units=6)


async def test_units_that_never_run_out_are_not_counted(shop: Shop) -> None:
    await shop.sell("PDF", untracked=True)
    await order(shop.storefront, units=1000, sku="PDF")
    await order(shop.storefront, units=10)
    assert (await refusal_of_order(shop)).metadata == {"limit": "10", "unpaid": "10", "counted": "units"}
    await order(shop.storefront, units=1000, sku="PDF")
    assert (await refusal_of_order(shop, sku="PDF")).metadata["counted"] == "orders"


async def test_a_repetition_is_not_counted_and_is_answered_at_the_limit(shop: Shop) -> None:
    request_id = "0190aaaa-0000-7000-8000-0000000000aa"
    made = {(await order(shop.storefront, request_id=request_id)).order_id for _ in range(5)}
    for _ in range(2):
        await order(shop.storefront)
    await refusal_of_order(shop)
    made.add((await order(shop.storefront, request_id=request_id)).order_id)
    assert len(made) == 1


async def test_a_key_without_customers_may_have_a_limit_of_its_own(settings: Settings) -> None:
    async with running_shop(limited(settings, unpaid_order_limit_per_key=2)) as shop:
        await shop.sell("TEE", 1000)
        await order(shop.storefront)
        for _ in range(2):
            await order(shop.storefront, customer_id="")
        refusal = await refusal_of_order(shop, customer_id="")
        assert refusal.metadata == {"limit": "2", "unpaid": "2", "counted": "orders"}
        await order(shop.storefront)


@pytest.mark.parametrize("customer_id", ["ada", ""])
async def test_of_those_who_ask_at_once_only_so_many_are_let_in(settings: Settings, customer_id: str) -> None:
    """Two servers, so that their batches run at the same time."""
    few = limited(settings, unpaid_order_limit_per_key=3)
    async with running_shop(few) as shop, running_shop(few) as other:
        await shop.sell("TEE", 1000)
        asked = [order(by.storefront, customer_id) for _ in range(20) for by in (shop, other)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert len(outcomes) - len(errors) == 3
        assert {Refused(error).reason for error in errors} == {"UNPAID_ORDER_LIMIT_REACHED"}
        assert await shop.counters("TEE") == (1000, 0, 3)
