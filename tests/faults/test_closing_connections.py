"""A connection to a PostgreSQL that stands still is closed all the same."""

from __future__ import annotations

from stockward_dev import Postgres
from stockward_server.storage.cluster import Cluster
from torture.stack import freeze, thaw


async def test_a_server_that_does_not_respond_makes_closing_no_error() -> None:
    async with Postgres.temporary(settings={"fsync": "off"}) as postgres:
        connection = await Cluster(postgres.url("postgres")).connect()
        freeze(postgres)
        try:
            await connection.close(timeout=0.2)
        finally:
            thaw(postgres)
        assert connection.is_closed()
