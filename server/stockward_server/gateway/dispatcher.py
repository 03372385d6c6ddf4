"""Claims due lanes and sends their deliveries: lanes concurrently, the deliveries of one lane in order.

Each endpoint has a limiter, and lanes are claimed only for endpoints whose limiter has a free slot: an endpoint that
hangs uses up its own slots only.
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
"""Seconds between two reads of the endpoints; their failures are recorded as often."""

CLAIM_PAUSE = 0.01
"""Seconds between two claims while there is work: one claim fills all slots that became free meanwhile."""

GIVE_BACK_SECONDS = 2.0
"""Seconds that recording the last outcomes may take at a stop."""


class DeliveryTracer(Protocol):
    """Creates a span for each request."""

    def begin_delivery(self, endpoint_id: str, event_id: str, traceparent: str) -> tuple[Any, str]:
        """Starts a span below `traceparent`; returns the span and the traceparent to send with the request."""
        ...

    def end_delivery(self, span: Any, status: int | None, error: str) -> None:
        """Ends the span. `status` is the HTTP status, None without a response; `error` is empty after a success."""
        ...


class Dispatcher:
    """Claims lanes and delivers each of them. Call `wake` when new or released lanes can be claimed."""

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
        """`lease` is how long a claim lasts: other gateways get the lanes of one that died after it. A lane is released
        by the middle of its lease, so the lease has to be more than twice the timeout of a request."""
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
        """Starts the next claim at once rather than at the next poll."""
        self._woken.set()

    def open_breakers(self) -> Sequence[str]:
        """Returns the ids of the endpoints whose circuit breaker is open, sorted."""
        return sorted(name for name, limiter in self._limiters.items() if limiter.breaker_open)

    async def run(self, stop: asyncio.Event, grace_seconds: float) -> None:
        """Delivers until `stop` is set. Requests under way get `grace_seconds` more; then they are cancelled and their
        lanes released, so that the next gateway sends them again."""
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
        """Records the endpoints' outcomes and reads the endpoints again."""
        await note_outcomes(self._limiters.values(), self._health, self._failure_policy)
        endpoints = {each.endpoint_id: each for each in await self._store.endpoints()}
        for endpoint_id in self._limiters.keys() - endpoints.keys():
            self._limiters.pop(endpoint_id).closed = True
        for endpoint_id, endpoint in endpoints.items():
            limiter = self._limiters.get(endpoint_id)
            if limiter is None or limiter.closed or limiter.endpoint.version != endpoint.version:
                if limiter:  # responses that are still due concern the former endpoint
                    limiter.closed = True
                limiter = self._limiters[endpoint_id] = EndpointLimiter(endpoint, self._breaker, now)
            limiter.endpoint = endpoint
        self._refresh_time = now + REFRESH_SECONDS

    async def _deliver_lane(self, limiter: EndpointLimiter, lane: Lane, trial: bool, give_back_time: float) -> None:
        """Sends the lane's deliveries in order, up to the first that fails, and releases the lane.

        The next delivery is sent while the last one is being recorded: a crash in between sends both again, in order
        and with the same ids.
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
                delay = None  # the failure concerns the former endpoint
            limiter.leave(trial)
            self._budget.give_back(lane.endpoint_id, size)
            self._recorder.add(Release(lane, delay or timedelta(0)))

    async def _deliver(self, limiter: EndpointLimiter, delivery: PendingDelivery) -> timedelta | None:
        """Sends one delivery and queues its attempt for recording.

        Returns the pause before the next attempt, None when the delivery is delivered or dead.
        """
        attempt = delivery.attempts + 1
        delay = None
        if delivery.payload is None:
            answer = Answer(datetime.now(UTC), 0, None, "the event is no longer kept")
        else:
            answer = await self._send(limiter.endpoint, delivery, delivery.payload)
            limiter.note(answer, asyncio.get_running_loop().time())
            if answer.status == GONE:
                delay = self._retry_delays[0]  # once the endpoint is enabled again
            elif not answer.accepted:
                delay = retry_delay(
                    attempt - delivery.past_attempts, self._retry_delays, answer.status, answer.retry_after
                )
            self._metrics.durations[str(answer.status or "error")].add(answer.latency_ms / 1000)
        state = DeliveryState.DELIVERED if answer.accepted else DeliveryState.PENDING if delay else DeliveryState.DEAD
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
        """Sends one request, within a span where tracing is on."""
        if self._tracer is None:
            return await self._send_once(endpoint, delivery.event_id, payload, delivery.traceparent)
        span, traceparent = self._tracer.begin_delivery(endpoint.endpoint_id, delivery.event_id, delivery.traceparent)
        answer = await self._send_once(endpoint, delivery.event_id, payload, traceparent)
        self._tracer.end_delivery(span, answer.status, answer.error)
        return answer

    async def _send_once(self, endpoint: Endpoint, event_id: str, payload: bytes, traceparent: str) -> Answer:
        """Sends one request. An error in this process counts as a failed attempt, too, so that it is visible in the
        attempts and not retried without a pause."""
        try:
            return await self._sender.send(endpoint, event_id, payload, traceparent)
        except Exception as error:
            log.exception("event %s cannot be sent to %s", event_id, endpoint.endpoint_id)
            return Answer(datetime.now(UTC), 0, None, f"cannot be sent: {type(error).__name__}")
