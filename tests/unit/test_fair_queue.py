"""Turns of the committer's queue: who is next, what a heavy item costs its caller, and who finds a place."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from itertools import chain, repeat
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from stockward_server.storage.write.fair_queue import FairQueue, Share

T = TypeVar("T")

ANY_WEIGHT = 10_000

ITEMS = st.tuples(st.sampled_from("abcd"), st.integers(1, 50))
"""A caller and the weight of what it asks for."""


def queue(*items: tuple[str, int], group: str = "all") -> FairQueue[str]:
    """Items named by their caller and their number, such as a1."""
    made: FairQueue[str] = FairQueue(10_000)
    put(made, *items, group=group)
    return made


def put(queue: FairQueue[str], *items: tuple[str, int], group: str = "all") -> None:
    for caller, weight in items:
        assert queue.put(caller, weight, (group, caller))


def take(queue: FairQueue[T]) -> T:
    next_one = queue.take(ANY_WEIGHT)
    assert next_one is not None
    return next_one[0]


def taken(queue: FairQueue[str], count: int | None = None) -> str:
    return "".join(take(queue) for _ in range(len(queue) if count is None else count))


def test_a_caller_alone_is_served_in_order_of_arrival() -> None:
    alone: FairQueue[int] = FairQueue(10)
    for number in range(5):
        alone.put(number, 1 + number % 3, ("all", "a"))
    assert [take(alone) for _ in range(5)] == list(range(5))


def test_callers_take_turns() -> None:
    assert taken(queue(("a", 1), ("a", 1), ("a", 1), ("b", 1), ("b", 1), ("c", 1))) == "abcaba"


def test_a_heavy_item_is_served_at_its_turn_and_costs_its_caller_turns() -> None:
    assert taken(queue(("a", 3), ("a", 1), *[("b", 1)] * 5)) == "abbbabb"


def test_a_newcomer_is_next_whatever_another_one_has_waiting() -> None:
    busy = queue(*[("a", 1000)] * 20)
    assert taken(busy, 1) == "a"
    put(busy, ("b", 1))
    assert taken(busy, 2) == "ba"


def test_newcomers_come_before_those_who_were_served_and_do_not_overtake_each_other() -> None:
    crowd = queue(("a", 1), ("a", 1000), ("b", 1), ("b", 1))
    order = taken(crowd, 1)
    for caller in "cde":
        put(crowd, (caller, 1))
    assert order + taken(crowd) == "abcdeab"


def test_a_caller_pays_for_what_was_served_even_when_nothing_waited_since() -> None:
    paid = queue(("a", 1000), ("b", 1), ("b", 1))
    assert taken(paid, 1) == "a"
    put(paid, ("a", 1), ("c", 1))
    assert taken(paid) == "bcba"


def test_when_nothing_waits_all_callers_begin_anew() -> None:
    idle = queue(("a", 1000))
    assert taken(idle) == "a"
    idle.forgive()
    put(idle, ("a", 1), ("b", 1))
    assert taken(idle) == "ab"


def test_callers_who_wait_are_not_forgiven() -> None:
    busy = queue(("a", 1000), ("b", 1), ("a", 1))
    assert taken(busy, 1) == "a"
    busy.forgive()
    assert taken(busy) == "ba"


def test_groups_take_turns_whatever_the_number_of_their_callers() -> None:
    both = queue(*[(caller, 1) for caller in "abcdef"], group="crowd")
    put(both, ("z", 1), ("z", 1), group="staff")
    assert taken(both) == "azbzcdef"


def test_an_item_that_is_too_heavy_stays_where_it_is() -> None:
    some = queue(("a", 7), ("b", 2))
    assert some.take(6) is None
    assert some.take(7) == ("a", 7)
    assert some.take(2) == ("b", 2)
    assert some.take(ANY_WEIGHT) is None


def fill(queue: FairQueue[str], share: Share) -> int:
    """Puts in as many items as find a place; returns how many."""
    added = 0
    while queue.put(share[1], 1, share):
        added += 1
    return added


def test_a_caller_alone_fills_four_fifths_and_others_still_find_a_place() -> None:
    full: FairQueue[str] = FairQueue(1000)
    assert fill(full, ("crowd", "a")) == 800
    assert fill(full, ("crowd", "b")) > 50
    assert fill(full, ("staff", "z")) > 50
    assert len(full) < 1000


def test_a_crowd_leaves_room_for_other_groups() -> None:
    full: FairQueue[str] = FairQueue(1000)
    added = sum(fill(full, ("crowd", str(n))) for n in range(2000))
    assert added == len(full) == 900
    assert fill(full, ("staff", "z")) > 50


@given(st.lists(ITEMS, max_size=60))
def test_everything_is_served_once_and_in_each_callers_order(items: Iterable[tuple[str, int]]) -> None:
    line: FairQueue[tuple[str, int, int]] = FairQueue(10_000)
    expected: defaultdict[str, deque[int]] = defaultdict(deque)
    for number, (caller, weight) in enumerate(items):
        line.put((caller, weight, number), weight, ("all", caller))
        expected[caller].append(number)
    while line:
        caller, _, number = take(line)
        assert expected[caller].popleft() == number
    assert not any(expected.values())


@given(st.lists(st.booleans()), st.lists(ITEMS, min_size=40, max_size=120))
def test_callers_who_wait_all_the_time_are_served_the_same_weight(
    arrivals: list[bool], items: list[tuple[str, int]]
) -> None:
    """Whatever comes in between, and at whatever time."""
    line = queue(*[("x", weight) for _, weight in items], *[("y", weight) for _, weight in reversed(items)])
    others: deque[tuple[str, int]] = deque(items)
    arriving = chain(arrivals, repeat(True))
    served: Counter[str] = Counter()
    left = {"x": len(items), "y": len(items)}
    while all(left.values()):
        if next(arriving) and others:
            put(line, others.popleft())
        next_one = line.take(ANY_WEIGHT)
        assert next_one is not None
        caller, weight = next_one
        served[caller] += weight
        left[caller] = left.get(caller, 0) - 1
        assert abs(served["x"] - served["y"]) <= 50


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_a_newcomer_waits_for_one_item_of_each_other_caller_at_most(weights: list[int]) -> None:
    line = queue(*[(str(n), weight) for n, weight in enumerate(weights) for _ in range(5)])
    taken(line, len(weights) // 2)
    put(line, ("new", 50))
    before = []
    while (caller := take(line)) != "new":
        before.append(caller)
    assert max(Counter(before).values(), default=0) <= 1
