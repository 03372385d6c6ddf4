"""Hands due lanes to senders: side by side across aggregates and endpoints, one after another within a lane.

Each endpoint has its own number of places, and only endpoints with a free place are asked for lanes. So an endpoint
that hangs keeps its own places busy and nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from stockward_server.application.session import keep_running, wait_for_any
from stockward_server.domain.delivery import DeliveryState
from stockward_server.gateway.recorder import Recorder
from stockward_server.gateway.retry import retry_delay
from stockward_server.gateway.sender import Answer, Sender
from stockward_server.storage.database import is_database_down
from stockward_server.storage.webhooks import (
    Attempt,
    Endpoint,
    Lane,
    PendingDelivery,
    SqlWebhooks,
)

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
"""How old the list of endpoints may be."""

CLAIM_PAUSE = 0.005
"""Seconds between two claims while there is work: places that become free meanwhile are filled together."""

GIVE_BACK_SECONDS = 2.0
"""How long the lanes of requests that were broken off may take to be given back, at the stop."""


class Dispatcher:
    """Claims lanes and sees each one through. `wake` tells it that there are new ones."""

    def __init__(
        self,
        store: SqlWebhooks,
        sender: Sender,
        recorder: Recorder,
        *,
        retry_delays: Sequence[timedelta],
        lease: timedelta,
        poll_seconds: float,
    ) -> None:
        """`lease` is how long a claim lasts: a gateway that died is not missed for longer. A lane is given back by the
        middle of it, so it has to be more than twice the time that a request may take."""
        self._store = store
        self._sender = sender
        self._recorder = recorder
        self._retry_delays = retry_delays
        self._lease = lease
        self._poll_seconds = poll_seconds
        self._endpoints: dict[str, Endpoint] = {}
        self._refresh_time = 0.0
        self._busy: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._stop = asyncio.Event()

    def wake(self) -> None:
        """There may be something to claim."""
        self._woken.set()

    async def run(self, stop: asyncio.Event, grace_seconds: float) -> None:
        """Until `stop` is set. Requests under way may end for `grace_seconds` more; then they are broken off, and their
        lanes given back, to be sent again by whoever comes next."""
        self._stop = stop
        await keep_running("deliveries", self._dispatch, stop, is_database_down)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=GIVE_BACK_SECONDS)

    async def _dispatch(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            self._woken.clear()
            if loop.time() >= self._refresh_time:
                self._endpoints = {each.endpoint_id: each for each in await self._store.endpoints()}
                self._refresh_time = loop.time() + REFRESH_SECONDS
            places = {name: each.max_in_flight - self._busy[name] for name, each in self._endpoints.items()}
            free = {name: count for name, count in places.items() if count > 0}
            give_back_time = loop.time() + self._lease.total_seconds() / 2
            lanes = await self._store.claim(free, self._lease) if free else ()
            for lane in lanes:
                self._busy[lane.endpoint_id] += 1
                task = asyncio.create_task(self._see_through(lane, give_back_time))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if lanes:
                await asyncio.sleep(CLAIM_PAUSE)
            else:
                await wait_for_any(self._poll_seconds, self._woken, self._stop)

    async def _see_through(self, lane: Lane, give_back_time: float) -> None:
        """Sends the lane's deliveries in order, up to the first that fails, and gives the lane back.

        The next one is sent while the last one is being written: a crash in between repeats both, in order and under
        their own ids.
        """
        endpoint = self._endpoints[lane.endpoint_id]
        delay: timedelta | None = None
        try:
            for delivery in lane.deliveries:
                if self._stop.is_set() or asyncio.get_running_loop().time() > give_back_time:
                    break
                delay = await self._deliver(endpoint, delivery)
                if delay:
                    break
        finally:
            self._busy[lane.endpoint_id] -= 1  # the next lane is sent while this one is being written
            self.wake()
            await self._recorder.release(lane, delay or timedelta(0))

    async def _deliver(self, endpoint: Endpoint, delivery: PendingDelivery) -> timedelta | None:
        """The pause before the next attempt; None when the delivery is done with, one way or the other."""
        attempt = delivery.attempts + 1
        delay = None
        if delivery.payload is None:
            answer = Answer(datetime.now(UTC), 0, None, "the event is no longer kept", "")
        else:
            answer = await self._send(endpoint, delivery.event_id, delivery.payload)
            if not answer.taken:
                delay = retry_delay(attempt - delivery.past_attempts, self._retry_delays)
        state = DeliveryState.DELIVERED if answer.taken else DeliveryState.PENDING if delay else DeliveryState.DEAD
        self._recorder.add(
            Attempt(
                endpoint.endpoint_id,
                delivery.event_id,
                attempt,
                state,
                answer.start_time,
                answer.latency_ms,
                answer.status,
                answer.error,
                answer.excerpt,
            )
        )
        return delay

    async def _send(self, endpoint: Endpoint, event_id: str, payload: bytes) -> Answer:
        """What goes wrong on our side is a failed attempt, too: it is seen there, and not repeated without a pause."""
        try:
            return await self._sender.send(endpoint, event_id, payload)
        except Exception as error:
            log.exception("event %s cannot be sent to %s", event_id, endpoint.endpoint_id)
            return Answer(datetime.now(UTC), 0, None, f"cannot be sent: {type(error).__name__}", "")
