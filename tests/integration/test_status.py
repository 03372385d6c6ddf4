"""GetStatus: what a server reports of the shop to staff."""

from __future__ import annotations

from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.status.v1 import status_pb2 as pb

from tests.events import until
from tests.shop import Shop

OK, PROBLEM = pb.Finding.VERDICT_OK, pb.Finding.VERDICT_PROBLEM


async def test_staff_learn_what_was_found_and_what_waits(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    await shop.order("TEE")
    hold = inventory.ReserveStockRequest(lines=[inventory.StockLine(sku="TEE", quantity=1)])
    await shop.storefront.inventory.ReserveStock(hold)
    status = await shop.viewer.status.GetStatus(pb.GetStatusRequest())
    found = {each.check: each.verdict for each in status.findings}
    assert (found["migrations"], found["clock"]) == (OK, OK)
    assert found["database"] == pb.Finding.VERDICT_WARNING  # the tests' does not flush
    assert found["relay"] == PROBLEM  # none runs here
    relay = next(each for each in status.findings if each.check == "relay")
    assert "stockward relay" in relay.next_step
    assert (status.open_work.orders_pending, status.open_work.reservations_active) == (1, 1)
    assert status.open_work.reservations_late == 0
    assert status.backlog.outbox_pending > 0
    assert status.backlog.outbox_age_seconds > 0
    assert status.server_version


async def test_many_who_ask_cost_one_look(shop: Shop) -> None:
    first = await shop.pms.status.GetStatus(pb.GetStatusRequest())
    assert await shop.viewer.status.GetStatus(pb.GetStatusRequest()) == first

    async def looked_again() -> bool:
        status = await shop.pms.status.GetStatus(pb.GetStatusRequest())
        return bool(status.check_time.ToNanoseconds() > first.check_time.ToNanoseconds())

    await until(looked_again)


async def test_a_database_that_lacks_a_migration_is_reported(shop: Shop) -> None:
    forget = "DELETE FROM _pogo_migration WHERE migration_id LIKE '0003%' RETURNING migration_id"
    name = await shop.pool.fetchval(forget)
    status = await shop.pms.status.GetStatus(pb.GetStatusRequest())
    finding = next(each for each in status.findings if each.check == "migrations")
    assert (finding.verdict, name in finding.found) == (PROBLEM, True)
    assert not status.HasField("open_work")
