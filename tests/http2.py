"""HTTP/2 spoken by the frame, to see what a server says about its limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self, TypeVar

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event

Heard = TypeVar("Heard", bound=Event)


class Http2:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.http = H2Connection(H2Configuration(client_side=True, validate_outbound_headers=False))
        self.http.initiate_connection()

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
        await self.flush()
        async with asyncio.timeout(30):
            while True:  # frame by frame: behind the one that ends a connection there may be others
                head = await self._reader.readexactly(9)
                body = await self._reader.readexactly(int.from_bytes(head[:3]))
                for event in self.http.receive_data(head + body):
                    if isinstance(event, kind):
                        return event
