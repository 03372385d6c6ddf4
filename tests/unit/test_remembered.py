"""What the committer remembers of stock and offers."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.money import Money
from stockward_server.domain.stock import Offer, StockLevel
from stockward_server.storage.write.remembered import (
    DISTRUST_SECONDS,
    MAX_DISTRUST_SECONDS,
    ROW_BYTES,
    DatabaseClock,
    RememberedStock,
)


def seen(*skus: str, on_hand: int = 1) -> UnitOfWork:
    """A committed state with a stock row of each SKU."""
    offers = {sku: Offer(sku, "", Money("EUR", 1000), published=True) for sku in skus}
    state = UnitOfWork(datetime.now(UTC), lambda event: b"", 0, offers)
    state.load_levels(StockLevel(sku, "main", on_hand) for sku in skus)
    return state


def test_all_or_nothing_is_recalled() -> None:
    stock = RememberedStock()
    stock.learn(seen("MUG", "CAP"))
    assert [goods.offer.sku for goods in stock.recall(["CAP", "MUG"]) or ()] == ["CAP", "MUG"]
    assert stock.recall(["MUG", "HAT"]) is None


def test_the_latest_is_recalled() -> None:
    stock = RememberedStock()
    stock.learn(seen("MUG"))
    stock.learn(seen("MUG", on_hand=7))
    (mug,) = stock.recall(["MUG"]) or ()
    assert [level.on_hand for level in mug.levels] == [7]


def test_a_distrusted_sku_stays_so_when_it_is_seen_again() -> None:
    stock = RememberedStock()
    stock.learn(seen("MUG", "CAP"))
    stock.distrust(["MUG", "HAT"])
    stock.learn(seen("MUG"))
    assert stock.recall(["MUG"]) is None
    assert stock.recall(["CAP"])


def test_what_was_seen_longest_ago_is_forgotten() -> None:
    stock = RememberedStock(max_bytes=4 * ROW_BYTES)
    for sku in ("MUG", "CAP", "MUG", "HAT"):
        stock.learn(seen(sku))
    assert stock.bytes == 4 * ROW_BYTES
    assert [sku for sku in ("MUG", "CAP", "HAT") if stock.recall([sku])] == ["MUG", "HAT"]


def test_a_sku_that_keeps_differing_is_recalled_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stock = RememberedStock()
    stock.learn(seen("MUG"))

    def pause() -> float:
        """Returns the seconds until it is recalled again."""
        nonlocal now
        stock.distrust(["MUG"])
        stock.learn(seen("MUG"))  # as the batch does that took the usual way
        since = now
        while not stock.recall(["MUG"]):
            now += DISTRUST_SECONDS
        return now - since

    assert [pause() for _ in range(3)] == [DISTRUST_SECONDS, 2 * DISTRUST_SECONDS, 4 * DISTRUST_SECONDS]
    assert [pause() for _ in range(9)][-1] == MAX_DISTRUST_SECONDS
    stock.learn(seen("MUG"), proven=True)
    assert pause() == DISTRUST_SECONDS


def test_a_reading_that_was_long_under_way_sets_the_clock_back_by_nothing() -> None:
    clock, second = DatabaseClock(), timedelta(seconds=1)
    assert clock.now() is None
    shown = datetime.now(UTC)
    clock.note(shown)
    clock.note(shown - second)
    assert (now := clock.now()) is not None
    assert now > shown - second / 1000
    clock.note(shown + second)
    assert (now := clock.now()) is not None
    assert now > shown + second - second / 1000, "nearer"
    clock.forget()
    assert clock.now() is None
    clock.note(shown - second)
    assert (now := clock.now()) is not None
    assert now < shown, "it was set back"


def test_an_old_reading_yields_to_what_clocks_may_have_run_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, shown, here = DatabaseClock(), datetime(2026, 1, 1, tzinfo=UTC), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: here[0])
    clock.note(shown)
    here[0] = 10_000.0
    slow = shown + timedelta(seconds=9_999.5)
    clock.note(slow)
    assert clock.now() == slow
