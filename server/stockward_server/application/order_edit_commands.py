"""Commands that edit orders: what they say about themselves, and their lines."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from stockward_server.application.context import MutationContext
from stockward_server.application.order_commands import OnOrder, hold_events
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import CurrencyMismatch
from stockward_server.domain.order import Order
from stockward_server.domain.order_edits import (
    AddedLine,
    LineChange,
    OrderDetails,
    current_prices,
    decide_edit,
    decide_update,
    require_editable,
)
from stockward_server.domain.pricing import WantedLine, merge_lines, price_lines
from stockward_server.domain.timeline import About, line_edits


@dataclass(slots=True, kw_only=True)
class UpdateOrder(OnOrder):
    """Updates contact, addresses, reference, tags, attributes and gift notes."""

    details: OrderDetails
    unique_reference: bool = False
    """Whether no other order of its sales channel may have its reference."""

    @property
    def references(self) -> Collection[str]:
        return (self.details.reference,) if self.unique_reference and self.details.reference else ()

    def execute(self, uow: UnitOfWork) -> Order:
        order = self.order(uow)
        updated = decide_update(order, self.details, uow.now)
        if self.references and updated.reference != order.reference:
            uow.take_reference(updated, self.cause)
        return uow.save_order(updated, self.cause, "order.updated", about=About(fields=self.details.fields))


@dataclass(slots=True, kw_only=True)
class EditOrderLines(OnOrder):
    """Changes quantities of a PENDING order and adds lines, all of it or nothing."""

    cause: MutationContext
    changes: Sequence[LineChange]
    additions: Sequence[WantedLine] = ()
    current_prices: bool = False

    @property
    def skus(self) -> Collection[str]:
        return [line.sku for line in self.additions]

    @property
    def weight(self) -> int:
        return max(1, len(self.changes) + len(self.additions))

    def execute(self, uow: UnitOfWork) -> Order:
        order = self.order(uow)
        require_editable(order)
        lines = {line.line_number: line for line in order.lines}
        for change in self.changes:
            line = lines.get(change.line_number)
            if line is not None and change.quantity > line.open > 0:
                uow.offer(line.sku, f"{change.path}.line_number", self.cause)
        prices = {}
        if self.current_prices:
            asked = {line.sku: uow.offers[line.sku].price for line in order.lines if line.sku in uow.offers}
            prices = current_prices(order, asked)
        levels = uow.levels_of({*(line.sku for line in order.lines), *self.skus})
        edited, changes = decide_edit(order, self.changes, self._added(order, uow), prices, levels, uow.now)
        about = About(edits=line_edits(order, edited))
        edited = uow.save_order(edited, self.cause, "order.edited", *hold_events(order, edited), about=about)
        uow.move(changes, self.cause)
        return edited

    def _added(self, order: Order, uow: UnitOfWork) -> list[AddedLine]:
        """Returns the lines to add, priced as those of a new order."""
        for line in self.additions:
            uow.offer(line.sku, f"{line.path}.sku", self.cause)
        if not self.additions:
            return []
        paths = {line.sku: line.path for line in reversed(self.additions)}
        currency, priced = price_lines(self.additions, merge_lines(self.additions), uow.offers)
        if currency != order.currency:
            raise CurrencyMismatch(f"{self.additions[0].path}.sku", expected=order.currency, actual=currency)
        return [AddedLine(line, paths[line.sku]) for line in priced]
