"""How much one customer may hold: what is counted, what is not, and that two who ask at once are not both let in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from stockward.inventory.v1 import inventory_pb2 as pb
from stockward.order.v1 import order_pb2

from stockward_server.config import Settings
from tests.events import until
from tests.shop import Callers, Refused, Shop, refused, running_shop
from tests.snapshot import nothing_written


def limited(settings: Settings, **fields: int) -> Settings:
    update = {"hold_limit": 3, "hold_unit_limit": 10, **fields}
    return Settings.model_validate({**settings.model_dump(exclude_unset=True), **update})


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with running_shop(limited(settings)) as shop:
        await shop.sell("TEE", 1000)
        yield shop


async def hold(
    by: Callers, customer_id: str = "ada", units: int = 1, request_id: str = "", sku: str = "TEE"
) -> pb.Reservation:
    lines = [pb.StockLine(sku=sku, quantity=units)]
    made: pb.Reservation = await by.inventory.ReserveStock(
        pb.ReserveStockRequest(lines=lines, customer_id=customer_id, request_id=request_id)
    )
    return made


async def refusal_of_hold(shop: Shop, **fields: Any) -> Refused:
    async with nothing_written(shop.pool):
        refusal = await refused(hold(shop.storefront, **fields))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "HOLD_LIMIT_REACHED")
    return refusal


async def test_a_customer_has_so_many_holds_and_everybody_else_has_theirs(shop: Shop) -> None:
    for _ in range(3):
        await hold(shop.storefront)
    assert (await refusal_of_hold(shop)).metadata == {"limit": "3", "held": "3", "counted": "reservations"}
    for by, customer_id in ((shop.storefront, "bob"), (shop.storefront, ""), (shop.pms, "ada")):
        for _ in range(4 if not customer_id or by is shop.pms else 3):
            await hold(by, customer_id)
    assert (await refusal_of_hold(shop, customer_id="bob")).metadata["held"] == "3"


async def test_what_is_over_is_not_counted(shop: Shop) -> None:
    one, two, three = [await hold(shop.storefront) for _ in range(3)]
    await shop.storefront.inventory.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id=one.reservation_id))
    await shop.storefront.orders.CreateOrder(order_pb2.CreateOrderRequest(reservation_id=two.reservation_id))
    await shop.pool.execute(
        "UPDATE reservations SET expire_time = now() WHERE reservation_id = $1", three.reservation_id
    )
    for _ in range(3):
        await hold(shop.storefront)
    await until(lambda: shop.pool.fetchval("SELECT true FROM reservations WHERE state = 4"))  # it was swept
    await refusal_of_hold(shop)


async def test_units_that_never_run_out_are_not_counted(shop: Shop) -> None:
    await shop.sell("PDF", untracked=True)
    await hold(shop.storefront, units=1000, sku="PDF")
    await hold(shop.storefront, units=10)
    assert (await refusal_of_hold(shop)).metadata == {"limit": "10", "held": "10", "counted": "units"}
    await hold(shop.storefront, units=1000, sku="PDF")
    assert (await refusal_of_hold(shop, sku="PDF")).metadata["counted"] == "reservations"


async def test_a_repetition_is_not_counted_and_is_answered_at_the_limit(shop: Shop) -> None:
    request_id = "0190aaaa-0000-7000-8000-0000000000aa"
    made = {(await hold(shop.storefront, request_id=request_id)).reservation_id for _ in range(5)}
    for _ in range(2):
        await hold(shop.storefront)
    await refusal_of_hold(shop)
    made.add((await hold(shop.storefront, request_id=request_id)).reservation_id)
    assert len(made) == 1


async def test_units_are_counted_over_all_holds(shop: Shop) -> None:
    await hold(shop.storefront, units=8)
    assert (await refusal_of_hold(shop, units=3)).metadata == {"limit": "10", "held": "8", "counted": "units"}
    await hold(shop.storefront, units=2)
    await refusal_of_hold(shop, customer_id="bob", units=11)


async def test_a_key_without_customers_may_have_a_limit_of_its_own(settings: Settings) -> None:
    async with running_shop(limited(settings, hold_limit_per_key=2)) as shop:
        await shop.sell("TEE", 1000)
        await hold(shop.storefront)
        for _ in range(2):
            await hold(shop.storefront, customer_id="")
        refusal = await refusal_of_hold(shop, customer_id="")
        assert refusal.metadata == {"limit": "2", "held": "2", "counted": "reservations"}
        await hold(shop.storefront)


@pytest.mark.parametrize("customer_id", ["ada", ""])
async def test_of_those_who_ask_at_once_only_so_many_are_let_in(settings: Settings, customer_id: str) -> None:
    """Two servers, so that their batches run at the same time."""
    few = limited(settings, hold_limit_per_key=3)
    async with running_shop(few) as shop, running_shop(few) as other:
        await shop.sell("TEE", 1000)
        asked = [hold(by.storefront, customer_id) for _ in range(20) for by in (shop, other)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert len(outcomes) - len(errors) == 3
        assert {Refused(error).reason for error in errors} == {"HOLD_LIMIT_REACHED"}
        assert (await shop.level("TEE")).reserved == 3
