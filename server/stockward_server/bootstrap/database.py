"""What works on the database itself: migrations, keys, personal data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from stockward_server.api.events.encoder import encode_event
from stockward_server.api.personal_data import answer_without, event_without
from stockward_server.application.context import Role
from stockward_server.application.ports.keys import Keys
from stockward_server.config import Settings
from stockward_server.storage import database, keys
from stockward_server.storage.customers import SqlCustomers
from stockward_server.storage.write.mutation import Mutations
from stockward_server.storage.write.search_refresh import refresh_search


async def migrate(settings: Settings) -> list[str]:
    """Brings the database up to date; answers the names of the migrations that were applied.

    With what is stored for searching, so that servers of this release find everything from their start.
    """
    url = settings.database_url.get_secret_value()
    applied = await database.migrate(url)
    async with database.opened_pool(url, 1) as pool:
        await refresh_search(pool)
    return applied


async def ensure_key(settings: Settings, name: str, role: str, key: str) -> None:
    """Makes a known key valid for `role` (`storefront`, `pms` or `admin`)."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=10.0)
    try:
        await keys.ensure_key(connection, name, Role[role.upper()], key)
    finally:
        await connection.close()


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[Keys]:
    """The API keys in the database, for anyone who may open that."""
    async with database.opened_pool(settings.database_url.get_secret_value(), 1) as pool:
        yield keys.SqlKeys(pool, Mutations(pool, encode_event))


@asynccontextmanager
async def opened_customers(settings: Settings) -> AsyncIterator[SqlCustomers]:
    """What is stored about customers, for anyone who may open the database."""
    async with database.opened_pool(settings.database_url.get_secret_value(), 2, command_timeout=600.0) as pool:
        yield SqlCustomers(pool, event_without, answer_without)
