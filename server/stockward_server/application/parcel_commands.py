"""Commands on parcels that were recorded as shipped."""

from __future__ import annotations

from dataclasses import dataclass

from stockward_server.application.order_commands import OnOrder, hold_events
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.order import Order
from stockward_server.domain.order_parcels import ParcelChange, decide_parcel_cancellation, decide_parcel_update
from stockward_server.domain.timeline import About


@dataclass(slots=True, kw_only=True)
class UpdateFulfillment(OnOrder):
    """Corrects the tracking of a parcel, or records what became of it."""

    fulfillment_id: str
    change: ParcelChange

    def execute(self, uow: UnitOfWork) -> Order:
        order, parcel = decide_parcel_update(self.order(uow), self.fulfillment_id, self.change, uow.now)
        return uow.save_order(order, self.cause, "order.fulfillment_updated", about=About(fulfillment=parcel))


@dataclass(slots=True, kw_only=True)
class CancelFulfillment(OnOrder):
    """Cancels a parcel that was not sent after all."""

    fulfillment_id: str
    reason: str = ""

    def execute(self, uow: UnitOfWork) -> Order:
        order = self.order(uow)
        reopened, parcel, changes = decide_parcel_cancellation(order, self.fulfillment_id, self.reason, uow.now)
        for change in changes:
            uow.countable_level(change.sku, change.location_id)
        types = "order.fulfillment_cancelled", *hold_events(order, reopened)
        about = About(self.reason, fulfillment=parcel)
        reopened = uow.save_order(reopened, self.cause, *types, about=about)
        uow.move(changes, self.cause)
        return reopened
