"""A connection that keeps its session, for advisory locks, which end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import asyncpg

from stockward_server.storage.cluster import Address, Cluster
from stockward_server.storage.database import Connection, SessionNotKept, check_session, is_database_down

CLOSE_SECONDS = 2.0

KEEPALIVES = {
    # If this machine fails, PostgreSQL notices within a minute and releases the locks.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


@asynccontextmanager
async def held_connection(
    address: Address, name: str, on_lost: Callable[[str], None], settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Connection]:
    """Opens a separate connection, shown as `name` in PostgreSQL. `on_lost` is called at once when it breaks, which
    releases its locks, but not when it is closed at the end. `address` must lead to PostgreSQL or to a pooler that
    keeps sessions. Raises SessionNotKept otherwise."""
    cluster = Cluster.of(address)
    try:
        connection = await cluster.connect(
            command_timeout=30.0,
            server_settings={**KEEPALIVES, **settings, "application_name": name, "timezone": "UTC"},
        )
    except asyncpg.ProtocolViolationError as error:  # PgBouncer rejects settings that it does not know
        raise SessionNotKept from error
    try:
        await check_session(connection, cluster)
    except BaseException:
        connection.terminate()
        raise

    def lost(_: object) -> None:
        on_lost("the connection to PostgreSQL is lost")

    connection.add_termination_listener(lost)
    try:
        yield connection
    finally:
        connection.remove_termination_listener(lost)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):  # the driver's own timeout ignores a cancelled query
                await connection.close()
        except Exception as error:
            connection.terminate()
            if not is_database_down(error):
                raise
