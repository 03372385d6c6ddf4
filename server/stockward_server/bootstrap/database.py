"""Use cases on the database alone: migrations, keys, personal data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stockward_server.api.events.encoder import encode_event
from stockward_server.api.personal_data import answer_without, event_without
from stockward_server.application.context import Role
from stockward_server.application.ports.keys import Keys
from stockward_server.config import Settings
from stockward_server.storage import database, keys
from stockward_server.storage.cluster import Cluster
from stockward_server.storage.customers import SqlCustomers
from stockward_server.storage.write.mutation import Mutations
from stockward_server.storage.write.order_refresh import refresh_orders
from stockward_server.storage.write.search_refresh import refresh_search


async def migrate(settings: Settings) -> list[str]:
    """Applies pending migrations and returns their names.

    Also refreshes the search columns, so that servers of this release find all products and orders from their start.
    """
    url = settings.database_url.get_secret_value()
    applied = await database.migrate(url)
    async with database.opened_pool(url, 1) as pool:
        await refresh_search(pool)
        await refresh_orders(pool)
    return applied


async def ensure_key(settings: Settings, name: str, role: str, key: str) -> None:
    """Stores an API key for `role` (`storefront`, `viewer`, `pms` or `admin`) unless it exists."""
    connection = await Cluster(settings.database_url.get_secret_value()).connect()
    try:
        await keys.ensure_key(connection, name, Role[role.upper()], key)
    finally:
        await connection.close()


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[Keys]:
    """Opens the API keys in the database, without a server."""
    async with database.opened_pool(settings.database_url.get_secret_value(), 1) as pool:
        yield keys.SqlKeys(pool, Mutations(pool, encode_event))


@asynccontextmanager
async def opened_customers(settings: Settings) -> AsyncIterator[SqlCustomers]:
    """Opens the customers' personal data in the database, without a server."""
    async with database.opened_pool(settings.database_url.get_secret_value(), 2, command_timeout=600.0) as pool:
        yield SqlCustomers(pool, event_without, answer_without)
