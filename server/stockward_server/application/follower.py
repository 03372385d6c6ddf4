"""The follower: reads new events once for all watches of a process and passes each to the interested ones.

It runs while there is any watch. Hints of commits wake it; a short poll finds events without a hint. It never waits for
a watch: queues are bounded, and a watch whose queue overflows is ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from stockward_server.application.context import Role
from stockward_server.application.ports.events import EventLog, LoggedEvent
from stockward_server.application.ports.stock import AvailabilityRow
from stockward_server.application.reads import Load
from stockward_server.application.watch_queues import (
    EVERY_TOPIC,
    AvailabilityQueue,
    Change,
    ChangeQueue,
    Interest,
    WatchQueue,
)
from stockward_server.domain.errors import DatabaseUnavailable
from stockward_server.runtime.supervision import end
from stockward_server.runtime.turns import Turns

log = logging.getLogger(__name__)

PAGE = 500
"""Events read in one query."""

WINDOW_BYTES = 16 * 2**20
"""Maximum bytes of encoded changes that wait for watches; a change that several wait for counts once."""

SKUS_AT_ONCE = 1000
"""SKUs of one query for availability."""

SHORTEST_PAUSE = 0.02
"""Seconds between two reads while changes arrive."""

PAUSE_PER_MESSAGE = 0.00025
"""Seconds of pause for each watch that was sent a message. Sending one takes some 0.05 ms of the process, so even a
thousand watches of one hot SKU leave four fifths of it to calls."""


NOT_READ = (-1, False)
"""Placeholder for the units of a SKU whose availability was not sent to any watch yet."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Makes the messages of watches."""

    change: Mapping[str, Callable[[LoggedEvent], Any]]
    """Functions that encode a watchable event, by aggregate type."""
    availability: Callable[[AvailabilityRow], Any]
    skus: Callable[[LoggedEvent], Collection[str]]
    """Returns the SKUs whose availability an event may have changed."""


def key_of(event: LoggedEvent) -> str:
    """Returns the key that a watch names for this event: the SKU for stock, otherwise the id."""
    return event.aggregate_id.rpartition("@")[0] if event.aggregate_type == "stock" else event.aggregate_id


def is_selected(event: LoggedEvent, interest: Interest) -> bool:
    """Returns whether a watch selects this event by topic and key, before its message is encoded."""
    if interest.topic == EVERY_TOPIC:
        return not interest.keys or event.aggregate_id in interest.keys
    return event.aggregate_type == interest.topic and (not interest.keys or key_of(event) in interest.keys)


class Follower:
    """Fills the queues that joined. A failure ends every watch with its error; the next watch starts the follower
    again."""

    def __init__(
        self,
        events: EventLog,
        availability: Load[str, AvailabilityRow],
        encoder: Encoder,
        *,
        poll_seconds: float,
        refresh_seconds: float,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        """`poll_seconds`: interval of polls without a hint. `refresh_seconds`: interval after which all watched
        availability is read again, for changes without an event, such as a location that another process closed.
        `window_bytes`: a watch is ended when a change still waits for it after so many bytes of later changes."""
        self.epoch = ""
        """Epoch of the event log that is followed. When it ends, every watch ends, as each must resume from a valid
        cursor."""
        self.position = 0
        """Position up to which every event is in the queues."""
        self.proven = 0
        """The seq up to which no event can appear that is not in the queues; at least `position`."""
        self._events = events
        self._availability = availability
        self._encoder = encoder
        self._poll = poll_seconds
        self._refresh = refresh_seconds
        self._changes: dict[tuple[str, str], dict[ChangeQueue, None]] = {}  # by topic and key, "" for all keys
        self._shoppers: dict[str, dict[AvailabilityQueue, None]] = {}  # by SKU
        self._queues: set[WatchQueue] = set()
        self._beginning: dict[AvailabilityQueue, Collection[str]] = {}
        self._available: dict[str, tuple[int, bool] | None] = {}
        """By SKU, units and whether they are untracked; None while the product is not published."""
        self.watching = 0
        """Number of SKUs and ids that queues name, plus one for each queue that names none."""
        self._stale: set[str] = set()  # SKUs
        self._window: deque[tuple[int, int]] = deque()
        """Seq and bytes of the newest changes that went to any watch, at most `window_bytes` in total."""
        self._window_bytes = 0
        self._max_window_bytes = window_bytes
        self._hint = asyncio.Event()
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._left: deque[AvailabilityQueue] = deque()
        """Queues that have left but are still in the index."""
        self._forgetting: asyncio.Task[None] | None = None
        self._closed = False

    def wake(self) -> None:
        """Wakes the follower after a commit in any process."""
        self._hint.set()

    def refresh(self) -> None:
        """Reads all watched availability again, after a change without an event."""
        self._stale.update(self._shoppers)
        self._hint.set()

    def refresh_skus(self, skus: Iterable[str]) -> None:
        """Reads the availability of these SKUs again, such as those that a product no longer has."""
        self._stale.update(sku for sku in skus if sku in self._shoppers)
        self._hint.set()

    async def join(self, queue: ChangeQueue | AvailabilityQueue) -> None:
        """Fills the queue from now on with changes after its `start`."""
        async with self._starting:
            if self._task is None and not self._closed:
                end, self.proven = await self._events.end()
                self.position, self.epoch = end.seq, end.epoch
                self._task = asyncio.create_task(self._run(), name="follower")
        if self._closed:
            raise DatabaseUnavailable.watch_stopped()
        queue.start = self.position
        self._queues.add(queue)
        self.watching += _count(queue)
        if isinstance(queue, ChangeQueue):
            for key in queue.interest.keys or ("",):
                self._changes.setdefault((queue.interest.topic, key), {})[queue] = None
        else:
            queue.joined = True
            for sku in queue.skus:
                self._shoppers.setdefault(sku, {})[queue] = None

    def begin(self, queue: AvailabilityQueue, skus: Collection[str]) -> None:
        """Puts the current availability of `skus` into the queue, then every change of it."""
        self._beginning[queue] = skus
        self._hint.set()

    def leave(self, queue: ChangeQueue | AvailabilityQueue) -> None:
        """Stops filling the queue. Leaving twice is harmless."""
        if queue in self._queues:
            self._queues.remove(queue)
            self.watching -= _count(queue)
        if isinstance(queue, ChangeQueue):
            for key in queue.interest.keys or ("",):
                _remove(self._changes, (queue.interest.topic, key), queue)
        elif queue.joined:
            queue.joined = False
            self._beginning.pop(queue, None)
            self._left.append(queue)
            if self._forgetting is None:
                self._forgetting = asyncio.create_task(self._remove_left(), name="forgetting watches")

    async def _remove_left(self) -> None:
        """Removes queues that left from the index, yielding to other tasks: a thousand may leave at once, with a
        thousand SKUs each."""
        turns = Turns()
        try:
            while self._left:
                queue = self._left.popleft()
                for sku in queue.skus:
                    _remove(self._shoppers, sku, queue)
                    if sku not in self._shoppers:
                        self._available.pop(sku, None)
                await turns.give()
        finally:
            self._forgetting = None

    async def close(self) -> None:
        """Ends all watches at once."""
        self._closed = True
        self._end(DatabaseUnavailable.watch_stopped())
        await end(*(task for task in (self._task, self._forgetting) if task is not None))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        refresh_time = loop.time() + self._refresh
        try:
            while self._queues:
                try:
                    async with asyncio.timeout(self._poll):
                        await self._hint.wait()
                except TimeoutError:
                    pass
                self._hint.clear()
                if loop.time() >= refresh_time:
                    refresh_time = loop.time() + self._refresh
                    self._stale.update(self._shoppers)
                reached = await self._round()
                if reached:
                    await asyncio.sleep(max(SHORTEST_PAUSE, reached * PAUSE_PER_MESSAGE))
        except Exception as error:
            log.warning("watches end: %r", error)
            self._end(error)
        finally:
            self._task = None

    async def _round(self) -> int:
        """Processes one page of events and their changes of availability; returns how many watches were sent a
        message."""
        batch = await self._events.follow(self.position, PAGE)
        if batch.epoch != self.epoch:
            raise epoch_ended()
        events = batch.events
        if batch.more:
            self._hint.set()
        reached: set[WatchQueue] = set()
        for event in events:
            if self._shoppers:
                self._stale.update(sku for sku in self._encoder.skus(event) if sku in self._shoppers)
            self._queue_change(event, event.aggregate_type, key_of(event), reached)
            self._queue_change(event, EVERY_TOPIC, event.aggregate_id, reached)
        if self._stale or self._beginning:
            await self._send_availability(reached)
        self._cut_off_slow_watches()
        if events:
            self.position = events[-1].seq
        self.proven = batch.proven
        return len(reached)

    def _queue_change(self, event: LoggedEvent, topic: str, key: str, reached: set[WatchQueue]) -> None:
        queues = [*self._changes.get((topic, key), ()), *self._changes.get((topic, ""), ())]
        if not queues:
            return
        message = self._encoder.change[topic](event)
        change = Change(event.seq, event.aggregate_id, event.version, message, len(event.payload))
        wanted = [queue for queue in queues if queue.interest.matches(change.message)]
        for queue in wanted:
            queue.put(change)
            reached.add(queue)
            if queue.lagged:
                self.leave(queue)
        if wanted:
            self._window.append((change.seq, change.size))
            self._window_bytes += change.size

    def _cut_off_slow_watches(self) -> None:
        """Ends the watches whose oldest waiting change has left the window, which bounds what waits for all of them."""
        if self._window_bytes <= self._max_window_bytes:
            return
        while self._window_bytes > self._max_window_bytes:
            oldest, size = self._window.popleft()
            self._window_bytes -= size
        for queue in [*self._queues]:
            if isinstance(queue, ChangeQueue) and queue.oldest is not None and queue.oldest <= oldest:
                queue.cut_off()
                self.leave(queue)

    async def not_for_sale(self, skus: Collection[str]) -> Collection[str]:
        """Returns the SKUs that a storefront does not see now."""
        return set(skus) - (await self._for_sale(list(skus))).keys()

    async def _for_sale(self, skus: Sequence[str]) -> Mapping[str, AvailabilityRow]:
        rows = await self._availability(skus)
        return {sku: row for sku, row in rows.items() if Role.STOREFRONT.may_see(row.published)}

    async def _send_availability(self, reached: set[WatchQueue]) -> None:
        """Sends changed availability. Reads are sequential and each is sent before the next, so that no watch gets an
        older value later."""
        beginning, self._beginning = self._beginning, {}
        stale, self._stale = self._stale, set()
        turns = Turns()
        for skus in _pieces(stale.union(*beginning.values()), SKUS_AT_ONCE):
            rows = await self._for_sale(skus)
            for sku in skus:
                await turns.give()
                row = rows.get(sku)
                present = None if row is None else (row.available, row.untracked)
                message = None if row is None else self._encoder.availability(row)
                for queue in (*self._shoppers.get(sku, ()),):
                    if present != self._available.get(sku, NOT_READ) or sku in beginning.get(queue, ()):
                        queue.put(sku, message)
                        reached.add(queue)
                if sku in self._shoppers:
                    self._available[sku] = present
        for queue in beginning:
            queue.begin()

    def _end(self, error: Exception) -> None:
        for queue in self._queues:
            queue.fail(error)
        self._queues.clear()
        self.watching = 0
        self._changes.clear()
        self._shoppers.clear()
        self._beginning.clear()
        self._available.clear()


def epoch_ended() -> DatabaseUnavailable:
    """Returns the error that ends a watch when a new epoch of the event log begins."""
    return DatabaseUnavailable.record_replaced()


def _count(queue: ChangeQueue | AvailabilityQueue) -> int:
    return max(1, len(queue.interest.keys if isinstance(queue, ChangeQueue) else queue.skus))


def _remove(index: dict[Any, dict[Any, None]], key: Any, queue: WatchQueue) -> None:
    queues = index.get(key)
    if queues is not None:
        queues.pop(queue, None)
        if not queues:
            del index[key]


def _pieces(skus: Iterable[str], size: int) -> Iterable[Sequence[str]]:
    rest = iter(skus)
    for first in rest:
        yield [first, *islice(rest, size - 1)]
