"""Commands on returns of orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from stockward_server.application.context import MutationContext
from stockward_server.application.order_commands import OnOrder, hold_events
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import RoleNotAllowed
from stockward_server.domain.identifiers import new_id
from stockward_server.domain.order import Order
from stockward_server.domain.order_returns import (
    ReturnChange,
    decide_announcement,
    decide_receipt,
    decide_return_at_once,
    decide_return_closing,
    decide_return_update,
    decide_return_withdrawal,
    return_of,
)
from stockward_server.domain.returns import OrderReturn, ReturnState, announced_lines
from stockward_server.domain.stock import StockChange
from stockward_server.domain.timeline import About

RETURNED = "order.returned"
"""Event of every order of which units came back, announced or not."""


@dataclass(slots=True, kw_only=True)
class ReturnOrder(OnOrder):
    """Records the return of fulfilled units that were not announced, by line number."""

    needs_locations: ClassVar[bool] = True

    cause: MutationContext
    restocked: Mapping[int, int]
    damaged: Mapping[int, int]
    location_id: str
    reason: str

    def execute(self, uow: UnitOfWork) -> Order:
        uow.require_location(self.location_id)
        order = self.order(uow)
        record = OrderReturn(
            new_id(), ReturnState.RECEIVED, (), uow.now, uow.now, reason=self.reason, actor=self.cause.actor
        )
        returned, changes = decide_return_at_once(
            order, record, self.restocked, self.damaged, self.location_id, uow.now
        )
        came = Counter(self.restocked) + Counter(self.damaged)
        about = About(self.reason, lines=_by_number(came), return_id=record.return_id)
        return _take_back(uow, self.cause, order, returned, changes, about)


@dataclass(slots=True, kw_only=True)
class AnnounceReturn(OnOrder):
    """Announces a return, by line number. Note and label are for staff to set."""

    cause: MutationContext
    quantities: Mapping[int, int]
    reason: str = ""
    note: str = ""
    tracking_number: str = ""
    carrier: str = ""
    label_url: str = ""

    def execute(self, uow: UnitOfWork) -> Order:
        self._require_allowed_fields()
        announced = OrderReturn(
            new_id(),
            ReturnState.ANNOUNCED,
            announced_lines(self.quantities),
            uow.now,
            uow.now,
            self.reason,
            self.note,
            self.tracking_number,
            self.carrier,
            self.label_url,
            self.cause.actor,
        )
        order = decide_announcement(self.order(uow), announced, uow.now)
        about = About(self.reason, lines=_by_number(announced.missing), return_id=announced.return_id)
        return uow.save_order(order, self.cause, "order.return_announced", about=about)

    def _require_allowed_fields(self) -> None:
        staff_only = [name for name in ("note", "label_url") if getattr(self, name)]
        if staff_only and not self.cause.role.is_staff:
            raise RoleNotAllowed(self.cause.role.name.lower(), f"set {staff_only[0]}", field=staff_only[0])


@dataclass(slots=True, kw_only=True)
class OnReturn(OnOrder):
    """A command on one return of an order."""

    cause: MutationContext
    return_id: str


@dataclass(slots=True, kw_only=True)
class UpdateReturn(OnReturn):
    """Corrects tracking, label and note of a return."""

    change: ReturnChange

    def execute(self, uow: UnitOfWork) -> Order:
        order = decide_return_update(self.order(uow), self.return_id, self.change, uow.now)
        return uow.save_order(order, self.cause, "order.return_updated", about=About(return_id=self.return_id))


@dataclass(slots=True, kw_only=True)
class ReceiveReturn(OnReturn):
    """Receives units of a return, by line number; all that are expected when none are named."""

    needs_locations: ClassVar[bool] = True

    restocked: Mapping[int, int]
    damaged: Mapping[int, int]
    location_id: str
    note: str = ""

    def execute(self, uow: UnitOfWork) -> Order:
        uow.require_location(self.location_id)
        order = self.order(uow)
        received, came, changes = decide_receipt(
            order, self.return_id, self.restocked, self.damaged, self.location_id, self.note, uow.now
        )
        about = About(self.note, lines=_by_number(came), return_id=self.return_id)
        return _take_back(uow, self.cause, order, received, changes, about)


@dataclass(slots=True, kw_only=True)
class CloseReturn(OnReturn):
    """Closes a return of which a part came."""

    reason: str = ""

    def execute(self, uow: UnitOfWork) -> Order:
        order = decide_return_closing(self.order(uow), self.return_id, uow.now)
        about = _about_rest(order, self.return_id, self.reason)
        return uow.save_order(order, self.cause, "order.return_closed", about=about)


@dataclass(slots=True, kw_only=True)
class WithdrawReturn(OnReturn):
    """Withdraws a return of which nothing came."""

    reason: str = ""

    def execute(self, uow: UnitOfWork) -> Order:
        order = decide_return_withdrawal(self.order(uow), self.return_id, uow.now)
        about = _about_rest(order, self.return_id, self.reason)
        return uow.save_order(order, self.cause, "order.return_withdrawn", about=about)


def _take_back(
    uow: UnitOfWork, cause: MutationContext, order: Order, after: Order, changes: list[StockChange], about: About
) -> Order:
    """Saves an order of which units came back. SKUs that were deleted or are no longer tracked come back without a
    change of stock."""
    after = uow.save_order(after, cause, RETURNED, *hold_events(order, after), about=about)
    uow.move((change for change in changes if uow.is_counted(change.sku)), cause)
    return after


def _about_rest(order: Order, return_id: str, reason: str) -> About:
    """What is said of a return of which nothing more comes: the units that stay with the customer."""
    ended = return_of(order, return_id)
    return About(reason, lines=_by_number(ended.missing) if ended else (), return_id=return_id)


def _by_number(units: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(units.items()))
