"""Commands of the order desk: what staff do with an order between its steps."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from stockward_server.application.command import Command
from stockward_server.application.order_commands import OnOrder, hold_events
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.order import Hold, HoldReason, Order
from stockward_server.domain.order_holds import decide_hold, decide_release, without_ended_hold
from stockward_server.domain.timeline import About


@dataclass(slots=True, kw_only=True)
class HoldOrder(OnOrder):
    """Puts an order on hold, until `expire_time` where it has one."""

    reason: HoldReason
    note: str = ""
    expire_time: datetime | None = None

    def execute(self, uow: UnitOfWork) -> Order:
        hold = Hold(self.reason, self.note, self.expire_time, self.cause.actor, uow.now)
        held = decide_hold(self.order(uow), hold, uow.now)
        return uow.save_order(held, self.cause, "order.held", about=About(hold=hold))


@dataclass(slots=True, kw_only=True)
class ReleaseOrder(OnOrder):
    """Ends the hold that staff put an order on."""

    def execute(self, uow: UnitOfWork) -> Order:
        return uow.save_order(decide_release(self.order(uow), uow.now), self.cause, "order.released")


@dataclass(slots=True, kw_only=True)
class AddOrderNote(OnOrder):
    """Adds a note to the timeline of an order."""

    note: str
    customer_visible: bool = False

    def execute(self, uow: UnitOfWork) -> Order:
        about = About(self.note, self.customer_visible)
        return uow.save_order(self.order(uow), self.cause, "order.noted", about=about)


@dataclass(slots=True, kw_only=True)
class EndHold(Command[None]):
    """Ends a hold whose time is over; does nothing when it is no longer due. Of a closed order there is no event."""

    order_id: str

    @property
    def order_ids(self) -> Collection[str]:
        return (self.order_id,)

    def execute(self, uow: UnitOfWork) -> None:
        order = uow.order(self.order_id, self.cause)
        ended = without_ended_hold(order, uow.now)
        if ended is not order:
            uow.save_order(ended, self.cause, *hold_events(order, ended))
