"""Statements with long arrays, and several writes as one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import asyncpg
from pydantic_core import to_json

from stockward_server.storage.database import Executor, Pool


class Statement:
    """INSERTs and UPDATEs that go to the database together, as the parts of one WITH: one round trip for all of them.

    All of them see the tables as they were before, so a part may build on another only through its RETURNING.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._arguments: list[Any] = []

    def add(self, sql: str, *arguments: Any, name: str | None = None) -> None:
        """One more part, with its own arguments from $1 on. `name` is what later parts call its RETURNING."""
        text, sent = _with_text(sql, arguments, len(self._arguments))
        self._parts.append(f"{name or f'part{len(self._parts)}'} AS ({text})")
        self._arguments += sent

    async def execute(self, connection: Executor) -> None:
        """Runs all parts, if there are any."""
        if self._parts:
            await connection.execute(f"WITH {', '.join(self._parts)} SELECT", *self._arguments)


class Parameters:
    """The values of a statement whose conditions are put together: each gets the next parameter."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def bind(self, value: Any) -> str:
        """Adds a value and returns the name of its parameter, such as `$1`."""
        self.values.append(value)
        return f"${len(self.values)}"


async def execute(connection: Executor, sql: str, *arguments: Any) -> None:
    """One statement without comments, whose arrays travel as text."""
    text, sent = _with_text(sql, arguments)
    await connection.execute(text, *sent)


async def fetch(connection: Executor | Pool, sql: str, *arguments: Any) -> Sequence[asyncpg.Record]:
    """The same, with its rows."""
    text, sent = _with_text(sql, arguments)
    return await connection.fetch(text, *sent)


AS_TEXT = re.compile(r"\$(\d+)::(text|uuid|smallint|int|bigint|boolean|timestamptz|interval)\[\]")
"""Arrays that travel as text: the driver takes ten times as long to encode their elements one by one."""


def array_literal(values: Sequence[object]) -> str:
    """The values as PostgreSQL reads an array: as in JSON, but for the brackets and for what a backslash does."""
    written = to_json(values).decode()
    if "\\" in written:  # but before a quote and itself it means something else there
        written = f"[{','.join(map(_element, values))}]"
    return f"{{{written[1:-1]}}}"


def _element(value: object) -> str:
    if not isinstance(value, str):
        return to_json(value).decode()
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _with_text(sql: str, arguments: Sequence[Any], shift: int = 0) -> tuple[str, list[Any]]:
    """The statement and its arguments, with arrays as text, and numbers that begin after `shift`."""
    text, as_text = _prepared(sql, shift)
    return text, [
        array_literal(argument) if position in as_text else argument for position, argument in enumerate(arguments, 1)
    ]


@lru_cache(maxsize=512)
def _prepared(sql: str, shift: int) -> tuple[str, frozenset[int]]:
    """The parameters behind those of the parts before, and which of a part's own travel as text."""
    as_text = frozenset(int(number) for number, _ in AS_TEXT.findall(sql))
    sql = AS_TEXT.sub(r"$\1::text::\2[]", " ".join(sql.split()))
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + shift}", sql), as_text
