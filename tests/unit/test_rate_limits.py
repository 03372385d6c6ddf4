"""Buckets of calls: what fits into one, how it fills, and what each method counts as."""

from __future__ import annotations

import pytest

from stockward_server.api.calls import rate_limits
from stockward_server.api.calls.rate_limits import RateLimits, kind_of
from stockward_server.api.server import SERVICES
from stockward_server.application.calls import MethodKind
from stockward_server.domain.errors import RateLimited

READ = "/stockward.order.v1.OrderService/GetOrder"
WRITE = "/stockward.order.v1.OrderService/CreateOrder"
BULK = "/stockward.order.v1.OrderService/BatchCreateOrders"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limits(clock: Clock, read: float = 10, write: float = 0, bulk: float = 0, burst: float = 0.5) -> RateLimits:
    rates = {MethodKind.READ: read, MethodKind.WRITE: write, MethodKind.BULK: bulk}
    return RateLimits(SERVICES, rates, burst, clock)


def taken(limits: RateLimits, caller: str = "shop", method: str = READ, of: int = 100) -> int:
    """How many calls go through."""
    for number in range(of):
        try:
            limits.take(caller, method)
        except RateLimited:
            return number
    return of


def test_a_bucket_holds_the_burst_and_fills_again(clock: Clock) -> None:
    few = limits(clock)
    assert taken(few) == 5
    clock.now += 0.2
    assert taken(few) == 2
    clock.now += 3600
    assert taken(few) == 5


def test_the_refusal_says_when_to_come_back(clock: Clock) -> None:
    few = limits(clock)
    taken(few)
    with pytest.raises(RateLimited) as refusal:
        few.take("shop", READ)
    assert refusal.value.retry_after == pytest.approx(0.1)
    assert refusal.value.metadata == {"kind": "read", "limit_per_second": "10"}
    clock.now += 0.1
    assert taken(few) == 1, "what was refused was not counted"


def test_callers_and_kinds_are_apart(clock: Clock) -> None:
    few = limits(clock, read=10, write=4)
    assert taken(few) == 5
    assert taken(few, "other") == 5
    assert taken(few, method=WRITE) == 2
    assert taken(few, method=BULK) == 100, "0 is no limit"


def test_less_than_a_call_a_burst_is_one_call(clock: Clock) -> None:
    assert taken(limits(clock, read=0.5, burst=0)) == 1


def test_callers_are_forgotten_when_there_are_too_many(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_CALLERS", 10)
    few = limits(clock)
    assert taken(few, "busy") == 5
    for number in range(9):
        few.take(f"idle-{number}", READ)
    clock.now += 0.15
    few.take("new", READ)
    assert taken(few, "busy") == 1, "a bucket that is not full is kept while there are others to forget"
    for number in range(100):
        few.take(f"crowd-{number}", READ)
    assert taken(few, "crowd-99") == 4


def test_what_each_method_counts_as() -> None:
    kinds = {method.name: kind_of(method).value for service in SERVICES for method in service.methods}
    assert {name for name, kind in kinds.items() if kind == "bulk"} == {
        *("BatchCreateOrders", "BatchProcessOrders", "BatchFulfillOrders", "BatchCancelOrders", "ImportProducts"),
        *("SyncStock", "WatchAvailability", "WatchStock", "WatchOrders", "WatchEvents"),
        *("BatchAdjustStock", "BatchSetStock", "BatchImportProducts"),
    }
    reading = ("Get", "BatchGet", "List", "Count", "Check", "Explain", "Read", "Verify", "WhoAmI")
    assert {name for name, kind in kinds.items() if kind == "read"} == {
        name for name in kinds if name.startswith(reading) or name.endswith("Webhook")
    }
