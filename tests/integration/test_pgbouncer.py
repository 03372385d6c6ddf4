"""Servers behind PgBouncer in transaction mode, with statements prepared there; relay and gateway refuse it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stockward_dev import Postgres
from stockward_server.config import Settings
from stockward_server.storage import database as storage
from stockward_server.storage.database import SessionNotKept
from stockward_server.storage.events.outbox import OwnedOutbox
from stockward_server.storage.webhooks.feed import WebhookFeed
from tests.commands import orders
from tests.pgbouncer import PROGRAM, PgBouncer, version
from tests.shop import running_shop

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no pgbouncer here: apt-get install pgbouncer")


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that PostgreSQL's user can enter."""
    with tempfile.TemporaryDirectory(prefix="stockward-pgbouncer-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@asynccontextmanager
async def pooled(
    postgres: Postgres, directory: Path, mode: str = "transaction", further: str = ""
) -> AsyncIterator[PgBouncer]:
    async with PgBouncer(postgres, directory, mode=mode, sessions=3, further=further) as bouncer:
        yield bouncer


@pytest.mark.skipif(version() < (1, 21), reason="this PgBouncer knows no prepared statements, 1.21 does")
async def test_two_servers_share_three_sessions_and_their_prepared_statements(
    postgres: Postgres, directory: Path, settings: Settings, database_url: str, database: storage.Pool
) -> None:
    async with pooled(postgres, directory, further="max_prepared_statements = 200") as bouncer:
        url = bouncer.url(database_url)
        through = Settings.model_validate({**settings.model_dump(), "database_url": url})
        async with running_shop(through) as shop, running_shop(through) as other:
            await shop.sell("TEE", 1000)
            placed = await asyncio.gather(*(each.order("TEE") for _ in range(50) for each in (shop, other)))
            assert sorted(order.order_id for order in placed) == await orders(database)
            assert await other.counters("TEE") == (1000, 0, 100)
            await shop.verify()
            sessions = await database.fetch(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert len(sessions) - (database.get_size() - 1) <= 3


async def test_relay_gateway_and_migrate_refuse_a_pooler_that_does_not_keep_sessions(
    postgres: Postgres, directory: Path, database_url: str
) -> None:
    for further in ("", "ignore_startup_parameters = tcp_keepalives_idle,tcp_keepalives_interval,tcp_keepalives_count"):
        async with pooled(postgres, directory, further=further and f"{further},enable_seqscan") as bouncer:
            url = bouncer.url(database_url)
            with pytest.raises(SessionNotKept, match="pooler that does not keep sessions"):
                async with OwnedOutbox.open(url, print):
                    pass
            with pytest.raises(SessionNotKept):
                async with WebhookFeed.open(url, "STOCKWARD", print):
                    pass
            with pytest.raises(SessionNotKept):
                await storage.migrate(url)


async def test_a_pooler_that_keeps_sessions_will_do(postgres: Postgres, directory: Path, database_url: str) -> None:
    ignored = "tcp_keepalives_idle,tcp_keepalives_interval,tcp_keepalives_count,enable_seqscan"
    async with pooled(postgres, directory, "session", f"ignore_startup_parameters = {ignored}") as bouncer:
        async with OwnedOutbox.open(bouncer.url(database_url), print) as outbox:
            await outbox.share()
            assert len(outbox.shards) == 64
        assert await storage.migrate(bouncer.url(database_url)) == []
