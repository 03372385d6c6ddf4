"""The disk of PostgreSQL is full: callers learn it, reads go on, and with room all goes on by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import grpc
import pytest
from stockward.order.v1 import order_pb2

from stockward_dev import Postgres
from stockward_server.config import Settings
from stockward_server.storage import database as storage
from tests.shop import Refused, Shop, running_shop

DISK = 48
"""MiB: for an empty shop and some more."""

LOG_DISK = 112
"""MiB: for seven segments of the write-ahead log."""


@pytest.fixture
def small_disk() -> Iterator[Path]:
    with mounted(DISK) as directory:
        yield directory


@contextmanager
def mounted(size: int) -> Iterator[Path]:
    """A file system with so many MiB; only root may make one."""
    directory = Path(tempfile.mkdtemp(prefix="stockward-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=0777", "tmpfs", str(directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        directory.rmdir()
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)
        shutil.rmtree(directory)


@pytest.fixture
async def database_url(small_disk: Path) -> AsyncIterator[str]:
    """Its tables alone are on the small disk: without room for WAL PostgreSQL would stop."""
    async with Postgres.temporary() as postgres:
        place = small_disk / "tables"
        place.mkdir(mode=0o700)
        owner = (postgres.data_dir / "PG_VERSION").stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        connection = await asyncpg.connect(postgres.url())
        await connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        await connection.execute("CREATE DATABASE shop TABLESPACE small")
        await connection.close()
        await storage.migrate(postgres.url("shop"))
        yield postgres.url("shop")


def fill(disk: Path) -> Path:
    """Takes all the room that is left, with a file."""
    filler = disk / "filler"
    room = os.statvfs(disk)
    subprocess.run(["fallocate", "-l", str(room.f_bavail * room.f_frsize), str(filler)], check=True)
    return filler


async def buy(shop: Shop, request_id: str) -> order_pb2.Order | Refused:
    try:
        return await shop.order("TEE", request_id=request_id)
    except grpc.aio.AioRpcError as error:
        return Refused(error)


async def test_the_shop_stands_a_full_disk(
    small_disk: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_shop(settings.model_copy(update={"sweep_interval_seconds": 5.0})) as shop:
        await shop.sell("TEE", 100_000)
        filler = fill(small_disk)
        acknowledged: dict[str, str] = {}
        refused: list[str] = []
        while len(refused) < 100:  # the pages that there are take some more orders
            request_id = str(uuid.uuid4())
            outcome = await buy(shop, request_id)
            if isinstance(outcome, Refused):
                assert (outcome.code, outcome.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
                assert outcome.message == "the disk of the database is full: nothing was changed"
                assert outcome.retry_after >= 1
                refused.append(request_id)
            else:
                acknowledged[request_id] = outcome.order_id
        assert await shop.counters("TEE") == (100_000, 0, len(acknowledged)), "reads go on"
        lines = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
        assert len(lines) < 25, [record.getMessage() for record in lines]

        filler.unlink()
        for request_id in refused:  # nothing has to be restarted
            outcome = await buy(shop, request_id)
            assert isinstance(outcome, order_pb2.Order)
            acknowledged[request_id] = outcome.order_id
        orders = await shop.pool.fetch("SELECT order_id::text FROM orders")
        assert sorted(row[0] for row in orders) == sorted(acknowledged.values())
        await shop.verify()


async def test_with_a_full_disk_of_its_log_postgresql_stops_and_loses_nothing(nats_url: str) -> None:
    """Once there is room it has to be started, and nothing else: servers go on by themselves."""
    small_log = {"min_wal_size": "32MB", "max_wal_size": "32MB"}
    with mounted(LOG_DISK) as disk:
        async with Postgres.temporary(settings=small_log) as postgres:
            await postgres.stop()
            move_log(postgres.data_dir, disk / "log")
            await postgres.start()
            await storage.migrate(postgres.url())
            own = {"database_url": postgres.url(), "event_queue_url": nats_url, "sweep_interval_seconds": 5.0}
            async with running_shop(Settings.model_validate(own)) as shop:
                await shop.sell("TEE", 100_000)
                filler = fill(disk)
                acknowledged: dict[str, str] = {}
                refused: list[str] = []
                while len(refused) < 6:
                    if len(acknowledged) >= 10:  # the segments that there are take some orders
                        with suppress(asyncpg.PostgresError, OSError):
                            await switch_segment(postgres)
                    request_id = str(uuid.uuid4())
                    outcome = await buy(shop, request_id)
                    if isinstance(outcome, Refused):
                        assert (outcome.code, outcome.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
                        refused.append(request_id)
                    else:
                        acknowledged[request_id] = outcome.order_id
                assert len(acknowledged) >= 10
                assert await asyncio.wait_for(postgres.wait(), 60), "it ended by itself"
                assert "No space left on device" in postgres.log.read_text()

                filler.unlink()
                await postgres.start()
                before = await postgres_orders(postgres)
                assert set(acknowledged.values()) <= before
                for request_id in refused:
                    outcome = await buy(shop, request_id)
                    assert isinstance(outcome, order_pb2.Order)
                    acknowledged[request_id] = outcome.order_id
                assert await postgres_orders(postgres) == set(acknowledged.values())
                await shop.verify()


def move_log(data: Path, to: Path) -> None:
    """Moves the write-ahead log of a server that does not run."""
    log = data / "pg_wal"
    owner = log.stat()
    shutil.copytree(log, to)
    for path in (to, *to.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    to.chmod(0o700)
    shutil.rmtree(log)
    log.symlink_to(to)


async def switch_segment(postgres: Postgres) -> None:
    """Has the next change begin a new segment of the log."""
    connection = await asyncpg.connect(postgres.url(), timeout=5)
    try:
        await connection.execute("SELECT pg_switch_wal()")
    finally:
        await connection.close()


async def postgres_orders(postgres: Postgres) -> set[str]:
    connection = await asyncpg.connect(postgres.url())
    try:
        return {row[0] for row in await connection.fetch("SELECT order_id::text FROM orders")}
    finally:
        await connection.close()
