"""A PostgreSQL server of our own: address, durability, crashes and users."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from stockward_dev import Postgres, StartError
from stockward_dev.database_user import SYSTEM_USER
from stockward_dev.service import locked_by, stop_leftover

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
async def postgres() -> AsyncIterator[Postgres]:
    async with Postgres.temporary() as server:
        yield server


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that everyone may enter, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="stockward-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_it_is_durable_and_off_the_network(postgres: Postgres) -> None:
    settings = {
        name: await value(postgres.url(), f"SELECT current_setting('{name}')")
        for name in ("fsync", "synchronous_commit", "listen_addresses", "shared_buffers", "data_checksums")
    }
    assert settings == {
        "fsync": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "shared_buffers": "256MB",
        "data_checksums": "on",
    }


async def test_psql_takes_the_same_url(postgres: Postgres) -> None:
    psql = Path(postgres.command()[0]).with_name("psql")
    process = await asyncio.create_subprocess_exec(
        *(psql, postgres.url(), "-Atc", "SELECT 42"),
        env={**os.environ, "PGPORT": "1", "PGHOST": "elsewhere.invalid"},
        stdout=subprocess.PIPE,
    )
    assert (await process.communicate())[0] == b"42\n"


async def test_a_database_is_made_once(postgres: Postgres) -> None:
    url = await postgres.create_database("shop")
    await value(url, "CREATE TABLE kept ()")
    assert await postgres.create_database("shop") == url
    copy = await postgres.create_database("shop copy", template="shop")
    assert await value(copy, "SELECT to_regclass('kept') IS NOT NULL")


async def test_committed_data_survives_a_crash_at_the_same_address(postgres: Postgres) -> None:
    url = await postgres.create_database("crash")
    holder = await asyncpg.connect(url)  # an open session must not keep the server from coming back
    await holder.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    pid = postgres.pid

    await postgres.kill()
    await postgres.start()

    assert postgres.pid != pid
    assert await value(url, "SELECT answer FROM kept") == 42
    holder.terminate()


async def test_a_restart_ends_open_sessions(postgres: Postgres) -> None:
    holder = await asyncpg.connect(postgres.url())
    await postgres.restart()
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
        await holder.execute("SELECT 1")


async def test_a_second_server_on_the_same_data_is_refused(postgres: Postgres) -> None:
    second = Postgres(postgres.data_dir)
    second.ready_within = 0.5
    with pytest.raises(StartError, match=rf"running already \(pid {postgres.pid}\)"):
        await second.start()
    assert await value(postgres.url(), "SELECT 1") == 1


async def test_a_leftover_is_found_and_stopped(directory: Path) -> None:
    async with Postgres(directory / "data") as server:
        pid = server.pid
        assert await stop_leftover(server.lock) == pid
        assert await server.wait() == 0
        assert await stop_leftover(server.lock) is None


async def test_an_interrupted_initialization_is_made_anew(directory: Path) -> None:
    starting = asyncio.create_task(Postgres(directory / "data").start())
    while not (directory / "data.unfinished" / "postgresql.conf").exists():
        await asyncio.sleep(0.001)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not list((directory / "data").iterdir())

    async with Postgres(directory / "data") as server:
        assert await value(server.url(), "SELECT 1") == 1


@pytest.mark.parametrize("name", ["long-" * 30, "with space & 'quote' ü"])
async def test_any_path_will_do(directory: Path, name: str) -> None:
    async with Postgres(directory / name / "data") as server:
        assert await value(server.url(), "SELECT 1") == 1
        sockets = Path(server.url().partition("host=")[2].partition("&")[0])
        assert sockets.stat().st_mode & 0o077 == 0
    sockets.rmdir()


async def test_files_of_somebody_else_are_left_alone(directory: Path) -> None:
    (directory / "data").mkdir()
    (directory / "data" / "letter").write_text("dear")
    with pytest.raises(StartError, match="has files, but none of PostgreSQL's"):
        await Postgres(directory / "data").start()
    assert (directory / "data" / "letter").read_text() == "dear"


async def test_data_of_another_version_is_told(directory: Path) -> None:
    (directory / "data").mkdir()
    (directory / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(StartError, match=r"made by PostgreSQL 12, and this is PostgreSQL \d+"):
        await Postgres(directory / "data").start()


async def test_a_server_that_cannot_start_names_its_log(directory: Path) -> None:
    server = Postgres(directory / "data", settings={"shared_buffers": "lots"})
    with pytest.raises(StartError, match="exited with code 1 while starting") as refusal:
        await server.start()
    assert refusal.value.log == server.log
    assert "shared_buffers" in server.log.read_text()
    assert server.pid is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_root_keeps_data_elsewhere_where_its_user_may_not_enter(directory: Path) -> None:
    directory.chmod(0o700)
    server = Postgres(directory / "data")
    async with server:
        assert await value(server.url(), "SELECT 1") == 1
    async with server:
        assert await value(server.url(), "SELECT 1") == 1
    place = server.data_dir.resolve()
    assert server.data_dir.is_symlink()
    assert not place.is_relative_to(directory)
    assert place.stat().st_uid == pwd.getpwnam(SYSTEM_USER).pw_uid
    assert directory.stat().st_mode & 0o777 == 0o700

    shutil.rmtree(place.parent)
    with pytest.raises(StartError, match="which is gone"):
        await server.start()


async def test_it_ends_within_its_deadline_or_is_killed(directory: Path) -> None:
    server = Postgres(directory / "data")
    await server.start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    server.stop_within = 0.2
    assert await server.stop() is False
    assert locked_by(server.lock) is None
