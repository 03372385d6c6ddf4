"""Versions of PostgreSQL and NATS that are too old are refused in clear words."""

from __future__ import annotations

import logging
import re
from datetime import timedelta

import pytest
from nats.js.api import StreamConfig

from stockward_dev import Nats
from stockward_server.application.ports.status import Verdict
from stockward_server.observability import diagnostics
from stockward_server.observability.readiness import Readiness
from stockward_server.relay import stream
from stockward_server.runtime import nats as queue
from stockward_server.runtime.supervision import Unavailable
from stockward_server.storage import postgres_version
from stockward_server.storage.database import migrate, open_pool
from stockward_server.storage.postgres_version import PostgresTooOld

TOO_OLD = r"PostgreSQL \d+\.\d+ is too old: Stockward needs 99 or newer"


@pytest.fixture
def old_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database in a PostgreSQL that counts as older than the oldest that will do."""
    monkeypatch.setattr(postgres_version, "OLDEST_POSTGRESQL", 99)
    return database_url


async def test_a_postgresql_that_is_too_old_is_neither_migrated_nor_used(old_database: str) -> None:
    with pytest.raises(PostgresTooOld, match=TOO_OLD):
        await migrate(old_database)
    for read_only in (True, False):
        pool = await open_pool(old_database, 1, read_only=read_only)
        with pytest.raises(PostgresTooOld, match=TOO_OLD):
            await pool.fetchval("SELECT 1")
        await pool.close()


async def test_a_process_on_it_is_not_ready_and_says_why(old_database: str, caplog: pytest.LogCaptureFixture) -> None:
    pool = await open_pool(old_database, 1, read_only=True)
    readiness = Readiness(pool)
    with caplog.at_level(logging.WARNING):
        await readiness.look()
        await readiness.look()
    assert not readiness.ready
    assert re.fullmatch(f"not ready: {TOO_OLD}", "".join(record.getMessage() for record in caplog.records)), "said once"
    await pool.close()
    pool = await open_pool(old_database, 1, read_only=True)
    (finding,) = await diagnostics.safely("database", diagnostics.check_database(pool), "upgrade it")
    assert finding.verdict is Verdict.PROBLEM
    assert re.fullmatch(TOO_OLD, finding.found)
    await pool.close()


async def test_a_nats_without_atomic_batches_has_the_stream_that_it_can_have(
    nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    month = timedelta(days=30)
    async with queue.open_nats(nats.url, "test", lambda _: None) as client:
        without = StreamConfig(name="OLD")
        assert "allow_atomic" in stream.differences(client, without, month)
        monkeypatch.setattr(stream, "ATOMIC_SINCE", (99, 0))
        assert "allow_atomic" not in stream.differences(client, without, month)


async def test_a_nats_that_is_too_old_is_not_used(nats: Nats, monkeypatch: pytest.MonkeyPatch) -> None:
    async with queue.open_nats(nats.url, "test", lambda _: None):
        pass
    monkeypatch.setattr(queue, "OLDEST_NATS", (99, 1))
    with pytest.raises(Unavailable, match=r"NATS 2\.\d+ is too old: Stockward needs 99\.1 or newer"):
        async with queue.open_nats(nats.url, "test", lambda _: None):
            pass
