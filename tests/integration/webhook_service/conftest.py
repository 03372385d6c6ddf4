"""One stack and one server for the tests of a module, and a receiver for each test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from stockward_dev import Postgres
from stockward_server.config import Settings
from stockward_server.gateway.endpoint_limiter import BreakerPolicy
from stockward_server.storage import database
from tests.conftest import TEMPLATE
from tests.receiver import Receiver, receiver
from tests.shop import Shop, running_shop
from tests.webhooks import Stack, webhook_stack

numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def stack(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """With one gateway that retries quickly, and no endpoints."""
    url = await postgres.create_database(f"webhook_service_{next(numbers)}", template=TEMPLATE)
    pool = await database.open_pool(url, 10)
    async with pool, webhook_stack(pool, url, tmp_path_factory.mktemp("webhooks")) as stack:
        await stack.start(urls={}, breaker=BreakerPolicy(failures=1_000_000))  # every test has receivers that fail
        yield stack


@pytest.fixture(scope="module")
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    """One server for all of them."""
    settings = {"database_url": stack.database_url, "event_queue_url": stack.nats.url}
    async with running_shop(Settings.model_validate(settings)) as shop:
        yield shop


@pytest.fixture
async def told(shop: Shop) -> AsyncIterator[Receiver]:
    """A receiver of its own for each test; no endpoint of it outlives the test."""
    async with receiver() as found:
        yield found
        await shop.pool.execute("DELETE FROM endpoints WHERE url = $1", found.url)
