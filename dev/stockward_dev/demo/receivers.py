"""Receives events in the demo: by webhook, or from the record where the webhooks go elsewhere."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web
from google.protobuf.json_format import ParseDict
from standardwebhooks import Webhook, WebhookVerificationError
from stockward.event.v1.event_pb2 import Event

from stockward_client import AsyncStockward

POLL_SECONDS = 0.1
"""Seconds between two reads of the record."""

QUIET_SECONDS = 2.0
"""Seconds without a webhook after which no more are expected: a gateway reads the endpoints every second."""


class Witness(Protocol):
    """A receiver of events."""

    means: str
    """How it receives events, for people."""

    async def hears(self, event_type: str, aggregate_id: str) -> Event:
        """Waits for the first event of that type and aggregate, without a timeout, and returns it."""
        ...

    async def history(self, aggregate_id: str, version: int) -> list[Event]:
        """Waits for the event of `version`; returns all events of the aggregate in the order of their arrival."""
        ...


class Receiver:
    """A receiver of webhooks. Only those signed with the secret count."""

    means = "by webhook, signature verified"

    def __init__(self, secret: str) -> None:
        self._events: dict[str, Event] = {}  # by event id, so that a repetition counts once
        self._delays: list[float] = []
        self._earlier = 0  # webhooks of events from before the demo
        self._forged = 0
        self._start = time.time()
        self._webhook = Webhook(secret)
        self._change = asyncio.Condition()

    async def hears(self, event_type: str, aggregate_id: str) -> Event:
        async with self._change:
            while True:
                for event in self._of(aggregate_id):
                    if event.type == event_type:
                        return event
                await self._change.wait()

    async def history(self, aggregate_id: str, version: int) -> list[Event]:
        async with self._change:
            while all(event.aggregate_version != version for event in self._of(aggregate_id)):
                await self._change.wait()
            return self._of(aggregate_id)

    async def hears_the_past(self) -> int:
        """Waits until no webhook has come for QUIET_SECONDS; returns the number of those from before the demo."""
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(QUIET_SECONDS), self._change:
                    await self._change.wait()
        return self._earlier

    def _of(self, aggregate_id: str) -> list[Event]:
        return [event for event in self._events.values() if event.aggregate_id == aggregate_id]

    async def take(self, request: web.Request) -> web.Response:
        """Responds 204 to signed webhooks, 401 to all others."""
        try:
            body = self._webhook.verify(await request.read(), dict(request.headers))
        except (WebhookVerificationError, ValueError):
            self._forged += 1
            return web.Response(status=401)
        event = ParseDict(body["data"], Event(), ignore_unknown_fields=True)
        changed = event.time.ToNanoseconds() / 1e9
        if changed < self._start:
            self._earlier += 1
        else:
            self._delays.append(time.time() - changed)
        async with self._change:
            self._events[event.event_id] = event
            self._change.notify_all()
        return web.Response(status=204)

    def summary(self) -> str:
        """Returns the number of webhooks and their median delay after the change, in words."""
        delay = statistics.median(self._delays or [0]) * 1000
        others = {"from before the demo": self._earlier, "with a wrong signature": self._forged}
        more = "".join(f"; {count} {what}" for what, count in others.items() if count)
        return f"{len(self._delays)}, median {delay:.0f} ms after the change{more}"


class Record:
    """Receives events from the record, by EventService.ListEvents."""

    means = "in the record of events"

    def __init__(self, client: AsyncStockward) -> None:
        self._client = client

    async def hears(self, event_type: str, aggregate_id: str) -> Event:
        while True:
            for event in await self._of(aggregate_id):
                if event.type == event_type:
                    return event
            await asyncio.sleep(POLL_SECONDS)

    async def history(self, aggregate_id: str, version: int) -> list[Event]:
        while True:
            events = await self._of(aggregate_id)
            if any(event.aggregate_version >= version for event in events):
                return events
            await asyncio.sleep(POLL_SECONDS)

    async def _of(self, aggregate_id: str) -> list[Event]:
        return [event async for event in self._client.events.list_events(aggregate_id=aggregate_id)]


@asynccontextmanager
async def listening(receivers: Mapping[str, Receiver]) -> AsyncIterator[None]:
    """Serves receivers at their URLs within the block. Raises OSError where an address is in use."""
    runners: list[web.AppRunner] = []
    addresses: dict[tuple[str, int], web.Application] = {}
    for url, receiver in receivers.items():
        parts = urlsplit(url)
        address = (parts.hostname or "", parts.port or 80)
        addresses.setdefault(address, web.Application()).router.add_post(parts.path, receiver.take)
    try:
        for (host, port), application in addresses.items():
            runners.append(web.AppRunner(application, access_log=None, shutdown_timeout=1))
            await runners[-1].setup()
            await web.TCPSite(runners[-1], host, port).start()
        yield
    finally:
        for runner in runners:
            await runner.cleanup()
