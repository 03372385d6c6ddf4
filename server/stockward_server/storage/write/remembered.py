"""What this process remembers of the database: stock and offers as it saw them last, and the database's clock.

All of it may be out of date. Commands are decided on it only where the write compares it under its locks
(`optimistic`).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.stock import Offer, StockLevel

MAX_BYTES = 32 * 2**20
"""Approximate memory of all that is remembered."""

ROW_BYTES = 1024
"""Approximate memory of an offer or a stock row."""

DISTRUST_SECONDS, MAX_DISTRUST_SECONDS = 1.0, 60.0
"""How long a SKU that differed is not recalled: where other servers sell it, too, it would soon differ again. Doubled
each time, up to the second, until a batch with it is written."""


DRIFT = 1e-4
"""Seconds by which two clocks may run apart in a second."""


@dataclass(slots=True)
class Goods:
    """A SKU's offer and its stock rows at all locations, by priority."""

    offer: Offer
    levels: Sequence[StockLevel]
    distrusted_until: float = 0.0
    """Time of the monotonic clock."""
    distrust_seconds: float = 0.0
    """How long it was distrusted the last time."""

    @property
    def size(self) -> int:
        """Approximate memory in bytes."""
        return ROW_BYTES * (1 + len(self.levels)) + 4 * len(self.offer.title)


class RememberedStock:
    """The goods that this process saw last; those that were not used for longest are forgotten."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._goods: OrderedDict[str, Goods] = OrderedDict()

    def recall(self, skus: Collection[str]) -> Sequence[Goods] | None:
        """Returns the goods of these SKUs; None when one is unknown or has differed lately."""
        now = time.monotonic()
        found = []
        for sku in skus:
            goods = self._goods.get(sku)
            if goods is None or goods.distrusted_until > now:
                return None
            found.append(goods)
        return found

    def learn(self, state: UnitOfWork, *, proven: bool = False) -> None:
        """Remembers the offers and the stock rows of a state that has just been committed. `proven`: it was decided on
        remembered ones."""
        for sku, offer in state.offers.items():
            goods = Goods(offer, state.levels_at_all_locations(sku))
            if before := self._goods.pop(sku, None):
                self.bytes -= before.size
                if not proven:
                    goods.distrusted_until, goods.distrust_seconds = before.distrusted_until, before.distrust_seconds
            self._goods[sku] = goods
            self.bytes += goods.size
        while self.bytes > self._max_bytes:
            self.bytes -= self._goods.popitem(last=False)[1].size

    def distrust(self, skus: Iterable[str]) -> None:
        """Does not recall these SKUs for a while."""
        now = time.monotonic()
        for sku in set(skus):
            if goods := self._goods.get(sku):
                longer = max(DISTRUST_SECONDS, 2 * goods.distrust_seconds)
                goods.distrust_seconds = min(longer, MAX_DISTRUST_SECONDS)
                goods.distrusted_until = now + goods.distrust_seconds


class DatabaseClock:
    """The database's clock, as this process's own and how far ahead of it the database's is.

    A reading is behind by the time that its answer was under way, so of several the one furthest ahead counts.
    """

    def __init__(self) -> None:
        self._ahead: float | None = None
        """Seconds, when `_since` was now."""
        self._since = 0.0

    def note(self, now: datetime) -> None:
        """Notes what the clock showed."""
        here = time.monotonic()
        ahead = now.timestamp() - here
        if self._ahead is None or ahead > self._ahead - DRIFT * (here - self._since):
            self._ahead, self._since = ahead, here

    def forget(self) -> None:
        """Forgets the readings, since the clock may have been set back."""
        self._ahead = None

    def now(self) -> datetime | None:
        """Returns the present time; None when the clock was not read."""
        if self._ahead is None:
            return None
        here = time.monotonic()
        return datetime.fromtimestamp(here + self._ahead - DRIFT * (here - self._since), UTC)
