"""The disk of PostgreSQL is full: callers learn it, reads go on, and with room all goes on by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
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


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system with little room; only root may make one."""
    directory = Path(tempfile.mkdtemp(prefix="stockward-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=0777", "tmpfs", str(directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        directory.rmdir()
        pytest.skip("a small disk needs the right to mount one")
    yield directory
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
