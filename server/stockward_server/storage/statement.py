"""Several writes as one statement."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from stockward_server.storage.database import Executor


class Statement:
    """INSERTs and UPDATEs that go to the database together, as the parts of one WITH: one round trip for all of them.

    All of them see the tables as they were before, so a part may build on another only through its RETURNING.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._arguments: list[Any] = []

    def add(self, sql: str, *arguments: Any, name: str | None = None) -> None:
        """One more part, with its own arguments from $1 on. `name` is what later parts call its RETURNING."""
        self._parts.append(f"{name or f'part{len(self._parts)}'} AS ({_renumbered(sql, len(self._arguments))})")
        self._arguments += arguments

    async def execute(self, connection: Executor) -> None:
        """Runs all parts, if there are any."""
        if self._parts:
            await connection.execute(f"WITH {', '.join(self._parts)} SELECT", *self._arguments)


@lru_cache(maxsize=512)
def _renumbered(sql: str, shift: int) -> str:
    """The parameters behind those of the parts before, and no more white space than needed."""
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + shift}", " ".join(sql.split()))
