"""Limits what this gateway sends to one endpoint: its slots, its rate limit and its circuit breaker.

No lanes are claimed for an endpoint that may be sent nothing, so its deliveries wait in PostgreSQL and use up no
attempt. For an endpoint that keeps up, as many lanes are claimed ahead as it has slots, so that one claim brings many
lanes and no slot is idle meanwhile. Times are those of the event loop's clock, in seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from math import inf

from stockward_server.gateway.retry import GONE
from stockward_server.gateway.sender import Answer
from stockward_server.runtime.back_off import BackOff
from stockward_server.storage.webhooks.claims import Endpoint

BURST_SECONDS = 0.1
"""Burst of an endpoint with a rate limit: the requests of so many seconds, at least one."""

MAX_REST = 3600.0
"""Maximum of seconds that a `Retry-After` pauses the whole endpoint. The delivery itself waits longer, see retry."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a circuit breaker opens: after `failures` in a row, in any lanes. It sends a trial after `first_rest`
    seconds, then after twice as many and so on, up to `longest_rest`."""

    failures: int = 10
    first_rest: float = 5.0
    longest_rest: float = 300.0


@dataclass(slots=True)
class Outcomes:
    """Outcomes of the requests since `take_outcomes` was called last."""

    accepted: bool = False
    """Whether a request was accepted."""
    first_failure: datetime | None = None
    """Start of the first request that failed after the last accepted one."""
    last_error: str = ""


class EndpointLimiter:
    """Slots, rate limit and circuit breaker of one endpoint."""

    def __init__(self, endpoint: Endpoint, policy: BreakerPolicy, now: float) -> None:
        self.endpoint = endpoint
        """The endpoint as it was read last."""
        self.closed = False
        """Whether nothing more may be sent: the endpoint is disabled, deleted, or responded 410."""
        self.gone = ""
        """Error of the response 410 (Gone), with which a receiver ends its webhooks; else empty."""
        self.outcomes = Outcomes()
        self._policy = policy
        self.slots = asyncio.Semaphore(endpoint.max_in_flight)
        """Held while a lane is sent."""
        self._claimed = 0
        self._failures = 0
        self._rests = BackOff(policy.first_rest, policy.longest_rest, jitter=0.2)
        self._rest_end = 0.0
        self._probing = False
        self._tokens = inf
        self._refill_time = now

    @property
    def breaker_open(self) -> bool:
        """Whether the circuit breaker is open: only single trial requests are sent."""
        return self._rests.begun

    def places(self, now: float) -> int:
        """Returns how many lanes may be claimed for the endpoint."""
        if self.closed or now < self._rest_end:
            return 0
        if self.breaker_open:
            return 0 if self._probing else 1
        return max(0, int(min(self._room, self._refilled(now))))

    def pause(self, now: float) -> float:
        """Returns the seconds until lanes can be claimed; infinite when that does not depend on time."""
        if self.closed or not self._room or (self.breaker_open and self._probing):
            return inf
        if now < self._rest_end:
            return self._rest_end - now
        rate = self.endpoint.rate_limit
        return max(0.0, (1 - self._refilled(now)) / rate) if rate else inf

    @property
    def _room(self) -> int:
        """Lanes that may be claimed, waiting ones included; 0 until half of the slots could be filled at once."""
        places = self.endpoint.max_in_flight
        room = 2 * places - self._claimed
        return room if 2 * room >= places else 0

    def enter(self, now: float) -> bool:
        """Counts a claimed lane and the token of its first request. Returns whether it is the breaker's trial."""
        trial = self.breaker_open and not self._probing
        self._claimed += 1
        self._probing |= trial
        self._tokens = self._refilled(now) - 1
        return trial

    def begins(self, now: float, trial: bool) -> bool:
        """Returns whether a lane that waited for its slot may be sent now."""
        return not self.closed and (trial or not self.breaker_open) and now >= self._rest_end

    def go_on(self, now: float) -> bool:
        """Returns whether a lane may send one more delivery; if so, uses a token."""
        if self.closed or self.breaker_open or now < self._rest_end or self._refilled(now) < 1:
            return False
        self._tokens -= 1
        return True

    def leave(self, trial: bool) -> None:
        """Counts a lane as done. A lane that was sent before the breaker opened does not end the trial."""
        self._claimed -= 1
        if trial:
            self._probing = False

    def note(self, answer: Answer, now: float) -> None:
        """Records the outcome of a request, and opens or closes the breaker by it."""
        outcomes = self.outcomes
        if answer.accepted:
            outcomes.accepted, outcomes.first_failure = True, None
            self._failures, self._rest_end = 0, 0.0
            self._rests.reset()
            return
        outcomes.first_failure = outcomes.first_failure or answer.start_time
        outcomes.last_error = answer.error
        self._failures += 1
        if answer.status == GONE:
            self.gone = answer.error
            self.closed = True
        if now < self._rest_end:
            return  # sent before the breaker opened
        if self._failures >= self._policy.failures:
            self._rest_end = now + self._rests.next()
        if answer.retry_after and answer.status in (429, 503):
            self._rest_end = max(self._rest_end, now + min(answer.retry_after.total_seconds(), MAX_REST))

    def take_outcomes(self) -> Outcomes:
        """Returns the outcomes since the last call."""
        outcomes, self.outcomes = self.outcomes, Outcomes()
        return outcomes

    def _refilled(self, now: float) -> float:
        """Returns the tokens available now; infinite without a rate limit."""
        rate = self.endpoint.rate_limit
        if not rate:
            self._tokens = inf
        else:
            full = max(1.0, rate * BURST_SECONDS)
            self._tokens = min(full, self._tokens + (now - self._refill_time) * rate)
        self._refill_time = now
        return self._tokens
