"""Hints between processes: they find the server that is there, and come back after a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stockward_dev import Nats
from stockward_server.relay.wake import Waker
from tests.events import until


@asynccontextmanager
async def waker(url: str) -> AsyncIterator[tuple[Waker, asyncio.Event]]:
    """One that is connected or tries to be, and what its hints set."""
    hinted = asyncio.Event()
    waker = Waker(url, hinted.set)
    try:
        yield waker, hinted
    finally:
        await waker.close()


async def test_hints_pass_through_whichever_server_of_the_list_is_there(nats: Nats) -> None:
    async with (
        waker(f"nats://127.0.0.1:1, {nats.url}") as (sender, own),
        waker(f"{nats.url},nats://127.0.0.1:1") as (_, other),
    ):

        def arrived() -> bool:
            sender.wake()
            return other.is_set()

        await until(arrived)
        assert not own.is_set()


async def test_a_connection_that_was_refused_or_lost_is_opened_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Nats(tmp_path / "closed", token="sesame", durable=False) as server:
        port = server.port
        async with waker(f"nats://127.0.0.1:{port}") as (hints, _):
            await until(lambda: "Authorization Violation" in caplog.text)
            await server.stop()
            async with Nats(tmp_path / "open", port=port, durable=False) as opened:
                await until(lambda: hints.connected, 60)
                await opened.kill()
                await until(lambda: not hints.connected)
                await opened.start()
                await until(lambda: hints.connected, 60)
