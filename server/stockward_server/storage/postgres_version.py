"""The versions of PostgreSQL that Stockward runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stockward_server.storage.database import Executor

OLDEST_POSTGRESQL = 15
"""Oldest major version that has everything that the statements use: 14 has no MERGE."""


class PostgresTooOld(ConnectionError):
    """PostgreSQL is older than OLDEST_POSTGRESQL."""

    def __init__(self, version: str) -> None:
        super().__init__(f"PostgreSQL {version} is too old: Stockward needs {OLDEST_POSTGRESQL} or newer")


def check_version(connection: Executor) -> None:
    """Raises PostgresTooOld. Costs no round trip: the server reports its version when a connection opens."""
    version = connection.get_server_version()
    if version.major < OLDEST_POSTGRESQL:
        raise PostgresTooOld(f"{version.major}.{version.micro}")
