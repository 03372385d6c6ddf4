"""Servers whose own clocks are hours off: what runs out does so by PostgreSQL's clock, neither early nor late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_server.config import Settings, variable
from stockward_server.storage.database import Pool
from tests.commands import sell, verify
from tests.events import until
from tests.faults.wrong_clock import Clock, wrong_clock
from tests.server_process import ServerProcess
from tests.shop import KEYS, Callers, callers, ensure_keys, money

HOURS = 5
SWEEP = 0.1
DUE = 2
"""Seconds in which orders have to be paid."""

LATE = timedelta(seconds=60)
"""By which a sweep may come after its time: it has a pause, and the machine other work. A clock is hours off."""


@pytest.fixture
async def fast_and_slow(
    settings: Settings, database_url: str, tmp_path: Path
) -> AsyncIterator[tuple[Callers, Callers]]:
    """Staff at two servers of one shop: a clock is fast by hours, the other one slow."""
    library = wrong_clock(tmp_path)
    if library is None:
        pytest.skip("no C compiler: clocks cannot be turned")
    await ensure_keys(settings)
    async with AsyncExitStack() as stack:
        staff: list[Callers] = []
        for name, offset in (("fast", HOURS * 3600), ("slow", -HOURS * 3600)):
            variables = {
                variable("sweep_interval_seconds"): str(SWEEP),
                variable("payment_due_seconds"): str(DUE),
                **Clock(library, name, offset).variables,
            }
            server = await stack.enter_async_context(ServerProcess(settings, tmp_path, name, variables=variables))
            staff.append(callers(server.address, KEYS["pms"]))
            stack.push_async_callback(staff[-1].channel.close)
        yield staff[0], staff[1]


async def test_what_runs_out_does_so_by_the_clock_of_the_database(
    fast_and_slow: tuple[Callers, Callers], database: Pool
) -> None:
    await sell(database, MUG=100)
    line = inventory.StockLine(sku="MUG", quantity=1)
    order = orders.CreateOrderRequest(lines=[orders.CreateOrderRequest.Line(sku="MUG", quantity=1)])
    long: list[str] = []
    wanted: dict[str, datetime] = {}
    for number, staff in enumerate(fast_and_slow):
        start = await database.fetchval("SELECT now()")
        for seconds in (1, 3600):
            request = inventory.ReserveStockRequest(lines=[line], ttl=Duration(seconds=seconds))
            held = await staff.inventory.ReserveStock(request)
            end = held.expire_time.ToDatetime(start.tzinfo)
            assert timedelta(0) <= end - start - timedelta(seconds=seconds) < LATE
        long.append(held.reservation_id)
        await staff.orders.CreateOrder(order)
        for seconds in (1, 3600):
            variant = catalog.Variant(sku=f"CUP-{number}-{seconds}", price=money("5.00"))
            draft = catalog.CreateProductRequest(product=catalog.Product(title="Cup", variants=[variant]))
            product = await staff.catalog.CreateProduct(draft)
            schedule = catalog.PublishProductRequest(product_id=product.product_id)
            schedule.publish_time.FromDatetime(start + timedelta(seconds=seconds))
            await staff.catalog.PublishProduct(schedule)
            wanted[product.product_id] = start + timedelta(seconds=seconds)
    ended = """
        SELECT update_time - expire_time AS late FROM reservations WHERE state = 4
        UNION ALL SELECT update_time - payment_due_time FROM orders WHERE state = 6
    """
    published = "SELECT product_id::text AS id, update_time FROM products WHERE title = 'Cup' AND state = 2"

    async def all_done() -> bool:
        return len(await database.fetch(ended)) == 4 and len(await database.fetch(published)) == 2

    await until(all_done)
    late = [row["late"] for row in await database.fetch(ended)]
    late += [row["update_time"] - wanted[row["id"]] for row in await database.fetch(published)]
    assert all(timedelta(0) <= each < LATE for each in late), late
    for staff, hold in zip(fast_and_slow, reversed(long), strict=True):  # of the other server
        found = await staff.inventory.GetReservation(inventory.GetReservationRequest(reservation_id=hold))
        assert found.state == inventory.Reservation.STATE_ACTIVE
    await verify(database)
