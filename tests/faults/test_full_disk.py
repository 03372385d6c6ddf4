"""NATS has no room left: the shop goes on, the relay waits, and afterwards everything is reported, in order and
once."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from stockward.event.v1.event_pb2 import Event

from stockward_dev import Nats
from stockward_server.relay import publisher
from stockward_server.runtime import supervision
from stockward_server.storage.database import Pool
from tests.events import drained, event, pending, record, record_many, relaying, stored, until, versions
from tests.faults.full_disk import LimitedNats

ROOM = 400_000
"""Bytes: for a part of the events."""

AGGREGATES, VERSIONS = 40, 50


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the relay: until it tries again, and until it takes silence for no."""
    monkeypatch.setattr(supervision, "MAX_PAUSE", 0.3)
    monkeypatch.setattr(publisher, "ACK_SECONDS", 1.0)


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[LimitedNats]:
    nats = LimitedNats(tmp_path / "nats", durable=False)
    nats.room = ROOM
    async with nats:
        yield nats


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system with little room; only root may make one."""
    directory = Path(tempfile.mkdtemp(prefix="stockward-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        directory.rmdir()
        pytest.skip("a small disk needs the right to mount one")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)
    shutil.rmtree(directory)


async def full_and_enlarged(
    database: Pool, database_url: str, nats: Nats, enlarge: Callable[[], Awaitable[None]], log: pytest.LogCaptureFixture
) -> None:
    def refused() -> bool:
        return any("cannot be published" in message for message in log.messages)

    async with relaying(database_url, nats.url):
        await record_many(database, AGGREGATES, VERSIONS)
        await until(refused)
        left = await pending(database)
        assert left
        await record(database, event("a0", VERSIONS + 1))  # the shop goes on
        assert await pending(database) == left + 1
        await enlarge()
        await until(lambda: drained(database))
    told = versions([Event.FromString(message.data) for message in await stored(nats.url)])
    assert told.pop("a0") == list(range(1, VERSIONS + 2))
    assert list(told.values()) == [list(range(1, VERSIONS + 1))] * (AGGREGATES - 1)


async def test_the_limit_of_the_server(
    database: Pool, database_url: str, limited: LimitedNats, caplog: pytest.LogCaptureFixture
) -> None:
    await full_and_enlarged(database, database_url, limited, lambda: limited.limit(None), caplog)


async def test_the_end_of_the_disk(
    database: Pool, database_url: str, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """NATS then closes JetStream until it is started again."""

    async def enlarge() -> None:
        await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        await nats.restart()

    async with Nats(small_disk / "nats", durable=False) as nats:
        await full_and_enlarged(database, database_url, nats, enlarge, caplog)
