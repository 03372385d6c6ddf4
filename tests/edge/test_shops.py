"""Several shops behind one address, by deploy/shops/envoy.yaml: each has a database and an edge of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from stockward.inventory.v1 import inventory_pb2, inventory_pb2_grpc

from stockward_dev import Envoy, free_port
from stockward_server.bootstrap.database import ensure_key
from stockward_server.config import Settings
from tests.databases import Databases
from tests.edge.caller import Edge
from tests.edge.conftest import StartEdge
from tests.shop import running_shop

pytestmark = pytest.mark.long

FILE = Path(__file__).resolve().parents[2] / "deploy" / "shops" / "envoy.yaml"

UNITS = {"a": 3, "b": 5}
"""On hand of the same SKU in each shop."""

KEYS = {shop: f"swk_storefront_{shop * 6}key_of_{shop}" for shop in UNITS}


@dataclass(frozen=True)
class Front:
    """The address that all shops share."""

    address: str

    async def available(self, key: str, host: str = "") -> Any:
        """The units that gRPC answers to the key; `host` is the one that is called."""
        options = [("grpc.enable_http_proxy", 0), *([("grpc.default_authority", host)] if host else [])]
        async with grpc.aio.insecure_channel(self.address, options=options) as channel:
            stub: Any = inventory_pb2_grpc.InventoryServiceStub(channel)
            answer = await stub.GetAvailability(
                inventory_pb2.GetAvailabilityRequest(sku="TEE"),
                metadata=(("authorization", f"Bearer {key}"),),
                timeout=20,
            )
            return answer.available


def configuration(address: str, edges: Mapping[str, str]) -> dict[str, Any]:
    """The file, with the addresses of this test."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    listener = found["static_resources"]["listeners"][0]
    listener["address"]["socket_address"]["port_value"] = int(address.rpartition(":")[2])
    for cluster in found["static_resources"]["clusters"]:
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        endpoint["address"]["socket_address"]["port_value"] = int(edges[cluster["name"]].rpartition(":")[2])
    return found


@pytest.fixture
async def front(
    databases: Databases, settings: Settings, start_edge: StartEdge, tmp_path: Path
) -> AsyncIterator[Front]:
    async with AsyncExitStack() as up:
        edges = {}
        for name, units in UNITS.items():
            url = await up.enter_async_context(databases.one())
            own = Settings.model_validate({**settings.model_dump(exclude_unset=True), "database_url": url})
            await ensure_key(own, "web", "storefront", KEYS[name])
            shop = await up.enter_async_context(running_shop(own))
            await shop.sell("TEE", units)
            edge: Edge = await up.enter_async_context(start_edge(shop.address))
            edges[name] = edge.address
        address = f"127.0.0.1:{free_port()}"
        files = {"envoy.json": configuration(address, edges)}
        await up.enter_async_context(Envoy(tmp_path / "front", files, address=address))
        yield Front(address)


async def test_each_shop_is_found_by_its_host_or_by_its_key(front: Front) -> None:
    for shop, units in UNITS.items():
        assert await front.available(KEYS[shop]) == units
        assert await front.available(KEYS[shop], f"{shop}.api.example") == units
        assert await front.available(KEYS[shop], f"{shop}.api.example:443") == units
    for key, host in ((KEYS["a"], "b.api.example"), (KEYS["b"], "a.api.example"), ("swk_storefront_cccccc", "")):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await front.available(key, host)
        assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED, (key, host)
