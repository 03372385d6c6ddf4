"""Receivers of events: webhook receivers, a reader of ListEvents, and a watch that resumes from its cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc
from aiohttp import web
from google.protobuf.unknown_fields import UnknownFieldSet
from standardwebhooks import Webhook
from stockward.event.v1.event_pb2 import ListEventsRequest
from stockward.inventory.v1.inventory_pb2 import StockLevel, WatchStockRequest, WatchStockResponse

from tests.incoming import SECRET
from tests.shop import KEYS, Callers
from torture.calls import reason_of

STAFF = (("authorization", f"Bearer {KEYS['pms']}"),)

PAUSE = 0.2
"""Seconds between two attempts of a listener."""

SILENCE = 6.0
"""Seconds without any message or heartbeat after which a watch is reopened: its server is stopped."""


@dataclass(frozen=True, slots=True)
class Received:
    """An event that was received."""

    event_id: str
    aggregate_id: str
    version: int


class Receiver:
    """Accepts webhooks with a valid signature. With `moody` it refuses one in fifty, and reports failure for another
    one in fifty that it accepted."""

    def __init__(self, moody: bool) -> None:
        self.url = ""
        self.received: list[Received] = []
        """Accepted events in order, repetitions included."""
        self._webhook = Webhook(SECRET)
        self._moody = moody
        self._rng = Random(1)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        content = self._webhook.verify(body, {name.lower(): value for name, value in request.headers.items()})
        mood = self._rng.random() if self._moody else 0.5
        if mood < 0.02:
            return web.Response(status=503)
        data = content["data"]
        self.received.append(
            Received(request.headers["webhook-id"], str(data["aggregateId"]), int(data["aggregateVersion"]))
        )
        return web.Response(status=500 if mood > 0.98 else 200)

    @classmethod
    @asynccontextmanager
    async def listening(cls, moody: bool = True) -> AsyncIterator[Receiver]:
        """Runs a receiver on a free port."""
        receiver = cls(moody)
        application = web.Application()
        application.router.add_post("/hook", receiver.handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        try:
            yield receiver
        finally:
            await runner.cleanup()


class EventReader:
    """Reads the event log page by page from its beginning, from any server that responds."""

    def __init__(self, servers: Sequence[Callers], seed: int) -> None:
        self.received: list[Received] = []
        self.caught_up = asyncio.Event()
        """Set when it reaches the end of the log."""
        self._servers = servers
        self._rng = Random(f"{seed}/reader")

    async def run(self) -> None:
        """Reads until it is cancelled."""
        cursor = ""
        while True:
            stubs = self._rng.choice(self._servers)
            try:
                request = ListEventsRequest(cursor=cursor, page_size=1000)
                page = await stubs.events.ListEvents(request, timeout=3, metadata=STAFF)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(PAUSE)
                continue
            self.received += [Received(e.event_id, e.aggregate_id, e.aggregate_version) for e in page.events]
            cursor = page.next_cursor
            if page.caught_up:
                self.caught_up.set()
                await asyncio.sleep(PAUSE)


class StockWatch:
    """Watches all stock as staff; when a watch ends, the next one resumes it, possibly at another server."""

    def __init__(self, servers: Sequence[Callers], seed: int) -> None:
        self.versions: dict[str, list[int]] = {}
        """Versions of each stock row, in the order received."""
        self._servers = servers
        self._rng = Random(f"{seed}/watch")

    async def run(self) -> None:
        """Watches until it is cancelled."""
        cursor = ""
        while True:
            stubs = self._rng.choice(self._servers)
            call: Any = stubs.inventory.WatchStock(WatchStockRequest(cursor=cursor), metadata=STAFF)
            levels: list[Any] = []
            try:
                while True:
                    response = await asyncio.wait_for(call.read(), SILENCE)
                    if response is grpc.aio.EOF:
                        break
                    levels += levels_of(response)
                    if response.cursor:  # changes before the next cursor are repeated after a resumption
                        self._record(levels)
                        levels, cursor = [], response.cursor
            except TimeoutError:
                pass
            except grpc.aio.AioRpcError as error:
                if reason_of(error) == "CURSOR_EXPIRED":
                    raise
            finally:
                call.cancel()
            await asyncio.sleep(PAUSE)

    def _record(self, levels: Sequence[Any]) -> None:
        for each in levels:
            self.versions.setdefault(f"{each.sku}@{each.location_id}", []).append(each.version)


def levels_of(response: WatchStockResponse) -> list[StockLevel]:
    """Returns the stock levels of a response.

    Servers from before the first tag, which the test of upgrades starts, send them as field 2, with the version
    as field 8.
    """
    unknown: Any = UnknownFieldSet(response)
    former = [StockLevel.FromString(each.data) for each in unknown if each.field_number == 2]
    for level in former:
        level.version = level.reorder_point
    return [*response.stock_levels, *former]
