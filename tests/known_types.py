"""What asyncpg has to know of PostgreSQL's own types, asked for once instead of once a connection.

Each new connection of a test asks for the arrays that it uses, at some 10 ms of PostgreSQL's time each and up to five
times; the answers are the same for all databases of a server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import asyncpg

FIRST_OWN_OID = 16384
"""Ids of types from here on are given by each database (PostgreSQL's `FirstNormalObjectId`)."""


class _NotPrepared(NamedTuple):
    """Stands for the statement that asked, where none did; one without a name would be prepared again."""

    name: str = "none"


def remember_types() -> None:
    """Has connections of this process share what was learned of PostgreSQL's own types."""
    connection: Any = asyncpg.Connection  # the types of asyncpg leave out what is not public
    ask = connection._introspect_types
    known: dict[frozenset[int], Any] = {}

    async def answer(self: asyncpg.Connection, typeoids: Iterable[int], timeout: float) -> tuple[Any, Any]:
        wanted = frozenset(typeoids)
        if wanted in known:
            return known[wanted], _NotPrepared()
        types, statement = await ask(self, typeoids, timeout)
        if max(wanted) < FIRST_OWN_OID:
            known[wanted] = types
        return types, statement

    connection._introspect_types = answer
