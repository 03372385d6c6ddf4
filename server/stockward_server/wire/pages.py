"""Pages limited by bytes as well as by rows: every client can read them, and the server holds little more than one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from google.rpc import status_pb2

from stockward_server.application.ports.pages import PAGE_BYTES, Beginning, Page, Position
from stockward_server.application.ports.positions import Part
from stockward_server.domain.errors import Refusal
from stockward_server.runtime.turns import Turns, long_read
from stockward_server.wire import page_token
from stockward_server.wire.seal import Seals
from stockward_server.wire.status import brief_status_of, status_of

Row = TypeVar("Row")
Made = TypeVar("Made", bound="Sized")

ROW_BYTES = 6
"""Tag and length of a row within its response."""

FIRST_STEP = 64
"""Rows of the first query: a page of the usual size needs only one."""

GROWTH = 8
"""Factor by which each further query may read more rows."""


class Sized(Protocol):
    """A message, or an object that contains one."""

    def ByteSize(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ReadPage(Generic[Made]):
    """The rows of a response, and the position of its last row; None when no rows follow."""

    messages: Sequence[Made]
    rest: Position | None


async def read_page(
    load: Callable[[Page], Awaitable[Sequence[Row]]],
    page: Page,
    message: Callable[[Row], Made],
    position: Callable[[Row], Position],
) -> ReadPage[Made]:
    """Reads rows until the page has as many as requested or PAGE_BYTES, in steps, so that large rows beyond the limit
    are not read by the hundred. `load` returns fewer rows than requested when there are no more, or a Beginning."""
    messages: list[Made] = []
    used, step, after = 0, FIRST_STEP, page.after
    last: Row | None = None
    turns = Turns()
    while True:
        wanted = min(step, page.size + 1 - len(messages))
        rows = await load(Page(wanted, after))
        for row in rows:
            made = message(row)
            size = made.ByteSize() + ROW_BYTES
            if last is not None and (len(messages) == page.size or used + size > PAGE_BYTES):
                return ReadPage(messages, position(last))
            messages.append(made)
            await turns.give()
            used += size
            last = row
        if len(rows) < wanted and not isinstance(rows, Beginning):
            return ReadPage(messages, None)
        after = position(rows[-1])
        room = (PAGE_BYTES - used) * len(messages) // used  # rows, if they stay as large as those so far
        step = max(1, min(step * GROWTH, room + 1))


async def list_page(
    seals: Seals,
    request: Any,
    load: Callable[[Page], Awaitable[Sequence[Row]]],
    message: Callable[[Row], Made],
    position: Callable[[Row], Position],
    shape: Sequence[Part],
) -> tuple[Sequence[Made], str]:
    """Returns the messages of one page of a list, and the token of the next page, empty on the last. `shape`: the parts
    of a position."""
    seal = await seals.load()
    page = Page(page_token.page_size(request), page_token.decode(seal, request, shape))
    async with long_read(page.size):
        read = await read_page(load, page, message, position)
    return read.messages, page_token.encode(seal, request, read.rest) if read.rest else ""


class Room:
    """PAGE_BYTES, shared by the parts of one response."""

    def __init__(self) -> None:
        self._left = PAGE_BYTES

    def take(self, size: int) -> bool:
        """Reserves bytes; returns whether there was room."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def status_of(self, refusal: Refusal) -> status_pb2.Status:
        """Returns the Status of a refused part, a brief one where there is no room for all of it."""
        status = status_of(refusal)
        return status if self.take(status.ByteSize()) else brief_status_of(refusal)
