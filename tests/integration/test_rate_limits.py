"""Callers that call too often."""

from __future__ import annotations

import grpc
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.config import Settings
from tests.shop import refused, running_shop
from tests.snapshot import nothing_written


async def test_who_calls_too_often_is_told_when_to_come_back(settings: Settings) -> None:
    update = {"writes_per_second": 0.05, "rate_burst_seconds": 40}
    slow = Settings.model_validate({**settings.model_dump(exclude_unset=True), **update})
    async with running_shop(slow) as shop:
        await shop.sell("TEE")  # two writes of staff, which are all of the bucket
        receive = inventory.AdjustStockRequest(sku="TEE", delta=1, reason=inventory.ADJUSTMENT_REASON_FOUND)
        async with nothing_written(shop.pool):
            refusal = await refused(shop.pms.inventory.AdjustStock(receive))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert refusal.metadata == {"kind": "write", "limit_per_second": "0.05"}
        assert 0 < refusal.retry_after <= 20
        for _ in range(3):
            await shop.pms.inventory.ListLocations(inventory.ListLocationsRequest())
        await shop.admin.inventory.AdjustStock(receive)
        assert (await shop.counters("TEE"))[0] == 1
