"""How much an endpoint is sent: places, rate, breaker, and what receivers ask for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf

from stockward_server.gateway.endpoint_limiter import MAX_REST, BreakerPolicy, EndpointLimiter
from stockward_server.gateway.sender import Answer
from stockward_server.storage.webhooks.claims import Endpoint

ENDPOINT = Endpoint("e", 1, "https://shop.example/", ("*",), 4, {}, None, 20_480, None, False, ("whsec_x",))
POLICY = BreakerPolicy(failures=3, first_rest=10.0, longest_rest=30.0)


def limiter(**changes: object) -> EndpointLimiter:
    return EndpointLimiter(replace(ENDPOINT, **changes), POLICY, 0.0)  # type: ignore[arg-type]


def answer(status: int | None, retry_after: float | None = None) -> Answer:
    error = "" if status == 200 else f"HTTP {status}"
    return Answer(datetime.now(UTC), 1, status, error, "", timedelta(seconds=retry_after) if retry_after else None)


def test_as_many_lanes_are_claimed_ahead_as_there_are_places_and_not_one_by_one() -> None:
    way = limiter()
    assert way.places(0.0) == 8
    for left in (7, 6, 5, 4, 3, 2, 0, 0):
        way.enter(0.0)
        assert way.places(0.0) == left
    assert way.pause(0.0) == inf
    way.leave(False)
    assert way.places(0.0) == 0
    way.leave(False)
    assert way.places(0.0) == 2


def test_what_waits_for_its_slot_is_not_sent_once_the_breaker_opens() -> None:
    way = limiter()
    trial = way.enter(0.0)
    assert way.begins(0.0, trial)
    for _ in range(3):
        way.note(answer(500), 0.0)
    assert not way.begins(0.0, trial)
    assert not way.begins(13.0, trial)
    way.leave(trial)
    assert way.begins(13.0, way.enter(13.0))


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_lane_try() -> None:
    way = limiter()
    for status in (500, None, 200, 500, 500):
        way.note(answer(status), 0.0)
    assert not way.breaker_open
    way.note(answer(404), 0.0)
    assert way.breaker_open
    assert way.places(9.9) == 0
    assert 10.0 <= way.pause(0.0) <= 12.0

    assert way.places(12.1) == 1
    assert way.enter(12.1)
    assert way.places(12.1) == 0  # one at a time
    assert not way.go_on(12.1)
    way.note(answer(500), 12.1)
    way.leave(True)
    assert way.places(12.1 + 19.9) == 0  # twice as long
    assert way.places(12.1 + 24.1) == 1

    way.enter(40.0)
    way.note(answer(200), 40.0)
    assert not way.breaker_open
    assert way.go_on(40.0)
    way.leave(True)
    assert way.places(40.0) == 8


def test_a_lane_that_was_sent_before_the_breaker_opened_does_not_end_the_trial() -> None:
    way = limiter()
    assert not way.enter(0.0)
    for _ in range(3):
        way.note(answer(None), 0.0)
    assert way.enter(13.0)
    way.leave(False)
    assert way.places(13.0) == 0
    assert not way.enter(13.0)  # claimed already when the trial began
    assert not way.begins(13.0, False)
    way.leave(False)
    assert way.pause(13.0) == inf
    way.leave(True)
    assert way.places(13.0) == 1


def test_the_breaker_rests_no_longer_than_it_may() -> None:
    way, now = limiter(), 0.0
    for _ in range(20):
        way.note(answer(500), now)
        now += 40.0
    assert way.pause(now - 40.0) <= 36.0


def test_failures_of_requests_sent_before_it_opened_do_not_open_it_further() -> None:
    way = limiter()
    for _ in range(30):
        way.note(answer(None), 0.0)
    assert way.places(12.1) == 1


def test_a_rate_is_kept_and_evenly_spent() -> None:
    way, sent = limiter(rate_limit=5.0), 0
    for tick in range(1000):
        now = tick / 100
        for _ in range(way.places(now)):
            way.enter(now)
            way.leave(False)
            sent += 1
        sent += way.go_on(now)
    assert 49 <= sent <= 51
    assert 0 < way.pause(10.0) <= 0.2


def test_a_receiver_that_asks_for_time_gets_it() -> None:
    way = limiter()
    trial = way.enter(0.0)
    way.note(answer(429, retry_after=5.0), 0.0)
    assert (way.begins(4.9, trial), way.begins(5.1, trial)) == (False, True)
    way.leave(trial)
    assert (way.places(4.9), way.places(5.1)) == (0, 8)
    way.note(answer(503, retry_after=86_400.0), 10.0)
    assert (way.places(9.0 + MAX_REST), way.places(11.0 + MAX_REST)) == (0, 8)
    way.note(answer(200), 4000.0)
    way.note(answer(500, retry_after=5.0), 4000.0)  # about this delivery alone
    assert way.places(4000.0) == 8


def test_a_receiver_that_wants_no_more_gets_none() -> None:
    way = limiter()
    way.enter(0.0)
    way.note(answer(410), 0.0)
    assert way.gone == "HTTP 410"
    assert not way.go_on(0.0)
    way.leave(False)
    assert (way.places(1e9), way.pause(0.0)) == (0, inf)


def test_the_first_failure_is_that_after_the_last_success() -> None:
    way = limiter()
    failures = [answer(500), answer(429), answer(503)]
    way.note(failures[0], 0.0)
    way.note(answer(200), 0.0)
    assert way.outcomes.first_failure is None
    for each in failures[1:]:
        way.note(each, 0.0)
    found = way.take_outcomes()
    assert (found.accepted, found.first_failure) == (True, failures[1].start_time)


def test_outcomes_are_taken_once() -> None:
    way = limiter()
    first, second = answer(500), answer(None)
    way.note(first, 0.0)
    way.note(second, 0.0)
    found = way.take_outcomes()
    assert (found.accepted, found.first_failure, found.last_error) == (False, first.start_time, "HTTP None")
    assert way.take_outcomes().first_failure is None
