"""From the previous release to this one while clients work: nobody loses anything, and either works beside the other.

The previous release is what the newest tag has; before there is one, what the code was before page tokens and cursors
were sealed.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from stockward_dev import Nats, Postgres, free_port
from stockward_dev.worker import Worker
from stockward_server.application.context import Role
from stockward_server.storage import database as storage
from stockward_server.storage.database import Pool
from tests.events import until
from tests.faults.proxy import PostgresProxy, Proxy
from tests.shop import KEYS, Shop
from torture.checks import answers, counters, delivered
from torture.listeners import Receiver
from torture.run import Plan, Work, settle, working
from torture.stack import Process, Ways, errors_in, most_connections, ready, variables
from torture.usage import Usage, usage_of
from torture.workload import sell_out

ROOT = Path(__file__).resolve().parents[2]

BEFORE_ALL_TAGS = "8bb6bbd00b9f1d8c2d27e41b3dd03268a397c862"

PLAN = Plan(seed=3, seconds=0, clients=6, pause=0.05, hold_seconds=2, leaves=False, charges=False)

ALTERED = "InvalidCachedStatementError"
"""What came before all tags answered INTERNAL where it first used a statement after a column had come to its table,
with nothing half done (docs/how-to/operator/upgrade.md)."""

CALLS = 120
"""Made between two steps."""


class Former(Worker):
    """A process of the previous release, by this Python and its packages."""

    def __init__(self, name: str, role: str, source: Path, **options: object) -> None:
        super().__init__(name, "serve" if role == "server" else role, **options)  # type: ignore[arg-type]
        self._path = os.pathsep.join(str(source / each) for each in ("server", "generated/python", "clients/python"))

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), "PYTHONPATH": self._path}


@dataclass
class Both:
    """Processes of both releases on one database; a Subject of run.py."""

    addresses: list[str]
    receivers: Mapping[str, Receiver]
    pool: Pool
    database_url: str
    nats_url: str
    former: dict[str, Former]
    present: dict[str, Process]
    most_connections: int = 2 * most_connections(2)

    async def heal(self) -> None:
        """Nothing is done to it."""

    async def usage(self) -> Usage:
        processes = [*self.former.values(), *self.present.values()]
        return await usage_of([each.pid for each in processes if each.pid], 0, self.pool)

    def errors(self) -> list[str]:
        return [line for each in (*self.former.values(), *self.present.values()) for line in errors_in(each)]


def git(*arguments: str) -> bytes:
    found = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    return found.stdout if found.returncode == 0 else b""


def newest_tag() -> str:
    return git("describe", "--tags", "--abbrev=0").decode().strip()


@pytest.fixture(scope="module")
def source() -> Iterator[Path]:
    """The code of the previous release."""
    release = newest_tag() or BEFORE_ALL_TAGS
    archive = git("archive", release, "server", "generated/python", "clients/python")
    if not archive:
        pytest.skip(f"the previous release ({release[:10]}) is not in this clone: git fetch --unshallow --tags")
    folder = Path(tempfile.mkdtemp(prefix="stockward-former-"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    yield folder
    shutil.rmtree(folder)


@asynccontextmanager
async def both_releases(postgres: Postgres, nats: Nats, source: Path, directory: Path) -> AsyncIterator[Both]:
    """The former one at work on its own schema, this one at hand."""
    async with AsyncExitStack() as stack:
        url = await postgres.create_database("upgrade")
        stack.push_async_callback(postgres.drop_database, "upgrade")
        await storage.migrate(url, source / "server/stockward_server/storage/migrations")
        receivers = {  # the gateways of production try again after minutes
            name: await stack.enter_async_context(Receiver.listening(moody=False)) for name in ("storefront", "pms")
        }
        pool = await storage.open_pool(url, 4)
        stack.push_async_callback(pool.close)
        for (
            role,
            key,
        ) in KEYS.items():  # by what the former schema has, which this release's code may not be content with
            await pool.execute(
                "INSERT INTO api_keys (key_id, name, role, prefix, hash) VALUES (gen_random_uuid(), $1, $2, '', $3)",
                role,
                int(Role[role.upper()]),
                sha256(key.encode()).digest(),
            )
        former: dict[str, Former] = {}
        present: dict[str, Process] = {}
        addresses: list[str] = []
        for name in ("server-1", "server-2", "relay", "gateway"):
            role, address = name.partition("-")[0], f"127.0.0.1:{free_port()}"
            settings = variables(url, nats.url, address, receivers)
            files = {"log": directory / f"former-{name}.log", "lock": directory / f"former-{name}.lock"}
            former[name] = Former(
                f"former-{name}",
                role,
                source,
                variables=settings,
                ready=ready(role, address),
                stop_within=10.0,
                **files,
            )
            if role == "server":  # one follows the other at its address
                addresses.append(address)
            else:  # they work beside each other for a while
                address = f"127.0.0.1:{free_port()}"
            ways = Ways(
                await stack.enter_async_context(PostgresProxy(url)),
                await stack.enter_async_context(Proxy(f"127.0.0.1:{nats.port}")),
            )
            settings = variables(ways.postgres.url, nats.url, address, receivers)
            files = {"log": directory / f"{name}.log", "lock": directory / f"{name}.lock"}
            present[name] = Process(
                name, role, "", ways, None, variables=settings, ready=ready(role, address), stop_within=10.0, **files
            )
        for each in (*former.values(), *present.values()):
            stack.push_async_callback(each.kill)
        await asyncio.gather(*(each.start() for each in former.values()))
        yield Both(addresses, receivers, pool, url, nats.url, former, present)


async def more(work: Work) -> None:
    """Clients go on for a while."""
    history = work.evidence.history
    goal = len(history.calls) + CALLS
    await until(lambda: len(history.calls) >= goal or any(task.done() for task in work.tasks))


@pytest.mark.timed
async def test_an_upgrade_step_by_step_while_clients_work(postgres: Postgres, source: Path, tmp_path: Path) -> None:
    """Migrations first, under the former servers; then one process after another."""
    async with (
        Nats(tmp_path / "nats", durable=False) as nats,
        both_releases(postgres, nats, source, tmp_path) as subject,
        working(subject, PLAN) as work,
    ):
        former, present = subject.former, subject.present
        await more(work)
        assert await storage.migrate(subject.database_url)
        await more(work)
        await former["server-1"].stop()
        await present["server-1"].start()
        await more(work)  # the former server-2 beside it
        for name in ("relay", "gateway"):
            await present[name].start()
            await more(work)  # the former one beside it
            await former[name].stop()
        await former["server-2"].stop()
        await present["server-2"].start()
        await more(work)
        work.stop.set()
        await asyncio.gather(*work.tasks)
        await sell_out(work.caller)
        await settle(work, 60)
        for task in work.background:
            task.cancel()
        await asyncio.gather(*work.background, return_exceptions=True)
        work.background.clear()
        errors = subject.errors()
        excused = [] if newest_tag() else [each for each in errors if each.startswith("former-") and ALTERED in each]
        work.evidence.errors = [line for line in errors if line not in excused]
        checks = (
            *(answers.acknowledged, answers.refused, answers.whole_orders, answers.payments),
            *(counters.balanced, counters.ledger, counters.sold, counters.holds),
            *(delivered.recorded, delivered.streamed, delivered.delivered, delivered.listed, delivered.watched),
        )
        findings = [await check(work.evidence) for check in checks]
        foreseen = await answers.foreseen(work.evidence)
        calls = list(work.evidence.history.calls)
    assert not work.evidence.errors
    assert len(foreseen.violations) <= len([line for line in excused if "incident" in line]), foreseen.violations
    assert not [finding for finding in findings if finding.violations]
    assert all(finding.examined for finding in findings)
    unanswered = [call for call in calls if call.response is None and not call.attempts[-1].definite]
    assert len(unanswered) < len(calls) / 50, (
        "who tried again was answered, but for a few who tried the same server only"
    )


async def test_the_previous_client_works_with_this_server(shop: Shop, source: Path, tmp_path: Path) -> None:
    """Its own example, from a product to the parcel, with its own generated code."""
    (tmp_path / ".stockward").mkdir()
    (tmp_path / ".stockward" / "run.json").write_text(json.dumps({"grpc": shop.address, "keys": KEYS}))
    path = os.pathsep.join(str(source / each) for each in ("generated/python", "clients/python"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(source / "clients/python/examples/order_flow.py")),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert output.decode().splitlines()[-1:] == ["STATE_FULFILLED 8"], output.decode()
    await shop.verify()
