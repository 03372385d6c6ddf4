"""Stockward on older versions of PostgreSQL than the wheel's, as far as they are installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from pogo_core.util.migrate import rollback
from pydantic import SecretStr
from stockward.catalog.v1 import catalog_pb2
from stockward.event.v1 import event_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2

from stockward_dev import free_port
from stockward_dev.database_user import database_user
from stockward_server.config import Settings
from stockward_server.storage.database import MIGRATIONS, migrate
from stockward_server.storage.postgres_version import OLDEST_POSTGRESQL
from tests.other_postgres import OtherPostgres
from tests.shop import running_shop

pytestmark = pytest.mark.long

INSTALLED = Path(os.environ.get("POSTGRES_VERSIONS", "/usr/lib/postgresql"))
"""A folder with a folder for each version, such as `15/bin`."""


@pytest.fixture(scope="module", params=[15, 16, 17])
def older(request: pytest.FixtureRequest) -> Iterator[OtherPostgres]:
    """A server of that version."""
    programs = INSTALLED / str(request.param) / "bin"
    if not (programs / "postgres").exists():
        pytest.skip(f"no PostgreSQL {request.param} in {INSTALLED}")
    folder, port = Path(tempfile.mkdtemp(prefix="stockward-")), free_port()
    user = database_user(folder / "data")
    owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)

    def run(program: str, *options: str) -> None:
        command = [programs / program, "--pgdata", folder / "data", *options]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True, **owner)  # type: ignore[call-overload]

    try:
        run("initdb", "--username=stockward", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "start", "--wait", "--log", str(folder / "log"), "--options", settings)
        try:
            yield OtherPostgres(f"postgresql://stockward@127.0.0.1:{port}/postgres")
        finally:
            run("pg_ctl", "stop", "--mode=immediate")
    finally:
        shutil.rmtree(folder)


async def test_migrations_go_forth_and_back(older: OtherPostgres) -> None:
    url = await older.create_database("forth_and_back")
    applied = await migrate(url)
    assert len(applied) == len(list(MIGRATIONS.glob("*.sql")))
    connection = await asyncpg.connect(url)
    assert connection.get_server_version().major >= OLDEST_POSTGRESQL
    await rollback(connection, MIGRATIONS, schema_name="public", count=len(applied))
    await connection.close()
    assert await migrate(url) == applied


async def test_a_shop_works(older: OtherPostgres, nats_url: str) -> None:
    url = await older.create_database("shop")
    await migrate(url)
    settings = Settings(database_url=SecretStr(url), event_queue_url=SecretStr(nats_url))
    async with running_shop(settings) as shop:
        await shop.sell("TEE", 9)
        paid = await shop.pay(await shop.order("TEE", 2))
        await shop.pms.inventory.AdjustStock(
            inventory_pb2.AdjustStockRequest(sku="TEE", delta=1, reason=inventory_pb2.ADJUSTMENT_REASON_RECEIVED)
        )
        explained = await shop.pms.inventory.ExplainAvailability(inventory_pb2.ExplainAvailabilityRequest(sku="TEE"))
        assert [(claim.order_id, claim.quantity) for claim in explained.claims] == [(paid.order_id, 2)]
        found = await shop.pms.catalog.ListProducts(catalog_pb2.ListProductsRequest(search="prod tee"))
        assert [product.variants[0].sku for product in found.products] == ["TEE"]
        orders = await shop.pms.orders.ListOrders(order_pb2.ListOrdersRequest(states=[paid.state]))
        assert [order.order_id for order in orders.orders] == [paid.order_id]
        seen = await shop.storefront.events.ListEvents(event_pb2.ListEventsRequest())
        types = {event.type for event in seen.events}
        assert types > {"product.published", "stock.changed", "order.created"}
        assert "product.created" not in types
        await shop.verify()
