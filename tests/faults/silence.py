"""A proxy in front of a gRPC server that can swallow its answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

CHUNK = 65536


@dataclass
class Silence:
    """Where clients connect, and whether they are to hear anything."""

    address: str = ""
    deaf: bool = False
    """While it is set, answers are read from the server and dropped."""


@asynccontextmanager
async def silence(server: str) -> AsyncIterator[Silence]:
    """Passes everything on to `server` (HOST:PORT) and back; a connection ends with either side."""
    host, _, port = server.rpartition(":")
    state = Silence()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if not (answers and state.deaf):
                    writer.write(chunk)
                    await writer.drain()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            behind = await asyncio.open_connection(host, int(port))
            both = [
                asyncio.create_task(copy(reader, behind[1], False)),
                asyncio.create_task(copy(behind[0], writer, True)),
            ]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
            behind[1].close()
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    name = listening.sockets[0].getsockname()
    state.address = f"{name[0]}:{name[1]}"
    try:
        yield state
    finally:
        listening.close()
