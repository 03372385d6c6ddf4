"""Watches: the present state, then every change, to whoever holds a stream open. See docs/watches.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stockward_server.application.event_log import EventLog, LoggedEvent
from stockward_server.application.follower import PAGE, Encoder, Follower, key_of
from stockward_server.application.stock_views import PAGE_BYTES
from stockward_server.application.watch_queues import AvailabilityQueue, Change, ChangeQueue, Interest
from stockward_server.domain.errors import WatchLimitReached

READERS = 4
"""Watches that read the database at the same time, to begin or to catch up: the connections are for everybody."""

PROVING_SECONDS = 0.05
"""Pause between two looks whether everything that the present state tells has come as events."""

LONGEST_REPLAY = 20_000
"""Events that are looked through for what changed after a cursor; beyond, all of the watched availability is told."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one response tells, and the position to go on from; None while more of the present state is to come."""

    messages: Sequence[Any]
    position: int | None


@dataclass(frozen=True, slots=True)
class Present:
    """One aggregate as it stands: `version` is that of its last event."""

    aggregate_id: str
    version: int
    message: Any


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """What watches may take of a process."""

    open: int
    """Watches at the same time."""
    queue: int
    """Changes that may wait for one watch."""
    heartbeat: float
    """Seconds of silence before a watch is told that there is nothing to tell."""


class Place:
    """One of the watches that a process takes. Give it back with `close`, whatever happened; twice does no harm."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self.queue: ChangeQueue | AvailabilityQueue | None = None
        self._open = True

    def close(self) -> None:
        if self._open:
            self._open = False
            self._watches.give_back(self)


class Watches:
    """The open watches of a process."""

    def __init__(self, events: EventLog, follower: Follower, encoder: Encoder, limits: WatchLimits) -> None:
        self._events = events
        self._follower = follower
        self._encoder = encoder
        self._limits = limits
        self._reading = asyncio.Semaphore(READERS)
        self.open = 0
        """How many there are."""

    def enter(self) -> Place:
        """Takes a place, or WatchLimitReached."""
        if self.open >= self._limits.open:
            raise WatchLimitReached(
                f"{self._limits.open} watches are open already", retry_after=1.0, limit=self._limits.open
            )
        self.open += 1
        return Place(self)

    def give_back(self, place: Place) -> None:
        self.open -= 1
        if place.queue is not None:
            self._follower.leave(place.queue)

    async def changes(
        self, place: Place, interest: Interest, after: int | None, present: AsyncIterator[Sequence[Present]]
    ) -> AsyncGenerator[Told, None]:
        """Every change after a position, or what is `present` and every change after it: each version once."""
        queue = await self._join(place, interest)
        position = queue.start if after is None else after
        known: dict[str, int] = {}  # versions that `present` told; events may still tell older ones
        if after is None:
            while (page := await self._next_page(present)) is not None:
                known |= {each.aggregate_id: each.version for each in page}
                yield Told([each.message for each in page], None)
        drawn = await self._events.last_drawn() if known else 0
        while True:
            async for events in self._read(position, queue.start):
                position = events[-1].seq
                if messages := self._wanted(interest, events, known):
                    yield Told(messages, None if known else position)
            position = max(position, queue.start)
            if not queue.lagged:
                break
            queue = await self._join(place, interest)  # reading took too long: what it missed can be read as well
        while known and self._follower.proven < drawn:  # a cursor from here would tell some of the present again
            self._follower.wake()
            await queue.wait(PROVING_SECONDS)
        while True:
            changes = queue.take()
            fresh = [c for c in changes if c.seq > position and c.version > known.get(c.aggregate_id, 0)]
            known = {}
            position = max(position, changes[-1].seq if changes else self._follower.position)
            *pieces, last = _pieces(fresh)
            for piece in pieces:
                yield Told([change.message for change in piece], piece[-1].seq)
            yield Told([change.message for change in last], position)
            await queue.wait(self._limits.heartbeat)

    async def availability(self, place: Place, skus: Collection[str], after: int | None) -> AsyncGenerator[Told, None]:
        """The availability of SKUs, or of those among them that changed after a position; then each change of it. Those
        that are not for sale are always sent at the beginning: no event names a SKU that its product no longer has. The
        messages are pairs of a SKU and its availability, None when it is not for sale."""
        queue = place.queue = AvailabilityQueue(skus)
        await self._follower.join(queue)
        position = queue.start if after is None else max(after, queue.start)
        self._follower.begin(queue, skus if after is None else await self._changed(skus, after, queue.start))
        while not queue.begun:
            await queue.wait(self._limits.heartbeat)
        while True:
            position = max(position, self._follower.position)
            yield Told(queue.take(), position)
            await queue.wait(self._limits.heartbeat)

    async def _join(self, place: Place, interest: Interest) -> ChangeQueue:
        queue = place.queue = ChangeQueue(interest, self._limits.queue)
        await self._follower.join(queue)
        return queue

    async def _next_page(self, present: AsyncIterator[Sequence[Present]]) -> Sequence[Present] | None:
        async with self._reading:
            return await anext(present, None)

    async def _read(self, after: int, until: int) -> AsyncIterator[Sequence[LoggedEvent]]:
        """The events after a position up to another one, page by page."""
        while after < until:
            async with self._reading:
                stretch = await self._events.follow(after, PAGE)
            events = [event for event in stretch.events if event.seq <= until]
            if not events:
                return
            after = events[-1].seq
            yield events

    def _wanted(self, interest: Interest, events: Sequence[LoggedEvent], known: dict[str, int]) -> list[Any]:
        encode = self._encoder.change[interest.topic]
        messages = (
            encode(event)
            for event in events
            if event.aggregate_type == interest.topic
            and (not interest.keys or key_of(event) in interest.keys)
            and event.version > known.get(event.aggregate_id, 0)
        )
        return [message for message in messages if interest.matches(message)]

    async def _changed(self, skus: Collection[str], after: int, until: int) -> Collection[str]:
        """The SKUs among these whose availability an event may have changed; all of them when there are too many events
        to look through."""
        if until - after > LONGEST_REPLAY:
            await self._events.follow(after, 1)  # an expired cursor is refused all the same
            return skus
        changed: set[str] = set()
        async for events in self._read(after, until):
            changed.update(sku for event in events for sku in self._encoder.skus(event))
        async with self._reading:
            changed.update(await self._follower.not_for_sale(skus))
        return changed.intersection(skus)


def _pieces(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """The changes in pieces of at most PAGE_BYTES; one that is empty when there are none."""
    piece: list[Change] = []
    size = 0
    for change in changes:
        if piece and size + change.size > PAGE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(change)
        size += change.size
    yield piece
