"""The shop and the model of it side by side: both do the same, and are compared after every step."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.catalog import Catalog
from stockward_server.application.command import Command
from stockward_server.domain.errors import Refusal
from stockward_server.domain.product import Product, ProductState
from stockward_server.domain.reservation import ReservationState
from stockward_server.storage.catalog import SqlCatalog
from stockward_server.storage.database import Pool
from stockward_server.storage.order_rows import load_orders
from stockward_server.storage.read.stock_views import SqlStockViews
from stockward_server.storage.write.mutation import Mutations
from tests.commands import RESULT, ResultCommitter, gaps, request
from tests.model import Hold, Model, Shelf
from tests.model_purchase import Purchase, RefusedError

T = TypeVar("T")

Step = tuple[Command[Any], Callable[[Any], object]]
"""A command, and what it does to the model given its result."""

LOST_ALERTS = """
    SELECT * FROM stock s LEFT JOIN stock_alerts a ON (a.sku, a.location_id) = (s.sku, s.location_id)
        AND a.clear_time IS NULL
    WHERE s.sku = ANY($1) AND s.alert_level <> coalesce(a.level, 0)
"""

STATES = "SELECT sku, price, state FROM variants JOIN products USING (product_id) WHERE sku = ANY($1)"

HOLDS = "SELECT reservation_id::text AS id, state FROM reservations WHERE reservation_id = ANY($1::uuid[])"


def agree(what: str, outcome: object, expected: Callable[[Any], object]) -> None:
    """What the shop answered, and what the model says to it: the same refusal, or none."""
    try:
        expected(outcome)
        answer = ""
    except RefusedError as refusal:
        answer = str(refusal)
    if isinstance(outcome, Refusal):
        assert outcome.reason == answer, f"{what}: {outcome}"
    elif isinstance(outcome, BaseException):
        raise outcome
    else:
        assert not answer, f"{what} was not refused: {answer}"


class Both(RuleBasedStateMachine):
    """A shop with two SKUs at two locations, in a database that it shares with other histories, and the model of it."""

    def __init__(self, pool: Pool, committer: ResultCommitter, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.pool, self.committer, self.loop = pool, committer, loop
        prefix = uuid.uuid4().hex[:8]
        self.skus = [f"{prefix}-A", f"{prefix}-B"]
        self.model = Model(dict.fromkeys(self.skus, 1000))
        self.holds: dict[str, Hold] = {}
        self.orders: dict[str, Purchase] = {}
        self.catalog = Catalog(SqlCatalog(pool, Mutations(pool, encode_event)))
        self.products: dict[str, str] = {}
        self.queue: list[Step] = []
        self.answered: list[tuple[Command[Any], object]] = []

    # Both sides do the same

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def step(self, join: bool, command: Command[Any], expected: Callable[[Any], object]) -> None:
        """Queues a command, and what it does to the model given the result."""
        self.queue.append((command, expected))
        if not join or len(self.queue) == 4:
            self.flush()

    def flush(self) -> None:
        if self.queue:
            self.run(self.flush_together())

    async def flush_together(self) -> None:
        queue, self.queue = self.queue, []
        outcomes = await asyncio.gather(
            *(self.committer.submit(command) for command, _ in queue), return_exceptions=True
        )
        for (command, expected), outcome in zip(queue, outcomes, strict=True):
            if not isinstance(outcome, BaseException):
                self.answered.append((command, outcome))
            agree(str(command), outcome, expected)
        await self.compare()

    def edit(self, sku: str, decide: Callable[[Product, datetime], Product], expected: Callable[[], object]) -> None:
        """Changes a product, which is not the committer's."""
        self.flush()

        async def change() -> object:
            try:
                return await self.catalog.change(request(), self.products[sku], "", decide, RESULT)
            except Refusal as refusal:
                return refusal

        agree(f"a change of {sku}", self.run(change()), lambda _: expected())
        self.run(self.compare())

    async def compare(self) -> None:
        async with self.pool.acquire() as connection:
            rows = await connection.fetch("SELECT * FROM stock WHERE sku = ANY($1)", self.skus)
            orders = await load_orders(connection, self.orders)
            states = await connection.fetch(STATES, self.skus)
            holds = await connection.fetch(HOLDS, list(self.holds))
        counted = {(row["sku"], row["location_id"]): Shelf(*list(row.values())[2:6]) for row in rows}
        for place, shelf in self.model.shelves.items():
            assert counted[place] == replace(shelf, backorder=0)
        assert {row["sku"]: (ProductState(row["state"]).name, row["price"]) for row in states} == {
            sku: (listing.state, listing.price) for sku, listing in self.model.listings.items()
        }
        assert {row["id"]: ReservationState(row["state"]).name for row in holds} == {
            hold_id: hold.state for hold_id, hold in self.holds.items()
        }
        for order_id, purchase in self.orders.items():
            order = orders[order_id]
            assert order.state.name == purchase.state
            amounts = order.amounts
            assert (amounts.total, amounts.net) == (purchase.total, purchase.net)
            assert amounts.cancelled + amounts.returned == purchase.gone
            assert (order.still_to_pay, order.refund_due) == (purchase.still_to_pay, purchase.refund_due)
            assert (order.terms_met, order.hold is not None) == (purchase.ready, purchase.held)
            assert order.terms_met_once == (not purchase.prepaid or bool(purchase.paid_for))
            skus = {line.line_number: line.sku for line in order.lines}
            owed = {(skus[each.line_number], each.location_id): each.quantity for each in order.allocations}
            assert owed == +purchase.owed
            known = {each.return_id: each.state.name for each in order.returns if each.return_id in purchase.returns}
            assert known == {return_id: each.state for return_id, each in purchase.returns.items()}
            came = sum(line.received for each in order.returns for line in each.lines)
            assert came == sum(line.returned for line in order.lines)
        views = SqlStockViews(self.pool)
        offered = await views.availability(self.skus)
        for sku in self.skus:
            assert not (await views.verify(sku))[1]
            explained = await views.explain(sku)
            assert explained is not None
            assert offered[sku].available == explained.available == self.model.offered(sku)
        aggregates = [f"{sku}@{location}" for sku, location in self.model.shelves] + [*self.holds, *self.orders]
        assert not await gaps(self.pool, aggregates)
        assert not await self.pool.fetch(LOST_ALERTS, self.skus)
