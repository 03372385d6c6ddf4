"""Counters, their ledger and their policy, over several locations, as staff and storefronts see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.inventory.v1 import inventory_pb2 as pb
from stockward.order.v1 import order_pb2

from tests.shop import Shop, refused
from tests.snapshot import nothing_written

ALL = ("safety_stock", "reorder_point", "backorder_limit")


async def add_location(shop: Shop, location_id: str, priority: int = 1) -> None:
    location = pb.Location(location_id=location_id, name=location_id.title(), priority=priority)
    await shop.pms.inventory.CreateLocation(pb.CreateLocationRequest(location=location))


async def set_active(shop: Shop, location_id: str, active: bool) -> None:
    await shop.pms.inventory.UpdateLocation(
        pb.UpdateLocationRequest(
            location=pb.Location(location_id=location_id, active=active), update_mask=FieldMask(paths=["active"])
        )
    )


async def set_policy(shop: Shop, sku: str, mask: Sequence[str] = (), **policy: Any) -> pb.StockLevel:
    level: pb.StockLevel = await shop.pms.inventory.SetStockPolicy(
        pb.SetStockPolicyRequest(sku=sku, update_mask=FieldMask(paths=mask), **policy)
    )
    return level


async def available(shop: Shop, sku: str) -> int:
    """As a customer sees it."""
    answer = await shop.storefront.inventory.GetAvailability(pb.GetAvailabilityRequest(sku=sku))
    assert answer.in_stock == (answer.available > 0)
    return int(answer.available)


async def adjust(shop: Shop, sku: str = "TEE", **fields: Any) -> pb.StockLevel:
    fields.setdefault("reason", pb.ADJUSTMENT_REASON_CORRECTED)
    level: pb.StockLevel = await shop.pms.inventory.AdjustStock(pb.AdjustStockRequest(sku=sku, **fields))
    return level


async def hold(shop: Shop, sku: str, quantity: int) -> pb.Reservation:
    reservation: pb.Reservation = await shop.storefront.inventory.ReserveStock(
        pb.ReserveStockRequest(lines=[pb.StockLine(sku=sku, quantity=quantity)])
    )
    return reservation


# Availability


async def test_a_customer_sees_what_was_received_and_not_what_was_promised(shop: Shop) -> None:
    await shop.sell("TEE")
    assert await available(shop, "TEE") == 0
    await shop.receive("TEE", 10)
    assert await available(shop, "TEE") == 10
    await shop.order("TEE", 3)
    await hold(shop, "TEE", 2)
    assert await available(shop, "TEE") == 5
    assert await shop.counters("TEE") == (10, 2, 3)


async def test_availability_adds_up_over_active_locations(shop: Shop) -> None:
    await shop.sell("TEE", 4)
    await add_location(shop, "paris")
    await shop.receive("TEE", 3, "paris")
    assert await available(shop, "TEE") == 7
    await set_active(shop, "paris", False)
    assert await available(shop, "TEE") == 4
    await set_active(shop, "paris", True)
    assert await available(shop, "TEE") == 7


async def test_units_come_from_locations_by_priority_and_a_line_is_split(shop: Shop) -> None:
    await shop.sell("TEE", 2)
    await add_location(shop, "paris", priority=5)
    await add_location(shop, "lyon", priority=1)
    await add_location(shop, "closed", priority=0)
    for location_id, units in (("paris", 5), ("lyon", 3), ("closed", 9)):
        await shop.receive("TEE", units, location_id)
    await set_active(shop, "closed", False)

    await shop.order("TEE", 6)

    owed = {place: (await shop.counters("TEE", place))[2] for place in ("main", "lyon", "paris", "closed")}
    assert owed == {"main": 2, "lyon": 3, "paris": 1, "closed": 0}
    assert await available(shop, "TEE") == 4
    await shop.verify()


async def test_a_location_that_closes_keeps_what_it_owes(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    order = await shop.order("TEE", 2)
    await shop.pay(order)
    await set_active(shop, "main", False)
    assert (await refused(shop.order("TEE"))).metadata == {"sku": "TEE", "requested": "1", "available": "0"}
    await shop.pms.orders.ProcessOrder(order_pb2.ProcessOrderRequest(order_id=order.order_id))
    await shop.pms.orders.FulfillOrder(order_pb2.FulfillOrderRequest(order_id=order.order_id))
    assert await shop.counters("TEE") == (1, 0, 0)


async def test_availability_of_many_skus_at_once(shop: Shop) -> None:
    await shop.sell("TEE", 2)
    await shop.sell("MUG")
    answer = await shop.storefront.inventory.BatchGetAvailability(
        pb.BatchGetAvailabilityRequest(skus=["MUG", "NONE", "TEE", "tee"])
    )
    assert [(each.sku, each.available, each.in_stock) for each in answer.availabilities] == [
        ("MUG", 0, False),
        ("TEE", 2, True),
    ]
    assert list(answer.unknown_skus) == ["NONE", "tee"]
    assert all(each.read_time.seconds for each in answer.availabilities)


async def test_an_unknown_sku_has_no_availability(shop: Shop) -> None:
    refusal = await refused(shop.storefront.inventory.GetAvailability(pb.GetAvailabilityRequest(sku="NONE")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SKU_UNKNOWN")
    assert (refusal.fields, refusal.metadata["sku"]) == (["sku"], "NONE")


# Adjusting


async def test_adjusting_by_an_amount_and_to_a_count(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    assert (await adjust(shop, delta=-4, reason=pb.ADJUSTMENT_REASON_DAMAGED)).on_hand == 6
    assert (await adjust(shop, on_hand=9, reason=pb.ADJUSTMENT_REASON_COUNTED)).on_hand == 9
    level = await adjust(shop, on_hand=0)
    assert (level.on_hand, level.available, level.version) == (0, 0, (await shop.level("TEE")).version)
    await shop.verify()


async def test_a_count_that_agrees_is_on_record(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await adjust(shop, on_hand=5, reason=pb.ADJUSTMENT_REASON_COUNTED, note="stocktaking")
    newest = (await shop.pms.inventory.ListStockMovements(pb.ListStockMovementsRequest(sku="TEE"))).movements[0]
    assert (newest.on_hand_delta, newest.on_hand, newest.note) == (0, 5, "stocktaking")


async def test_compare_and_set_has_one_winner(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    assert (await adjust(shop, on_hand=8, expected_on_hand=5)).on_hand == 8
    async with nothing_written(shop.pool):
        refusal = await refused(adjust(shop, on_hand=9, expected_on_hand=5))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_CHANGED")
    assert refusal.metadata == {"sku": "TEE", "location_id": "main", "on_hand": "8", "expected_on_hand": "5"}


async def test_on_hand_never_falls_below_zero(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    async with nothing_written(shop.pool):
        refusal = await refused(adjust(shop, delta=-4))
    assert refusal.reason == "STOCK_NEGATIVE"
    assert refusal.metadata == {"sku": "TEE", "location_id": "main", "on_hand": "3", "delta": "-4"}


async def test_stock_may_be_counted_below_what_is_owed(shop: Shop) -> None:
    """The shelf is right, and the promise stands: the difference shows as negative availability."""
    await shop.sell("TEE", 3)
    await shop.order("TEE", 3)
    level = await adjust(shop, on_hand=1)
    assert (level.on_hand, level.allocated, level.available) == (1, 3, -2)
    assert await available(shop, "TEE") == 0


@pytest.mark.parametrize(
    ("sku", "location_id", "reason"), [("NONE", "", "SKU_UNKNOWN"), ("TEE", "x", "LOCATION_UNKNOWN")]
)
async def test_adjusting_what_does_not_exist(shop: Shop, sku: str, location_id: str, reason: str) -> None:
    await shop.sell("TEE")
    async with nothing_written(shop.pool):
        refusal = await refused(adjust(shop, sku, delta=1, location_id=location_id))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, reason)


# The ledger


async def movements(shop: Shop, **fields: Any) -> list[pb.StockMovement]:
    answer = await shop.pms.inventory.ListStockMovements(pb.ListStockMovementsRequest(**fields))
    return list(answer.movements)


async def test_every_change_of_a_counter_is_one_movement(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    held = await hold(shop, "TEE", 2)
    await shop.storefront.inventory.ReleaseReservation(pb.ReleaseReservationRequest(reservation_id=held.reservation_id))
    kept = await hold(shop, "TEE", 3)
    converted = await shop.storefront.orders.CreateOrder(
        order_pb2.CreateOrderRequest(reservation_id=kept.reservation_id)
    )
    order = await shop.order("TEE", 4)
    await shop.pay(converted)
    await shop.pms.orders.ProcessOrder(order_pb2.ProcessOrderRequest(order_id=converted.order_id))
    await shop.pms.orders.FulfillOrder(order_pb2.FulfillOrderRequest(order_id=converted.order_id))
    returned = order_pb2.ReturnOrderRequest.Line(line_number=1, quantity=1)
    await shop.pms.orders.ReturnOrder(order_pb2.ReturnOrderRequest(order_id=converted.order_id, lines=[returned]))
    await shop.storefront.orders.CancelOrder(order_pb2.CancelOrderRequest(order_id=order.order_id))
    await adjust(shop, delta=-1, reason=pb.ADJUSTMENT_REASON_LOST, note="not on the shelf", reference="count-7")

    ledger = await movements(shop, sku="TEE")
    rows = [
        (
            pb.StockMovement.Kind.Name(each.kind).removeprefix("KIND_"),
            (each.on_hand_delta, each.reserved_delta, each.allocated_delta),
            (each.on_hand, each.reserved, each.allocated),
            each.reference,
        )
        for each in reversed(ledger)
    ]
    assert rows == [
        ("ADJUSTED", (10, 0, 0), (10, 0, 0), ""),
        ("RESERVED", (0, 2, 0), (10, 2, 0), held.reservation_id),
        ("RELEASED", (0, -2, 0), (10, 0, 0), held.reservation_id),
        ("RESERVED", (0, 3, 0), (10, 3, 0), kept.reservation_id),
        ("CONVERTED", (0, -3, 3), (10, 0, 3), converted.order_id),
        ("ALLOCATED", (0, 0, 4), (10, 0, 7), order.order_id),
        ("FULFILLED", (-3, 0, -3), (7, 0, 4), converted.order_id),
        ("RETURNED", (1, 0, 0), (8, 0, 4), converted.order_id),
        ("DEALLOCATED", (0, 0, -4), (8, 0, 0), order.order_id),
        ("ADJUSTED", (-1, 0, 0), (7, 0, 0), "count-7"),
    ]
    assert (ledger[0].reason, ledger[0].note) == (pb.ADJUSTMENT_REASON_LOST, "not on the shelf")
    assert [each.movement_id for each in ledger] == sorted((each.movement_id for each in ledger), reverse=True)
    assert await shop.counters("TEE") == (7, 0, 0)
    await shop.verify()


async def test_the_ledger_can_be_filtered(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    await shop.sell("MUG", 5)
    await add_location(shop, "paris")
    await shop.receive("TEE", 2, "paris")
    order = await shop.order("TEE", 1)
    middle = Timestamp()
    middle.FromDatetime(await shop.pool.fetchval("SELECT clock_timestamp()"))
    await adjust(shop, "MUG", delta=1, reference="count-7")

    assert [each.sku for each in await movements(shop, sku="MUG")] == ["MUG", "MUG"]
    assert [each.sku for each in await movements(shop, location_id="paris")] == ["TEE"]
    assert [each.allocated_delta for each in await movements(shop, kind=pb.StockMovement.KIND_ALLOCATED)] == [1]
    assert [each.kind for each in await movements(shop, reference=order.order_id)] == [pb.StockMovement.KIND_ALLOCATED]
    assert [each.reference for each in await movements(shop, start_time=middle)] == ["count-7"]
    assert len(await movements(shop, end_time=middle)) == 4
    assert await movements(shop, sku="MUG", location_id="paris") == []


async def test_pages_of_the_ledger_are_complete_while_it_grows(shop: Shop) -> None:
    await shop.sell("TEE")
    for units in range(1, 8):
        await adjust(shop, delta=units)
    request = pb.ListStockMovementsRequest(sku="TEE", page_size=3)
    seen = []
    while True:
        page = await shop.pms.inventory.ListStockMovements(request)
        assert 0 < len(page.movements) <= 3
        seen += [each.on_hand_delta for each in page.movements]
        await adjust(shop, delta=100)  # newer than what is being read
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [7, 6, 5, 4, 3, 2, 1]


# Policy


async def test_a_policy_is_set_field_by_field(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    await set_policy(shop, "TEE", safety_stock=2, reorder_point=5, backorder_limit=3)
    level = await set_policy(shop, "TEE", ["safety_stock"], safety_stock=1, reorder_point=9, backorder_limit=9)
    assert (level.safety_stock, level.reorder_point, level.backorder_limit) == (1, 5, 3)
    level = await set_policy(shop, "TEE", ["reorder_point"])
    assert not level.HasField("reorder_point")
    assert (level.safety_stock, level.backorder_limit) == (1, 3)
    level = await set_policy(shop, "TEE")
    assert (level.safety_stock, level.backorder_limit) == (0, 0)
    assert level == await shop.level("TEE")
    assert len(await movements(shop, sku="TEE")) == 1, "a policy is no movement"


async def test_safety_stock_is_never_offered(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    assert (await set_policy(shop, "TEE", safety_stock=2)).available == 3
    assert await available(shop, "TEE") == 3
    assert (await refused(shop.order("TEE", 4))).reason == "INSUFFICIENT_STOCK"
    await shop.order("TEE", 3)


async def test_backorders_reach_as_far_as_their_limit(shop: Shop) -> None:
    await shop.sell("TEE", 2)
    await set_policy(shop, "TEE", backorder_limit=3)
    assert await available(shop, "TEE") == 5
    await shop.order("TEE", 5)
    assert (await shop.level("TEE")).available == -3
    refusal = await refused(shop.order("TEE"))
    assert (refusal.reason, refusal.metadata["available"]) == ("INSUFFICIENT_STOCK", "0")


async def test_a_policy_may_come_before_the_stock(shop: Shop) -> None:
    await shop.sell("TEE")
    await set_policy(shop, "TEE", backorder_limit=2)
    await shop.order("TEE", 2)
    assert await shop.counters("TEE") == (0, 0, 2)
    await shop.verify()


# Explaining and verifying


async def test_claims_explain_what_is_not_available(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    await add_location(shop, "paris")
    await shop.receive("TEE", 4, "paris")
    held = await hold(shop, "TEE", 2)
    order = await shop.order("TEE", 4)
    gone = await shop.order("TEE", 1)
    await shop.storefront.orders.CancelOrder(order_pb2.CancelOrderRequest(order_id=gone.order_id))

    answer = await shop.pms.inventory.ExplainAvailability(pb.ExplainAvailabilityRequest(sku="TEE"))

    assert [(claim.location_id, claim.quantity, claim.reservation_id, claim.order_id) for claim in answer.claims] == [
        ("main", 2, held.reservation_id, ""),
        ("main", 1, "", order.order_id),
        ("paris", 3, "", order.order_id),
    ]
    assert answer.claims[0].expire_time == held.expire_time
    assert (answer.claim_count, answer.available) == (3, 1)
    assert [level.location_id for level in answer.levels] == ["main", "paris"]
    for level in answer.levels:
        claimed = sum(claim.quantity for claim in answer.claims if claim.location_id == level.location_id)
        assert claimed == level.reserved + level.allocated


async def test_explaining_an_unknown_sku(shop: Shop) -> None:
    refusal = await refused(shop.pms.inventory.ExplainAvailability(pb.ExplainAvailabilityRequest(sku="NONE")))
    assert refusal.reason == "SKU_UNKNOWN"


@pytest.mark.parametrize("counter", ["on_hand", "reserved", "allocated"])
async def test_verifying_finds_a_counter_that_was_tampered_with(shop: Shop, counter: str) -> None:
    await shop.sell("TEE", 10)
    await shop.sell("MUG", 10)
    await hold(shop, "TEE", 2)
    await shop.order("TEE", 3)
    before = await shop.counters("TEE")
    await shop.verify()

    await shop.pool.execute(f"UPDATE stock SET {counter} = {counter} + 1 WHERE sku = 'TEE'")

    answer = await shop.pms.inventory.VerifyStock(pb.VerifyStockRequest())
    (found,) = answer.discrepancies
    true = before[("on_hand", "reserved", "allocated").index(counter)]
    assert (found.sku, found.location_id, found.counter) == ("TEE", "main", counter)
    assert (found.counted, found.ledger, found.claimed) == (true + 1, true, true)
    assert answer.checked == 2
    only = await shop.pms.inventory.VerifyStock(pb.VerifyStockRequest(sku="MUG"))
    assert (only.checked, list(only.discrepancies)) == (1, [])


async def test_verifying_finds_a_claim_that_went_missing(shop: Shop) -> None:
    await shop.sell("TEE", 10)
    await shop.order("TEE", 3)
    await shop.pool.execute("DELETE FROM allocations")
    (found,) = (await shop.pms.inventory.VerifyStock(pb.VerifyStockRequest())).discrepancies
    assert (found.counter, found.counted, found.ledger, found.claimed) == ("allocated", 3, 3, 0)


async def test_there_is_nothing_to_verify_in_an_empty_shop(shop: Shop) -> None:
    assert (await shop.pms.inventory.VerifyStock(pb.VerifyStockRequest())) == pb.VerifyStockResponse()


# Locations and lists


async def test_locations_are_made_changed_and_listed_by_priority(shop: Shop) -> None:
    made = await shop.pms.inventory.CreateLocation(
        pb.CreateLocationRequest(location=pb.Location(location_id="paris", name="Paris", priority=5))
    )
    assert made.active
    assert abs(made.create_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds() < 60
    await add_location(shop, "lyon", priority=2)

    changed = await shop.pms.inventory.UpdateLocation(
        pb.UpdateLocationRequest(
            location=pb.Location(location_id="paris", name="Paris 2", priority=1),
            update_mask=FieldMask(paths=["name", "priority"]),
        )
    )
    assert (changed.name, changed.priority, changed.active) == ("Paris 2", 1, True)
    everything = FieldMask(paths=["*"])
    changed = await shop.pms.inventory.UpdateLocation(
        pb.UpdateLocationRequest(
            location=pb.Location(location_id="paris", name="Paris 3", priority=4), update_mask=everything
        )
    )
    assert (changed.name, changed.priority, changed.active) == ("Paris 3", 4, False)

    listed = (await shop.pms.inventory.ListLocations(pb.ListLocationsRequest())).locations
    assert [each.location_id for each in listed] == ["main", "lyon", "paris"]
    assert listed[2] == changed


async def test_locations_come_page_by_page(shop: Shop) -> None:
    for location_id, priority in (("lyon", 2), ("oslo", 0), ("rome", 2), ("bern", 7)):
        await add_location(shop, location_id, priority=priority)
    found, request = list[list[str]](), pb.ListLocationsRequest(page_size=2)
    while True:
        page = await shop.pms.inventory.ListLocations(request)
        found.append([each.location_id for each in page.locations])
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == [["main", "oslo"], ["lyon", "rome"], ["bern"]]


async def test_without_a_mask_the_fields_that_are_set_are_changed(shop: Shop) -> None:
    await add_location(shop, "paris", priority=5)
    changed = await shop.pms.inventory.UpdateLocation(
        pb.UpdateLocationRequest(location=pb.Location(location_id="paris", name="Paris 2"))
    )
    assert (changed.name, changed.priority, changed.active) == ("Paris 2", 5, True)
    same = await shop.pms.inventory.UpdateLocation(pb.UpdateLocationRequest(location=pb.Location(location_id="paris")))
    assert same == changed, "nothing is set, so nothing is changed"


async def test_a_location_is_made_once_and_changed_only_when_it_exists(shop: Shop) -> None:
    async with nothing_written(shop.pool):
        refusal = await refused(
            shop.pms.inventory.CreateLocation(pb.CreateLocationRequest(location=pb.Location(location_id="main")))
        )
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "LOCATION_TAKEN")
        refusal = await refused(
            shop.pms.inventory.UpdateLocation(pb.UpdateLocationRequest(location=pb.Location(location_id="paris")))
        )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "LOCATION_UNKNOWN")
    assert refusal.fields == ["location.location_id"]


async def test_levels_are_listed_page_by_page(shop: Shop) -> None:
    await add_location(shop, "paris")
    for sku in ("C", "A", "B"):
        await shop.sell(sku, 1)
    await shop.receive("B", 1, "paris")
    request = pb.ListStockLevelsRequest(page_size=3)
    first = await shop.pms.inventory.ListStockLevels(request)
    assert [(each.sku, each.location_id) for each in first.stock_levels] == [
        ("A", "main"),
        ("B", "main"),
        ("B", "paris"),
    ]
    request.page_token = first.next_page_token
    second = await shop.pms.inventory.ListStockLevels(request)
    assert [(each.sku, each.location_id) for each in second.stock_levels] == [("C", "main")]
    assert second.next_page_token == ""
    only = await shop.pms.inventory.ListStockLevels(pb.ListStockLevelsRequest(location_id="paris"))
    assert [each.sku for each in only.stock_levels] == ["B"]


async def test_a_page_that_is_full_may_be_the_last(shop: Shop) -> None:
    for sku in ("A", "B"):
        await shop.sell(sku, 1)
    page = await shop.pms.inventory.ListStockLevels(pb.ListStockLevelsRequest(page_size=2))
    assert (len(page.stock_levels), page.next_page_token) == (2, "")
