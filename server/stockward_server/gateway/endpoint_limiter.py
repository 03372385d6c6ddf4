"""How much one endpoint may be sent right now by this gateway: its places, its rate and its circuit breaker.

An endpoint that may be sent nothing is not asked for lanes, so its deliveries wait in PostgreSQL, where they cost
nobody anything and use up no attempt. One that takes all it gets has as many lanes claimed ahead as it has places: they
wait here, so that a claim brings many and no place is empty meanwhile. Times are those of the event loop's clock, in
seconds.
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
"""What an endpoint with a rate limit may be sent at once: that of so much time, and one request at least."""

MAX_REST = 3600.0
"""However long a receiver asks to be left alone altogether. Each delivery waits for as long as it asked, see retry."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """Opens after `failures` in a row, whatever their lanes; tries again after `first_rest` seconds, then after twice
    as many and so on up to `longest_rest`."""

    failures: int = 10
    first_rest: float = 5.0
    longest_rest: float = 300.0


@dataclass(slots=True)
class Outcomes:
    """What came of the requests since one looked last."""

    taken: bool = False
    first_failure: datetime | None = None
    """Since the last one that was taken."""
    last_error: str = ""


class EndpointLimiter:
    """The way to one endpoint."""

    def __init__(self, endpoint: Endpoint, policy: BreakerPolicy, now: float) -> None:
        self.endpoint = endpoint
        """As it was last read."""
        self.closed = False
        """It is to be sent nothing more: disabled, deleted, or gone by its own word."""
        self.gone = ""
        """What it said when it answered that it wants no more webhooks."""
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
        """Whether it failed so often that only single requests are tried, now and then."""
        return self._rests.begun

    def places(self, now: float) -> int:
        """How many lanes it may be sent."""
        if self.closed or now < self._rest_end:
            return 0
        if self.breaker_open:
            return 0 if self._probing else 1
        return max(0, int(min(self._room, self._refilled(now))))

    def pause(self, now: float) -> float:
        """Seconds until it has places for reasons of time alone; infinite when it is not time that it lacks."""
        if self.closed or not self._room or (self.breaker_open and self._probing):
            return inf
        if now < self._rest_end:
            return self._rest_end - now
        rate = self.endpoint.rate_limit
        return max(0.0, (1 - self._refilled(now)) / rate) if rate else inf

    @property
    def _room(self) -> int:
        """For lanes, waiting ones included; none until half of the places would be filled at once."""
        places = self.endpoint.max_in_flight
        room = 2 * places - self._claimed
        return room if 2 * room >= places else 0

    def enter(self, now: float) -> bool:
        """A lane is claimed, and the token of its first request is taken. Whether it is the breaker's trial."""
        trial = self.breaker_open and not self._probing
        self._claimed += 1
        self._probing |= trial
        self._tokens = self._refilled(now) - 1
        return trial

    def begins(self, now: float, trial: bool) -> bool:
        """Whether a lane that waited for its slot may be sent now."""
        return not self.closed and (trial or not self.breaker_open) and now >= self._rest_end

    def go_on(self, now: float) -> bool:
        """Whether a lane may send one more, and takes its token."""
        if self.closed or self.breaker_open or now < self._rest_end or self._refilled(now) < 1:
            return False
        self._tokens -= 1
        return True

    def leave(self, trial: bool) -> None:
        """A lane is done with. One that was sent before the breaker opened does not end the trial."""
        self._claimed -= 1
        if trial:
            self._probing = False

    def note(self, answer: Answer, now: float) -> None:
        """What came of a request."""
        outcomes = self.outcomes
        if answer.taken:
            outcomes.taken, outcomes.first_failure = True, None
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
        """Those since the last time."""
        outcomes, self.outcomes = self.outcomes, Outcomes()
        return outcomes

    def _refilled(self, now: float) -> float:
        """The tokens there are now."""
        rate = self.endpoint.rate_limit
        if not rate:
            self._tokens = inf
        else:
            full = max(1.0, rate * BURST_SECONDS)
            self._tokens = min(full, self._tokens + (now - self._refill_time) * rate)
        self._refill_time = now
        return self._tokens
