"""The server's recurring work ends when it is cancelled, whatever its connections make of that."""

from __future__ import annotations

import asyncio

from stockward_server.bootstrap.server import _every


async def test_work_that_loses_its_cancellation_ends_all_the_same() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # as asyncio.wait_for does up to Python 3.11 when a connection fails just then
            raise ConnectionError from None

    task = asyncio.create_task(_every(0.01, "work", work))
    await begun.wait()
    task.cancel()
    _, late = await asyncio.wait((task,), timeout=30)
    assert not late
    assert task.cancelled()
