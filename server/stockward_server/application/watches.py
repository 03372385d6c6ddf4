"""Watches send the current state, then every change, to the callers of open streams.

See docs/how-to/storefront/watch-stock-and-orders.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from stockward_server.application.follower import PAGE, Encoder, Follower, epoch_ended, is_selected
from stockward_server.application.ports.events import Cursor, EventLog, LoggedEvent
from stockward_server.application.ports.pages import PAGE_BYTES
from stockward_server.application.watch_queues import AvailabilityQueue, ChangeQueue, Interest
from stockward_server.domain.errors import WatchLimitReached
from stockward_server.runtime.turns import MUCH, Turns

READERS = 4
"""Maximum number of watches that read the database at the same time, to start or to catch up: other calls need
connections."""

CHECK_SECONDS = 0.05
"""Pause between two checks that every event of the snapshot has been followed."""

MAX_REPLAY = 20_000
"""Maximum number of events searched for changes after a cursor; with more, all watched availability is sent again."""


@dataclass(frozen=True, slots=True)
class WatchUpdate:
    """The messages of one response and the position to resume from; None until the snapshot is complete."""

    messages: Sequence[Any]
    position: Cursor | None

    @property
    def is_checkpoint(self) -> bool:
        """Whether it says only that everything up to its position was sent."""
        return not self.messages and self.position is not None


@dataclass(frozen=True, slots=True)
class SnapshotItem:
    """The current state of one aggregate; `version` is that of its last event."""

    aggregate_id: str
    version: int
    message: Any


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """Limits of the watches of a process."""

    open: int
    """Maximum number of open watches."""
    queue: int
    """Maximum number of changes that wait for one watch."""
    heartbeat: float
    """Seconds of silence before a watch sends an empty response."""
    keys: int = 100_000
    """Maximum number of SKUs and orders that all watches name, counted once for each watch."""


class WatchSlot:
    """One of the open watches that a process allows. `close` releases it and may be called twice."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self.queue: ChangeQueue | AvailabilityQueue | None = None
        self._open = True

    def close(self) -> None:
        if self._open:
            self._open = False
            self._watches.release(self)


class Watches:
    """The open watches of a process."""

    def __init__(self, events: EventLog, follower: Follower, encoder: Encoder, limits: WatchLimits) -> None:
        self._events = events
        self._follower = follower
        self._encoder = encoder
        self._limits = limits
        self._reading = asyncio.Semaphore(READERS)
        self.open = 0
        """Number of open watches."""

    def enter(self) -> WatchSlot:
        """Returns a slot. Raises WatchLimitReached when none is left."""
        if self.open >= self._limits.open:
            raise WatchLimitReached.of_watches(self._limits.open)
        self.open += 1
        return WatchSlot(self)

    def release(self, slot: WatchSlot) -> None:
        self.open -= 1
        if slot.queue is not None:
            self._follower.leave(slot.queue)

    async def changes(
        self, slot: WatchSlot, interest: Interest, after: Cursor | None, present: AsyncIterator[Sequence[SnapshotItem]]
    ) -> AsyncGenerator[WatchUpdate, None]:
        """Yields every change after a cursor, or the items of `present` and every change after them: each version once.
        Raises CursorExpired and EventsLost as EventLog does."""
        queue = await self._join(slot, interest)
        epoch = await self._epoch_after(after)
        position = queue.start if after is None else after.seq
        known: dict[str, int] = {}  # versions sent from `present`; events may still repeat older ones
        if after is None:
            while (page := await self._next_page(present)) is not None:
                known |= {each.aggregate_id: each.version for each in page}
                yield WatchUpdate([each.message for each in page], None)
        drawn = await self._events.last_drawn() if known else 0
        while True:
            async for events in self._read(position, queue.start, epoch):
                position = events[-1].seq
                if messages := self._wanted(interest, events, known):
                    yield WatchUpdate(messages, None if known else Cursor(position, epoch))
                del events, messages
            position = max(position, queue.start)
            if not queue.lagged:
                break
            queue = await self._join(slot, interest)  # reading took too long: the missed changes can be read as well
        while known and self._follower.proven < drawn:  # a cursor from here would repeat parts of the snapshot
            self._follower.wake()
            await queue.wait(CHECK_SECONDS)
        while True:
            changes = queue.take(PAGE_BYTES)
            fresh = [c for c in changes if c.seq > position and c.version > known.get(c.aggregate_id, 0)]
            if queue.oldest is None or queue.oldest > drawn:
                known = {}
            position = max(position, changes[-1].seq if changes else self._follower.position)
            update = WatchUpdate([change.message for change in fresh], Cursor(position, epoch))
            del changes, fresh  # the next may be hours away
            yield update
            del update
            if queue.oldest is None:
                await queue.wait(self._limits.heartbeat)

    async def availability(
        self, slot: WatchSlot, skus: Collection[str], after: Cursor | None
    ) -> AsyncGenerator[WatchUpdate, None]:
        """Yields the availability of SKUs, or of those that changed after a cursor; then each change of it. SKUs that
        are not published are always sent at the beginning: no event names a SKU that its product no longer has. The
        messages are pairs of a SKU and its availability, None when it is not published."""
        queue = slot.queue = AvailabilityQueue(skus)
        self._require_room(len(skus))
        await self._follower.join(queue)
        epoch = await self._epoch_after(after)
        position = queue.start if after is None else max(after.seq, queue.start)
        self._follower.begin(queue, skus if after is None else await self._changed(skus, after.seq, queue.start, epoch))
        while not queue.begun:
            await queue.wait(self._limits.heartbeat)
        while True:
            if queue.waiting > MUCH:
                await Turns().begin()
            position = max(position, self._follower.position)
            yield WatchUpdate(queue.take(), Cursor(position, epoch))
            await queue.wait(self._limits.heartbeat)

    async def _join(self, slot: WatchSlot, interest: Interest) -> ChangeQueue:
        queue = slot.queue = ChangeQueue(interest, self._limits.queue)
        self._require_room(len(interest.keys))
        await self._follower.join(queue)
        return queue

    def _require_room(self, keys: int) -> None:
        if self._follower.watching + keys > self._limits.keys:
            raise WatchLimitReached.of_keys(self._follower.watching, keys, self._limits.keys)

    async def _next_page(self, present: AsyncIterator[Sequence[SnapshotItem]]) -> Sequence[SnapshotItem] | None:
        async with self._reading:
            return await anext(present, None)

    async def _epoch_after(self, after: Cursor | None) -> str:
        """Returns the follower's epoch after checking the cursor in it."""
        if after is not None and (await self._events.check(after)).epoch != self._follower.epoch:
            raise epoch_ended()
        return self._follower.epoch

    async def _read(self, after: int, until: int, epoch: str) -> AsyncIterator[Sequence[LoggedEvent]]:
        """Yields the events after one position up to another, page by page."""
        while after < until:
            async with self._reading:
                batch = await self._events.follow(after, PAGE)
            if batch.epoch != epoch:
                raise epoch_ended()
            events = [event for event in batch.events if event.seq <= until]
            if not events:
                return
            after = events[-1].seq
            yield events

    def _wanted(self, interest: Interest, events: Sequence[LoggedEvent], known: dict[str, int]) -> list[Any]:
        encode = self._encoder.change[interest.topic]
        messages = (
            encode(event)
            for event in events
            if is_selected(event, interest) and event.version > known.get(event.aggregate_id, 0)
        )
        return [message for message in messages if interest.matches(message)]

    async def _changed(self, skus: Collection[str], after: int, until: int, epoch: str) -> Collection[str]:
        """Returns the SKUs whose availability an event may have changed; all of them when there are too many events to
        search."""
        if until - after > MAX_REPLAY:
            return skus
        changed: set[str] = set()
        async for events in self._read(after, until, epoch):
            changed.update(sku for event in events for sku in self._encoder.skus(event))
        async with self._reading:
            changed.update(await self._follower.not_for_sale(skus))
        return changed.intersection(skus)
