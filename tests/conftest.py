"""Real PostgreSQL and NATS for the whole session; a database as new, a server and callers for each test."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis

from stockward_dev import Nats, Postgres, ports
from stockward_server.config import Settings
from stockward_server.storage import database as storage
from tests.databases import Databases
from tests.known_types import remember_types
from tests.other_postgres import OtherPostgres
from tests.shop import Callers, Shop, running_shop

TEMPLATE = "stockward_template"
"""A migrated database that every test gets a copy of."""

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the tests in the background has them
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored, and so would have every program that the tests start and stop

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    ports.keep_to(int(worker.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))

remember_types()

TESTS = Path(__file__).parent

FORGETFUL = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "max_parallel_workers_per_gather": "0",  # tables without statistics look large enough for processes of their own
}
"""Settings of a PostgreSQL whose databases are small and live for seconds."""

LONG_ROOMS = {"attack", "faults", "torture"}
"""Folders of tests that are all long; elsewhere files and tests say so of themselves."""

hypothesis.register_profile("same", derandomize=True)  # what fails here fails everywhere
hypothesis.register_profile("new", print_blob=True)
hypothesis.load_profile("same")

MAY_BE_ABSENT = (
    "no shared/data",
    "no /usr/bin/chromium",
    "no pgbouncer",
    "this PgBouncer",
    "no PostgreSQL 1",
    "no systemd-analyze",
    "no helm",
)
"""What CI may do without, by the reason for a skip: data that is never committed, and what .ci/run reports when it
cannot be installed."""


@pytest.hookimpl(tryfirst=True)  # before the marks are looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if LONG_ROOMS.intersection(item.path.relative_to(TESTS).parts):
            item.add_marker(pytest.mark.long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that is skipped for want of something has failed: nobody reads why it was."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and os.environ.get("CI") == "true":
        reason = report.longrepr[2]
        if not any(each in reason for each in MAY_BE_ABSENT):
            report.outcome = "failed"
            report.longrepr = f"In CI nothing may be left out: {reason}"
    return report


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[Postgres | OtherPostgres]:
    """A running PostgreSQL server that forgets in a crash: what is kept then is tested elsewhere, on durable ones."""
    if named := os.environ.get("OTHER_POSTGRES"):
        other = OtherPostgres(named)
        await storage.migrate(await other.create_database(TEMPLATE))
        yield other
        return
    async with Postgres.temporary(settings=FORGETFUL) as server:
        await storage.migrate(await server.create_database(TEMPLATE))
        yield server


@pytest.fixture(scope="session")
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    """A running NATS server with JetStream."""
    async with Nats(tmp_path_factory.mktemp("nats") / "store", durable=False) as server:
        yield server


@pytest.fixture
def nats_url(nats: Nats) -> str:
    return nats.url


@pytest.fixture(scope="session")
async def databases(postgres: Postgres) -> AsyncIterator[Databases]:
    """Migrated databases, to be taken one by one."""
    databases = Databases(postgres, TEMPLATE)
    yield databases
    databases.close()


@pytest.fixture
async def database_url(databases: Databases) -> AsyncIterator[str]:
    """A migrated database as new."""
    async with databases.one() as url:
        yield url


@pytest.fixture(scope="module")
async def module_database_url(databases: Databases) -> AsyncIterator[str]:
    """The same for all tests of a module: a worker may begin a module twice, and finds it as new then, too."""
    async with databases.one() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[storage.Pool]:
    """A pool on the test's database."""
    pool = await storage.open_pool(database_url, 10)
    yield pool
    await pool.close()


@pytest.fixture
def settings(database_url: str, nats_url: str) -> Settings:
    """Settings of the test's server."""
    return Settings.model_validate(
        {
            "database_url": database_url,
            "event_queue_url": nats_url,
            "grpc_address": "127.0.0.1:1",  # replaced by a free port
            "sweep_interval_seconds": 0.05,
            "shutdown_grace_seconds": 2.0,
        }
    )


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """A running server on the test's database, and a caller for each role."""
    async with running_shop(settings) as shop:
        yield shop


@pytest.fixture
def pms(shop: Shop) -> Callers:
    """Staff's stubs."""
    return shop.pms


@pytest.fixture
def storefront(shop: Shop) -> Callers:
    """The storefront's stubs."""
    return shop.storefront


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that want it are skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared/data beside the checkout")
    return folder
