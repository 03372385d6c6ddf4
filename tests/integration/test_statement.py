"""Arrays that travel as text arrive as what they were."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from stockward_server.storage.database import Pool
from stockward_server.storage.statement import Statement

NASTY = [
    "",
    " ",
    "null",
    "NULL",
    "{}",
    "a,b",
    'say "no"',
    "back\\slash",
    "\\n",
    "two\nlines\ttab\r",
    "\x01\x7f",
    "ÄÖ€😀",
    None,
]
"""Texts that mean something in an array, in JSON, or in both."""

ID = "01900000-0000-7000-8000-0123456789ab"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", NASTY),
        ("text", ["plain", "without any backslash"]),
        ("bigint", [0, -1, 2**63 - 1, -(2**63), None]),
        ("smallint", [-32768, 32767]),
        ("boolean", [True, False, None]),
        ("timestamptz", [datetime(2026, 2, 28, 23, 59, 59, 999999, UTC), datetime(1970, 1, 1, tzinfo=UTC), None]),
        ("uuid", [ID, None]),
        ("bytea", [b"", b'\x00\xff"\\', None]),
    ],
    ids=["nasty text", "text", "bigint", "smallint", "boolean", "timestamptz", "uuid", "bytea"],
)
async def test_arrays_arrive_unchanged(database: Pool, kind: str, values: Sequence[Any]) -> None:
    async with database.acquire() as connection:
        await connection.execute(f"CREATE TEMPORARY TABLE arrived (place int, value {kind})")
        try:
            write = Statement()
            places = list(range(len(values)))
            write.add(f"INSERT INTO arrived SELECT * FROM unnest($1::int[], $2::{kind}[])", places, values)
            await write.execute(connection)
            rows = await connection.fetch("SELECT value FROM arrived ORDER BY place")
        finally:
            await connection.execute("DROP TABLE arrived")
    assert [str(row["value"]) if kind == "uuid" and row["value"] else row["value"] for row in rows] == list(values)
