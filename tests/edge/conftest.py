"""One shop with one edge in front of it for all tests of the edge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stockward_dev import Envoy, Nats, Postgres, free_port
from stockward_server.config import Settings
from stockward_server.edge import Limits, console, envoy_config, installed_contract, pages
from tests.conftest import TEMPLATE
from tests.edge.caller import Edge
from tests.incoming import SECRET, STRIPE_SECRET
from tests.shop import Shop, running_shop

StartEdge = Callable[..., AbstractAsyncContextManager[Edge]]


@pytest.fixture(scope="session")
def edge_settings(edge_database: str, nats: Nats) -> Settings:
    """Settings of the shop behind the edge, for further servers of it."""
    return Settings.model_validate(
        {
            "database_url": edge_database,
            "event_queue_url": nats.url,
            "webhook_secret": SECRET,
            "stripe_webhook_secret": STRIPE_SECRET,
        }
    )


@pytest.fixture(scope="session")
async def edge_database(postgres: Postgres) -> str:
    return await postgres.create_database("edge_shop", template=TEMPLATE)


@pytest.fixture(scope="session")
async def edge_shop(edge_settings: Settings) -> AsyncIterator[Shop]:
    async with running_shop(edge_settings) as shop:
        yield shop


@pytest.fixture(scope="session")
def start_edge(tmp_path_factory: pytest.TempPathFactory) -> StartEdge:
    """An edge in front of the servers named, with a caller."""

    @asynccontextmanager
    async def start(*upstreams: str, **options: Any) -> AsyncIterator[Edge]:
        address = f"127.0.0.1:{free_port()}"
        configuration = envoy_config(installed_contract(), address, upstreams, pages=[*pages(), *console()], **options)
        directory = Path(tmp_path_factory.mktemp("edge")) / "envoy"
        async with Envoy(directory, {"envoy.json": configuration}, address=address), aiohttp.ClientSession() as session:
            yield Edge(address, session)

    return start


@pytest.fixture(scope="session")
async def edge(edge_shop: Shop, start_edge: StartEdge) -> AsyncIterator[Edge]:
    """In front of two servers, one of which is not there."""
    async with start_edge("127.0.0.1:1", edge_shop.address) as edge:
        yield edge


@pytest.fixture(scope="session")
async def hasty_edge(edge_shop: Shop, start_edge: StartEdge) -> AsyncIterator[Edge]:
    """One that waits for nobody for long: for what is slow on purpose, as all else may be on a busy machine."""
    async with start_edge(edge_shop.address, limits=Limits(call_seconds=2.0, header_seconds=1.0)) as edge:
        yield edge
