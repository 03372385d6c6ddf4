"""Hints after commits: core NATS messages, which may be lost, since every reader also polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.client import Client

from stockward_server.runtime.nats import nats_errors, open_nats
from stockward_server.runtime.supervision import cancel_on_loss, end, raise_if_cancelled, run_with_restarts

WAKE_SUBJECT = "stockward.wake"
"""Subject of hints: an empty message makes relays and watches read events at once rather than at their next poll."""


class Waker:
    """Sends and receives hints in a server process. `wake` never blocks and never fails; hints in quick succession are
    sent as one.

    The server works without NATS: a lost or refused connection is opened again, and only hints are missing meanwhile.
    """

    def __init__(self, nats_url: str, on_hint: Callable[[], None] = lambda: None) -> None:
        """`nats_url` may name several servers, separated by commas. `on_hint` is called for the hints of others."""
        self._url = nats_url
        self._on_hint = on_hint
        self._wanted = asyncio.Event()
        self._client: Client | None = None
        self._task = asyncio.create_task(
            run_with_restarts("hints over NATS", self._session, asyncio.Event()), name="waker"
        )

    @property
    def connected(self) -> bool:
        """Whether NATS is connected."""
        return self._client is not None and self._client.is_connected

    def wake(self) -> None:
        """Sends a hint soon, after a commit."""
        self._wanted.set()

    async def close(self) -> None:
        """Ends the connection and the task."""
        await end(self._task)

    async def _session(self) -> None:
        """Sends and receives hints for as long as one connection lasts."""

        async def receive(_: object) -> None:
            self._on_hint()

        async with cancel_on_loss() as cut, open_nats(self._url, "stockward server", cut, no_echo=True) as client:
            self._client = client
            with nats_errors("hints cannot be exchanged"):
                await client.subscribe(WAKE_SUBJECT, cb=receive)
                while True:
                    raise_if_cancelled()
                    await self._wanted.wait()
                    self._wanted.clear()
                    await client.publish(WAKE_SUBJECT, b"")
