"""The power fails under load: whatever was acknowledged is on the disk, and every event of it in JetStream.

It takes a file system that forgets what was not flushed, and so root; a disk that reports what it has not flushed as
flushed is not covered.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from stockward.event.v1.event_pb2 import Event

from stockward_dev import Nats, Postgres
from stockward_server.runtime import supervision
from stockward_server.runtime.supervision import end
from stockward_server.storage import database as storage
from stockward_server.storage.database import Pool
from tests.commands import ResultCommitter, acknowledged, buy, committing, orders, sell, verify
from tests.events import drained, relaying, stored, until, versions
from tests.faults.power_loss import Disk, NoSuchDisk, forgetful_disk

pytestmark = [pytest.mark.timed, pytest.mark.timeout(3600)]

LOSSES = int(os.environ.get("POWER_LOSSES", "200"))
"""How often the power fails, for two to three seconds each."""

JUDGED_EVERY = 25
"""Losses after which all that was ever acknowledged is looked for."""

MORE = 150
"""Orders between two losses."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "MAX_PAUSE", 0.3)


@pytest.fixture
def disk() -> Iterator[Disk]:
    with ExitStack() as stack:
        try:
            made = stack.enter_context(forgetful_disk())
        except NoSuchDisk as error:
            pytest.skip(f"a disk that forgets needs root and ext4: {error}")
        yield made


@dataclass
class Shop:
    """PostgreSQL and NATS on the disk, and the orders that were acknowledged."""

    disk: Disk
    postgres: Postgres
    nats: Nats
    sold: list[str] = field(default_factory=list)

    @classmethod
    def on(cls, disk: Disk, directory: Path, *, flushes: bool = True, durable: bool = True) -> Shop:
        """`flushes`: whether COMMIT waits for the disk; `durable`: whether NATS does."""
        settings = {"synchronous_commit": "on" if flushes else "off", "wal_writer_delay": "10s"}
        postgres = Postgres(
            disk.path / "postgres", settings=settings, log=directory / "postgres.log", lock=directory / "postgres.lock"
        )
        nats = Nats(disk.path / "nats", durable=durable, log=directory / "nats.log", lock=directory / "nats.lock")
        return cls(disk, postgres, nats)

    async def begin(self) -> None:
        """Goods, on the disk whatever its settings are."""
        await self.postgres.start()
        await self.nats.start()
        await storage.migrate(self.postgres.url())
        async with storage.opened_pool(self.postgres.url(), 2) as pool:
            await sell(pool, MUG=10_000_000)
        await self.postgres.stop()
        await self.nats.stop()
        os.sync()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Pool]:
        await self.postgres.start()
        await self.nats.start()
        async with storage.opened_pool(self.postgres.url(), 8) as pool:
            yield pool

    async def lose_power_under_load(self) -> None:
        """Sells until so many more orders are acknowledged, and then nothing more reaches the disk."""
        async with (
            self.running() as pool,
            committing(pool) as one,
            committing(pool) as two,
            relaying(self.postgres.url(), self.nats.url),
        ):
            customers = [asyncio.create_task(self._customer(each)) for each in (one, two) for _ in range(8)]
            goal = len(self.sold) + MORE
            await until(lambda: len(self.sold) >= goal)
            self.disk.lose_power()
            await self._kill()
            await end(*customers)
        await self.disk.unmount()
        self.disk.mount()

    async def _kill(self) -> None:
        """Ends every process, also those of PostgreSQL that wait for the lock of one that has failed: without the
        postmaster nobody else would end them."""
        postmaster = self.postgres.pid
        assert postmaster is not None
        os.kill(postmaster, signal.SIGSTOP)  # it starts no others
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        await asyncio.gather(self.postgres.kill(), self.nats.kill())

    async def _customer(self, committer: ResultCommitter) -> None:
        while True:
            self.sold.append((await acknowledged(committer, buy(("MUG", 1)))).order_id)

    async def lost(self) -> tuple[int, int]:
        """Orders that were acknowledged and are gone, and events of the record that JetStream does not have."""
        async with self.running() as pool:
            there = set(await orders(pool))
            if there >= set(self.sold):
                await verify(pool)
            async with relaying(self.postgres.url(), self.nats.url):
                await until(lambda: drained(pool))
            recorded = {str(row[0]) for row in await pool.fetch("SELECT event_id FROM events")}
        told = [Event.FromString(message.data) for message in await stored(self.nats.url)]
        published = {each.event_id for each in told}
        if there >= set(self.sold) and published >= recorded:
            assert len(told) == len(published) == len(recorded), "nothing is there twice, or of nothing that happened"
            for found in versions(told).values():
                assert found == list(range(1, len(found) + 1))
        await self.postgres.stop()
        await self.nats.stop()
        return len(set(self.sold) - there), len(recorded - published)


async def test_nothing_acknowledged_is_lost(disk: Disk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop.on(disk, tmp_path)
    await shop.begin()
    for number in range(1, LOSSES + 1):
        await shop.lose_power_under_load()
        if number % JUDGED_EVERY == 0 or number == LOSSES:
            assert await shop.lost() == (0, 0), f"after {number} losses"
            with capsys.disabled():
                print(f"\nthe power failed {number} times, {len(shop.sold)} acknowledged orders are there", end="")


async def test_a_database_that_does_not_flush_is_found(disk: Disk, tmp_path: Path) -> None:
    shop = Shop.on(disk, tmp_path, flushes=False)
    await shop.begin()
    await shop.lose_power_under_load()
    orders_lost, _ = await shop.lost()
    assert orders_lost


async def test_a_stream_that_does_not_flush_is_found(disk: Disk, tmp_path: Path) -> None:
    shop = Shop.on(disk, tmp_path, durable=False)
    await shop.begin()
    await shop.lose_power_under_load()
    orders_lost, events_lost = await shop.lost()
    assert not orders_lost
    assert events_lost
