"""Hands due lanes to senders: side by side across aggregates and endpoints, one after another within a lane.

Each endpoint has a limiter, and lanes are claimed only for endpoints whose limiter has a free slot: an endpoint that
hangs keeps its own slots busy and nobody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from stockward_server.domain.delivery import DeliveryState
from stockward_server.gateway.claim_budget import ClaimBudget
from stockward_server.gateway.endpoint_limiter import BreakerPolicy, EndpointLimiter
from stockward_server.gateway.failure_policy import FailurePolicy, note_outcomes
from stockward_server.gateway.metrics import GatewayMetrics
from stockward_server.gateway.recorder import Recorder
from stockward_server.gateway.retry import GONE, retry_delay
from stockward_server.gateway.sender import Answer, Sender
from stockward_server.runtime.supervision import end, run_with_restarts, wait_for_any
from stockward_server.storage.database import is_database_down
from stockward_server.storage.webhooks.claims import (
    Attempt,
    Endpoint,
    Lane,
    PendingDelivery,
    Release,
    SqlWebhooks,
)
from stockward_server.storage.webhooks.endpoint_health import SqlEndpointHealth

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
"""How old the list of endpoints may be, and what is written down of how they fare."""

CLAIM_PAUSE = 0.01
"""Seconds between two claims while there is work: places that become free meanwhile are filled together."""

GIVE_BACK_SECONDS = 2.0
"""How long it may take to write down what came of the last requests, at the stop."""


class DeliveryTracer(Protocol):
    """Puts a span around each request."""

    def begin_delivery(self, endpoint_id: str, event_id: str, traceparent: str) -> tuple[Any, str]:
        """The span, and the traceparent that goes along with the request."""
        ...

    def end_delivery(self, span: Any, status: int | None, error: str) -> None: ...


class Dispatcher:
    """Claims lanes and sees each one through. `wake` reports that there are some to be had, new or given back."""

    def __init__(
        self,
        store: SqlWebhooks,
        health: SqlEndpointHealth,
        sender: Sender,
        recorder: Recorder,
        *,
        retry_delays: Sequence[timedelta],
        breaker: BreakerPolicy,
        failure_policy: FailurePolicy,
        lease: timedelta,
        poll_seconds: float,
        metrics: GatewayMetrics,
        tracer: DeliveryTracer | None = None,
    ) -> None:
        """`lease` is how long a claim lasts: a gateway that died is not missed for longer. A lane is given back by the
        middle of it, so it has to be more than twice the time that a request may take."""
        self._store = store
        self._health = health
        self._sender = sender
        self._recorder = recorder
        self._retry_delays = retry_delays
        self._breaker = breaker
        self._failure_policy = failure_policy
        self._lease = lease
        self._poll_seconds = poll_seconds
        self._tracer = tracer
        self._metrics = metrics
        metrics.lanes, metrics.open_breakers = lambda: len(self._tasks), self.open_breakers
        self._limiters: dict[str, EndpointLimiter] = {}
        self._budget = ClaimBudget()
        self._refresh_time = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._stop = asyncio.Event()

    def wake(self) -> None:
        """There may be something to claim."""
        self._woken.set()

    def open_breakers(self) -> Sequence[str]:
        """Endpoints that are left alone for their failures, but for a trial now and then."""
        return sorted(name for name, limiter in self._limiters.items() if limiter.breaker_open)

    async def run(self, stop: asyncio.Event, grace_seconds: float) -> None:
        """Until `stop` is set. Requests under way may end for `grace_seconds` more; then they are broken off, and their
        lanes given back, to be sent again by anyone who comes next."""
        self._stop = stop
        await run_with_restarts("deliveries", self._dispatch, stop, is_database_down)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            await end(*late)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._recorder.drained(), GIVE_BACK_SECONDS)

    async def _dispatch(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            self._woken.clear()
            if loop.time() >= self._refresh_time:
                await self._refresh(loop.time())
            now = loop.time()
            free = {name: places for name, limiter in self._limiters.items() if (places := limiter.places(now))}
            room = self._budget.room(free)
            free = {name: free[name] for name in room}
            lanes = await self._store.claim(free, self._lease, room, self._budget.free) if free else ()
            give_back_time = now + self._lease.total_seconds() / 2
            for lane in lanes:
                limiter = self._limiters[lane.endpoint_id]
                trial = limiter.enter(loop.time())
                self._budget.take(lane.endpoint_id, lane.size)
                task = asyncio.create_task(self._deliver_lane(limiter, lane, trial, give_back_time))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if lanes:
                await asyncio.sleep(CLAIM_PAUSE)
            else:
                waiting = [limiter.pause(now) for name, limiter in self._limiters.items() if name not in free]
                pause = max(CLAIM_PAUSE, min([self._poll_seconds, *waiting]))
                await wait_for_any(pause, self._woken, self._stop)

    async def _refresh(self, now: float) -> None:
        """Writes down how the endpoints fare, and reads them again."""
        await note_outcomes(self._limiters.values(), self._health, self._failure_policy)
        endpoints = {each.endpoint_id: each for each in await self._store.endpoints()}
        for endpoint_id in self._limiters.keys() - endpoints.keys():
            self._limiters.pop(endpoint_id).closed = True
        for endpoint_id, endpoint in endpoints.items():
            limiter = self._limiters.get(endpoint_id)
            if limiter is None or limiter.closed or limiter.endpoint.version != endpoint.version:
                if limiter:  # what is still answered there speaks of an endpoint that is no more
                    limiter.closed = True
                limiter = self._limiters[endpoint_id] = EndpointLimiter(endpoint, self._breaker, now)
            limiter.endpoint = endpoint
        self._refresh_time = now + REFRESH_SECONDS

    async def _deliver_lane(self, limiter: EndpointLimiter, lane: Lane, trial: bool, give_back_time: float) -> None:
        """Sends the lane's deliveries in order, up to the first that fails, and gives the lane back.

        The next one is sent while the last one is being written: a crash in between repeats both, in order and under
        their own ids.
        """
        now = asyncio.get_running_loop().time
        size = lane.size
        delay: timedelta | None = None
        try:
            async with limiter.slots:
                for number, delivery in enumerate(lane.deliveries):
                    may_send = limiter.go_on(now()) if number else limiter.begins(now(), trial)
                    if self._stop.is_set() or now() > give_back_time or not may_send:
                        break
                    delay = await self._deliver(limiter, delivery)
                    if delay:
                        break
        finally:
            if limiter.closed and not limiter.gone:
                delay = None  # it failed at what the endpoint was before
            limiter.leave(trial)
            self._budget.give_back(lane.endpoint_id, size)
            self._recorder.add(Release(lane, delay or timedelta(0)))

    async def _deliver(self, limiter: EndpointLimiter, delivery: PendingDelivery) -> timedelta | None:
        """The pause before the next attempt; None when the delivery is done with, one way or the other."""
        attempt = delivery.attempts + 1
        delay = None
        if delivery.payload is None:
            answer = Answer(datetime.now(UTC), 0, None, "the event is no longer kept")
        else:
            answer = await self._send(limiter.endpoint, delivery, delivery.payload)
            limiter.note(answer, asyncio.get_running_loop().time())
            if answer.status == GONE:
                delay = self._retry_delays[0]  # once the endpoint is enabled again
            elif not answer.taken:
                delay = retry_delay(
                    attempt - delivery.past_attempts, self._retry_delays, answer.status, answer.retry_after
                )
            self._metrics.durations[str(answer.status or "error")].add(answer.latency_ms / 1000)
        state = DeliveryState.DELIVERED if answer.taken else DeliveryState.PENDING if delay else DeliveryState.DEAD
        outcome = "failed" if state is DeliveryState.PENDING else state.name.lower()
        self._metrics.attempts[limiter.endpoint.endpoint_id, outcome] += 1
        self._recorder.add(
            Attempt(
                limiter.endpoint.endpoint_id,
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

    async def _send(self, endpoint: Endpoint, delivery: PendingDelivery, payload: bytes) -> Answer:
        """Below a span of its own, where somebody traces."""
        if self._tracer is None:
            return await self._send_once(endpoint, delivery.event_id, payload, delivery.traceparent)
        span, traceparent = self._tracer.begin_delivery(endpoint.endpoint_id, delivery.event_id, delivery.traceparent)
        answer = await self._send_once(endpoint, delivery.event_id, payload, traceparent)
        self._tracer.end_delivery(span, answer.status, answer.error)
        return answer

    async def _send_once(self, endpoint: Endpoint, event_id: str, payload: bytes, traceparent: str) -> Answer:
        """What goes wrong on our side is a failed attempt, too: it is seen there, and not repeated without a pause."""
        try:
            return await self._sender.send(endpoint, event_id, payload, traceparent)
        except Exception as error:
            log.exception("event %s cannot be sent to %s", event_id, endpoint.endpoint_id)
            return Answer(datetime.now(UTC), 0, None, f"cannot be sent: {type(error).__name__}")
