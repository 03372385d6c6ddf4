"""The counters of a SKU as they were, from the ledger: also when months of it are gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.catalog.v1 import catalog_pb2
from stockward.inventory.v1 import inventory_pb2 as pb

from stockward_server.storage.write.retention import drop_expired_movements
from tests.integration.test_movement_retention import make_old
from tests.shop import Shop, refused

Interval = pb.ReadStockHistoryRequest


def stamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


async def history(shop: Shop, sku: str = "MUG", **fields: Any) -> pb.ReadStockHistoryResponse:
    answer: pb.ReadStockHistoryResponse = await shop.pms.inventory.ReadStockHistory(
        pb.ReadStockHistoryRequest(sku=sku, **fields)
    )
    return answer


def counters(answer: pb.ReadStockHistoryResponse) -> list[tuple[int, int, int]]:
    return [(each.on_hand, each.reserved, each.allocated) for each in answer.moments]


async def age(shop: Shop, reference: str, hours: float) -> None:
    """The movements with this reference happened so many hours ago."""
    await shop.pool.execute(
        "UPDATE movements SET create_time = now() - $2::interval WHERE reference = $1",
        reference,
        timedelta(hours=hours),
    )


async def receive(shop: Shop, units: int, hours: float, location_id: str = "") -> None:
    """Receives mugs, so many hours ago."""
    reference = f"delivery of {hours} hours ago"
    await shop.pms.inventory.AdjustStock(
        pb.AdjustStockRequest(
            sku="MUG",
            location_id=location_id,
            delta=units,
            reason=pb.ADJUSTMENT_REASON_RECEIVED,
            reference=reference,
        )
    )
    await age(shop, reference, hours)


@pytest.fixture
async def stocked(shop: Shop) -> Shop:
    """Ten mugs were received 5.5 hours ago, four in paris 3.5 hours ago, two ordered 1.5 hours ago and one held now."""
    await shop.sell("MUG")
    await shop.pms.inventory.CreateLocation(
        pb.CreateLocationRequest(location=pb.Location(location_id="paris", name="Paris", priority=1))
    )
    await receive(shop, 10, 5.5)
    await receive(shop, 4, 3.5, "paris")
    order = await shop.order("MUG", 2)
    await age(shop, order.order_id, 1.5)
    await shop.storefront.inventory.ReserveStock(
        pb.ReserveStockRequest(lines=[pb.StockLine(sku="MUG", quantity=1)], customer_id="ada")
    )
    return shop


async def test_counters_are_read_in_buckets(stocked: Shop) -> None:
    now = datetime.now(UTC)
    found = await history(
        stocked, start_time=stamp(now - timedelta(hours=6)), end_time=stamp(now), interval=Interval.INTERVAL_HOUR
    )
    assert [each.time.ToDatetime(tzinfo=UTC) for each in found.moments[:-1]] == [
        now - timedelta(hours=hours) for hours in range(6, 0, -1)
    ]
    assert counters(found) == [(0, 0, 0), *[(10, 0, 0)] * 2, *[(14, 0, 0)] * 2, (14, 0, 2), (14, 1, 2)]
    assert not found.HasField("known_since")
    main = await history(
        stocked,
        location_id="main",
        start_time=stamp(now - timedelta(hours=3)),
        end_time=stamp(now - timedelta(minutes=30)),
        interval=Interval.INTERVAL_HOUR,
    )
    assert counters(main) == [(10, 0, 0), (10, 0, 0), (10, 0, 2), (10, 0, 2)]  # the last one is the end
    assert len((await history(stocked, interval=Interval.INTERVAL_DAY)).moments) == 31


async def test_counters_are_read_at_a_time(stocked: Shop) -> None:
    assert counters(await history(stocked)) == [(14, 1, 2)]
    past = stamp(datetime.now(UTC) - timedelta(hours=5))
    assert counters(await history(stocked, end_time=past)) == [(10, 0, 0)]
    assert counters(await history(stocked, end_time=past, location_id="paris")) == [(0, 0, 0)]
    await stocked.sell("HAT")
    assert counters(await history(stocked, "HAT")) == [(0, 0, 0)]


async def test_a_renamed_sku_keeps_its_history(stocked: Shop) -> None:
    await stocked.pms.catalog.RenameSku(catalog_pb2.RenameSkuRequest(sku="MUG", new_sku="CUP"))
    past = stamp(datetime.now(UTC) - timedelta(hours=2))
    assert counters(await history(stocked, "CUP", end_time=past)) == [(14, 0, 0)]


async def test_counters_are_right_before_and_after_months_are_gone(shop: Shop) -> None:
    await shop.sell("MUG", 9)
    await shop.order("MUG", 4)
    await make_old(shop.pool)
    await shop.receive("MUG", 5)
    now = datetime.now(UTC)
    years: dict[str, Any] = {
        "start_time": stamp(now - timedelta(days=7 * 70)),
        "end_time": stamp(now),
        "interval": Interval.INTERVAL_WEEK,
    }
    before = await history(shop, **years)
    assert (counters(before)[-2], counters(before)[-1]) == ((9, 0, 4), (14, 0, 4))
    assert await drop_expired_movements(shop.pool, 300)
    after = await history(shop, **years)
    known = after.known_since.ToDatetime(tzinfo=UTC)
    assert now - timedelta(days=300) <= known <= now
    kept = [each for each in before.moments if each.time.ToDatetime(tzinfo=UTC) >= known]
    assert kept
    assert list(after.moments) == kept
    assert counters(await history(shop, end_time=stamp(now - timedelta(days=390)))) == []
    assert counters(await history(shop, end_time=after.known_since)) == [(9, 0, 4)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"end_time": stamp(datetime(9000, 1, 1, tzinfo=UTC))}, "end_time"),
        ({"start_time": stamp(datetime(2026, 1, 1, tzinfo=UTC))}, "start_time"),
        (
            {"start_time": stamp(datetime(1, 1, 1, tzinfo=UTC)), "interval": Interval.INTERVAL_WEEK},
            "start_time",
        ),
        (
            {"end_time": stamp(datetime(1, 1, 1, tzinfo=UTC)), "interval": Interval.INTERVAL_WEEK},
            "end_time",
        ),
        (
            {
                "start_time": stamp(datetime(2026, 1, 2, tzinfo=UTC)),
                "end_time": stamp(datetime(2026, 1, 1, tzinfo=UTC)),
                "interval": Interval.INTERVAL_DAY,
            },
            "start_time",
        ),
    ],
)
async def test_moments_that_cannot_be_read_are_refused(shop: Shop, fields: dict[str, Any], field: str) -> None:
    await shop.sell("MUG", 1)
    refusal = await refused(shop.pms.inventory.ReadStockHistory(pb.ReadStockHistoryRequest(sku="MUG", **fields)))
    assert (refusal.code, refusal.reason, refusal.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_INVALID",
        [field],
    )


async def test_what_is_unknown_has_no_history(shop: Shop) -> None:
    await shop.sell("MUG", 1)
    unknown: list[tuple[dict[str, Any], str]] = [
        ({"sku": "CUP"}, "SKU_UNKNOWN"),
        ({"sku": "MUG", "location_id": "x"}, "LOCATION_UNKNOWN"),
    ]
    for fields, reason in unknown:
        refusal = await refused(shop.pms.inventory.ReadStockHistory(pb.ReadStockHistoryRequest(**fields)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, reason)
