"""A standing pull: requests for messages of a JetStream consumer that stay open, so that each message comes at once.

The client's own `fetch` asks with `no_wait` first and waits for a whole batch, so that a message may come late by the
timeout. Here the first message is awaited, and what has come with it is taken along.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg

from stockward_server.runtime.nats import nats_errors
from stockward_server.runtime.supervision import Unavailable

HEARTBEAT_SECONDS = 2.0
"""Interval at which the server confirms a request while there are no messages."""

SILENT_SECONDS = 3 * HEARTBEAT_SECONDS
"""Without a sign of the server for so long, the request counts as lost."""

EXPIRY_SECONDS = 60.0
"""How long one request is open."""

NANO = 10**9

HEARTBEAT, EXPIRED = "100", "408"
"""Statuses that are no failure: a sign of life, and a request that is no longer open."""


class StandingPull:
    """Messages of a consumer without acknowledgements, in order. None is lost without notice: it would not be sent
    again."""

    def __init__(self, client: Client, stream: str, consumer: str, batch: int) -> None:
        """`batch`: messages of one request, which have no payload; up to one and a half times as many wait here."""
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = client.new_inbox()
        self._batch = batch
        self._requested = 0
        """Messages that the server may still send."""
        self._messages: list[Msg] = []
        self._last = 0
        """Number of the consumer's last message."""
        self._failure = ""
        self._sign = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, client: Client, stream: str, consumer: str, batch: int) -> AsyncIterator[StandingPull]:
        """Opens a pull for the length of a block. Raises Unavailable."""
        pull = cls(client, stream, consumer, batch)
        with nats_errors("messages cannot be received"):
            subscription = await client.subscribe(pull._inbox, cb=pull._receive)
        try:
            yield pull
        finally:
            if client.is_connected:
                await subscription.unsubscribe()

    async def next(self) -> Sequence[Msg]:
        """Waits for a message, and returns it with all that have come since. Raises Unavailable when one was lost on
        its way, and when the server is silent."""
        while True:
            await self._request()
            if self._failure:
                raise Unavailable(self._failure)
            if self._messages:
                messages, self._messages = self._messages, []
                return messages
            self._sign.clear()
            try:
                async with asyncio.timeout(SILENT_SECONDS):
                    await self._sign.wait()
            except TimeoutError:
                raise Unavailable(f"the consumer gave no sign for {SILENT_SECONDS:g} s") from None

    async def _request(self) -> None:
        """Requests more messages once half of the last request has come, so that there is always one open."""
        if self._requested > self._batch // 2:
            return
        self._requested += self._batch
        wanted = {
            "batch": self._batch,
            "expires": int(EXPIRY_SECONDS * NANO),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * NANO),
        }
        with nats_errors("messages cannot be requested"):
            await self._client.publish(self._subject, json.dumps(wanted).encode(), self._inbox)

    async def _receive(self, message: Msg) -> None:
        headers = message.headers or {}
        match headers.get("Status"):
            case None:
                self._requested -= 1
                self._messages.append(message)
                self._expect(message.metadata.sequence.consumer)
                self._last += 1
            case status if status == HEARTBEAT:
                self._expect(int(headers.get("Nats-Last-Consumer", self._last)) + 1)
            case status if status == EXPIRED:
                self._requested -= int(headers.get("Nats-Pending-Messages", self._requested))
            case status:
                self._failure = f"messages cannot be requested: {status} {headers.get('Description', '')}".strip()
        self._sign.set()

    def _expect(self, number: int) -> None:
        """Notes a failure unless the next message of the consumer has this number."""
        if number != self._last + 1 and not self._failure:
            self._failure = f"message {self._last + 1} of the consumer was lost on its way"
