"""Another PostgreSQL than the wheel's, for the whole run: `OTHER_POSTGRES=postgresql://owner@127.0.0.1:5432/postgres`."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import asyncpg


class OtherPostgres:
    """A server that runs already, with a superuser to make databases with."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, database: str = "postgres") -> str:
        """The URL of ``database``."""
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{database}"))

    async def create_database(self, name: str, *, template: str = "template0") -> str:
        """Make a database as a copy of ``template``, in place of one of an earlier run; returns its URL."""
        await self.drop_database(name)
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()
        return self.url(name)

    async def drop_database(self, name: str) -> None:
        """Delete a database, even while clients are connected to it."""
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close()
