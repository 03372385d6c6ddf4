"""What can happen to products and stock, in the shop and in the model of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from stockward_server.application.stock_commands import AdjustStock, SetStockPolicy, SyncedRow, SyncStock
from stockward_server.domain.money import Money
from stockward_server.domain.product import Product
from stockward_server.domain.product_changes import (
    decide_archival,
    decide_publication,
    decide_restoration,
    decide_unpublication,
    decide_update,
)
from stockward_server.domain.stock import Adjustment, AdjustmentReason
from tests.commands import adjust, request
from tests.model import LOCATIONS
from tests.model_machine import Both
from tests.model_purchase import RefusedError

locations = st.sampled_from(LOCATIONS)
which = st.sampled_from([0, 0, 0, 1])
"""One of the two SKUs; the first is the busy one."""
few = st.integers(0, 3)
together = st.booleans()
"""Whether the next step may join this one's batch."""

LISTINGS: Mapping[str, Callable[[Product, datetime], Product]] = {
    "publish": lambda product, now: decide_publication(product, None, now),
    "unpublish": decide_unpublication,
    "archive": decide_archival,
    "restore": decide_restoration,
}


class Goods(Both):
    """One rule for each."""

    def units(self, part: Mapping[int, int]) -> dict[str, int]:
        return {self.skus[index]: count for index, count in part.items()}

    @rule(join=together, sku=which, location=locations, delta=st.integers(-3, 4).filter(bool), count=few)
    def adjust_or_count(self, join: bool, sku: int, location: str, delta: int, count: int) -> None:
        place = self.skus[sku], location
        if count:
            self.step(join, adjust(place[0], delta, location_id=location), lambda _: self.model.adjust(place, delta))
            return
        seen, expected = abs(delta) + 2, None if delta > 0 else self.model.shelves[place].on_hand
        counted = Adjustment(*place, None, seen, expected, AdjustmentReason.COUNTED)
        command = AdjustStock(cause=request(), adjustment=counted)
        self.step(join, command, lambda _: self.model.count(place, seen, expected))

    @rule(join=together, sku=which, location=locations, safety=few, backorder=few, reorder=st.none() | few)
    def set_policy(self, join: bool, sku: int, location: str, safety: int, backorder: int, reorder: int | None) -> None:
        place = self.skus[sku], location
        policy = {"safety_stock": safety, "backorder_limit": backorder, "reorder_point": reorder}
        command = SetStockPolicy(cause=request(), sku=place[0], location_id=location, policy=policy)
        self.step(join, command, lambda _: self.model.set_policy(place, safety, backorder))

    @rule(join=together, rows=st.lists(st.tuples(which, locations, st.integers(-3, 4), few), min_size=1, max_size=3))
    def synchronize(self, join: bool, rows: list[tuple[int, str, int, int]]) -> None:
        """Deltas, and counts where there is none; each row for itself."""

        def row(index: int, location: str, delta: int, count: int) -> Adjustment:
            counted = None if delta else count
            return Adjustment(self.skus[index], location, delta or None, counted, None, AdjustmentReason.COUNTED)

        def expected(results: list[SyncedRow | str]) -> None:
            told = []
            for index, location, delta, count in rows:
                place = self.skus[index], location
                try:
                    if delta:
                        self.model.adjust(place, delta)
                    else:
                        self.model.count(place, count, None)
                    told.append("done")
                except RefusedError as refusal:
                    told.append(str(refusal))
            assert [each if isinstance(each, str) else "done" for each in results] == told

        self.step(join, SyncStock(cause=request(), adjustments=[row(*each) for each in rows]), expected)

    @rule(opened=st.booleans())
    def open_or_close(self, opened: bool) -> None:
        """The second location."""
        self.flush()
        self.set_open(opened)

    def set_open(self, opened: bool) -> None:
        self.run(self.pool.execute("UPDATE locations SET active = $1 WHERE location_id = 'north'", opened))
        self.model.closed = set() if opened else {"north"}

    # Products

    @rule(index=which, action=st.sampled_from(["publish", "publish", "publish", "unpublish", "archive", "restore"]))
    def list_or_not(self, index: int, action: str) -> None:
        sku, decide = self.skus[index], LISTINGS[action]
        self.edit(sku, decide, lambda: getattr(self.model, action)(sku))

    @rule(index=which, price=st.sampled_from([900, 1000, 1250]))
    def set_price(self, index: int, price: int) -> None:
        sku = self.skus[index]

        def expected() -> None:
            self.model.listings[sku].price = price

        self.edit(sku, with_variant(price=Money("EUR", price)), expected)

    @rule(index=which, untracked=st.sampled_from([False, False, True]))
    def track_or_not(self, index: int, untracked: bool) -> None:
        sku = self.skus[index]
        self.edit(sku, with_variant(untracked=untracked), lambda: self.model.set_untracked(sku, untracked))


def with_variant(**fields: Any) -> Callable[[Product, datetime], Product]:
    """A change of the product's one variant."""

    def decide(product: Product, now: datetime) -> Product:
        (variant,) = product.variants
        return decide_update(product, {"variants": (replace(variant, **fields),)}, now)

    return decide
