"""HTTP/2 spoken by the frame, to see what a server says about its limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self, TypeVar

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, RemoteSettingsChanged, ResponseReceived, TrailersReceived

Heard = TypeVar("Heard", bound=Event)


class Http2:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.http = H2Connection(H2Configuration(client_side=True, validate_outbound_headers=False))
        self.http.initiate_connection()
        self._statuses: dict[int, int] = {}

    @classmethod
    @asynccontextmanager
    async def connected(cls, address: str) -> AsyncIterator[Self]:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def flush(self) -> None:
        self._writer.write(self.http.data_to_send())
        await self._writer.drain()
        await asyncio.sleep(0)

    async def hear(self, kind: type[Heard]) -> Heard:
        """The first event of this kind. IncompleteReadError when the connection ends without it."""
        while True:
            for event in await self._events():
                if isinstance(event, kind):
                    return event

    async def _events(self) -> list[Event]:
        """What the next frame brings. Behind the frame that ends a connection there may be others."""
        await self.flush()
        async with asyncio.timeout(30):
            head = await self._reader.readexactly(9)
            body = await self._reader.readexactly(int.from_bytes(head[:3]))
        return list(self.http.receive_data(head + body))

    def begin(self, method: str, key: str | None = None, **headers: str) -> int:
        """Sends the headers of a gRPC call, `/package.Service/Method`, and no message yet; returns its stream."""
        stream = int(self.http.get_next_available_stream_id())
        credential = [("authorization", f"Bearer {key}")] if key else []
        call = {":method": "POST", ":scheme": "http", ":authority": "localhost", ":path": method}
        self.http.send_headers(
            stream,
            [*call.items(), ("content-type", "application/grpc"), ("te", "trailers"), *credential, *headers.items()],
        )
        return stream

    async def begin_silent(self, method: str, count: int, key: str | None = None) -> list[int]:
        """Begins so many calls without a message, once the server has said how many it takes; returns their streams."""
        await self.hear(RemoteSettingsChanged)
        streams = [self.begin(method, key) for _ in range(count)]
        await self.flush()
        return streams

    async def status(self, *streams: int) -> int:
        """Returns the grpc-status of the call of these that ends first. IncompleteReadError when the connection ends
        without it."""
        while not (ended := self._statuses.keys() & streams):
            for event in await self._events():
                if isinstance(event, ResponseReceived | TrailersReceived):
                    found = dict(event.headers)
                    if b"grpc-status" in found:
                        self._statuses[event.stream_id] = int(found[b"grpc-status"])
        return self._statuses[min(ended)]
