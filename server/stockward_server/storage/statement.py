"""Statements with long arrays, and several writes in one statement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from stockward_server.storage.database import Executor, Pool


class Statement:
    """Combines INSERTs and UPDATEs into one WITH statement, which costs one round trip.

    All parts see the tables as they were before, so a part can use another's result only through its RETURNING.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._arguments: list[Any] = []

    def add(self, sql: str, *arguments: Any, name: str | None = None) -> None:
        """Adds a part, with its own arguments from $1 on. Later parts refer to its RETURNING as `name`."""
        text, sent = _with_text(sql, arguments, len(self._arguments))
        self._parts.append(f"{name or f'part{len(self._parts)}'} AS ({text})")
        self._arguments += sent

    async def execute(self, connection: Executor) -> None:
        """Runs all parts, if there are any."""
        if self._parts:
            await connection.execute(f"WITH {', '.join(self._parts)} SELECT", *self._arguments)

    async def fetch_first(self, connection: Executor, query: str) -> Any:
        """Returns the first row of a query that refers to parts by name, and runs all parts.

        Of the parts it may name only those that read. PostgreSQL runs it to its end before the parts that write
        (ExecPostprocessPlan), so what it locks is locked before they begin.
        """
        return await connection.fetchrow(f"WITH {', '.join(self._parts)} {query}", *self._arguments)


class Parameters:
    """Collects the values of a statement that is built from conditions; each gets the next parameter."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def bind(self, value: Any) -> str:
        """Adds a value and returns the name of its parameter, such as `$1`."""
        self.values.append(value)
        return f"${len(self.values)}"


async def execute(connection: Executor | Pool, sql: str, *arguments: Any) -> None:
    """Executes one statement without comments; its arrays are sent as text."""
    text, sent = _with_text(sql, arguments)
    await connection.execute(text, *sent)


AS_TEXT = re.compile(r"\$(\d+)::(text|uuid|smallint|int|bigint|boolean|timestamptz|interval)\[\]")
"""Array parameters that are sent as text: the driver takes ten times as long to encode their elements one by one."""


def array_literal(values: Sequence[object]) -> str:
    """Returns a PostgreSQL array literal: JSON, except for the brackets and the meaning of a backslash."""
    written = to_json(values).decode()
    if "\\" in written:  # an array literal escapes only quotes and backslashes
        written = f"[{','.join(map(_element, values))}]"
    return f"{{{written[1:-1]}}}"


def _element(value: object) -> str:
    if not isinstance(value, str):
        return to_json(value).decode()
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _with_text(sql: str, arguments: Sequence[Any], shift: int = 0) -> tuple[str, list[Any]]:
    """Returns the statement and its arguments, with arrays as text and parameters numbered after `shift`."""
    text, as_text = _prepared(sql, shift)
    return text, [
        array_literal(argument) if position in as_text else argument for position, argument in enumerate(arguments, 1)
    ]


@lru_cache(maxsize=512)
def _prepared(sql: str, shift: int) -> tuple[str, frozenset[int]]:
    """Returns the SQL with parameters numbered after `shift`, and the indexes of arguments that are sent as text."""
    as_text = frozenset(int(number) for number, _ in AS_TEXT.findall(sql))
    sql = AS_TEXT.sub(r"$\1::text::\2[]", " ".join(sql.split()))
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + shift}", sql), as_text
