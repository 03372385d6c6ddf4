"""Random histories of a shop: the server and a model of it never disagree, by a unit or by a refusal.

Steps are queued, and flushed together now and then, so that they meet inside one batch of the committer too.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from stockward_server.application.order_commands import (
    AddCharge,
    CancelOrder,
    FulfillOrder,
    ProcessOrder,
    WantedCharge,
)
from stockward_server.application.order_edit_commands import EditOrderLines
from stockward_server.application.parcel_commands import CancelFulfillment
from stockward_server.application.payment_commands import RecordPayment
from stockward_server.application.postponed import Postponed
from stockward_server.application.return_commands import (
    AnnounceReturn,
    CloseReturn,
    ReceiveReturn,
    ReturnOrder,
    WithdrawReturn,
)
from stockward_server.application.stock_commands import (
    ExtendReservation,
    ReleaseReservation,
)
from stockward_server.application.sweeper import sweep
from stockward_server.domain.charge import ChargeKind
from stockward_server.domain.errors import Refusal
from stockward_server.domain.money import Money
from stockward_server.domain.order import Order
from stockward_server.domain.order_edits import LineChange
from stockward_server.domain.payment import PaymentKind
from stockward_server.domain.pricing import WantedLine
from stockward_server.domain.reservation import Reservation
from stockward_server.storage.database import Pool
from stockward_server.storage.due_work import SqlDueWork
from stockward_server.storage.write import remembered
from stockward_server.storage.write.optimistic import OptimisticWrites
from tests.commands import HOLDS, adjust, buy, committing, on, request, reserve, sell
from tests.model import Hold
from tests.model_goods import Goods, few, locations, together, which
from tests.model_machine import Step
from tests.model_purchase import Purchase
from torture.broken import BUILDS

pytestmark = pytest.mark.long

T = TypeVar("T")

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "25"))
"""Histories; `MODEL_EXAMPLES=2000 make long ARGS="-k never_disagrees --hypothesis-profile=new"` looks for others."""

some = st.tuples(which, st.integers(1, 3))
parts = st.lists(some, max_size=2).map(dict)
"""Units of each SKU."""
baskets = st.lists(some, min_size=1, max_size=3)
charges = st.dictionaries(st.sampled_from(ChargeKind), st.sampled_from([77, 490, 1001]), max_size=3)
"""In cents; some discounts are more than the goods."""
kinds = st.sampled_from([PaymentKind.CAPTURED, PaymentKind.CAPTURED, PaymentKind.AUTHORIZED, *PaymentKind])

USUAL = {
    "PENDING": ["pay", "process", "process", "cancel", "charge", "edit_lines"],
    "PROCESSING": ["fulfill", "fulfill", "cancel", "pay", "charge"],
    "PARTIALLY_FULFILLED": ["fulfill", "take_back", "cancel", "charge", "unpack", "announce", "receive", "end_return"],
    "FULFILLED": ["take_back", "pay", "charge", "unpack", "announce", "receive", "end_return"],
    "CANCELLED": ["pay", "charge"],
    "EXPIRED": ["pay"],
}
ACTIONS = ["pay", "process", "fulfill", "cancel", "take_back", "charge", "edit_lines", "announce"]


class Shop(Goods):
    """And what can happen to holds, orders and payments, and in time."""

    def teardown(self) -> None:
        self.flush()
        self.set_open(True)

    @initialize(units=st.integers(4, 10), remembers=st.booleans())
    def open(self, units: int, remembers: bool) -> None:
        """`remembers`: batches are optimistic where they can be; otherwise none is."""
        self.committer._optimistic = OptimisticWrites(self.pool, self.committer.metrics) if remembers else None
        self.set_open(True)
        self.run(sell(self.pool, **dict.fromkeys(self.skus, units)))
        found = self.run(self.pool.fetch("SELECT sku, product_id::text FROM variants WHERE sku = ANY($1)", self.skus))
        self.products = {row["sku"]: row["product_id"] for row in found}
        for sku, location in self.model.shelves:
            self.model.adjust((sku, location), units)
            if location != "main":
                self.run(self.committer.submit(adjust(sku, units, location_id=location)))
        for prepaid in (False, True):
            self.order(False, [(0, 2), (1, 1)], prepaid, {})
        (order_id, purchase), _ = self.orders.items()
        for command, expected in (
            (ProcessOrder(**on(order_id)), lambda _: self.model.process(purchase)),
            self.shipment(purchase, on(order_id), {self.skus[0]: 1}, None),
        ):
            self.step(False, command, expected)

    # Repetitions

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """What was done is answered again, and not done again."""
        self.flush()
        command, answer = data.draw(st.sampled_from(self.answered))
        assert str(self.run(self.committer.submit(command))) == str(answer)
        self.run(self.compare())

    # Holds

    @rule(join=together, wanted=baskets.map(dict))
    def reserve(self, join: bool, wanted: dict[int, int]) -> None:
        units = self.units(wanted)

        def expected(outcome: Reservation | Refusal) -> None:
            hold = self.model.reserve(units)
            assert isinstance(outcome, Reservation), outcome
            self.holds[outcome.reservation_id] = hold

        self.step(join, reserve(*units.items()), expected)

    @precondition(lambda self: self.holds)
    @rule(join=together, data=st.data(), end=st.booleans())
    def extend_or_release(self, join: bool, data: st.DataObject, end: bool) -> None:
        hold_id, hold = data.draw(one_of(self.holds))
        asked: Any = {"cause": request(), "reservation_id": hold_id}
        if end:
            self.step(join, ReleaseReservation(**asked), lambda _: self.model.release(hold))
        else:
            extend = ExtendReservation(**asked, ttl=None, policy=HOLDS)
            self.step(join, extend, lambda _: self.model.extend(hold))

    # Orders

    def placing(self, place: Callable[[], Purchase]) -> Callable[[Order | Refusal], object]:
        def expected(outcome: Order | Refusal) -> None:
            purchase = place()
            assert isinstance(outcome, Order), outcome
            self.orders[outcome.order_id] = purchase

        return expected

    @rule(join=together, basket=baskets, prepaid=st.booleans(), charges=charges)
    def order(self, join: bool, basket: list[tuple[int, int]], prepaid: bool, charges: dict[ChargeKind, int]) -> None:
        lines = [(self.skus[index], count) for index, count in basket]
        wanted: Counter[str] = Counter()
        for sku, count in lines:
            wanted[sku] += count
        expected = self.placing(lambda: self.model.order(wanted, by_name(charges), prepaid))
        self.step(join, buy(*lines, prepaid=prepaid, charges=charges), expected)

    @rule(wanted=st.lists(baskets, min_size=2, max_size=4))
    def order_several(self, wanted: list[list[tuple[int, int]]]) -> None:
        """At once and each for itself, as BatchCreateOrders has them."""
        self.flush()
        for basket in wanted:
            self.order(True, basket, True, {})
        self.flush()

    @precondition(lambda self: self.holds)
    @rule(join=together, data=st.data(), prepaid=st.booleans(), charges=charges)
    def order_what_is_held(
        self, join: bool, data: st.DataObject, prepaid: bool, charges: dict[ChargeKind, int]
    ) -> None:
        hold_id, hold = data.draw(one_of(self.holds))
        order = buy(reservation_id=hold_id, prepaid=prepaid, charges=charges)
        self.step(join, order, self.placing(lambda: self.model.convert(hold, by_name(charges), prepaid)))

    @precondition(lambda self: self.orders)
    @rule(join=together, data=st.data(), unusual=st.sampled_from([False] * 5 + [True]))
    def on_order(self, join: bool, data: st.DataObject, unusual: bool) -> None:
        """One rule for all that happens to orders: rules of their own would be chosen too rarely one after another."""
        order_id, purchase = data.draw(one_of(self.orders))
        action = data.draw(st.sampled_from(ACTIONS if unusual else USUAL[purchase.state]))
        command, expected = getattr(self, action)(data, purchase, on(order_id))
        self.step(join and action not in ("charge", "edit_lines"), command, expected)

    on_order_too = on_order_again = on_order_yet_again = on_order

    def process(self, _: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        return ProcessOrder(**asked), lambda _: self.model.process(purchase)

    def fulfill(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        return self.shipment(purchase, asked, self.some_of(purchase, data), data.draw(st.none() | locations))

    def shipment(self, purchase: Purchase, asked: Any, units: dict[str, int], location: str | None) -> Step:
        command = parcel(asked, purchase.by_line(units), location)

        def expected(outcome: Order | Refusal) -> None:
            left = self.model.fulfill(purchase, units, location)
            assert isinstance(outcome, Order), outcome
            purchase.parcels[outcome.fulfillments[-1].fulfillment_id] = left

        return command, expected

    def unpack(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        """A parcel was not sent after all; where there is none, one is shipped."""
        self.flush()
        if not purchase.parcels:
            return self.fulfill(data, purchase, asked)
        parcel = data.draw(st.sampled_from(sorted(purchase.parcels)))
        return CancelFulfillment(**asked, fulfillment_id=parcel), lambda _: self.model.unpack(purchase, parcel)

    def cancel(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        units = self.some_of(purchase, data)
        command = CancelOrder(**asked, quantities=purchase.by_line(units), reason="")
        return command, lambda _: self.model.cancel(purchase, units)

    def take_back(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        good, broken = self.some_of(purchase, data), self.some_of(purchase, data)
        location = data.draw(locations)
        asked |= {"restocked": purchase.by_line(good), "damaged": purchase.by_line(broken)}
        command = ReturnOrder(**asked, location_id=location, reason="")
        return command, lambda _: self.model.take_back(purchase, good, broken, location)

    def announce(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        units = {sku: count for sku, count in self.units(dict([data.draw(some)])).items() if sku in purchase.wanted}
        command = AnnounceReturn(**asked, quantities=purchase.by_line(units))

        def expected(outcome: Order | Refusal) -> None:
            each = self.model.announce(purchase, units)
            assert isinstance(outcome, Order), outcome
            purchase.returns[outcome.returns[-1].return_id] = each

        return command, expected

    def receive(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        """Units of a return that was announced; where there is none, one is."""
        self.flush()
        if not purchase.returns:
            return self.announce(data, purchase, asked)
        return_id, each = data.draw(one_of(purchase.returns))
        good, broken = self.some_of(purchase, data), self.some_of(purchase, data)
        location = data.draw(locations)
        asked |= {"restocked": purchase.by_line(good), "damaged": purchase.by_line(broken)}
        command = ReceiveReturn(**asked, return_id=return_id, location_id=location)
        return command, lambda _: self.model.receive(purchase, each, good, broken, location)

    def end_return(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        self.flush()
        if not purchase.returns:
            return self.announce(data, purchase, asked)
        return_id, each = data.draw(one_of(purchase.returns))
        if data.draw(st.booleans()):
            close = CloseReturn(**asked, return_id=return_id)
            return close, lambda _: self.model.end_return(each, "PARTIALLY_RECEIVED", "CLOSED")
        withdraw = WithdrawReturn(**asked, return_id=return_id)
        return withdraw, lambda _: self.model.end_return(each, "ANNOUNCED", "WITHDRAWN")

    def edit_lines(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        """In a batch of its own, as a charge; SKUs that the order has not are added."""
        units = self.units(data.draw(st.dictionaries(which, few, min_size=1)))
        changes = {sku: count for sku, count in units.items() if sku in purchase.wanted}
        added = {sku: count for sku, count in units.items() if sku not in purchase.wanted and count}
        present = data.draw(st.booleans())
        command = EditOrderLines(
            **asked,
            changes=[LineChange(number, count, "") for number, count in purchase.by_line(changes).items()],
            additions=[WantedLine(sku, count, "") for sku, count in added.items()],
            current_prices=present,
        )
        return command, lambda _: self.model.edit(purchase, changes, added, present=present)

    def charge(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        """In a batch of its own, so that it is later than the payments before it and earlier than those after it."""
        kind, amount = data.draw(st.tuples(st.sampled_from(ChargeKind), st.sampled_from([1, 77, 490, 1001])))
        wanted = WantedCharge(kind, Money("EUR", amount), "", "charge")
        command = AddCharge(**asked, charge=wanted, reason="because")
        return command, lambda _: self.model.charge(purchase, kind.name, amount)

    def pay(self, data: st.DataObject, purchase: Purchase, asked: Any) -> Step:
        """Reports repeat themselves now and then, and now and then with other content or another order's tender."""
        kind, part, number = data.draw(st.tuples(kinds, st.sampled_from([1, 1, 1, 2]), few))
        order_id, amount = asked["order_id"], purchase.total // part
        tender = data.draw(st.sampled_from(["", "", f"{order_id} card", f"{self.skus[0]} gift"]))
        event_id = data.draw(st.sampled_from([f"{order_id} {kind.name} {part}", f"{self.skus[0]} {number}"]))
        event_id += f" {tender}"
        command = RecordPayment(
            **asked,
            provider="bank",
            provider_event_id=event_id,
            kind=kind,
            amount=Money("EUR", amount),
            event_time=datetime.now(UTC),
            payment_reference=tender,
        )
        return command, lambda _: self.model.pay(purchase, event_id, kind.name, amount, tender)

    def some_of(self, purchase: Purchase, data: st.DataObject) -> dict[str, int]:
        """Units of its SKUs; none stands for all."""
        return {sku: count for sku, count in self.units(data.draw(parts)).items() if sku in purchase.wanted}

    # Time

    @precondition(lambda self: self.holds or self.orders)
    @rule(data=st.data())
    def let_time_pass(self, data: st.DataObject) -> None:
        """For one hold or order; the sweeper comes later."""
        self.flush()
        found: dict[str, Hold | Purchase] = {**self.holds, **self.orders}
        each_id, each = data.draw(one_of(found))
        each.overdue = True
        self.run(self.pool.execute(OVERDUE[type(each)], each_id))

    @rule()
    def sweep(self) -> None:
        self.flush()
        self.run(sweep(SqlDueWork(self.pool), self.committer.submit, Postponed()))
        self.model.sweep([*self.holds.values()], [*self.orders.values()])
        self.run(self.compare())


OVERDUE = {
    Hold: "UPDATE reservations SET expire_time = now() - interval '1 s' WHERE reservation_id = $1",
    Purchase: "UPDATE orders SET payment_due_time = payment_due_time - interval '1 day' WHERE order_id = $1",
}


def parcel(asked: Any, lines: Mapping[int, int], location: str | None = None) -> FulfillOrder:
    return FulfillOrder(**asked, quantities=lines, tracking_number="", carrier="", location_id=location or "")


def by_name(charges: Mapping[ChargeKind, int]) -> dict[str, int]:
    return {kind.name: amount for kind, amount in charges.items()}


def one_of(found: Mapping[str, T]) -> st.SearchStrategy[tuple[str, T]]:
    return st.sampled_from(sorted(found.items(), key=lambda item: item[0]))


async def compare(pool: Pool, examples: int, **options: Any) -> None:
    """The shop and the model, over so many histories."""
    loop = asyncio.get_running_loop()
    await pool.execute("INSERT INTO locations (location_id, name, priority, active) VALUES ('north', '', 1, true)")
    async with committing(pool) as committer:
        await asyncio.to_thread(
            run_state_machine_as_test,
            cast(Any, lambda: Shop(pool, committer, loop)),
            settings=settings(
                max_examples=examples,
                print_blob=True,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
                **options,
            ),
        )
        assert committer.metrics.optimistic


@pytest.fixture(autouse=True)
def optimistic_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history takes less time than a SKU is distrusted for."""
    monkeypatch.setattr(remembered, "DISTRUST_SECONDS", 0.0)


@pytest.mark.timeout(600 + 2 * EXAMPLES)  # a history that fails is made short first
async def test_a_shop_never_disagrees_with_its_model(database: Pool) -> None:
    await compare(database, EXAMPLES)


@pytest.mark.parametrize("build", ["sells-too-many", "forgets-overhang"])
async def test_a_shop_that_sells_too_many_disagrees_with_its_model(
    database: Pool, monkeypatch: pytest.MonkeyPatch, build: str
) -> None:
    BUILDS[build].break_it(monkeypatch.setattr)
    with pytest.raises(AssertionError):
        await compare(database, 100, phases=[Phase.generate], report_multiple_bugs=False, database=None)
