"""Calls the edge as curl does, once or over and over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from tests.events import until
from tests.shop import KEYS


@dataclass(frozen=True)
class Answer:
    """What came back."""

    http: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json", self.body
        return json.loads(self.body)

    @property
    def fields(self) -> list[str]:
        """The fields at fault."""
        return [each["field"] for each in self._detail("BadRequest").get("fieldViolations", [])]

    @property
    def reason(self) -> str:
        """Of a google.rpc.Status, which it must be."""
        status = self.json
        assert set(status) == {"code", "message", "details"}
        assert status["message"]
        info = self._detail("ErrorInfo")
        assert info["domain"] in ("stockward", "stockward.edge")
        return str(info["reason"])

    def _detail(self, kind: str) -> dict[str, Any]:
        found = (each for each in self.json["details"] if each["@type"] == f"type.googleapis.com/google.rpc.{kind}")
        return next(found, {})


class Edge:
    """An edge, and a client of it."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self.address = address
        self.url = f"http://{address}"
        self._session = session

    async def call(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        by: str | None = "admin",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Sends `body` as JSON, bytes and what gives them as they are, to a path whose parts are encoded already."""
        key = {"authorization": f"Bearer {KEYS[by]}"} if by else {}
        data = body if isinstance(body, bytes | AsyncIterator) or body is None else json.dumps(body).encode()
        url = URL(self.url + path, encoded=True)
        async with self._session.request(verb, url, data=data, headers={**key, **(headers or {})}) as answer:
            names = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, names, await answer.read())

    async def get(self, path: str, **options: Any) -> Any:
        """The JSON of an answer that must be 200."""
        return await self.done("GET", path, **options)

    async def done(self, verb: str, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of an answer that must be 200."""
        answer = await self.call(verb, path, body, **options)
        assert answer.http == 200, answer.body
        return answer.json


@asynccontextmanager
async def load(work: Callable[[], Awaitable[None]], callers: int) -> AsyncIterator[list[None]]:
    """Work that is done over and over; the list grows by each time. A failure of one fails the test."""
    stop, done = asyncio.Event(), list[None]()

    async def again_and_again() -> None:
        while not stop.is_set():
            await work()
            done.append(None)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(again_and_again())
        yield done
        stop.set()


async def more(*lists: list[None], times: int = 10) -> None:
    """Waits until each was added to so many times."""
    wanted = [len(done) + times for done in lists]
    await until(lambda: all(len(done) >= count for done, count in zip(lists, wanted, strict=True)))
