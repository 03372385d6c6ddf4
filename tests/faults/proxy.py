"""A proxy in front of PostgreSQL's socket that breaks the connection at the worst moment: around COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from enum import Enum, auto
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit

CHUNK = 65536


class Loss(Enum):
    """What becomes of a COMMIT; the client's connection is cut in each case."""

    REQUEST = auto()
    """It never reaches PostgreSQL, which rolls back."""
    ANSWER = auto()
    """It takes effect, and the answer is lost."""
    DELAY = auto()
    """It reaches PostgreSQL only after `deliver`; until then the transaction stays open there."""


class PostgresProxy:
    """Passes everything on, but loses the next COMMIT as `loss` says. Clients connect to `url`."""

    def __init__(self, url: str) -> None:
        """`url` names the directory of the socket in its query, as embedded PostgreSQL gives it."""
        parts = urlsplit(url)
        place = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._directory = tempfile.TemporaryDirectory(prefix="proxy-")
        socket = f".s.PGSQL.{place['port']}"
        self._front, self._behind = f"{self._directory.name}/{socket}", f"{place['host']}/{socket}"
        self.url = parts._replace(query=urlencode({**place, "host": self._directory.name}, safe="/")).geturl()
        self.loss: Loss | None = None
        """Set it to lose the next COMMIT; it is None again once that happened."""
        self.lost = asyncio.Event()
        """A COMMIT was lost."""
        self.open = asyncio.Event()
        """While it is cleared, new connections wait."""
        self.open.set()
        self.delivered = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self) -> None:
        """Lets a delayed COMMIT reach PostgreSQL."""
        self.delivered.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._connected, self._front)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._directory.cleanup()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.open.wait()
        try:
            server = await asyncio.open_unix_connection(self._behind)
        except OSError:
            writer.close()
            return
        try:
            await _Session(self, (reader, writer), server).run()
        finally:
            writer.close()
            server[1].close()

    def take_loss(self) -> Loss | None:
        """What to do to the COMMIT that is passing; only one is lost."""
        loss, self.loss = self.loss, None
        if loss:
            self.lost.set()
        return loss


Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Session:
    """One connection of a client, and the one to PostgreSQL behind it."""

    def __init__(self, proxy: PostgresProxy, client: Peer, server: Peer) -> None:
        self._proxy = proxy
        self._requests, self._to_client = client
        self._answers, self._to_server = server
        self._deaf = False

    async def run(self) -> None:
        """Until either side is gone, or a loss has been played out."""
        requests = asyncio.create_task(self._pass_requests())
        answers = asyncio.create_task(self._pass_answers())
        with contextlib.suppress(OSError):
            try:
                await asyncio.wait((requests, answers), return_when=asyncio.FIRST_COMPLETED)
            finally:
                requests.cancel()
                answers.cancel()
                await asyncio.gather(requests, answers, return_exceptions=True)

    async def _pass_requests(self) -> None:
        while request := await self._requests.read(CHUNK):
            match self._proxy.take_loss() if b"COMMIT" in request else None:
                case Loss.REQUEST:
                    return
                case Loss.ANSWER:
                    self._deaf = True
                case Loss.DELAY:
                    self._deaf = True
                    self._to_client.close()
                    await self._proxy.delivered.wait()
            self._to_server.write(request)
            await self._to_server.drain()
            if self._deaf:
                await asyncio.Future()  # the answer ends the session

    async def _pass_answers(self) -> None:
        while (answer := await self._answers.read(CHUNK)) and not self._deaf:
            self._to_client.write(answer)
            await self._to_client.drain()
