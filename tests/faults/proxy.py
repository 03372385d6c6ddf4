"""Proxies that break connections in all the ways a network does, and before PostgreSQL around COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from enum import Enum, auto
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

CHUNK = 65536


class Loss(Enum):
    """What becomes of a COMMIT; the client's connection is cut in each case."""

    REQUEST = auto()
    """It never reaches PostgreSQL, which rolls back."""
    ANSWER = auto()
    """It takes effect, and the answer is lost."""
    DELAY = auto()
    """It reaches PostgreSQL only after `deliver`; until then the transaction stays open there."""


Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Passes everything on to `behind` (HOST:PORT). Clients connect to `address`, over TCP."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.address = ""
        """Known once it listens."""
        self.open = asyncio.Event()
        """While it is cleared, new connections wait."""
        self.open.set()
        self.flowing = asyncio.Event()
        """While it is cleared, nothing passes either way: a black hole."""
        self.flowing.set()
        self.delay = 0.0
        """Seconds that every piece takes."""
        self.rate: float | None = None
        """Bytes a second that pass each way of a connection, where there is a limit."""
        self.deaf = False
        """While it is set, answers are dropped."""
        self._sessions: set[Session] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        """Ends every connection on both sides, the client's by RST: what is on its way is lost."""
        for session in list(self._sessions):
            session.reset()

    def half_close(self) -> None:
        """Ends the stream to every client, and leaves the server's open."""
        for session in list(self._sessions):
            session.half_close()

    def heal(self) -> None:
        """Everything passes again."""
        self.delay, self.rate, self.deaf = 0.0, None, False
        self.open.set()
        self.flowing.set()

    async def weather(self, size: int) -> None:
        """Holds a piece of so many bytes up for as long as it has to be."""
        if self.delay or self.rate:
            await asyncio.sleep(self.delay + (size / self.rate if self.rate else 0.0))
        if not self.flowing.is_set():
            await self.flowing.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.open.wait()
        try:
            server = await self.connect()
        except OSError:
            writer.close()
            return
        session = self.session((reader, writer), server)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
            writer.close()
            server[1].close()

    async def connect(self) -> Peer:
        """To what is behind."""
        host, _, port = self.behind.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    def session(self, client: Peer, server: Peer) -> Session:
        return Session(self, client, server)


class PostgresProxy(Proxy):
    """Before PostgreSQL's socket, at `url`: loses the next COMMIT as `loss` says, or the next statement that has
    `commits` in its arguments."""

    def __init__(self, url: str) -> None:
        """`url` names the directory of the socket in its query, as embedded PostgreSQL gives it."""
        self._behind_url = urlsplit(url)
        place = {name: values[0] for name, values in parse_qs(self._behind_url.query).items()}
        super().__init__(f"{place['host']}/.s.PGSQL.{place['port']}")
        self.commits = b"COMMIT"
        self.loss: Loss | None = None
        """Set it to lose the next COMMIT; it is None again once that happened."""
        self.lost = asyncio.Event()
        """A COMMIT was lost."""
        self.losses = 0
        """How many were, in whichever way."""
        self.delivered = asyncio.Event()

    @property
    def url(self) -> str:
        """For clients, once it listens."""
        place = f"{self._behind_url.username}@{self.address}"
        return self._behind_url._replace(netloc=place, query="sslmode=disable").geturl()

    def deliver(self) -> None:
        """Lets a delayed COMMIT reach PostgreSQL."""
        self.delivered.set()

    def heal(self) -> None:
        super().heal()
        self.loss = None
        self.delivered.set()

    async def connect(self) -> Peer:
        return await asyncio.open_unix_connection(self.behind)

    def session(self, client: Peer, server: Peer) -> Session:
        return _PostgresSession(self, client, server)

    def take_loss(self) -> Loss | None:
        """What to do to the COMMIT that is passing; only one is lost."""
        loss, self.loss = self.loss, None
        if loss:
            self.lost.set()
            self.losses += 1
        if loss is Loss.DELAY:
            self.delivered.clear()
        return loss


class Session:
    """One connection of a client, and the one behind it."""

    def __init__(self, proxy: Proxy, client: Peer, server: Peer) -> None:
        self._proxy = proxy
        self._requests, self._to_client = client
        self._answers, self._to_server = server

    def reset(self) -> None:
        front = self._to_client.get_extra_info("socket")
        with contextlib.suppress(OSError):  # it is gone already
            front.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._to_client.transport.abort()
        self._to_server.transport.abort()

    def half_close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._to_client.write_eof()

    async def run(self) -> None:
        """Until either side is gone, or a loss has been played out."""
        requests = asyncio.create_task(self.pass_requests())
        answers = asyncio.create_task(self.pass_answers())
        with contextlib.suppress(OSError):
            try:
                await asyncio.wait((requests, answers), return_when=asyncio.FIRST_COMPLETED)
            finally:
                requests.cancel()
                answers.cancel()
                await asyncio.gather(requests, answers, return_exceptions=True)

    async def pass_requests(self) -> None:
        while request := await self._requests.read(CHUNK):
            await self._pass(request, self._to_server)

    async def pass_answers(self) -> None:
        while answer := await self._answers.read(CHUNK):
            if not self._proxy.deaf:
                await self._pass(answer, self._to_client)

    async def _pass(self, piece: bytes, writer: asyncio.StreamWriter) -> None:
        await self._proxy.weather(len(piece))
        writer.write(piece)
        await writer.drain()


class _PostgresSession(Session):
    """One that looks out for COMMIT."""

    def __init__(self, proxy: PostgresProxy, client: Peer, server: Peer) -> None:
        super().__init__(proxy, client, server)
        self._postgres = proxy
        self._deaf = False

    async def pass_requests(self) -> None:
        while request := await self._requests.read(CHUNK):
            match self._postgres.take_loss() if self._postgres.commits in request else None:
                case Loss.REQUEST:
                    return
                case Loss.ANSWER:
                    self._deaf = True
                case Loss.DELAY:
                    self._deaf = True
                    self._to_client.close()
                    await self._postgres.delivered.wait()
            await self._pass(request, self._to_server)
            if self._deaf:
                await asyncio.Future()  # the answer ends the session

    async def pass_answers(self) -> None:
        while (answer := await self._answers.read(CHUNK)) and not self._deaf:
            await self._pass(answer, self._to_client)
