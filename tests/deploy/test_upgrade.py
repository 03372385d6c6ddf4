"""A shop is upgraded in place from this release to the next one, and back, by the wheels of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from stockward.order.v1 import order_pb2

from stockward_dev import Postgres, free_port
from stockward_server.bootstrap.database import ensure_key
from stockward_server.config import Settings, variable
from stockward_server.domain.identifiers import new_id
from stockward_server.runtime.probes import grpc_serves
from stockward_server.storage.database import MIGRATIONS, Pool, opened_pool
from tests.deploy.distributions import Environment, build, clone, wheel
from tests.shop import KEYS, Shop, all_callers
from tests.terminal import Outcome, process, stockward
from tools import release

pytestmark = pytest.mark.long

INSTALLED = ("stockward_contract", "stockward_client", "stockward")

NEXT = """-- What a later release adds.
-- depends: {newest}

-- migrate: apply
ALTER TABLE orders ADD COLUMN of_the_next_release text;

-- migrate: rollback
ALTER TABLE orders DROP COLUMN of_the_next_release;
"""


class Installation:
    """An environment, its database and what is installed there."""

    def __init__(self, folder: Path, database_url: str, nats_url: str) -> None:
        self._environment = Environment(folder / "venv")
        self._folder = folder
        self._address = f"127.0.0.1:{free_port()}"
        self._settings = {
            variable("database_url"): database_url,
            variable("event_queue_url"): nats_url,
            variable("grpc_address"): self._address,
            variable("server_admin_address"): f"127.0.0.1:{free_port()}",
        }

    def install(self, dist: Path) -> None:
        """Installs what was built over what is there: another version, newer or older."""
        self._environment.install(*(wheel(dist, name) for name in INSTALLED), extras=("server",))

    async def stockward(self, *words: str) -> Outcome:
        """Runs the command that is installed."""
        program = (str(self._environment.script),)
        done = await stockward(*words, cwd=self._folder, program=program, **self._settings)
        assert not done.code, done.err
        return done

    @asynccontextmanager
    async def serving(self, pool: Pool) -> AsyncIterator[Shop]:
        """Runs the server that is installed."""
        log, stubs = self._folder / "serve.log", all_callers(self._address)
        async with process("serve", log, self._settings, program=(str(self._environment.script),)):
            assert await grpc_serves(self._address, 60), log.read_text()
            yield Shop(self._address, pool, stubs)
            for each in stubs.values():
                await each.channel.close()


async def test_a_shop_goes_to_the_next_release_and_back(postgres: Postgres, nats_url: str, tmp_path: Path) -> None:
    checkout = clone(tmp_path / "checkout")
    now, later = release.current(checkout), "99.0.0"
    newest = max(file.stem for file in MIGRATIONS.glob("*.sql"))
    first = build(checkout, tmp_path / "first", "--wheel")
    release.set_version(checkout, later)
    (checkout / "server/stockward_server/storage/migrations/9999_next.sql").write_text(NEXT.format(newest=newest))
    second = build(checkout, tmp_path / "second", "--wheel")

    url = await postgres.create_database("upgraded")
    installation = Installation(tmp_path, url, nats_url)
    installation.install(first)
    assert (await installation.stockward("--version")).out.startswith(f"stockward {now} (commit ")
    assert f"applied {newest}" in (await installation.stockward("migrate")).out
    for role, key in KEYS.items():
        await ensure_key(Settings(database_url=SecretStr(url)), role, role, key)

    lines = [order_pb2.CreateOrderRequest.Line(sku="TEE", quantity=1)]
    requests = [order_pb2.CreateOrderRequest(lines=lines, request_id=new_id()) for _ in range(3)]
    orders: list[order_pb2.Order] = []
    async with opened_pool(url, 2) as pool:
        for request, dist, version in zip(requests, (None, second, first), (now, later, now), strict=True):
            if dist:
                installation.install(dist)
                applied = (await installation.stockward("migrate")).out
                assert applied == ("applied 9999_next\n" if version == later else "up to date\n")
            assert (await installation.stockward("--version")).out.startswith(f"stockward {version} ")
            async with installation.serving(pool) as shop:
                if not orders:
                    await shop.sell("TEE", 9)
                orders.append(await shop.storefront.orders.CreateOrder(request))
                for made, order in zip(requests, orders, strict=False):
                    assert await shop.storefront.orders.CreateOrder(made) == order, "an answer of any release is kept"
        assert await pool.fetchval("SELECT count(*) FROM orders") == len(orders)
    await postgres.drop_database("upgraded")
