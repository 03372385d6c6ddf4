"""A receiver of webhooks: a real HTTP server that answers as the test asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Hook:
    """One request that came in."""

    headers: dict[str, str]
    body: bytes
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def aggregate_id(self) -> str:
        return str(self.data["data"]["aggregateId"])

    @property
    def version(self) -> int:
        return int(self.data["data"]["aggregateVersion"])


Behaviour = Callable[[Hook], Awaitable[web.StreamResponse | None]]


async def take(hook: Hook) -> None:
    """Answers 200."""


class Receiver:
    """Verifies the signature of whatever comes, notes it, and answers as `behaviour` does (None: 200)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.secret = SECRET
        self.behaviour: Behaviour = take
        self.hooks: list[Hook] = []
        """In the order of arrival, refused ones included."""
        self.taken: list[Hook] = []
        """Those that were answered 200."""
        self.at_once = 0
        """Most requests at the same time."""
        self._under_way = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        hook = Hook(headers, body, Webhook(self.secret).verify(body, headers))
        self.hooks.append(hook)
        self._under_way += 1
        self.at_once = max(self.at_once, self._under_way)
        try:
            answer = await self.behaviour(hook)
        finally:
            self._under_way -= 1
        if answer is not None:
            return answer
        self.taken.append(hook)
        return web.Response(text="thank you")

    def versions(self) -> dict[str, list[int]]:
        """The versions of each aggregate as they were taken."""
        found: dict[str, list[int]] = {}
        for hook in self.taken:
            found.setdefault(hook.aggregate_id, []).append(hook.version)
        return found

    def first_versions(self) -> dict[str, list[int]]:
        """As `versions`, without repetitions: a delivery that was taken but cut off before its answer comes again."""
        return {aggregate_id: list(dict.fromkeys(each)) for aggregate_id, each in self.versions().items()}


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """One that listens on a free port."""
    application = web.Application()
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    found: list[Receiver] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        return await found[0].handle(request)

    application.router.add_post("/hook", handle)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.append(Receiver(f"http://127.0.0.1:{runner.addresses[0][1]}/hook"))
    try:
        yield found[0]
    finally:
        await runner.cleanup()


async def never(_: Hook) -> None:
    """Does not answer while the test lasts."""
    await asyncio.Event().wait()
