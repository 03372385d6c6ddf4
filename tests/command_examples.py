"""An example of every command: what has to happen first, and the command itself."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from stockward_server import application
from stockward_server.application.command import Command
from stockward_server.application.context import Role, SystemCause
from stockward_server.application.order_commands import (
    AddCharge,
    CancelOrder,
    CreateOrder,
    ExpireOrder,
    FulfillOrder,
    ProcessOrder,
    WantedCharge,
)
from stockward_server.application.order_desk_commands import AddOrderNote, EndHold, HoldOrder, ReleaseOrder
from stockward_server.application.order_edit_commands import EditOrderLines, UpdateOrder
from stockward_server.application.parcel_commands import CancelFulfillment, UpdateFulfillment
from stockward_server.application.payment_commands import RecordPayment
from stockward_server.application.response_codec import R
from stockward_server.application.return_commands import (
    AnnounceReturn,
    CloseReturn,
    ReceiveReturn,
    ReturnOrder,
    UpdateReturn,
    WithdrawReturn,
)
from stockward_server.application.stock_commands import (
    AdjustStock,
    ExpireReservation,
    ExtendReservation,
    HoldPolicy,
    ReleaseReservation,
    ReserveStock,
    SetStockPolicy,
    SyncStock,
)
from stockward_server.application.unit_of_work import Holder, PaymentKey, UnitOfWork
from stockward_server.domain.charge import ChargeKind
from stockward_server.domain.hold_limits import HoldLimits
from stockward_server.domain.money import Money
from stockward_server.domain.order import Customer, FulfillmentState, Hold, HoldReason, Order
from stockward_server.domain.order_edits import LineChange, OrderDetails
from stockward_server.domain.order_parcels import ParcelChange
from stockward_server.domain.order_returns import ReturnChange
from stockward_server.domain.payment import PaymentKind
from stockward_server.domain.pricing import WantedLine
from stockward_server.domain.returns import ExchangeOf
from stockward_server.domain.stock import Adjustment, AdjustmentReason
from stockward_server.domain.unpaid_limits import UnpaidLimits
from tests.commands import HOLDS, adjust, buy, on, request, reserve


class Submit(Protocol):
    """Runs a command and returns its result."""

    async def __call__(self, command: Command[R]) -> R: ...


Example = Callable[[Submit], Awaitable[Command[Any]]]
"""Prepares a shop that has 10 MUG and 3 CAP at `main`, and returns a command that succeeds there once and changes
something."""

SHORT = HoldPolicy(timedelta(microseconds=1), timedelta(hours=24))
"""Runs out at once."""


async def ordered(submit: Submit, **fields: Any) -> str:
    return (await submit(buy(("MUG", 2), ("CAP", 1), **fields))).order_id


async def held(submit: Submit, **changes: Any) -> str:
    return (await submit(replace(reserve(("MUG", 2), ("CAP", 1)), **changes))).reservation_id


async def in_processing(submit: Submit) -> str:
    order_id = await ordered(submit, prepaid=False)
    await submit(ProcessOrder(**on(order_id)))
    return order_id


async def fulfilled(submit: Submit) -> str:
    order_id = await in_processing(submit)
    await submit(ship(order_id))
    return order_id


def ship(order_id: str) -> FulfillOrder:
    return FulfillOrder(**on(order_id), quantities={}, tracking_number="", carrier="")


async def create_order(submit: Submit) -> Command[Any]:
    return buy(("MUG", 9), ("CAP", 3), charges={ChargeKind.SHIPPING: 500, ChargeKind.DISCOUNT: 100})


async def create_exchange(submit: Submit) -> Command[Any]:
    of = await returning(submit)
    return replace(buy(("MUG", 1)), exchange_of=ExchangeOf(of["order_id"], of["return_id"]))


async def create_order_from_hold(submit: Submit) -> Command[Any]:
    return buy(reservation_id=await held(submit))


async def create_unpaid_order(submit: Submit) -> Command[Any]:
    """By a storefront whose unpaid orders are counted."""
    order = buy(("MUG", 9), ("CAP", 3), cause=request(role=Role.STOREFRONT))
    return replace(order, customer=Customer("ann"), unpaid_limits=UnpaidLimits(orders=2, units=20))


async def process_order(submit: Submit) -> Command[Any]:
    return ProcessOrder(**on(await ordered(submit, prepaid=False)))


async def fulfill_order(submit: Submit) -> Command[Any]:
    return ship(await in_processing(submit))


async def cancel_order(submit: Submit) -> Command[Any]:
    return CancelOrder(**on(await ordered(submit)), quantities={1: 1}, reason="")


async def return_order(submit: Submit) -> Command[Any]:
    """To a location that has had none yet."""
    order_id = await fulfilled(submit)
    return ReturnOrder(**on(order_id), restocked={1: 1}, damaged={2: 1}, location_id="north", reason="")


async def record_payment(submit: Submit) -> Command[Any]:
    order_id = await ordered(submit)
    return RecordPayment(
        **on(order_id),
        provider="test",
        provider_event_id=order_id,
        kind=PaymentKind.CAPTURED,
        amount=Money("EUR", 3000),
        payment_reference=f"pi_{order_id}",
    )


async def add_charge(submit: Submit) -> Command[Any]:
    order_id = await ordered(submit)
    charge = WantedCharge(ChargeKind.TAX, Money("EUR", 100), "", "charge", (1,))
    return AddCharge(**on(order_id), charge=charge, reason="forgotten")


async def update_order(submit: Submit) -> Command[Any]:
    details = OrderDetails({"email": "ann@shop.example"}, "A-1", ("vip",), (("lane", "4"),), "Dear Ann", {1: "Blue!"})
    return UpdateOrder(**on(await ordered(submit)), details=details)


async def edit_order_lines(submit: Submit) -> Command[Any]:
    """One line is removed, and another added."""
    order_id = (await submit(buy(("MUG", 2), charges={ChargeKind.TAX: 100}))).order_id
    line = WantedLine("CAP", 3, "additions[0]")
    return EditOrderLines(**on(order_id), changes=[LineChange(1, 0, "changes[0]")], additions=[line])


def hold(order_id: str) -> HoldOrder:
    return HoldOrder(**on(order_id), reason=HoldReason.ADDRESS, note="no such street")


async def update_fulfillment(submit: Submit) -> Command[Any]:
    order = await submit(ship(await in_processing(submit)))
    change = ParcelChange("T2", "DHL", FulfillmentState.FAILED)
    return UpdateFulfillment(**on(order.order_id), fulfillment_id=order.fulfillments[0].fulfillment_id, change=change)


async def cancel_fulfillment(submit: Submit) -> Command[Any]:
    order = await submit(ship(await in_processing(submit)))
    return CancelFulfillment(**on(order.order_id), fulfillment_id=order.fulfillments[0].fulfillment_id)


async def announce_return(submit: Submit) -> Command[Any]:
    return AnnounceReturn(**on(await fulfilled(submit)), quantities={1: 2}, reason="too small")


async def returning(submit: Submit) -> dict[str, Any]:
    """The fields of a command on a return of two units."""
    order = await submit(await announce_return(submit))
    return {**on(order.order_id), "return_id": order.returns[0].return_id}


async def update_return(submit: Submit) -> Command[Any]:
    return UpdateReturn(**await returning(submit), change=ReturnChange(tracking_number="R2"))


async def receive_return(submit: Submit) -> Command[Any]:
    """A part of it, to a location that has had none yet."""
    return ReceiveReturn(**await returning(submit), restocked={1: 1}, damaged={}, location_id="north")


async def close_return(submit: Submit) -> Command[Any]:
    command = await receive_return(submit)
    assert isinstance(command, ReceiveReturn)
    await submit(command)
    return CloseReturn(**on(command.order_id), return_id=command.return_id, reason="lost")


async def withdraw_return(submit: Submit) -> Command[Any]:
    return WithdrawReturn(**await returning(submit))


async def add_order_note(submit: Submit) -> Command[Any]:
    return AddOrderNote(**on(await ordered(submit)), note="call first", customer_visible=True)


class HoldUntilNow(HoldOrder):
    """A hold whose time is over at once, which is not for callers."""

    def execute(self, uow: UnitOfWork) -> Order:
        over = Hold(self.reason, expire_time=uow.now, create_time=uow.now)
        return uow.save_order(self.order(uow).but(staff_hold=over), self.cause, "order.held")


async def hold_order(submit: Submit) -> Command[Any]:
    return hold(await ordered(submit))


async def release_order(submit: Submit) -> Command[Any]:
    order_id = await ordered(submit)
    await submit(hold(order_id))
    return ReleaseOrder(**on(order_id))


async def end_hold(submit: Submit) -> Command[Any]:
    order_id = await ordered(submit)
    await submit(HoldUntilNow(**on(order_id), reason=HoldReason.STOCK))
    return EndHold(cause=SystemCause(), order_id=order_id)


async def expire_order(submit: Submit) -> Command[Any]:
    past_due = replace(buy(("MUG", 2), ("CAP", 1)), payment_allowance=timedelta(microseconds=1))
    return ExpireOrder(cause=SystemCause(), order_id=(await submit(past_due)).order_id)


async def reserve_stock(submit: Submit) -> Command[Any]:
    """By a storefront whose holds are counted."""
    policy = HoldPolicy(HOLDS.ttl, HOLDS.max_lifetime, HoldLimits(holds=2, units=20))
    return replace(
        reserve(("MUG", 9), ("CAP", 3), cause=request(role=Role.STOREFRONT)), customer_id="ann", policy=policy
    )


async def extend_reservation(submit: Submit) -> Command[Any]:
    return ExtendReservation(cause=request(), reservation_id=await held(submit), ttl=timedelta(hours=2), policy=HOLDS)


async def release_reservation(submit: Submit) -> Command[Any]:
    return ReleaseReservation(cause=request(), reservation_id=await held(submit))


async def expire_reservation(submit: Submit) -> Command[Any]:
    return ExpireReservation(cause=SystemCause(), reservation_id=await held(submit, policy=SHORT))


async def adjust_stock(submit: Submit) -> Command[Any]:
    """To nothing, which is an alert."""
    return adjust("MUG", -10)


async def sync_stock(submit: Submit) -> Command[Any]:
    """A change, a change at a location that has had none yet, and a count that agrees."""
    rows = [("MUG", "main", -10, None), ("CAP", "north", 4, None), ("CAP", "main", None, 3)]
    adjustments = [Adjustment(*row, None, AdjustmentReason.COUNTED) for row in rows]
    return SyncStock(cause=request(), adjustments=adjustments)


async def set_stock_policy(submit: Submit) -> Command[Any]:
    policy = {"safety_stock": 10, "reorder_point": 20}
    return SetStockPolicy(cause=request(), sku="MUG", location_id="main", policy=policy)


EXAMPLES: dict[str, tuple[type[Command[Any]], Example]] = {
    "CreateOrder": (CreateOrder, create_order),
    "CreateOrder from a hold": (CreateOrder, create_order_from_hold),
    "CreateOrder as an exchange": (CreateOrder, create_exchange),
    "CreateOrder that is counted": (CreateOrder, create_unpaid_order),
    "ProcessOrder": (ProcessOrder, process_order),
    "FulfillOrder": (FulfillOrder, fulfill_order),
    "CancelOrder": (CancelOrder, cancel_order),
    "ReturnOrder": (ReturnOrder, return_order),
    "RecordPayment": (RecordPayment, record_payment),
    "AddCharge": (AddCharge, add_charge),
    "UpdateOrder": (UpdateOrder, update_order),
    "EditOrderLines": (EditOrderLines, edit_order_lines),
    "UpdateFulfillment": (UpdateFulfillment, update_fulfillment),
    "CancelFulfillment": (CancelFulfillment, cancel_fulfillment),
    "AnnounceReturn": (AnnounceReturn, announce_return),
    "UpdateReturn": (UpdateReturn, update_return),
    "ReceiveReturn": (ReceiveReturn, receive_return),
    "CloseReturn": (CloseReturn, close_return),
    "WithdrawReturn": (WithdrawReturn, withdraw_return),
    "AddOrderNote": (AddOrderNote, add_order_note),
    "HoldOrder": (HoldOrder, hold_order),
    "ReleaseOrder": (ReleaseOrder, release_order),
    "EndHold": (EndHold, end_hold),
    "ExpireOrder": (ExpireOrder, expire_order),
    "ReserveStock": (ReserveStock, reserve_stock),
    "ExtendReservation": (ExtendReservation, extend_reservation),
    "ReleaseReservation": (ReleaseReservation, release_reservation),
    "ExpireReservation": (ExpireReservation, expire_reservation),
    "AdjustStock": (AdjustStock, adjust_stock),
    "SyncStock": (SyncStock, sync_stock),
    "SetStockPolicy": (SetStockPolicy, set_stock_policy),
}


def all_commands() -> set[str]:
    """The name of every command that the server has."""
    for module in pkgutil.iter_modules(application.__path__, f"{application.__name__}."):
        importlib.import_module(module.name)

    def below(parent: type[Any]) -> Iterator[type[Any]]:
        for each in parent.__subclasses__():
            yield each
            yield from below(each)

    ours = [each for each in below(Command) if each.__module__.startswith(application.__name__)]
    return {each.__name__ for each in ours if not inspect.isabstract(each)}


# Commands that fail on the way


class Tripwire:
    """Counts the looks at a state, of whatever kind, and makes the one with the number `at` fail."""

    def __init__(self, at: int, error: Exception) -> None:
        self.looks = 0
        self.error = error
        self._at = at

    @property
    def fired(self) -> bool:
        return self.looks >= self._at

    def watch(self, state: UnitOfWork) -> UnitOfWork:
        """The same state, under watch; so are the scratches that are made of it."""
        wire = self

        class Watched(UnitOfWork):
            __slots__ = ()

            def __getattribute__(self, name: str) -> Any:
                wire.looks += 1
                if wire.looks == wire._at:
                    raise wire.error
                return UnitOfWork.__getattribute__(self, name)

            def scratch(self) -> UnitOfWork:
                return wire.watch(UnitOfWork.scratch(self))

        state.__class__ = Watched
        return state


@dataclass(slots=True, kw_only=True)
class Tripped(Command[R]):
    """A command that fails on the way."""

    command: Command[R]
    wire: Tripwire
    returns: bool = False
    """Whether it may return its result when it came to its end nevertheless."""

    @property
    def needs_locations(self) -> bool:  # type: ignore[override]
        return self.command.needs_locations

    @property
    def skus(self) -> Collection[str]:
        return self.command.skus

    @property
    def order_ids(self) -> Collection[str]:
        return self.command.order_ids

    @property
    def reservation_ids(self) -> Collection[str]:
        return self.command.reservation_ids

    @property
    def payment_keys(self) -> Collection[PaymentKey]:
        return self.command.payment_keys

    @property
    def holders(self) -> Mapping[Holder, HoldLimits]:
        return self.command.holders

    def execute(self, uow: UnitOfWork) -> R:
        result = self.command.execute(self.wire.watch(uow))
        if not self.returns:
            raise self.wire.error
        uow.__class__ = UnitOfWork
        return result


def tripped(command: Command[R], at: int, error: Exception, *, returns: bool = False) -> Tripped[R]:
    """The command as it fails at its `at`th look at the state, at the latest when it is about to return."""
    return Tripped(cause=command.cause, command=command, wire=Tripwire(at, error), returns=returns)
