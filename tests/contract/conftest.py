"""One shop for all tests of bad input: nothing that they do changes it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stockward_server.config import Settings
from stockward_server.embedded import Nats, Postgres
from tests.conftest import TEMPLATE
from tests.known_shop import Known, arrange
from tests.shop import running_shop


@pytest.fixture(scope="session")
async def known(postgres: Postgres, nats: Nats) -> AsyncIterator[Known]:
    """A shop with something in every state."""
    settings = Settings.model_validate(
        {
            "database_url": await postgres.create_database("known_shop", template=TEMPLATE),
            "event_queue_url": nats.url,
            "sweep_interval_seconds": 0.05,
        }
    )
    async with running_shop(settings) as shop:
        yield await arrange(shop)
