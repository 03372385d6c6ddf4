"""What nobody foresaw in the committer's loop: it is logged, answered, and the next batch goes on."""

from __future__ import annotations

import asyncio

import pytest

from stockward_server.storage.database import Pool
from tests.commands import buy, committing, orders, sell
from tests.events import until


async def test_an_error_in_its_loop_is_logged_and_survived(database: Pool, caplog: pytest.LogCaptureFixture) -> None:
    broken = True

    def trace(*_: object) -> None:
        if broken:
            raise RuntimeError("nobody foresaw this")

    await sell(database, MUG=10)
    async with committing(database, trace=trace) as committer:
        first = await committer.submit(buy(("MUG", 1)))
        await until(lambda: "nobody foresaw this" in caplog.text)
        broken = False
        async with asyncio.timeout(10):
            second = await committer.submit(buy(("MUG", 1)))
    assert sorted((first.decode(), second.decode())) == await orders(database)


async def test_who_hears_of_commits_cannot_undo_one(database: Pool, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    await sell(database, MUG=10)
    async with committing(database, on_commit=fail) as committer:
        order = await committer.submit(buy(("MUG", 1)))
    assert [order.decode()] == await orders(database)
    assert "nobody foresaw this" in caplog.text
