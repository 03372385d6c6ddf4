"""Callers that call too often, over REST."""

from __future__ import annotations

from stockward_server.config import Settings
from tests.edge.conftest import StartEdge
from tests.shop import running_shop


async def test_too_many_calls_are_429_and_say_when_to_come_back(edge_settings: Settings, start_edge: StartEdge) -> None:
    update = {"reads_per_second": 0.01, "rate_burst_seconds": 0}
    slow = Settings.model_validate({**edge_settings.model_dump(exclude_unset=True), **update})
    async with running_shop(slow) as shop, start_edge(shop.address) as edge:
        path = "/api/storefront/stock?skus=NONE"
        assert (await edge.call("GET", path, by="storefront")).http == 200
        refused = await edge.call("GET", path, by="storefront")
        assert (refused.http, refused.reason) == (429, "RATE_LIMITED")
        assert 90 < int(refused.headers["retry-after"]) <= 100
        assert (await edge.call("GET", path, by="pms")).http == 200, "others have buckets of their own"
