"""Hints that something was committed: a core NATS message, worth nothing when it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import nats
from nats.aio.client import Client

from stockward_server.application.session import heed_cancellation

log = logging.getLogger(__name__)

WAKE_SUBJECT = "stockward.wake"
"""An empty message here makes relays and watches look for events at once, rather than at their next poll."""

RETRY_SECONDS = 2.0


class Waker:
    """Sends hints from the server process. `wake` never blocks and never fails; hints in quick succession are one."""

    def __init__(self, nats_url: str, on_hint: Callable[[], None] = lambda: None) -> None:
        """`on_hint` hears of the hints of other processes."""
        self._url = nats_url
        self._on_hint = on_hint
        self._wanted = asyncio.Event()
        self._client: Client | None = None
        self._task = asyncio.create_task(self._run(), name="waker")

    @property
    def connected(self) -> bool:
        """Whether NATS is there."""
        return self._client is not None and self._client.is_connected

    def wake(self) -> None:
        """Something was committed."""
        self._wanted.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        client = self._client = await self._connect()

        async def hear(_: object) -> None:
            self._on_hint()

        try:
            await client.subscribe(WAKE_SUBJECT, cb=hear)
            while True:
                heed_cancellation()
                await self._wanted.wait()
                self._wanted.clear()
                if client.is_connected:
                    await client.publish(WAKE_SUBJECT, b"")
        finally:
            await client.close()

    async def _connect(self) -> Client:
        """The server works without NATS; only hints are missing until it is there."""
        while True:
            try:
                return await nats.connect(
                    self._url,
                    name="stockward server",
                    max_reconnect_attempts=-1,
                    allow_reconnect=True,
                    no_echo=True,
                    error_cb=_ignore,
                )
            except (OSError, nats.errors.Error):
                await asyncio.sleep(RETRY_SECONDS)


async def _ignore(error: Exception) -> None:
    log.debug("NATS: %r", error)
