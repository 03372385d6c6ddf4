"""Reservations: stock held for a while, all or none, given back at the latest when the time is up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.catalog.v1 import catalog_pb2
from stockward.inventory.v1 import inventory_pb2 as pb
from stockward.order.v1 import order_pb2

from stockward_server.config import Settings
from tests.events import until
from tests.shop import Shop, refused, running_shop
from tests.snapshot import nothing_written

ACTIVE, CONVERTED = pb.Reservation.STATE_ACTIVE, pb.Reservation.STATE_CONVERTED
RELEASED, EXPIRED = pb.Reservation.STATE_RELEASED, pb.Reservation.STATE_EXPIRED


async def hold(shop: Shop, ttl: float | None = None, customer_id: str = "", **wanted: int) -> pb.Reservation:
    """`hold(shop, TEE=2)`"""
    request = pb.ReserveStockRequest(
        lines=[pb.StockLine(sku=sku, quantity=quantity) for sku, quantity in wanted.items()], customer_id=customer_id
    )
    if ttl is not None:
        request.ttl.FromTimedelta(timedelta(seconds=ttl))
    reservation: pb.Reservation = await shop.storefront.inventory.ReserveStock(request)
    return reservation


async def get(shop: Shop, reservation: pb.Reservation) -> pb.Reservation:
    found: pb.Reservation = await shop.storefront.inventory.GetReservation(
        pb.GetReservationRequest(reservation_id=reservation.reservation_id)
    )
    return found


async def extend(shop: Shop, reservation: pb.Reservation, seconds: int) -> pb.Reservation:
    extended: pb.Reservation = await shop.storefront.inventory.ExtendReservation(
        pb.ExtendReservationRequest(reservation_id=reservation.reservation_id, ttl=Duration(seconds=seconds))
    )
    return extended


async def release(shop: Shop, reservation: pb.Reservation) -> pb.Reservation:
    released: pb.Reservation = await shop.storefront.inventory.ReleaseReservation(
        pb.ReleaseReservationRequest(reservation_id=reservation.reservation_id)
    )
    return released


async def run_out(shop: Shop, reservation: pb.Reservation) -> None:
    """Its time is up."""
    await shop.pool.execute(
        "UPDATE reservations SET expire_time = now() - interval '1 second' WHERE reservation_id = $1",
        reservation.reservation_id,
    )


def lines_of(reservation: pb.Reservation) -> list[tuple[str, str, int]]:
    return [(line.sku, line.location_id, line.quantity) for line in reservation.lines]


async def test_a_hold_keeps_units_from_everybody_else(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    reservation = await hold(shop, TEE=2, ttl=60, customer_id="ada")
    assert (reservation.state, reservation.customer_id, reservation.version) == (ACTIVE, "ada", 1)
    assert lines_of(reservation) == [("TEE", "main", 2)]
    lifetime = reservation.expire_time.ToDatetime(UTC) - reservation.create_time.ToDatetime(UTC)
    assert lifetime == timedelta(seconds=60)
    assert await get(shop, reservation) == reservation
    assert await shop.counters("TEE") == (3, 2, 0)
    refusal = await refused(shop.order("TEE", 2))
    assert (refusal.reason, refusal.metadata["available"]) == ("INSUFFICIENT_STOCK", "1")
    await shop.verify()


async def test_a_hold_is_all_lines_or_none_and_names_every_line_that_is_short(shop: Shop) -> None:
    for sku, units in (("TEE", 5), ("MUG", 1), ("CAP", 0)):
        await shop.sell(sku, units)
    async with nothing_written(shop.pool):
        refusal = await refused(hold(shop, TEE=5, MUG=2, CAP=1))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert refusal.metadata == {"sku": "MUG", "requested": "2", "available": "1"}
    assert [(each.type, each.subject, each.description) for each in refusal.preconditions] == [
        ("STOCK", "MUG", "2 wanted, 1 available"),
        ("STOCK", "CAP", "1 wanted, 0 available"),
    ]


async def test_lines_with_the_same_sku_are_summed(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    twice = [pb.StockLine(sku="TEE", quantity=3), pb.StockLine(sku="TEE", quantity=2)]
    reservation = await shop.storefront.inventory.ReserveStock(pb.ReserveStockRequest(lines=twice))
    assert lines_of(reservation) == [("TEE", "main", 5)]
    await release(shop, reservation)
    twice[1].quantity = 3
    async with nothing_written(shop.pool):
        refusal = await refused(shop.storefront.inventory.ReserveStock(pb.ReserveStockRequest(lines=twice)))
    assert refusal.metadata["requested"] == "6"


async def test_a_hold_is_taken_by_priority_and_becomes_an_order_of_the_same_units(shop: Shop) -> None:
    for location_id, priority in (("paris", 2), ("lyon", 1), ("closed", 0)):
        location = pb.Location(location_id=location_id, priority=priority)
        await shop.pms.inventory.CreateLocation(pb.CreateLocationRequest(location=location))
    await shop.sell("TEE", 1)
    for location_id in ("paris", "lyon", "closed"):
        await shop.receive("TEE", 2, location_id)
    await shop.pms.inventory.UpdateLocation(
        pb.UpdateLocationRequest(location=pb.Location(location_id="closed"), update_mask=FieldMask(paths=["active"]))
    )
    reservation = await hold(shop, TEE=4)
    assert sorted(lines_of(reservation)) == [("TEE", "lyon", 2), ("TEE", "main", 1), ("TEE", "paris", 1)]
    await shop.storefront.orders.CreateOrder(order_pb2.CreateOrderRequest(reservation_id=reservation.reservation_id))
    assert [await shop.counters("TEE", place) for place in ("main", "lyon", "paris", "closed")] == [
        (1, 0, 1),
        (2, 0, 2),
        (2, 0, 1),
        (2, 0, 0),
    ]
    await shop.verify()


async def test_extending_counts_from_now_and_never_shortens(shop: Shop) -> None:
    await shop.sell("TEE", 1)
    reservation = await hold(shop, TEE=1, ttl=600)
    longer = await extend(shop, reservation, 1200)
    assert longer.expire_time.ToDatetime() > reservation.expire_time.ToDatetime()
    assert longer.version == 2
    same = await extend(shop, reservation, 1)
    assert same.expire_time == longer.expire_time
    assert await shop.counters("TEE") == (1, 1, 0)


async def test_a_hold_has_a_longest_lifetime(shop: Shop) -> None:
    await shop.sell("TEE", 1)
    async with nothing_written(shop.pool):
        refusal = await refused(hold(shop, TEE=1, ttl=86_401))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESERVATION_LIFETIME_EXCEEDED")
    reservation = await hold(shop, TEE=1)
    async with nothing_written(shop.pool):
        refusal = await refused(extend(shop, reservation, 86_401))
    assert (refusal.reason, refusal.metadata["limit_seconds"]) == ("RESERVATION_LIFETIME_EXCEEDED", "86400")


async def test_the_server_says_how_long_a_hold_lasts_by_default(settings: Settings) -> None:
    async with running_shop(settings.model_copy(update={"reservation_ttl_seconds": 77})) as shop:
        await shop.sell("TEE", 1)
        reservation = await hold(shop, TEE=1)
    lifetime = reservation.expire_time.ToDatetime() - reservation.create_time.ToDatetime()
    assert lifetime == timedelta(seconds=77)


async def test_a_hold_is_released_once(shop: Shop) -> None:
    await shop.sell("TEE", 2)
    reservation = await hold(shop, TEE=2)
    assert (await release(shop, reservation)).state == RELEASED
    assert await shop.counters("TEE") == (2, 0, 0)
    async with nothing_written(shop.pool):
        for again in (release(shop, reservation), extend(shop, reservation, 60)):
            refusal = await refused(again)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESERVATION_NOT_ACTIVE")
            assert refusal.metadata == {"reservation_id": reservation.reservation_id, "state": "RELEASED"}


async def test_a_hold_runs_out_by_itself(shop: Shop) -> None:
    await shop.sell("TEE", 2)
    short = await hold(shop, TEE=1, ttl=1)
    long = await hold(shop, TEE=1)
    assert await shop.counters("TEE") == (2, 2, 0)

    async def is_free() -> bool:
        return await shop.counters("TEE") == (2, 1, 0)

    await until(is_free)
    expired = await get(shop, short)
    assert (expired.state, expired.version) == (EXPIRED, 2)
    assert datetime.now(UTC) >= expired.expire_time.ToDatetime(UTC)
    assert (await get(shop, long)).state == ACTIVE
    ledger = await shop.pms.inventory.ListStockMovements(
        pb.ListStockMovementsRequest(kind=pb.StockMovement.KIND_EXPIRED)
    )
    assert [(each.reference, each.actor) for each in ledger.movements] == [(short.reservation_id, "system")]
    await shop.verify()


async def test_many_holds_run_out_together(shop: Shop) -> None:
    await shop.sell("TEE", 50)
    for _ in range(50):
        await hold(shop, TEE=1)
    await shop.pool.execute("UPDATE reservations SET expire_time = now() - interval '1 second'")

    async def all_free() -> bool:
        return await shop.counters("TEE") == (50, 0, 0)

    await until(all_free)
    await shop.verify()


async def test_a_hold_that_ran_out_is_over_before_the_sweeper_comes(settings: Settings) -> None:
    async with running_shop(settings.model_copy(update={"sweep_interval_seconds": 3600.0})) as shop:
        await shop.sell("TEE", 2)
        reservation = await hold(shop, TEE=1)
        await run_out(shop, reservation)
        order: Any = order_pb2.CreateOrderRequest(reservation_id=reservation.reservation_id)
        async with nothing_written(shop.pool):
            for late in (extend(shop, reservation, 60), shop.storefront.orders.CreateOrder(order)):
                refusal = await refused(late)
                assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESERVATION_EXPIRED")
                assert refusal.metadata["reservation_id"] == reservation.reservation_id
                assert refusal.metadata["expire_time"].endswith("Z")
        assert (await release(shop, reservation)).state == RELEASED
        assert await shop.counters("TEE") == (2, 0, 0)


async def test_only_what_is_for_sale_can_be_held(shop: Shop) -> None:
    product_id = await shop.sell("TEE", 2)
    await shop.pms.catalog.UnpublishProduct(catalog_pb2.UnpublishProductRequest(product_id=product_id))
    async with nothing_written(shop.pool):
        refusal = await refused(hold(shop, TEE=1))
        request = pb.ReserveStockRequest(lines=[pb.StockLine(sku="TEE", quantity=1)])
        precise = await refused(shop.pms.inventory.ReserveStock(request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SKU_UNKNOWN"), "a storefront does not see it"
    assert (precise.code, precise.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PRODUCT_NOT_PUBLISHED")
    for each in (refusal, precise):
        assert (each.fields, each.metadata["sku"]) == (["lines[0].sku"], "TEE")


async def test_a_reservation_that_does_not_exist(shop: Shop) -> None:
    nothing = pb.Reservation(reservation_id="0190aaaa-0000-7000-8000-000000000000")
    for call in (get(shop, nothing), extend(shop, nothing, 60), release(shop, nothing)):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
        assert refusal.metadata["reservation_id"] == nothing.reservation_id


async def listed(shop: Shop, **fields: Any) -> list[str]:
    answer = await shop.pms.inventory.ListReservations(pb.ListReservationsRequest(**fields))
    return [each.reservation_id for each in answer.reservations]


async def test_reservations_are_listed_newest_first_and_filtered(shop: Shop) -> None:
    await shop.sell("TEE", 9)
    await shop.sell("MUG", 9)
    one = await hold(shop, TEE=1, customer_id="ada")
    two = await hold(shop, MUG=1, customer_id="bob")
    three = await hold(shop, TEE=1, MUG=1, customer_id="ada")
    await release(shop, one)
    await shop.storefront.orders.CreateOrder(order_pb2.CreateOrderRequest(reservation_id=two.reservation_id))
    ids = [each.reservation_id for each in (one, two, three)]
    assert await listed(shop) == ids[::-1]
    assert await listed(shop, state=ACTIVE) == [ids[2]]
    assert await listed(shop, state=CONVERTED) == [ids[1]]
    assert await listed(shop, sku="TEE") == [ids[2], ids[0]]
    assert await listed(shop, customer_id="ada", state=RELEASED) == [ids[0]]
    assert await listed(shop, customer_id="eve") == []
    assert (await get(shop, two)).order_id != ""


async def test_pages_of_reservations(shop: Shop) -> None:
    await shop.sell("TEE", 9)
    ids = [(await hold(shop, TEE=1)).reservation_id for _ in range(5)]
    request = pb.ListReservationsRequest(page_size=2)
    pages = []
    while True:
        page = await shop.pms.inventory.ListReservations(request)
        pages.append([each.reservation_id for each in page.reservations])
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert pages == [ids[:2:-1], ids[2:0:-1], ids[:1]]
