"""Shared reads: gathered into few queries, remembered within their bound, never older than one's own write."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest

from stockward_server.application.reads import BULK, ENTRY_BYTES, CachedLoader
from stockward_server.runtime import turns


class Store:
    """A table of numbers that counts how often it is asked, and answers when it is asked to."""

    def __init__(self) -> None:
        self.values = {"a": 1, "b": 2}
        self.asked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(list(keys))
        found = {key: self.values[key] for key in keys if key in self.values}
        await self.gate.wait()
        return found


async def test_callers_of_one_key_share_one_query() -> None:
    store = Store()
    reads = CachedLoader(store.load, max_age=60)
    assert await asyncio.gather(*(reads.get("a") for _ in range(100))) == [1] * 100
    assert store.asked == [["a"]]


async def test_keys_gather_while_a_query_is_in_flight() -> None:
    store = Store()
    reads = CachedLoader(store.load, max_age=0)
    store.gate.clear()
    first = asyncio.create_task(reads.get("a"))
    while not store.asked:
        await asyncio.sleep(0)
    rest = [asyncio.create_task(reads.get(key)) for key in ("b", "c", "b")]
    await asyncio.sleep(0)
    store.gate.set()
    assert [await first, *[await each for each in rest]] == [1, 2, None, 2]
    assert store.asked == [["a"], ["b", "c"]]


async def test_nothing_is_remembered_without_an_age() -> None:
    store = Store()
    reads = CachedLoader(store.load, max_age=0)
    assert await reads.get("a") == 1
    store.values["a"] = 7
    assert await reads.get("a") == 7


async def test_an_answer_lasts_no_longer_than_its_age() -> None:
    store = Store()
    reads = CachedLoader(store.load, max_age=0.05)
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    assert await reads.get("a") == 1
    store.values["a"] = 7
    while await reads.get("a") == 1:
        assert loop.time() < asked_at + 5, "still the old value"
        await asyncio.sleep(0.001)
    assert loop.time() - asked_at >= 0.05


async def test_what_was_forgotten_is_read_anew() -> None:
    store = Store()
    reads = CachedLoader(store.load, max_age=60)
    assert await reads.get("a") == 1
    store.values["a"] = 7
    reads.invalidate(["a", "never read"])
    assert await reads.get("a") == 7


async def test_a_read_under_way_is_not_remembered_once_forgotten() -> None:
    store = Store()
    reads = CachedLoader(store.load, max_age=60, size_of=lambda value: 100)
    store.gate.clear()
    early = asyncio.create_task(reads.get("a"))
    while not store.asked:
        await asyncio.sleep(0)
    store.values["a"] = 7
    reads.invalidate(["a"])
    late = asyncio.create_task(reads.get("a"))
    await asyncio.sleep(0)
    store.gate.set()
    assert (await early, await late, await reads.get("a")) == (1, 7, 7)
    assert reads.bytes == ENTRY_BYTES + 100, "what was forgotten takes no memory"


async def test_a_failure_is_answered_and_not_remembered() -> None:
    store = Store()
    reads = CachedLoader(store.load, max_age=60)
    good, reads._reads._load = reads._reads._load, _fail
    with pytest.raises(ConnectionError):
        await reads.get("a")
    reads._reads._load = good
    assert await reads.get("a") == 1


async def test_a_caller_that_goes_away_takes_nobody_along() -> None:
    store = Store()
    reads = CachedLoader(store.load, max_age=60)
    store.gate.clear()
    impatient, patient = asyncio.create_task(reads.get("a")), asyncio.create_task(reads.get("a"))
    while not store.asked:
        await asyncio.sleep(0)
    impatient.cancel()
    store.gate.set()
    assert await patient == 1
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def _fail(keys: Sequence[str]) -> Mapping[str, int]:
    raise ConnectionError("the database went away")


async def test_answers_take_no_more_memory_than_they_may() -> None:
    async def load(keys: Sequence[int]) -> Mapping[int, bytes]:
        return {key: bytes(100_000) for key in keys}

    reads = CachedLoader(load, max_age=60, max_bytes=1_000_000, size_of=len)
    for key in range(100):
        assert await reads.get(key) == bytes(100_000)
    assert 800_000 < reads.bytes <= 1_000_000
    assert len(await reads.get_all(range(92, 100))) == 8
    assert (reads.hits, reads.misses) == (8, 100), "those asked for last are remembered"
    await reads.get(0)
    assert reads.misses == 101
    reads.invalidate([0, 99, "never read"])  # type: ignore[list-item]
    reads.invalidate_all()
    assert reads.bytes == 0


async def test_what_is_larger_than_all_may_take_is_not_remembered() -> None:
    async def load(keys: Sequence[str]) -> Mapping[str, bytes]:
        return {key: bytes(2_000) for key in keys}

    reads = CachedLoader(load, max_age=60, max_bytes=2_000, size_of=len)
    assert await reads.get("a") == await reads.get("a") == bytes(2_000)
    assert (reads.bytes, reads.misses) == (0, 2)


async def test_answers_that_are_too_old_take_no_memory() -> None:
    store = Store()
    reads = CachedLoader(store.load, max_age=0.01)
    for key in "abcdef":
        await reads.get(key)
        await asyncio.sleep(0.02)
    assert reads.bytes == ENTRY_BYTES


async def test_who_asks_for_one_key_does_not_wait_behind_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does who asks for one of the many."""
    monkeypatch.setattr(turns, "SLICE", float("inf"))  # all of the many are asked for at once
    store = Store()
    reads = CachedLoader(store.load, max_age=60)
    store.gate.clear()
    many = [f"key-{number:04}" for number in range(3 * BULK)]
    bulk = asyncio.create_task(reads.get_all(many))
    while not store.asked:
        await asyncio.sleep(0)
    single = [asyncio.create_task(reads.get(key)) for key in ("a", many[-1])]
    await asyncio.sleep(0)
    store.gate.set()
    assert await asyncio.gather(*single) == [1, None]
    assert await bulk == {}
    assert [len(keys) for keys in store.asked] == [BULK, 2 + BULK, BULK - 1]
    assert store.asked[1][:2] == ["a", many[-1]]
    assert sorted(key for keys in store.asked for key in keys) == sorted([*many, "a"])


async def test_callers_of_one_key_go_on_in_the_order_in_which_they_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the first one has had its slice: two changes of one order in a batch are made in their order."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(turns, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    loaded, answered = asyncio.Event(), list[str]()

    async def load(keys: Sequence[str]) -> Mapping[str, int]:
        await loaded.wait()
        return dict.fromkeys(keys, 1)

    reads = CachedLoader(load, 60)

    async def ask(name: str) -> None:
        await reads.get_all(["order"])
        answered.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask("first"))
        await asyncio.sleep(0)
        clock.now += 2 * turns.SLICE
        group.create_task(ask("second"))
        await asyncio.sleep(0)
        loaded.set()
    assert answered == ["first", "second"]
